#pragma once

// What is counted per service between scrapes: plain numbers, derived from the core's actions. No
// clock, no output.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/action.hpp"
#include "core/core.hpp"
#include "observe/distribution.hpp"
#include "observe/metrics.hpp"
#include "observe/probe_counts.hpp"

namespace sentinel::observe {

inline constexpr std::size_t rung_count = 3;
/// What can come of an action. `done` is for the rung `stop`, after which there is nothing to be
/// verified.
inline constexpr std::array<std::string_view, 5> recovery_results{
    "healthy", "not_verified", "engine_error", "abandoned", "done"};
constexpr bool possible_result(core::Rung rung, std::size_t result) {
  return rung == core::Rung::stop ? result >= 2 : result < 4;
}

struct ServiceCounts {
  // Safe, and unique among all services.
  std::string project;
  std::string service;
  std::string replica;
  std::string labels;  // the three, as in the text format
  bool own_histograms = true;
  std::array<std::uint32_t, 64> transitions{};
  std::uint32_t oom_kills = 0;
  std::array<std::array<std::uint32_t, recovery_results.size()>, rung_count> recovery{};
  Distribution recovery_time{recovery_bounds};
  std::vector<ProbeCounts> probes;

  std::uint32_t transition(core::State from, core::State to) const {
    return transitions[static_cast<std::size_t>(from) * 8 + static_cast<std::size_t>(to)];
  }
  core::Duration downtime(core::Time now) const {
    return down_since ? down + (now - *down_since) : down;
  }

  bool failing = false;
  bool maintenance = false;
  core::Duration down{};
  std::optional<core::Time> down_since;
};

/// Pairs of states whose series exist before the first such change, so that increase() sees it.
bool shown_from_the_start(core::State from, core::State to);

class ServiceCountsTable {
 public:
  explicit ServiceCountsTable(const SeriesLimits& limits) : left_{limits} {}

  void on(const core::Action& action, core::Time now, std::int64_t unix_ns);
  /// Forgets services that are gone and knows those that are new.
  void keep_only(const std::vector<core::ServiceView>& services, core::Time now);
  ServiceCounts* find(core::ServiceId id);
  std::size_t size() const { return services_.size(); }
  /// Probes of all services, as of keep_only, for which the limits left no series.
  std::size_t probes_without_series() const { return probes_without_; }

  Distribution other_recovery_time{recovery_bounds};
  Distribution other_probe_duration{probe_bounds};

 private:
  ServiceCounts* ensure(core::ServiceId id, const core::ServiceKey& key);
  ProbeCounts* ensure_probe(ServiceCounts& counts, std::string_view name);
  void keep_probes(ServiceCounts& counts, const std::vector<core::ProbeSpec>& specs);
  void erase_probe(const ProbeCounts& probe);
  void erase(core::ServiceId id);
  static std::string identity(const ServiceCounts& counts);

  void on_transition(const core::Transition& t, core::Time now);
  void on_notice(const core::Notice& n, core::Time now);
  void on_probe(const core::ProbeReport& p, std::int64_t unix_ns);

  SeriesLimits left_;
  std::size_t probes_without_ = 0;
  std::unordered_map<core::ServiceId, ServiceCounts> services_;
  std::unordered_set<std::string> identities_;
};

}  // namespace sentinel::observe
