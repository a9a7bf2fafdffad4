#include "app/failover_pools.hpp"

#include <algorithm>
#include <array>
#include <deque>

#include "app/suggest.hpp"
#include "protocol/probe_settings.hpp"

namespace sentinel::app {

namespace {

using core::PoolConfig;
using protocol::Error;
using Set = std::expected<void, Error>;
using namespace std::chrono_literals;

constexpr std::size_t max_pools = 10'000;
constexpr unsigned max_checks = 16;

Set expected_form(std::string text) {
  return std::unexpected(Error{"expected " + std::move(text)});
}

template <typename Parsed, typename Target>
Set assign(Parsed&& parsed, Target& target) {
  if (!parsed) return std::unexpected(std::move(parsed.error()));
  target = static_cast<Target>(*parsed);
  return {};
}

template <typename T, std::size_t N>
Set choose(std::string_view text, const std::array<T, N>& values, T& target) {
  std::string all;
  for (const T value : values) {
    if (to_string(value) == text) return target = value, Set{};
    all += (all.empty() ? "" : ", ") + std::string{to_string(value)};
  }
  return expected_form("one of " + all);
}

Set set_percent(std::string_view text, unsigned& target) {
  if (text.ends_with('%')) text.remove_suffix(1);
  const auto percent = protocol::parse_count(text, 0, 100);
  if (!percent) return expected_form("a percentage from 0% to 100%");
  target = *percent;
  return {};
}

Set set_duration(std::string_view text, core::Duration min, core::Duration max,
                 core::Duration& target) {
  return assign(protocol::parse_duration(text, {min, max}), target);
}

/// Names of pools and servers: as in labels of metrics and in POOL/SERVER.
bool good_name(std::string_view name) { return protocol::parse_probe_name(name).has_value(); }

protocol::SettingsLimits check_limits() {
  protocol::SettingsLimits limits;
  limits.max_probes = max_checks;
  limits.interval = {100ms, 1h};
  return limits;
}

bool has_family(const core::HostConfig& host, core::Family family) {
  return std::ranges::any_of(host.addresses,
                             [&](const core::IpAddress& a) { return a.family == family; });
}

}  // namespace

// --- checks
// ---------------------------------------------------------------------------------------

void PoolReader::check_defaults(const YamlNode& node) {
  reader_.each(node, "failover.check-defaults", [&](const YamlNode& key, const YamlNode&) {
    if (!protocol::is_probe_option(key.scalar) || !protocol::option_is_general(key.scalar))
      reader_.error(key.at, join_key("failover.check-defaults", key.scalar),
                    "expected an option of every kind of check, such as interval, timeout, fall or "
                    "rise");
  });
  if (node.kind == YamlNode::Kind::mapping) check_defaults_ = &node;
}

/// A check is a URL, or a mapping of `url` and options; what probes are to the monitor, written
/// apart.
void PoolReader::checks(const YamlNode& node, const std::string& prefix,
                        std::vector<core::ProbeSpec>& out) {
  const std::string probe_prefix = prefix + ".probe.";
  std::deque<YamlNode> made;
  ProbeKeys keys;
  const auto scalar = [&](const std::string& text, Position at) -> const YamlNode& {
    YamlNode one;
    one.kind = YamlNode::Kind::scalar;
    one.scalar = text;
    one.at = at;
    return made.emplace_back(std::move(one));
  };
  reader_.each(node, prefix, [&](const YamlNode& key, const YamlNode& value) {
    const std::string name = "probe." + key.scalar;
    if (!good_name(key.scalar)) {
      reader_.error(key.at, join_key(prefix, key.scalar),
                    "expected a name of 1 to 64 letters, digits, - or _");
      return;
    }
    if (value.kind != YamlNode::Kind::mapping) {
      keys.take(scalar(name, key.at), value);
    } else {
      const auto url = std::ranges::find_if(
          value.entries, [](const YamlEntry& entry) { return entry.key.scalar == "url"; });
      if (url == value.entries.end()) {
        reader_.error(key.at, join_key(prefix, key.scalar),
                      "expected a URL, or a mapping with url and options");
        return;
      }
      reader_.each(value, join_key(prefix, key.scalar),
                   [&](const YamlNode& option, const YamlNode& content) {
                     const bool is_url = option.scalar == "url";
                     keys.take(scalar(is_url ? name : name + "." + option.scalar, option.at),
                               content);
                   });
    }
    if (check_defaults_ == nullptr) return;
    for (const YamlEntry& entry : check_defaults_->entries) {
      const bool own = value.kind == YamlNode::Kind::mapping &&
                       std::ranges::any_of(value.entries, [&](const YamlEntry& e) {
                         return e.key.scalar == entry.key.scalar;
                       });
      if (!own && protocol::is_probe_option(entry.key.scalar) &&
          protocol::option_is_general(entry.key.scalar))
        keys.take(scalar(name + "." + entry.key.scalar, entry.key.at), entry.value);
    }
  });
  // The keys in errors are those of the file.
  Diagnostics found;
  FileReader inner{file_, found, environment_};
  keys.apply(inner, prefix, check_limits(), out);
  for (Diagnostic& one : found) {
    if (one.key.starts_with(probe_prefix)) one.key.erase(prefix.size() + 1, 6);
    reader_.error(one.at, std::move(one.key), std::move(one.text));
  }
  for (const core::ProbeSpec& spec : out) {
    if (spec.kind != core::ProbeKind::exec) continue;
    const auto entry = std::ranges::find_if(
        node.entries, [&](const YamlEntry& e) { return e.key.scalar == spec.name; });
    reader_.error(entry != node.entries.end() ? entry->key.at : node.at,
                  join_key(prefix, spec.name),
                  "expected a check over the network: exec needs a container");
  }
}

void PoolReader::gateways(const YamlNode& node, std::vector<core::ProbeSpec>& out) {
  checks(node, "failover.gateways", out);
  for (const core::ProbeSpec& spec : out) {
    if (spec.host.empty() && spec.kind != core::ProbeKind::exec)
      reader_.error(node.at, join_key("failover.gateways", spec.name),
                    "expected a URL that names a host");
  }
}

// --- hosts
// ----------------------------------------------------------------------------------------

void PoolReader::hosts(const YamlNode& node, core::FailoverConfig& config) {
  reader_.each(node, "failover.hosts", [&](const YamlNode& key, const YamlNode& value) {
    const std::string prefix = join_key("failover.hosts", key.scalar);
    if (!good_name(key.scalar)) {
      reader_.error(key.at, prefix, "expected a name of 1 to 64 letters, digits, - or _");
      return;
    }
    core::HostConfig host;
    const auto set_addresses = [&](std::string_view text) -> Set {
      host.addresses.clear();
      while (!text.empty()) {
        const auto comma = std::min(text.find(','), text.size());
        const auto address = core::IpAddress::parse(text.substr(0, comma));
        if (!address || has_family(host, address->family)) break;
        host.addresses.push_back(*address);
        text.remove_prefix(std::min(comma + 1, text.size()));
      }
      if (!text.empty() || host.addresses.empty())
        return expected_form("an IP address, or one of each family");
      return {};
    };
    if (value.kind != YamlNode::Kind::mapping) {
      reader_.value(value, prefix, set_addresses);
    } else {
      reader_.each(value, prefix, [&](const YamlNode& option, const YamlNode& content) {
        const std::string full = join_key(prefix, option.scalar);
        if (option.scalar == "address") {
          reader_.value(content, full, set_addresses);
        } else if (option.scalar == "checks") {
          checks(content, full, host.checks);
        } else {
          reader_.unknown(option, prefix, {"address", "checks"});
        }
      });
      const bool given = std::ranges::any_of(
          value.entries, [](const YamlEntry& entry) { return entry.key.scalar == "address"; });
      if (!given) reader_.error(key.at, prefix, "expected its address");
    }
    std::ranges::sort(host.addresses);
    config.hosts.insert_or_assign(key.scalar, std::move(host));
  });
}

// --- pools
// ----------------------------------------------------------------------------------------

std::vector<Key> PoolReader::pool_keys(PoolConfig& p) {
  return {
      {"schedule",
       [&p](std::string_view v) {
         return choose(v,
                       std::array{core::Schedule::round_robin, core::Schedule::weighted,
                                  core::Schedule::source_hash, core::Schedule::sticky},
                       p.schedule);
       }},
      {"eject",
       [&p](std::string_view v) {
         return choose(v, std::array{core::Eject::service, core::Eject::host}, p.eject);
       }},
      {"all-down",
       [this, &p](std::string_view v) {
         given_.all_down = true;
         return choose(
             v, std::array{core::AllDown::reject, core::AllDown::backup, core::AllDown::last_known},
             p.all_down);
       }},
      {"masquerade",
       [&p](std::string_view v) { return assign(protocol::parse_bool(v), p.masquerade); }},
      {"max-ejected", [&p](std::string_view v) { return set_percent(v, p.max_ejected); }},
      {"slots",
       [this, &p](std::string_view v) {
         given_.slots = v != "auto";
         for (const auto slots :
              {core::SlotClass::small, core::SlotClass::medium, core::SlotClass::large})
           if (v == std::to_string(static_cast<unsigned>(slots))) return p.slots = slots, Set{};
         return given_.slots ? expected_form("auto, 61, 307 or 1009") : Set{};
       }},
      {"slow-start", [&p](std::string_view v) { return set_duration(v, {}, 1h, p.slow_start); }},
      {"hold-down",
       [&p](std::string_view v) {
         return assign(protocol::parse_backoff(v, {100ms, 24h}), p.hold_down);
       }},
      {"drain-deadline",
       [&p](std::string_view v) { return set_duration(v, {}, 7 * 24h, p.drain_deadline); }},
  };
}

void PoolReader::pools(const YamlNode& node, const PoolConfig& defaults,
                       core::FailoverConfig& config) {
  reader_.each(node, "failover.pools", [&](const YamlNode& key, const YamlNode& value) {
    if (config.pools.size() >= max_pools) {
      reader_.error(key.at, "failover.pools",
                    "expected at most " + std::to_string(max_pools) + " pools");
      return;
    }
    pool(key, value, defaults, config);
  });
}

void PoolReader::pool(const YamlNode& key, const YamlNode& node, const PoolConfig& defaults,
                      core::FailoverConfig& config) {
  const std::string prefix = join_key("failover.pools", key.scalar);
  if (!good_name(key.scalar)) {
    reader_.error(key.at, prefix, "expected a name of 1 to 64 letters, digits, - or _");
    return;
  }
  PoolConfig out = defaults;
  const PoolKeysGiven of_all = given_;
  const std::vector<Key> keys = pool_keys(out);
  const std::size_t errors = errors_.size();
  reader_.each(node, prefix, [&](const YamlNode& option, const YamlNode& value) {
    const std::string full = join_key(prefix, option.scalar);
    if (option.scalar == "listen") {
      listeners(value, full, key.scalar, out);
    } else if (option.scalar == "servers") {
      servers(value, full, config, out);
    } else if (option.scalar == "checks") {
      checks(value, full, out.checks);
    } else if (const auto known =
                   std::ranges::find(keys, std::string_view{option.scalar}, &Key::name);
               known != keys.end()) {
      reader_.value(value, full, known->set);
    } else {
      std::vector<std::string_view> names{"listen", "servers", "checks"};
      for (const Key& one : keys) names.push_back(one.name);
      reader_.unknown(option, prefix, names);
    }
  });
  // What is missing because it was wrong needs no second word.
  if (errors_.size() == errors) together(key, prefix, config, out);
  given_ = of_all;
  servers_at_.clear();
  config.pools.insert_or_assign(key.scalar, std::move(out));
}

void PoolReader::listeners(const YamlNode& node, const std::string& prefix, const std::string& pool,
                           PoolConfig& out) {
  const auto one = [&](const YamlNode& item) {
    if (item.kind != YamlNode::Kind::scalar) {
      reader_.error(item.at, prefix, "expected an address and ports, or a list of such");
      return;
    }
    std::vector<core::VipKey> parsed;
    reader_.value(item, prefix,
                  [&](std::string_view text) { return assign(parse_listener(text), parsed); });
    for (const core::VipKey& key : parsed) {
      const auto [known, fresh] = taken_.emplace(key, std::pair{pool, item.at.line});
      if (!fresh) {
        const bool v6 = key.address.family == core::Family::v6;
        reader_.error(item.at, prefix,
                      (v6 ? "[" : "") + key.address.to_string() + (v6 ? "]:" : ":") +
                          std::to_string(key.port) +
                          (key.protocol == core::L4::tcp ? "/tcp" : "/udp") +
                          " is taken already: by pool " + known->second.first + " in line " +
                          std::to_string(known->second.second));
        return;
      }
      out.listeners.push_back(key);
    }
  };
  out.listeners.clear();
  if (node.kind == YamlNode::Kind::sequence) {
    for (const YamlNode& item : node.items) one(item);
  } else {
    one(node);
  }
  if (out.listeners.size() > core::max_pool_listeners)
    reader_.error(node.at, prefix,
                  "expected at most " + std::to_string(core::max_pool_listeners) + " ports");
  std::ranges::sort(out.listeners);
}

void PoolReader::servers(const YamlNode& node, const std::string& prefix,
                         const core::FailoverConfig& config, PoolConfig& out) {
  out.servers.clear();
  static const YamlNode nothing;
  if (node.kind == YamlNode::Kind::sequence) {
    for (const YamlNode& item : node.items) {
      if (item.kind != YamlNode::Kind::scalar)
        reader_.error(item.at, prefix, "expected names of hosts");
      else
        server(item, nothing, prefix, config, out);
    }
  } else {
    reader_.each(node, prefix, [&](const YamlNode& key, const YamlNode& value) {
      server(key, value, prefix, config, out);
    });
  }
  if (out.servers.size() > core::max_pool_servers)
    reader_.error(node.at, prefix,
                  "expected at most " + std::to_string(core::max_pool_servers) + " servers");
  std::ranges::sort(out.servers, {}, &core::PoolServer::host);
}

void PoolReader::server(const YamlNode& key, const YamlNode& node, const std::string& prefix,
                        const core::FailoverConfig& config, PoolConfig& out) {
  const std::string full = join_key(prefix, key.scalar);
  if (!config.hosts.contains(key.scalar)) {
    std::vector<std::string_view> names;
    for (const auto& [name, host] : config.hosts) names.push_back(name);
    const std::string_view near = closest(key.scalar, names);
    reader_.error(key.at, full,
                  near.empty() ? "expected a server of failover.hosts"
                               : "expected a server of failover.hosts; did you mean '" +
                                     std::string{near} + "'?");
    return;
  }
  if (!servers_at_.emplace(key.scalar, key.at).second) {
    reader_.error(key.at, full, "expected each server once");
    return;
  }
  core::PoolServer one;
  one.host = key.scalar;
  reader_.mapping(
      node, full,
      {{"port",
        [&](std::string_view v) { return assign(protocol::parse_count(v, 1, 65'535), one.port); }},
       {"weight",
        [&](std::string_view v) {
          return assign(protocol::parse_count(v, 1, core::max_weight), one.weight);
        }},
       {"role", [&](std::string_view v) {
          return choose(v, std::array{core::Role::active, core::Role::backup}, one.role);
        }}});
  out.servers.push_back(std::move(one));
}

/// What only the whole pool shows.
void PoolReader::together(const YamlNode& key, const std::string& prefix,
                          const core::FailoverConfig& config, PoolConfig& pool) {
  const auto complain = [&](Position at, std::string_view name, std::string text) {
    reader_.error(at, join_key(prefix, name), std::move(text));
  };
  if (pool.listeners.empty()) complain(key.at, "listen", "expected a virtual address and port");
  if (pool.servers.empty()) complain(key.at, "servers", "expected at least one server");
  const bool backups = std::ranges::any_of(
      pool.servers, [](const core::PoolServer& s) { return s.role == core::Role::backup; });
  const bool actives = std::ranges::any_of(
      pool.servers, [](const core::PoolServer& s) { return s.role == core::Role::active; });
  if (backups && !given_.all_down) pool.all_down = core::AllDown::backup;
  if (backups && pool.all_down != core::AllDown::backup)
    complain(key.at, "all-down", "expected backup, since a server has that role");
  if (!backups && pool.all_down == core::AllDown::backup)
    complain(key.at, "servers", "expected a server of role backup, for all-down: backup");
  if (!actives && backups) complain(key.at, "servers", "expected a server of role active");
  for (const core::PoolServer& server : pool.servers) {
    const core::HostConfig& host = config.hosts.at(server.host);
    const Position at = servers_at_.at(server.host);
    const std::string name = "servers." + server.host;
    if (host.checks.empty() && pool.checks.empty())
      complain(at, name,
               "expected a check of the pool or of the host: without one nothing tells whether it "
               "answers");
    if (server.weight != 1 && pool.schedule == core::Schedule::round_robin)
      complain(at, name, "weight is for schedule: weighted, source-hash or sticky");
    for (const core::Family family : {core::Family::v4, core::Family::v6}) {
      const bool needed = std::ranges::any_of(
          pool.listeners, [&](const core::VipKey& k) { return k.address.family == family; });
      if (needed && !has_family(host, family))
        complain(at, name,
                 std::string{"expected a host with an IPv"} +
                     (family == core::Family::v4 ? "4" : "6") +
                     " address, as the pool listens on one");
    }
    for (const core::VipKey& listener : pool.listeners) {
      const bool itself =
          std::ranges::find(host.addresses, listener.address) != host.addresses.end() &&
          (server.port == 0 || server.port == listener.port);
      if (itself) {
        complain(at, name, "expected a server other than the virtual service itself");
        break;
      }
    }
  }
  if (!given_.slots) pool.slots = core::suitable_slots(pool.servers);
}

}  // namespace sentinel::app
