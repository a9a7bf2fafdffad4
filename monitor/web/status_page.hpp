#pragma once

// The public status page: which services it shows under which names, and what is told of them.
// Names, states and times only: nothing else of a service, an incident or the configuration gets
// into it. Pure.
//
// A line of the page stands for all services its patterns cover: the replicas of one, or several.
//
//   a service is   when
//   maintenance    in maintenance, whatever its state
//   unknown        its state is not known, it is starting, or we cannot see it (blind)
//   up             healthy
//   degraded       degraded
//   down           unhealthy, recovering or quarantined, or paused
//   stopped        stopped on purpose
//
//   a line is      when, the first that holds
//   degraded       one of its services is degraded, or one is up and another one is down
//   up             one of them is up
//   down           one of them is down
//   maintenance    one of them is in maintenance
//   unknown        one of them is unknown, or there is none
//   down           all of them are stopped
//
// The page is as bad as its worst line: down, degraded, maintenance, unknown, up.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/core.hpp"
#include "io/journal_model.hpp"
#include "web/views.hpp"

namespace sentinel::web {

struct StatusLine {
  std::string name;                   // for everybody; unique
  std::vector<std::string> services;  // patterns, see core/window.hpp; at least one
  bool operator==(const StatusLine&) const = default;
};

struct StatusPageSettings {
  static constexpr std::size_t max_lines = 200;
  std::string title{"Status"};
  std::vector<StatusLine> lines{};

  bool any() const { return !lines.empty(); }
  bool operator==(const StatusPageSettings&) const = default;
};

enum class PublicState : std::uint8_t { up, unknown, maintenance, degraded, down };  // worst last
std::string_view to_string(PublicState state);

/// The lines that show a service, by their place in the settings. Remembers what it has found.
class StatusLines {
 public:
  explicit StatusLines(const std::vector<StatusLine>& lines) : lines_{lines} {}
  /// Valid until the next call.
  const std::vector<unsigned>& of(const core::ServiceKey& key);

 private:
  std::vector<StatusLine> lines_;
  std::unordered_map<std::string, std::vector<unsigned>> found_;
};

/// What the services of one line come to.
class LineTally {
 public:
  void add(const core::ServiceView& view);
  PublicState state() const;
  /// Since when, as far as the states of its services tell; none of maintenance and unknown.
  std::optional<core::Time> since() const;

 private:
  struct Count {
    unsigned services = 0;
    core::Time first = core::Time::max();  // of their states, the oldest
    core::Time last = core::Time::min();
    void add(core::Time since);
  };
  Count up_, degraded_, down_, stopped_;
  unsigned maintained_ = 0;
  unsigned unknown_ = 0;
};

/// How much of the last 90 days, by UTC, today included, a line was up: at least one of its
/// services was healthy or degraded. Time in which none of them was known to be up or down does not
/// count. Shares are rounded down, so that 1 means never down.
class LineUptime {
 public:
  static constexpr int days = 90;
  /// The first of the days that end with that of `now`.
  static core::WallTime begin_of(core::WallTime now);

  /// The timeline of one service.
  void add(const std::vector<io::StateInterval>& intervals, core::WallTime now);
  /// `days` of them, oldest first; none: nothing is known of that day.
  std::vector<std::optional<double>> by_day(core::WallTime now) const;
  std::optional<double> share(core::WallTime now) const;

 private:
  struct Span {
    std::int64_t begins = 0;  // ms since 1970
    std::int64_t ends = 0;
  };
  using Spans = std::vector<Span>;
  static void unite(Spans& spans);
  static std::int64_t within(const Spans& spans, std::int64_t begins, std::int64_t ends);
  std::optional<double> share_of(std::int64_t begins, std::int64_t ends) const;

  Spans up_;
  Spans known_;  // up or down
};

struct PublicIncident {
  std::string id;               // never shown
  std::vector<unsigned> lines;  // ascending, at least one
  core::WallTime began{};       // the first of what is shown
  std::optional<core::WallTime> ended{};
  bool operator==(const PublicIncident&) const = default;
};
/// What is shown of an incident; nullopt: nothing, it concerns no line or was merged into another.
std::optional<PublicIncident> public_incident(const core::Incident& incident, StatusLines& lines);

/// What the journal knows of one line.
struct LinePast {
  std::optional<double> availability{};
  std::vector<std::optional<double>> days{};  // empty: the journal was not asked
};

struct StatusPageText {
  std::string body;
  std::string seed;  // of its ETag: without what changes by itself
};
/// `past` by line, may be empty; `incidents` the newest first.
StatusPageText status_page_text(const StatusPageSettings& settings,
                                std::span<const LineTally> tallies, std::span<const LinePast> past,
                                std::span<const PublicIncident> incidents, const Moment& moment);

}  // namespace sentinel::web
