#pragma once

// The Engine's event stream: one JSON object per line, of which only the container's id, the action
// and the time are believed. Containers write the attributes.

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/event.hpp"
#include "protocol/error.hpp"

namespace sentinel::protocol {

inline constexpr std::size_t max_event_line = std::size_t{1} << 20U;

/// Cuts a byte stream into lines. A line beyond the cap is dropped whole and counted: what it said
/// is unknown.
class LineSplitter {
 public:
  explicit LineSplitter(std::size_t max_line = max_event_line) : max_line_(max_line) {}

  /// Calls `on_line` for each complete line, without its line feed and carriage return; empty lines
  /// are left out. The view is valid during the call only.
  template <class OnLine>
  void feed(std::string_view bytes, OnLine&& on_line) {
    while (!bytes.empty()) {
      const std::size_t end = bytes.find('\n');
      const std::string_view piece = bytes.substr(0, end);
      if (end == std::string_view::npos) {
        keep(piece);
        return;
      }
      bytes.remove_prefix(end + 1);
      if (skipping_) {
        skipping_ = false;
        continue;
      }
      std::string_view line = piece;
      if (!partial_.empty()) {
        keep(piece);
        line = partial_;
      }
      if (line.size() > max_line_) {
        ++overlong_;
        line = {};
      } else if (skipping_) {
        skipping_ = false;
        line = {};
      }
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (!line.empty()) on_line(line);
      drop_partial();
    }
  }
  /// Forgets an unfinished line: the stream ended.
  void reset();
  std::uint64_t overlong() const { return overlong_; }

 private:
  void keep(std::string_view piece);
  void drop_partial();

  std::size_t max_line_;
  std::string partial_;
  bool skipping_ = false;
  std::uint64_t overlong_ = 0;
};

struct EngineEvent {
  std::int64_t time = 0;  // ns since 1970 by the Engine's clock, 0: not given
  core::Hint hint;
  bool operator==(const EngineEvent& other) const {
    return time == other.time && hint.id == other.hint.id && hint.kind == other.hint.kind;
  }
};

/// nullopt: an event that is not ours to know. Reads both the old (`status`, `id`) and the new
/// (`Action`, `Actor`) form.
std::expected<std::optional<EngineEvent>, Error> parse_event(std::string_view line);

std::optional<core::HintKind> parse_action(std::string_view action);

/// What GET /events is asked for. `since` is inclusive. Nanoseconds of the Engine's clock.
struct EventQuery {
  std::int64_t since = 0;
  std::int64_t until = 0;
  bool watch_all = false;
};
/// Path and query, without the API version: `/events?...`. `health_status` makes the Engine match
/// all actions by prefix.
std::string events_target(const EventQuery& query);
/// `/containers/json?...`, with the same label filter.
std::string list_target(bool watch_all);

/// Recognises events seen before. `since` is inclusive and the Engine replays at most 256 events,
/// so remembering the last 512 is enough for any replay.
class EventFilter {
 public:
  /// False: seen before.
  bool first_time(const EngineEvent& event);
  /// Time of the latest event; 0: none yet.
  std::int64_t latest() const { return latest_; }

 private:
  static constexpr std::size_t capacity = 512;
  std::vector<EngineEvent> ring_;
  std::size_t next_ = 0;
  std::int64_t latest_ = 0;
};

}  // namespace sentinel::protocol
