// A configuration file: services, targets with probes of every kind, windows, variables; pools.

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "app/config.hpp"
#include "app/failover_config.hpp"
#include "core/pool_config.hpp"
#include "fuzz.hpp"
#include "protocol/hosts.hpp"

using namespace sentinel;

namespace {

void check(const core::ProbeSpec& probe) {
  fuzz::require(!probe.name.empty() && fuzz::printable(probe.name), "a probe's name");
  fuzz::require(probe.host.empty() || !protocol::forbidden_host(probe.host), "no forbidden host");
  fuzz::require(probe.fast_interval <= probe.interval && probe.interval > core::Duration{},
                "fast is not slower");
  fuzz::require(probe.timeout > core::Duration{} && probe.fall > 0 && probe.rise > 0, "in limits");
}

void check(const app::Diagnostics& errors) {
  fuzz::require(errors.size() <= 1000, "bounded errors");
  for (const auto& error : errors) {
    const auto line = error.to_string();
    fuzz::require(fuzz::printable(line) && line.size() < 4000, "one line an error");
  }
}

/// What the monitor makes of it.
void check_services(std::string_view text, const app::Environment& environment) {
  app::MonitorConfig config;
  app::Diagnostics errors;
  app::read_config_text(text, "fuzz.yaml", environment, config, errors);
  check(errors);
  if (!errors.empty()) return;
  std::set<core::ServiceKey> keys;
  for (const auto& target : config.targets) {
    fuzz::require(keys.insert(target.key).second, "keys are unique");
    fuzz::require(fuzz::printable(target.key.to_string()), "a name");
    for (const auto& probe : target.settings.probes) check(probe);
  }
  std::set<std::string> lines;
  for (const auto& line : config.status_page.lines) {
    fuzz::require(!line.name.empty() && fuzz::printable(line.name), "a name for everybody");
    fuzz::require(lines.insert(line.name).second, "names of the status page are unique");
    fuzz::require(!line.services.empty(), "a line stands for something");
  }
  app::MonitorConfig again;
  app::read_config_text(text, "fuzz.yaml", environment, again, errors);
  fuzz::require(errors.empty() && again.targets.size() == config.targets.size(),
                "read twice, it is the same");
}

bool speaks(const core::HostConfig& host, core::Family family) {
  return std::ranges::any_of(host.addresses,
                             [&](const auto& address) { return address.family == family; });
}

/// What the core relies on: core/pool_config.hpp.
void check(const core::FailoverConfig& config) {
  for (const auto& [name, host] : config.hosts) {
    fuzz::require(fuzz::printable(name) && !host.addresses.empty(), "a host");
    for (const auto& probe : host.checks) check(probe);
  }
  for (const auto& probe : config.gateways) check(probe);
  std::set<core::VipKey> taken;
  for (const auto& [name, pool] : config.pools) {
    fuzz::require(fuzz::printable(name), "a pool's name");
    fuzz::require(!pool.listeners.empty() && pool.listeners.size() <= core::max_pool_listeners &&
                      std::ranges::is_sorted(pool.listeners),
                  "listeners");
    fuzz::require(!pool.servers.empty() && pool.servers.size() <= core::max_pool_servers &&
                      std::ranges::is_sorted(pool.servers, {}, &core::PoolServer::host),
                  "servers");
    fuzz::require(pool.max_ejected <= 100, "a part of all");
    for (const auto& key : pool.listeners)
      fuzz::require(taken.insert(key).second, "a listener of one pool");
    for (const auto& probe : pool.checks) check(probe);
    std::set<std::string> names;
    for (const auto& server : pool.servers) {
      fuzz::require(names.insert(server.host).second, "servers are unique");
      fuzz::require(server.weight >= 1 && server.weight <= core::max_weight, "a weight");
      const auto host = config.hosts.find(server.host);
      fuzz::require(host != config.hosts.end(), "a known host");
      for (const auto& key : pool.listeners)
        fuzz::require(speaks(host->second, key.address.family), "an address of the family");
    }
  }
}

/// What the failover makes of it.
void check_pools(std::string_view text, const app::Environment& environment) {
  app::FailoverSettings settings;
  app::Diagnostics errors;
  app::read_failover_text(text, "fuzz.yaml", environment, false, settings, errors);
  check(errors);
  if (!errors.empty()) return;
  check(settings.core);
  app::FailoverSettings again;
  app::read_failover_text(text, "fuzz.yaml", environment, false, again, errors);
  fuzz::require(errors.empty() && again.core == settings.core, "read twice, they are the same");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = fuzz::view(data, size);
  // No variables: they may name files of this host.
  const app::Environment nothing = [](const std::string&) -> std::optional<std::string> {
    return std::nullopt;
  };
  check_services(text, nothing);
  check_pools(text, nothing);
  return 0;
}
