#pragma once

// The language of service settings: each value's grammar, and the labels that carry them. The
// configuration file's reader uses the same value parsers, so that a value means the same wherever
// it is written.
//
// A parser's Error says what was expected ("expected a duration such as 90s or 1m30s"), never what
// was given: the caller knows where the value stood and quotes it escaped and bounded.

#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/types.hpp"
#include "protocol/error.hpp"
#include "protocol/hosts.hpp"

namespace sentinel::protocol {

using core::Duration;
using namespace std::chrono_literals;

template <class T>
using Parsed = std::expected<T, Error>;

// --- values
// -----------------------------------------------------------------------------------------------------------

struct DurationRange {
  Duration min{};
  Duration max = 365 * 24h;
  bool operator==(const DurationRange&) const = default;
};

/// One or more of `<number><unit>` with units d, h, m, s, ms, each at most once and in that order;
/// a decimal fraction is allowed in the last. `0` needs no unit. No sign, no spaces.
Parsed<Duration> parse_duration(std::string_view text, DurationRange range = {});

/// The shortest form that parse_duration reads back, to the millisecond: `1m30s`, `500ms`, `0s`.
std::string format_duration(Duration);

/// A decimal integer.
Parsed<unsigned> parse_count(std::string_view text, unsigned min, unsigned max);

/// true, false, yes, no, on, off, 1, 0, in any case.
Parsed<bool> parse_bool(std::string_view text);

struct BudgetRange {
  unsigned max_restarts = 100;
  Duration min_window = 1s;
  Duration max_window = 30 * 24h;
  bool operator==(const BudgetRange&) const = default;
};
/// `5/15m`: restarts per window of healthy time.
Parsed<core::Budget> parse_budget(std::string_view text, BudgetRange range = {});
std::string format_budget(const core::Budget&);

/// `1s..5m`, or one duration for a constant delay.
Parsed<core::Backoff> parse_backoff(std::string_view text, DurationRange range = {100ms, 24h});
std::string format_backoff(const core::Backoff&);

/// `restart,kill,stop` in the order to try, at most 8, nothing after `stop`; or `none`.
Parsed<std::vector<core::Rung>> parse_ladder(std::string_view text);
std::string format_ladder(const std::vector<core::Rung>&);

/// A set of `unhealthy`, `probe`, `exited`.
Parsed<core::FailureSet> parse_failure_set(std::string_view text);
std::string format_failure_set(const core::FailureSet&);

/// `db,shop/cache`: services, of another project with its name; at most 64, or `none`.
Parsed<std::vector<std::string>> parse_service_list(std::string_view text);
std::string format_service_list(const std::vector<std::string>&);

/// 1 to 64 letters, digits, `-` or `_`.
Parsed<std::string> parse_probe_name(std::string_view text);

/// 1 to 128 visible characters without `/`.
Parsed<std::string> parse_service_name(std::string_view text);

// --- labels
// -----------------------------------------------------------------------------------------------------------

/// What no label may exceed; a label outside is warned about and its default used.
struct SettingsLimits {
  unsigned max_probes = 16;  // per container
  DurationRange interval{1s, 1h};
  DurationRange probe_timeout{10ms, 1min};
  unsigned max_fall = 100;  // and rise
  BudgetRange budget;
  DurationRange backoff{100ms, 24h};
  Duration max_stop_timeout = 10min;
  Duration max_start_grace = 24h;
  Duration max_delay = 24h;
  DurationRange verify_timeout{1s, 24h};
  DurationRange trial{1min, 30 * 24h};  // besides 0
  /// Hosts that a label's probe may name, lower case; `*` allows all but forbidden_host().
  std::set<std::string, std::less<>> probe_hosts;
  bool operator==(const SettingsLimits&) const = default;
};

/// What the file says about services.
struct LabelDefaults {
  core::ServiceSettings defaults;
  /// By `project/service` or `service`, complete: defaults and the file's overrides. The longer
  /// form wins.
  std::map<std::string, core::ServiceSettings, std::less<>> services;
  SettingsLimits limits;
  /// Containers without `sentinel.enable` are watched as well.
  bool watch_all = false;

  /// Whether containers without our label can be watched, so that the Engine must not filter by it.
  bool without_label() const;

  /// The settings a service's labels start from.
  const core::ServiceSettings& for_service(std::string_view project,
                                           std::string_view service) const;
};

using Label = std::pair<std::string, std::string>;
using Labels = std::vector<Label>;

struct AppliedLabels {
  core::ServiceSettings settings;
  /// Complete sentences, escaped, at most max_label_warnings and a last one that counts the others.
  std::vector<std::string> warnings;
};

inline constexpr std::size_t max_sentinel_labels = 256;  // more are not read
inline constexpr std::size_t max_label_warnings = 20;

/// `start` with the labels applied. Never fails: a label that is unknown, bad or outside the limits
/// is warned about and its default stays. When the container is not enabled, only `sentinel.enable`
/// is looked at. `sentinel.name` is checked here and read by service_name().
AppliedLabels apply_labels(const Labels& labels, const core::ServiceSettings& start,
                           const SettingsLimits& limits, std::string_view container_name);

/// The value of `sentinel.name` when there is a good one.
std::optional<std::string> service_name(const Labels& labels);

}  // namespace sentinel::protocol
