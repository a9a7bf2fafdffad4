// A configuration file: services, targets with probes of every kind, windows, variables.

#include <optional>
#include <set>
#include <string>

#include "app/config.hpp"
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

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = fuzz::view(data, size);
  // No variables: they may name files of this host.
  const app::Environment nothing = [](const std::string&) -> std::optional<std::string> {
    return std::nullopt;
  };
  app::MonitorConfig config;
  app::Diagnostics errors;
  app::read_config_text(text, "fuzz.yaml", nothing, config, errors);
  fuzz::require(errors.size() <= 1000, "bounded errors");
  for (const auto& error : errors) {
    const auto line = error.to_string();
    fuzz::require(fuzz::printable(line) && line.size() < 4000, "one line an error");
  }
  if (!errors.empty()) return 0;
  std::set<core::ServiceKey> keys;
  for (const auto& target : config.targets) {
    fuzz::require(keys.insert(target.key).second, "keys are unique");
    fuzz::require(fuzz::printable(target.key.to_string()), "a name");
    for (const auto& probe : target.settings.probes) check(probe);
  }
  app::MonitorConfig again;
  app::read_config_text(text, "fuzz.yaml", nothing, again, errors);
  fuzz::require(errors.empty() && again.targets.size() == config.targets.size(),
                "read twice, it is the same");
  return 0;
}
