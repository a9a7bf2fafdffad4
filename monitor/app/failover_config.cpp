#include "app/failover_config.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "app/alerts_config.hpp"
#include "app/config_reader.hpp"
#include "app/failover_pools.hpp"
#include "app/kept_settings.hpp"

namespace sentinel::app {

namespace {

using protocol::Error;
using Set = std::expected<void, Error>;
using namespace std::chrono_literals;

Set expected_form(std::string text) {
  return std::unexpected(Error{"expected " + std::move(text)});
}

template <typename Parsed, typename Target>
Set assign(Parsed&& parsed, Target& target) {
  if (!parsed) return std::unexpected(std::move(parsed.error()));
  target = std::forward<Parsed>(parsed).value();
  return {};
}

Set set_log_level(std::string_view text, observe::LogLevel& target) {
  return observe::parse_log_level(text, target) ? Set{}
                                                : expected_form("debug, info, warning or error");
}

Set set_log_format(std::string_view text, std::optional<observe::LogFormat>& target) {
  observe::LogFormat format{};
  if (!observe::parse_log_format(text, format)) return expected_form("text or json");
  target = format;
  return {};
}

Set set_hairpin(std::string_view text, std::vector<core::IpPrefix>& target) {
  target.clear();
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    const auto prefix = core::IpPrefix::parse(text.substr(0, comma));
    if (!prefix || target.size() >= 256)
      return expected_form(
          "a list of networks such as 10.8.0.0/24, without bits beyond the length");
    target.push_back(*prefix);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return {};
}

Set set_fixes(std::string_view text, std::set<std::string, std::less<>>& target) {
  target.clear();
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    const std::string_view word = text.substr(0, comma);
    if (std::ranges::find(preflight_fixes, word) == preflight_fixes.end()) {
      std::string all;
      for (const auto fix : preflight_fixes) all += (all.empty() ? "" : ", ") + std::string{fix};
      return expected_form("a list of " + all);
    }
    target.emplace(word);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return {};
}

Set set_table(std::string_view text, std::string& target) {
  const bool good = !text.empty() && text.size() <= 32 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
  if (!good) return expected_form("a name of at most 32 lower-case letters, digits and _");
  target = text;
  return {};
}

Set set_forward_mark(std::string_view text, std::uint32_t& target) {
  return assign(protocol::parse_count(text, 0, 0xffff'ffffU), target);
}

/// Settings of the process: flag and variable besides the key.
struct ProcessSetting {
  std::string_view key;
  std::string_view flag;
  const char* variable;
  Set (*set)(FailoverSettings&, std::string_view);
};

constexpr std::array<ProcessSetting, 6> process_settings{{
    {"failover.listen", "listen", "SENTINEL_LISTEN",
     [](FailoverSettings& s, std::string_view v) { return set_listen(v, s.listen); }},
    {"hosts", "", "SENTINEL_HOSTS",
     [](FailoverSettings& s, std::string_view v) { return set_hosts(v, s.names); }},
    {"data-dir", "data-dir", "SENTINEL_DATA_DIR",
     [](FailoverSettings& s, std::string_view v) { return set_path(v, s.data_dir); }},
    {"run-dir", "run-dir", "SENTINEL_RUN_DIR",
     [](FailoverSettings& s, std::string_view v) { return set_path(v, s.run_dir); }},
    {"log.level", "log-level", "SENTINEL_LOG_LEVEL",
     [](FailoverSettings& s, std::string_view v) { return set_log_level(v, s.log_level); }},
    {"log.format", "log-format", "SENTINEL_LOG_FORMAT",
     [](FailoverSettings& s, std::string_view v) { return set_log_format(v, s.log_format); }},
}};

std::vector<Key> own_keys(FailoverSettings& s) {
  core::FailoverConfig& c = s.core;
  return {
      {"listen", [&s](std::string_view v) { return set_listen(v, s.listen); }},
      {"on-exit",
       [&s](std::string_view v) {
         if (v != "keep" && v != "remove") return expected_form("keep or remove");
         s.keep_rules = v == "keep";
         return Set{};
       }},
      {"alerts",
       [&s](std::string_view v) {
         if (v != "self" && v != "monitor") return expected_form("self or monitor");
         s.through_monitor = v == "monitor";
         return Set{};
       }},
      {"monitor-socket", [&s](std::string_view v) { return set_path(v, s.monitor_socket); }},
      {"table", [&s](std::string_view v) { return set_table(v, s.table); }},
      {"count-traffic",
       [&s](std::string_view v) { return assign(protocol::parse_bool(v), s.count_traffic); }},
      {"forward-mark", [&s](std::string_view v) { return set_forward_mark(v, s.forward_mark); }},
      {"hairpin", [&c](std::string_view v) { return set_hairpin(v, c.hairpin); }},
      {"blind-window",
       [&c](std::string_view v) {
         return assign(protocol::parse_duration(v, {1s, 10min}), c.blind_window);
       }},
      {"sticky-timeout",
       [&c](std::string_view v) {
         return assign(protocol::parse_duration(v, {1s, 24h}), c.sticky_timeout);
       }},
  };
}

/// The parts that build on each other, whatever their order in the file.
struct Sections {
  const YamlNode* check_defaults = nullptr;
  const YamlNode* gateways = nullptr;
  const YamlNode* hosts = nullptr;
  const YamlNode* pools = nullptr;
};

void read_failover(FileReader& reader, PoolReader& pools, const YamlNode& node,
                   FailoverSettings& settings) {
  core::PoolConfig defaults;
  Sections parts;
  const std::vector<Key> own = own_keys(settings);
  const std::vector<Key> of_pools = pools.pool_keys(defaults);
  reader.each(node, "failover", [&](const YamlNode& key, const YamlNode& value) {
    const std::string full = join_key("failover", key.scalar);
    const auto is = [&](const std::vector<Key>& keys) {
      const auto known = std::ranges::find(keys, std::string_view{key.scalar}, &Key::name);
      if (known == keys.end()) return false;
      reader.value(value, full, known->set);
      return true;
    };
    if (key.scalar == "check-defaults") {
      parts.check_defaults = &value;
    } else if (key.scalar == "gateways") {
      parts.gateways = &value;
    } else if (key.scalar == "hosts") {
      parts.hosts = &value;
    } else if (key.scalar == "pools") {
      parts.pools = &value;
    } else if (key.scalar == "preflight") {
      reader.mapping(value, full,
                     {{"fix", [&](std::string_view v) { return set_fixes(v, settings.fix); }}});
    } else if (!is(own) && !is(of_pools)) {
      std::vector<std::string_view> names{"hosts", "pools", "gateways", "check-defaults",
                                          "preflight"};
      for (const Key& one : own) names.push_back(one.name);
      for (const Key& one : of_pools) names.push_back(one.name);
      reader.unknown(key, "failover", names);
    }
  });
  if (parts.check_defaults != nullptr) pools.check_defaults(*parts.check_defaults);
  if (parts.gateways != nullptr) pools.gateways(*parts.gateways, settings.core.gateways);
  if (parts.hosts != nullptr) pools.hosts(*parts.hosts, settings.core);
  if (parts.pools != nullptr) pools.pools(*parts.pools, defaults, settings.core);
}

std::optional<std::string> variable(const ConfigSources& sources, const char* name) {
  if (!sources.environment) return std::nullopt;
  auto value = sources.environment(name);
  if (value && value->empty()) value.reset();
  return value;
}

std::vector<std::string> default_names() {
  std::vector<std::string> names{"failover"};
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) == 0 && name[0] != '\0')
    names.emplace_back(name.data());
  return names;
}

void read_failover_file(const std::string& path, const Environment& environment,
                        FailoverSettings& settings, Diagnostics& errors) {
  const auto text = read_file(path);
  if (!text) {
    errors.push_back({path, {}, {}, text.error()});
    return;
  }
  settings.config_file = path;
  read_failover_text(*text, path, environment, true, settings, errors);
}

}  // namespace

void read_failover_text(std::string_view text, const std::string& name,
                        const Environment& environment, bool required, FailoverSettings& settings,
                        Diagnostics& errors) {
  FileReader reader{name, errors, environment};
  const auto root = parse_yaml(text);
  if (!root) {
    reader.error(root.error().at, {}, root.error().text);
    return;
  }
  PoolReader pools{reader, name, errors, environment};
  bool found = false;
  const YamlNode* alerts = nullptr;
  reader.each(*root, "", [&](const YamlNode& key, const YamlNode& value) {
    if (key.scalar == failover_key) {
      found = true;
      read_failover(reader, pools, value, settings);
    } else if (key.scalar == "log") {
      reader.mapping(
          value, "log",
          {{"level", [&](std::string_view v) { return set_log_level(v, settings.log_level); }},
           {"format", [&](std::string_view v) { return set_log_format(v, settings.log_format); }}});
    } else if (key.scalar == alerts_key) {
      alerts = &value;
    } else if (key.scalar == journal_key) {
      if (required) read_journal(reader, value, settings.journal);
    } else if (key.scalar == "data-dir") {
      reader.value(value, key.scalar,
                   [&](std::string_view v) { return set_path(v, settings.data_dir); });
    } else if (key.scalar == "hosts") {
      reader.value(value, key.scalar,
                   [&](std::string_view v) { return set_hosts(v, settings.names); });
    } else if (key.scalar == "run-dir") {
      reader.value(value, key.scalar,
                   [&](std::string_view v) { return set_path(v, settings.run_dir); });
    } else {
      // The monitor's keys are not ours to read, but a slip of the pen belongs to nobody.
      const auto known = top_level_keys();
      if (std::ranges::find(known, std::string_view{key.scalar}) == known.end())
        reader.unknown(key, "", known);
    }
  });
  // Whoever tells the monitor has nobody else to tell: `alerts:` of the file are the monitor's
  // then, and a check of the whole file reads them as such.
  if (settings.through_monitor)
    settings.alerts = alerts_through_monitor(settings.monitor_socket);
  else if (alerts != nullptr && required)
    read_alerts(reader, *alerts, environment, settings.alerts);
  if (!found && required && errors.empty())
    reader.error(root->at, std::string{failover_key}, "expected pools and the hosts they name");
}

std::string keep_until_restart(FailoverSettings& fresh, const FailoverSettings& running) {
  KeptSettings kept{fresh, running};
  kept.keep(&FailoverSettings::listen, "failover.listen");
  kept.keep(&FailoverSettings::names, "hosts");
  kept.keep(&FailoverSettings::data_dir, "data-dir");
  kept.keep(&FailoverSettings::run_dir, "run-dir");
  kept.keep(&FailoverSettings::log_format, "log.format");
  kept.keep(&FailoverSettings::table, "failover.table");
  kept.keep(&FailoverSettings::count_traffic, "failover.count-traffic");
  kept.keep(&FailoverSettings::forward_mark, "failover.forward-mark");
  return std::move(kept).keys();
}

std::expected<FailoverSettings, Diagnostics> load_failover_config(const ConfigSources& sources) {
  FailoverSettings settings;
  settings.names = default_names();
  settings.alerts = default_alerts();
  Diagnostics errors;
  const auto flag = sources.flags.find("config");
  if (flag != sources.flags.end()) {
    read_failover_file(flag->second, sources.environment, settings, errors);
  } else if (const auto path = variable(sources, "SENTINEL_CONFIG")) {
    read_failover_file(*path, sources.environment, settings, errors);
  } else {
    read_failover_file(std::string{default_config_file}, sources.environment, settings, errors);
  }
  for (const ProcessSetting& setting : process_settings) {
    const auto apply = [&](const std::string& source, const std::string& value) {
      if (const auto result = setting.set(settings, value); !result)
        errors.push_back({source, {}, {}, with_value(result.error().message, value)});
    };
    if (const auto value = variable(sources, setting.variable)) apply(setting.variable, *value);
    if (const auto given = sources.flags.find(setting.flag); given != sources.flags.end())
      apply("--" + std::string{setting.flag}, given->second);
  }
  if (!errors.empty()) return std::unexpected(std::move(errors));
  return settings;
}

Diagnostics check_failover_file(const std::string& path) {
  Diagnostics errors;
  FailoverSettings settings;
  if (const auto text = read_file(path))
    read_failover_text(*text, path, process_environment(), false, settings, errors);
  return errors;
}

std::string failover_socket_path(const ConfigSources& sources) {
  if (const auto settings = load_failover_config(sources)) return settings->socket_path();
  FailoverSettings fallback;
  if (const auto dir = variable(sources, "SENTINEL_RUN_DIR")) fallback.run_dir = *dir;
  if (const auto flag = sources.flags.find("run-dir"); flag != sources.flags.end())
    fallback.run_dir = flag->second;
  return fallback.socket_path();
}

}  // namespace sentinel::app
