#pragma once

// Everything that can be set: flag > environment (SENTINEL_*) > file > default for the process; the
// file's `defaults`, `services` and `limits` for services, which labels then refine. What each key
// means: docs/configuration.md.
//
// Loading reports every error at once, each with its place, key and what was expected; with any
// error nothing is changed.

#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/alert_settings.hpp"
#include "app/interpolate.hpp"
#include "app/maintenance_rules.hpp"
#include "app/yaml_tree.hpp"
#include "core/event.hpp"
#include "io/journal_model.hpp"
#include "observe/log.hpp"
#include "protocol/settings.hpp"
#include "web/status_page.hpp"

namespace sentinel::app {

/// One error of configuration.
struct Diagnostic {
  std::string source;  // a file's path, "SENTINEL_LISTEN" or "--listen"
  Position at;         // in a file
  std::string key;     // "heal.max-concurrent", empty for the source as a whole
  std::string text;    // "expected a number from 1 to 1000, got 'many'"

  /// `sentinel.yaml:3:5: heal.max-concurrent: expected ...`; escaped, one line.
  std::string to_string() const;
};
using Diagnostics = std::vector<Diagnostic>;

/// Where the failover beside the monitor listens.
struct FailoverSocket {
  std::string path = "/run/sentinel/failover.sock";  // empty: none is looked for
  bool expected = false;                             // it was named, so there ought to be one
  bool operator==(const FailoverSocket&) const = default;
};

struct MonitorConfig {
  std::string config_file;                             // what was read, empty: none
  std::string engine = "unix:///var/run/docker.sock";  // empty: none
  std::string listen = "127.0.0.1:8090";               // empty: Unix socket only
  std::vector<std::string>
      hosts;  // names by which clients may call us, besides addresses and localhost
  std::string data_dir = "/var/lib/sentinel";
  std::string run_dir = "/run/sentinel";
  FailoverSocket failover;
  std::string token_file;  // empty: no changes over TCP
  observe::LogLevel log_level = observe::LogLevel::info;
  std::optional<observe::LogFormat> log_format;  // none: text on a terminal, else JSON
  core::Config core;
  protocol::LabelDefaults labels;
  std::vector<core::TargetInfo> targets;  // hosts that are no containers; keys are unique
  std::vector<MaintenanceRule> maintenance;
  AlertSettings alerts;
  io::JournalLimits journal;
  web::StatusPageSettings status_page;

  /// `none`: targets alone are watched.
  bool has_engine() const { return !engine.empty(); }
  std::string socket_path() const { return run_dir + "/monitor.sock"; }
  std::string store_path() const { return data_dir + "/monitor.db"; }
  std::string journal_path() const { return data_dir + "/journal.db"; }
};

/// Of this process.
Environment process_environment();

struct ConfigSources {
  std::map<std::string, std::string, std::less<>>
      flags;  // by name without dashes: "listen", "config", ...
  Environment environment;
};

inline constexpr std::string_view default_config_file = "/etc/sentinel/sentinel.yaml";

/// From all sources. The default file may be missing; one that was named may not.
std::expected<MonitorConfig, Diagnostics> load_config(const ConfigSources& sources);

/// Puts back into `fresh` what only a restart can change; the keys that differed, comma separated.
std::string keep_until_restart(MonitorConfig& fresh, const MonitorConfig& running);

/// A file alone, upon the defaults: `sentinel config check`.
std::expected<MonitorConfig, Diagnostics> check_config_file(const std::string& path);

/// The text of a file into `config`; appends to `errors`. `name` is shown in errors; `environment`
/// holds the variables of its values.
void read_config_text(std::string_view text, const std::string& name,
                      const Environment& environment, MonitorConfig& config, Diagnostics& errors);

}  // namespace sentinel::app
