#pragma once

// What is counted per probe between scrapes, and the series it becomes. A result costs a few dozen
// nanoseconds: no text is made and nothing is looked up by a label.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/action.hpp"
#include "core/types.hpp"
#include "observe/distribution.hpp"
#include "observe/series_writer.hpp"

namespace sentinel::observe {

/// A set of core::ProbeReason.
using ReasonSet = std::uint32_t;
static_assert(core::all_probe_reasons.size() <= 32);
constexpr bool contains(ReasonSet set, core::ProbeReason reason) {
  return (set >> static_cast<unsigned>(reason) & 1U) != 0;
}

/// The reasons for which a probe with these settings can fail. Their series exist from the start,
/// at zero, so that increase() sees the first failure; any other appears when it happens.
ReasonSet possible_reasons(const core::ProbeSpec& spec);

using core::probe_phases;

struct ProbeCounts {
  std::string name;    // as in the settings
  std::string label;   // safe, unique within the service
  std::string labels;  // of the service and `probe`, as in the text format
  core::ProbeKind kind = core::ProbeKind::http;
  core::Duration interval{};  // of the settings; 0: not known yet
  ReasonSet shown = 0;
  bool own_histogram = false;
  bool last_success = false;
  std::uint8_t phases_seen = 0;  // bit i: probe_phases[i] took time at least once
  std::array<std::uint32_t, 3> results{};
  std::array<std::uint32_t, core::all_probe_reasons.size()> reasons{};
  Distribution duration{probe_bounds};
  // Of the last result.
  std::int64_t last_unix_ns = 0;  // 0: never
  core::ProbePhases phases;
  unsigned code = 0;
  std::optional<std::int64_t> cert_not_after;  // s since 1970; of the last that told
  std::optional<double> loss;

  /// All but the distribution, which may be shared with others.
  void on(const core::ProbeOutcome& found, core::ProbeKind kind_now, std::int64_t unix_ns);
};

/// Labels of a histogram that those share who have none of their own.
inline constexpr std::string_view others_labels = R"-(project="",service="(other)",replica="")-";

/// The series of all these probes, none of them null. Those without a histogram of their own are
/// in `others`.
void write_probes(SeriesWriter& w, std::span<const ProbeCounts* const> probes,
                  const Distribution& others);

}  // namespace sentinel::observe
