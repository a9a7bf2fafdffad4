#include "app/config.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <utility>

#include "app/alerts_config.hpp"
#include "app/config_reader.hpp"
#include "app/kept_settings.hpp"
#include "app/regular_file.hpp"
#include "protocol/escape.hpp"

namespace sentinel::app {

namespace {

using protocol::Error;
using Set = std::expected<void, Error>;

Set expected_form(std::string text) {
  return std::unexpected(Error{"expected " + std::move(text)});
}

template <typename Parsed, typename Target>
Set assign(Parsed&& parsed, Target& target) {
  if (!parsed) return std::unexpected(std::move(parsed.error()));
  target = std::move(*parsed);
  return {};
}

}  // namespace

Set set_path(std::string_view text, std::string& target) {
  if (text.empty() || text.front() != '/' || text.size() > 90)
    return expected_form("an absolute path of at most 90 bytes");
  while (text.size() > 1 && text.back() == '/') text.remove_suffix(1);
  target = text;
  return {};
}

Set set_listen(std::string_view text, std::string& target) {
  if (text == "none") return target.clear(), Set{};
  const auto colon = text.rfind(':');
  const bool good = colon != std::string_view::npos && text.size() <= 64 &&
                    protocol::parse_count(text.substr(colon + 1), 0, 65'535).has_value() &&
                    std::ranges::all_of(text.substr(0, colon), [](char c) {
                      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
                             (c >= 'A' && c <= 'F') || c == '.' || c == ':' || c == '[' || c == ']';
                    });
  if (!good)
    return expected_form(
        "ADDRESS:PORT with an IP address, such as 127.0.0.1:8090, [::1]:8090 or :8090, or 'none'");
  target = text;
  return {};
}

Set set_hosts(std::string_view text, std::vector<std::string>& target) {
  std::vector<std::string> hosts;
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    const std::string_view host = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    const bool good = !host.empty() && host.size() <= 253 && std::ranges::all_of(host, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '-' || c == '.' || c == '_';
    });
    if (!good || hosts.size() >= 64)
      return expected_form("a list of at most 64 host names without port");
    hosts.emplace_back(host);
  }
  target = std::move(hosts);
  return {};
}

namespace {

Set set_engine(std::string_view text, std::string& target) {
  constexpr std::string_view form = "unix:///path/to/docker.sock, tcp://HOST:PORT or none";
  if (text == "none") return target.clear(), Set{};
  if (text.starts_with("unix:///") && text.size() > 8 && text.size() <= 100)
    return target = text, Set{};
  if (text.starts_with('/') && text.size() > 1 && text.size() <= 93)
    return target = "unix://" + std::string{text}, Set{};
  if (text.starts_with("tcp://")) {
    const auto colon = text.rfind(':');
    if (colon > 6 && text.size() <= 300 && protocol::parse_count(text.substr(colon + 1), 1, 65'535))
      return target = text, Set{};
  }
  return expected_form(std::string{form});
}

Set set_failover_socket(std::string_view text, FailoverSocket& target) {
  if (text == "none") return target = {.path = {}, .expected = false}, Set{};
  FailoverSocket named{.path = {}, .expected = true};
  if (!set_path(text, named.path))
    return expected_form("the absolute path of a socket, of at most 90 bytes, or none");
  target = std::move(named);
  return {};
}

Set set_fraction(std::string_view text, double& target) {
  if (text.ends_with('%')) text.remove_suffix(1);
  const auto percent = protocol::parse_count(text, 1, 100);
  if (!percent) return expected_form("a percentage from 1% to 100%");
  target = *percent / 100.0;
  return {};
}

/// A setting of the process: its place in the file, and the flag and variable of that name.
struct ProcessSetting {
  std::string_view key;   // in the file
  std::string_view flag;  // empty: none
  const char* variable = nullptr;
  Set (*set)(MonitorConfig&, std::string_view) = nullptr;
};

using namespace std::chrono_literals;

constexpr std::array<ProcessSetting, 15> process_settings{{
    {"engine", "engine", "SENTINEL_ENGINE",
     [](MonitorConfig& c, std::string_view v) { return set_engine(v, c.engine); }},
    {"listen", "listen", "SENTINEL_LISTEN",
     [](MonitorConfig& c, std::string_view v) { return set_listen(v, c.listen); }},
    {"hosts", "", "SENTINEL_HOSTS",
     [](MonitorConfig& c, std::string_view v) { return set_hosts(v, c.hosts); }},
    {"data-dir", "data-dir", "SENTINEL_DATA_DIR",
     [](MonitorConfig& c, std::string_view v) { return set_path(v, c.data_dir); }},
    {"run-dir", "run-dir", "SENTINEL_RUN_DIR",
     [](MonitorConfig& c, std::string_view v) { return set_path(v, c.run_dir); }},
    {"failover-socket", "failover-socket", "SENTINEL_FAILOVER_SOCKET",
     [](MonitorConfig& c, std::string_view v) { return set_failover_socket(v, c.failover); }},
    {"token-file", "", "SENTINEL_TOKEN_FILE",
     [](MonitorConfig& c, std::string_view v) { return set_path(v, c.token_file); }},
    {"watch", "", "SENTINEL_WATCH",
     [](MonitorConfig& c, std::string_view v) {
       if (v != "labelled" && v != "all") return expected_form("labelled or all");
       c.labels.watch_all = v == "all";
       return Set{};
     }},
    {"log.level", "log-level", "SENTINEL_LOG_LEVEL",
     [](MonitorConfig& c, std::string_view v) {
       return observe::parse_log_level(v, c.log_level)
                  ? Set{}
                  : expected_form("debug, info, warning or error");
     }},
    {"log.format", "log-format", "SENTINEL_LOG_FORMAT",
     [](MonitorConfig& c, std::string_view v) {
       observe::LogFormat format{};
       if (!observe::parse_log_format(v, format)) return expected_form("text or json");
       c.log_format = format;
       return Set{};
     }},
    {"heal.max-concurrent", "", nullptr,
     [](MonitorConfig& c, std::string_view v) {
       return assign(protocol::parse_count(v, 1, 1000), c.core.max_concurrent);
     }},
    {"heal.storm-hold", "", nullptr,
     [](MonitorConfig& c, std::string_view v) {
       return assign(protocol::parse_duration(v, {0s, 10min}), c.core.storm_hold);
     }},
    {"heal.storm-window", "", nullptr,
     [](MonitorConfig& c, std::string_view v) {
       return assign(protocol::parse_duration(v, {1s, 10min}), c.core.storm_window);
     }},
    {"heal.storm-min", "", nullptr,
     [](MonitorConfig& c, std::string_view v) {
       return assign(protocol::parse_count(v, 1, 10'000), c.core.storm_min);
     }},
    {"heal.storm-fraction", "", nullptr,
     [](MonitorConfig& c, std::string_view v) { return set_fraction(v, c.core.storm_fraction); }},
}};

/// Keys of one mapping of the file: those of process_settings that begin with `section`.
std::vector<Key> section_keys(MonitorConfig& config, std::string_view section) {
  std::vector<Key> keys;
  for (const ProcessSetting& setting : process_settings) {
    const auto dot = setting.key.find('.');
    const std::string_view own =
        dot == std::string_view::npos ? std::string_view{} : setting.key.substr(0, dot);
    if (own != section) continue;
    const std::string_view name =
        dot == std::string_view::npos ? setting.key : setting.key.substr(dot + 1);
    keys.push_back(
        {name, [&config, &setting](std::string_view v) { return setting.set(config, v); }});
  }
  return keys;
}

}  // namespace

std::expected<std::string, std::string> read_file(const std::string& path) {
  auto text = read_regular_file(path, max_yaml_bytes + 1);
  if (!text) text.error().insert(0, "cannot be read: ");
  return text;
}

namespace {

void read_config_file(const std::string& path, const Environment& environment,
                      MonitorConfig& config, Diagnostics& errors) {
  const auto text = read_file(path);
  if (!text) {
    errors.push_back({path, {}, {}, text.error()});
    return;
  }
  config.config_file = path;
  read_config_text(*text, path, environment, config, errors);
}

std::optional<std::string> variable(const ConfigSources& sources, const char* name) {
  if (name == nullptr || !sources.environment) return std::nullopt;
  auto value = sources.environment(name);
  if (value && value->empty()) value.reset();
  return value;
}

/// Names by which a browser or Prometheus reaches us without any configuration: the container's,
/// and the stack's.
std::vector<std::string> default_hosts() {
  std::vector<std::string> hosts{"monitor"};
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) == 0 && name[0] != '\0')
    hosts.emplace_back(name.data());
  return hosts;
}

MonitorConfig defaults() {
  MonitorConfig config;
  config.hosts = default_hosts();
  config.alerts = default_alerts();
  return config;
}

}  // namespace

std::string Diagnostic::to_string() const {
  std::string out = protocol::one_line(source, 256);
  if (at.line != 0) out += ":" + std::to_string(at.line) + ":" + std::to_string(at.column);
  if (!key.empty()) out += ": " + protocol::one_line(key, 160);
  return out + ": " + protocol::one_line(text, 400);
}

Environment process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    // The environment is only read, and by one thread.
    const char* value = std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe)
    if (value == nullptr) return std::nullopt;
    return std::string{value};
  };
}

void read_config_text(std::string_view text, const std::string& name,
                      const Environment& environment, MonitorConfig& config, Diagnostics& errors) {
  FileReader reader{name, errors, environment};
  const auto root = parse_yaml(text);
  if (!root) {
    reader.error(root.error().at, {}, root.error().text);
    return;
  }
  const std::vector<Key> top = section_keys(config, "");
  const YamlNode* limits = nullptr;
  const YamlNode* service_defaults = nullptr;
  const YamlNode* services = nullptr;
  const YamlNode* targets = nullptr;
  reader.each(*root, "", [&](const YamlNode& key, const YamlNode& value) {
    if (key.scalar == "log" || key.scalar == "heal") {
      reader.mapping(value, key.scalar, section_keys(config, key.scalar));
    } else if (key.scalar == "limits") {
      limits = &value;
    } else if (key.scalar == "defaults") {
      service_defaults = &value;
    } else if (key.scalar == "services") {
      services = &value;
    } else if (key.scalar == "targets") {
      targets = &value;
    } else if (key.scalar == alerts_key) {
      read_alerts(reader, value, environment, config.alerts);
    } else if (key.scalar == journal_key) {
      read_journal(reader, value, config.journal);
    } else if (key.scalar == "maintenance") {
      read_maintenance(reader, value, config.maintenance);
    } else if (key.scalar == status_page_key) {
      read_status_page(reader, value, config.status_page);
    } else if (key.scalar == failover_key) {
      return;  // `sentinel failover` reads it
    } else if (const auto known = std::ranges::find(top, std::string_view{key.scalar}, &Key::name);
               known != top.end()) {
      reader.value(value, key.scalar, known->set);
    } else {
      reader.unknown(key, "", top_level_keys());
    }
  });
  // In the order in which they build on each other, whatever their order in the file.
  if (limits != nullptr) read_limits(reader, *limits, config.labels.limits);
  if (service_defaults != nullptr) {
    read_service_settings(reader, *service_defaults, "defaults", config.labels.limits,
                          config.labels.defaults);
  }
  if (limits != nullptr &&
      config.labels.defaults.budget.restarts > config.labels.limits.budget.max_restarts) {
    reader.error(limits->at, "limits.max-restarts",
                 "expected at least the restarts of defaults.heal.budget, which is " +
                     protocol::format_budget(config.labels.defaults.budget));
  }
  if (services != nullptr) read_services(reader, *services, config.labels);
  if (targets != nullptr) read_targets(reader, *targets, config.labels.limits, config.targets);
}

std::vector<std::string_view> top_level_keys() {
  std::vector<std::string_view> names{"log",      "heal",      "limits",       "defaults",
                                      "services", "targets",   "maintenance",  failover_key,
                                      alerts_key, journal_key, status_page_key};
  for (const ProcessSetting& setting : process_settings)
    if (setting.key.find('.') == std::string_view::npos) names.push_back(setting.key);
  return names;
}

std::expected<MonitorConfig, Diagnostics> load_config(const ConfigSources& sources) {
  MonitorConfig config = defaults();
  Diagnostics errors;
  // What other tools of the Engine understand is the default here.
  if (const auto host = variable(sources, "DOCKER_HOST")) {
    const bool overridden =
        sources.flags.contains("engine") || variable(sources, "SENTINEL_ENGINE");
    if (!set_engine(*host, config.engine) && !overridden) {
      errors.push_back(
          {"DOCKER_HOST", {}, {}, with_value("expected unix:///path or tcp://HOST:PORT", *host)});
    }
  }
  const auto flag = sources.flags.find("config");
  if (flag != sources.flags.end()) {
    read_config_file(flag->second, sources.environment, config, errors);
  } else if (const auto path = variable(sources, "SENTINEL_CONFIG")) {
    read_config_file(*path, sources.environment, config, errors);
  } else if (::access(std::string{default_config_file}.c_str(), F_OK) == 0) {
    read_config_file(std::string{default_config_file}, sources.environment, config, errors);
  }
  for (const ProcessSetting& setting : process_settings) {
    const auto given =
        setting.flag.empty() ? sources.flags.end() : sources.flags.find(setting.flag);
    const auto from_environment = variable(sources, setting.variable);
    if (from_environment) {
      if (const auto result = setting.set(config, *from_environment); !result) {
        errors.push_back(
            {setting.variable, {}, {}, with_value(result.error().message, *from_environment)});
      }
    }
    if (given != sources.flags.end()) {
      if (const auto result = setting.set(config, given->second); !result) {
        errors.push_back({"--" + std::string{setting.flag},
                          {},
                          {},
                          with_value(result.error().message, given->second)});
      }
    }
  }
  if (!errors.empty()) return std::unexpected(std::move(errors));
  return config;
}

std::string keep_until_restart(MonitorConfig& fresh, const MonitorConfig& running) {
  KeptSettings kept{fresh, running};
  kept.keep(&MonitorConfig::engine, "engine");
  kept.keep(&MonitorConfig::listen, "listen");
  kept.keep(&MonitorConfig::hosts, "hosts");
  kept.keep(&MonitorConfig::data_dir, "data-dir");
  kept.keep(&MonitorConfig::run_dir, "run-dir");
  kept.keep(&MonitorConfig::failover, "failover-socket");
  kept.keep(&MonitorConfig::log_format, "log.format");
  return std::move(kept).keys();
}

std::expected<MonitorConfig, Diagnostics> check_config_file(const std::string& path) {
  MonitorConfig config = defaults();
  Diagnostics errors;
  read_config_file(path, process_environment(), config, errors);
  if (!errors.empty()) return std::unexpected(std::move(errors));
  return config;
}

}  // namespace sentinel::app
