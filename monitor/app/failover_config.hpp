#pragma once

// `sentinel failover`'s settings: flag > environment > file > default for the process, pools and
// hosts from the file's `failover:`. What each key means: docs/failover.md. The file may hold the
// monitor's keys as well; each command reads its own.

#include <array>
#include <expected>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "app/config.hpp"
#include "core/pool_config.hpp"

namespace sentinel::app {

/// What the preflight may put in order by itself.
inline constexpr std::array<std::string_view, 1> preflight_fixes{"ip-forward"};

struct FailoverSettings {
  std::string config_file;                // what was read, empty: none
  std::string listen = "127.0.0.1:8091";  // empty: Unix socket only
  std::vector<std::string> names;         // by which clients may call us
  std::string data_dir = "/var/lib/sentinel";
  std::string run_dir = "/run/sentinel";
  observe::LogLevel log_level = observe::LogLevel::info;
  std::optional<observe::LogFormat> log_format;
  core::FailoverConfig core;
  bool keep_rules = true;  // at exit
  std::string table = "sentinel";
  bool count_traffic = true;
  std::uint32_t forward_mark = 0;
  std::set<std::string, std::less<>> fix;  // of preflight_fixes
  AlertSettings alerts;
  bool through_monitor = false;  // `alerts` lead to the monitor, which tells people
  std::string monitor_socket{default_monitor_socket};
  io::JournalLimits journal;

  std::string socket_path() const { return run_dir + "/failover.sock"; }
  std::string state_path() const { return data_dir + "/failover.json"; }
  std::string journal_path() const { return data_dir + "/failover-journal.db"; }
};

/// From all sources. The default file may be missing; one that was named may not.
std::expected<FailoverSettings, Diagnostics> load_failover_config(const ConfigSources& sources);

/// What a reload cannot change stays in `fresh` as it runs; the keys that differed, "" when none
/// did.
std::string keep_until_restart(FailoverSettings& fresh, const FailoverSettings& running);

/// The text of a file into `settings`; appends to `errors`. `name` is shown in errors. A file
/// without `failover:` is an error when `required`.
void read_failover_text(std::string_view text, const std::string& name,
                        const Environment& environment, bool required, FailoverSettings& settings,
                        Diagnostics& errors);

/// A file alone: `sentinel config check`. One that is not there has no errors here: the monitor's
/// keys are checked as well.
Diagnostics check_failover_file(const std::string& path);

/// For where the process keeps its socket, its configuration left aside.
std::string failover_socket_path(const ConfigSources& sources);

}  // namespace sentinel::app
