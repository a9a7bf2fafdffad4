#pragma once

// What goes into the journal besides incidents and deliveries, and what is asked of it. Plain data.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/alert_model.hpp"
#include "core/time.hpp"

namespace sentinel::io {

enum class HistoryKind : std::uint8_t {
  transition,
  notice,
  action,   // something was done: the evidence is in `fields`
  restart,  // of a container, whoever did it; counted in Availability
  incident,
  alert,
};

struct HistoryEntry {
  static constexpr std::size_t max_text = 1024;
  static constexpr std::size_t max_fields = 4096;

  std::uint64_t sequence = 0;  // given by Journal::append; the id of the event stream
  core::WallTime at{};
  HistoryKind kind = HistoryKind::notice;
  std::string event;     // the word of the log: "sentinel.service.transition"
  std::string subject;   // core::Subject::to_string(); empty: Sentinel itself
  std::string incident;  // id, empty: none
  std::string text;      // the sentence
  std::string from;      // of a transition: words of core::State or core::ServerState
  std::string to;
  std::string fields;  // a JSON object as text; empty: none. One that is longer is left out
  bool operator==(const HistoryEntry&) const = default;
};

/// What waits in memory, at most.
struct JournalBounds {
  static constexpr std::size_t history = 20'000;  // entries, the oldest go first
  static constexpr std::size_t history_bytes = std::size_t{16} << 20U;
  static constexpr std::size_t changes = 20'000;  // of incidents, of deliveries, of silences
  static constexpr std::size_t queries = 64;      // more are refused
};

/// Ages are those of the newest fact of a row; the size is the file's without its log. When the
/// file is larger, all ages shrink until it fits.
struct JournalLimits {
  using Age = std::chrono::seconds;
  Age history = std::chrono::days{90};  // also the timeline
  Age minutes = std::chrono::days{7};   // latencies by minute
  Age hours = std::chrono::days{90};    // latencies by hour
  Age incidents = std::chrono::days{400};
  Age dead = std::chrono::days{30};
  std::uint64_t bytes = std::uint64_t{256} << 20U;
  bool operator==(const JournalLimits&) const = default;
};

struct JournalStats {
  bool durable = false;
  std::size_t queued = 0;        // noted and not yet written
  std::uint64_t commits = 0;     // transactions
  std::uint64_t failures = 0;    // failed writes and failed attempts to open
  std::uint64_t lost = 0;        // entries of history and latency minutes that were never written
  std::uint64_t written = 0;     // rows, of all kinds
  std::uint64_t removed = 0;     // rows that were too old or too many
  std::uint64_t queries = 0;     // answered
  std::uint64_t refused = 0;     // queries that were not
  std::uint64_t bytes = 0;       // of the file, free pages included
  double age_share = 1;          // of the configured ages that the size allows
  core::Duration last_commit{};  // wall time of the last transaction
};

// --- queries -------------------------------------------------------------------------------------

struct HistoryQuery {
  static constexpr std::size_t max_limit = 1000;
  std::optional<std::string> subject{};   // none: all
  std::optional<std::string> incident{};  // none: all
  /// With `after` the oldest entries behind it (to replay), otherwise the newest before `before`.
  /// The answer is in order of sequence either way.
  std::optional<std::uint64_t> after{};
  std::optional<std::uint64_t> before{};
  std::size_t limit = 100;
};

struct IncidentQuery {
  static constexpr std::size_t max_limit = 200;
  enum class Which : std::uint8_t { all, open, ended };
  Which which = Which::all;
  std::optional<std::string> id{};       // this one alone
  std::optional<std::string> subject{};  // whose root it is
  std::string before{};                  // id: of those that began earlier; empty: from the newest
  std::size_t limit = 50;
};

struct IncidentPage {
  std::vector<core::Incident> incidents;  // the newest first
  bool more = false;
};

/// How long a subject was in a state; from its transitions.
struct StateInterval {
  std::string state;
  core::WallTime begins{};
  std::optional<core::WallTime> ends{};  // none: until now
  bool operator==(const StateInterval&) const = default;
};

struct TimelineQuery {
  static constexpr std::size_t max_limit = 5000;
  std::string subject{};
  core::WallTime from{};
  core::WallTime to{};
  std::size_t limit = 1000;  // the newest
};

/// One minute or hour of a probe. An hour's p95 is the mean of its minutes', weighted by count.
struct LatencyPoint {
  core::WallTime begins{};
  std::uint32_t count = 0;
  std::uint32_t failures = 0;
  std::chrono::microseconds min{};
  std::chrono::microseconds mean{};
  std::chrono::microseconds max{};
  std::chrono::microseconds p95{};
  bool operator==(const LatencyPoint&) const = default;
};

struct LatencyQuery {
  static constexpr std::size_t max_limit = 5000;
  std::string subject;
  std::string probe;
  core::WallTime from{};
  core::WallTime to{};
  bool hours = false;
  std::size_t limit = 1500;  // the newest
};

/// What a state counts as in availability: healthy and degraded are up, unhealthy, recovering and
/// quarantined are down; of a server, up is up, failed and waiting are down.
enum class Standing : std::uint8_t { up, down, other };
constexpr Standing standing_of(std::string_view state) {
  if (state == "healthy" || state == "degraded" || state == "up") return Standing::up;
  const bool down = state == "unhealthy" || state == "recovering" || state == "quarantined" ||
                    state == "failed" || state == "waiting";
  return down ? Standing::down : Standing::other;
}

inline constexpr std::array<std::chrono::hours, 4> availability_windows{
    std::chrono::hours{24}, std::chrono::days{7}, std::chrono::days{30}, std::chrono::days{90}};

/// The rest of `window` is any other state, or not known to the journal.
struct Availability {
  std::chrono::seconds window{};
  std::chrono::milliseconds up{};
  std::chrono::milliseconds down{};
  unsigned outages = 0;                                    // that ended in the window
  std::optional<std::chrono::milliseconds> mean_outage{};  // mean time to repair, of those
  unsigned restarts = 0;
  unsigned incidents = 0;  // that began in the window
  bool operator==(const Availability&) const = default;
};

}  // namespace sentinel::io
