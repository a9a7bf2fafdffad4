#pragma once

// What is counted per service between scrapes: plain numbers, derived from the core's actions. No
// clock, no output.

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/action.hpp"
#include "core/core.hpp"

namespace sentinel::observe {

inline constexpr std::array probe_bounds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                         0.25,  0.5,    1.0,   2.5,  5.0,   10.0};
inline constexpr std::array recovery_bounds{1.0,  2.5,   5.0,   10.0,  20.0,  30.0,
                                            60.0, 120.0, 300.0, 600.0, 1800.0};
inline constexpr std::array own_share_bounds{0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005,
                                             0.001,   0.0025,   0.005,   0.01,   0.1};

/// A histogram with fixed bounds that costs nothing until it is used.
class Distribution {
 public:
  explicit Distribution(std::span<const double> bounds) : bounds_{bounds} {}
  void observe(double value);
  std::span<const double> bounds() const { return bounds_; }
  /// Not cumulative.
  std::uint64_t bucket(std::size_t i) const { return buckets_.empty() ? 0 : buckets_[i]; }
  std::uint64_t count() const { return count_; }
  double sum() const { return sum_; }

 private:
  std::span<const double> bounds_;
  std::vector<std::uint32_t> buckets_;
  std::uint64_t count_ = 0;
  double sum_ = 0;
};

inline constexpr std::size_t rung_count = 3;
/// What can come of an action. `done` is for the rung `stop`, after which there is nothing to be
/// verified.
inline constexpr std::array<std::string_view, 5> recovery_results{
    "healthy", "not_verified", "engine_error", "abandoned", "done"};
constexpr bool possible_result(core::Rung rung, std::size_t result) {
  return rung == core::Rung::stop ? result >= 2 : result < 4;
}

constexpr std::string_view verdict_name(std::size_t verdict) {
  constexpr std::array<std::string_view, 3> names{"pass", "warn", "fail"};
  return names[verdict];
}

struct ProbeCounts {
  std::string name;
  std::string label;
  std::array<std::uint32_t, 3> results{};
  std::array<std::uint32_t, core::all_probe_reasons.size()> reasons{};
  Distribution duration{probe_bounds};
  std::int64_t last_unix_ns = 0;  // 0: never
  bool last_success = false;
  unsigned code = 0;
};

struct ServiceCounts {
  // Safe, and unique among all services.
  std::string project;
  std::string service;
  std::string replica;
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
  ServiceCountsTable(std::size_t max_services, std::size_t max_histogram_services)
      : max_services_{max_services}, histograms_left_{max_histogram_services} {}

  void on(const core::Action& action, core::Time now, std::int64_t unix_ns);
  /// Forgets services that are gone and knows those that are new.
  void keep_only(const std::vector<core::ServiceView>& services, core::Time now);
  ServiceCounts* find(core::ServiceId id);
  std::size_t size() const { return services_.size(); }

  Distribution other_recovery_time{recovery_bounds};
  Distribution other_probe_duration{probe_bounds};

 private:
  ServiceCounts* ensure(core::ServiceId id, const core::ServiceKey& key);
  ProbeCounts* ensure_probe(ServiceCounts& counts, std::string_view name);
  void erase(core::ServiceId id);
  static std::string identity(const ServiceCounts& counts);

  void on_transition(const core::Transition& t, core::Time now);
  void on_notice(const core::Notice& n, core::Time now);
  void on_probe(const core::ProbeReport& p, std::int64_t unix_ns);

  std::size_t max_services_;
  std::size_t histograms_left_;
  std::unordered_map<core::ServiceId, ServiceCounts> services_;
  std::unordered_set<std::string> identities_;
};

}  // namespace sentinel::observe
