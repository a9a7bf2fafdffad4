#pragma once

// Values of incidents and alerts that cross the core's border. Plain data: what failed (Subject),
// what is told of it (facts), the episode it belongs to (Incident), what people are sent (Message),
// and one receiver's copy of that on its way (Delivery).
//
//   transitions, notices ─► facts ─► AlertCore ─► incidents ─► routes, silences, inhibition, groups
//                                        │                                │
//                                        └► journal (StoreIncident, ...)   └► deliveries ─► senders
//
// All texts are complete sentences or words for people, already made safe for a log line
// (protocol/escape.hpp) unless they say otherwise; senders escape for their channel.

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.hpp"

namespace sentinel::core {

/// A point of the clock on the wall: for people, for other programs and for what is kept over a
/// restart. Decisions are made by Time.
using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;

/// The moment of an event, by both clocks. The wall may jump; Time never goes back.
struct Moment {
  Time time{};
  WallTime wall{};
};

enum class SubjectKind : std::uint8_t { service, server, pool, engine, sentinel };
std::string_view to_string(SubjectKind);

/// What can fail. `to_string` is its identity everywhere: in the journal, in silences, in the API.
struct Subject {
  SubjectKind kind = SubjectKind::service;
  std::string group;     // Compose project or group of targets; of a server and of a pool, the pool
  std::string name;      // service or server; empty for a pool, `engine` or `sentinel` else
  unsigned replica = 0;  // of a service; 0: none

  auto operator<=>(const Subject&) const = default;
  /// `service:shop/web/1`, `server:web/alpha`, `pool:web`, `engine:engine`.
  std::string to_string() const;
};

enum class Severity : std::uint8_t { info, warning, critical };
std::string_view to_string(Severity);

// --- facts
// ----------------------------------------------------------------------------------------

/// It does not work. Repeating it with another severity or text updates the incident; it never
/// opens a second one.
struct SubjectFailed {
  Subject subject;
  std::string title;  // what people call it: "web"; bounded
  Severity severity = Severity::critical;
  std::string cause;      // one word of a small set: a ProbeReason, `unhealthy`, `exited`,
                          // `quarantined`, `degraded`, `engine_down`, `pool_down`, `on_backup`, ...
  std::string text;       // the sentence
  std::string container;  // 64 hex digits, or empty
  std::string health_output;        // last, at most 4 KiB; may hold line feeds
  std::optional<WallTime> began{};  // when somebody else has seen it begin; none: now
};

/// It works again.
struct SubjectRecovered {
  Subject subject;
  std::string text;
};

/// Somebody stopped or removed it on purpose: its incident ends, and is said to have ended so.
struct SubjectGone {
  Subject subject;
  std::string text;
};

/// Something was done about it, or will be, or will not be.
struct SubjectActed {
  Subject subject;
  std::string text;    // "restarted, attempt 2 of 5"
  std::string result;  // done, healthy, failed, abandoned, ...; empty: under way
  /// When somebody else tells it; none: now. An incident that says the same of the same minute says
  /// it once.
  std::optional<WallTime> at{};
};

/// Overlays: what is told of it meanwhile is held (maintenance) or summed up (flapping).
struct SubjectOverlays {
  Subject subject;
  bool maintenance = false;
  bool flapping = false;
};

/// What it needs, directly, and where it runs: the graph by which incidents find their cause.
/// Replaces what was known. Cycles are allowed and harmless. Services of an Engine need it, by
/// name: that they fall silent with it is one incident. A server and its pool belong together
/// without it. Best told before the subject's first failure.
struct SubjectNeeds {
  Subject subject;
  std::vector<Subject> needs;  // at most 64 count
};

/// Gathered after an incident began: the last lines a container wrote, raw but valid UTF-8, at most
/// 4 KiB; may hold line feeds. Answer to GatherEvidence, and sent in any case.
struct EvidenceGathered {
  Subject subject;
  std::string incident;
  std::string log_tail;
};

// --- incidents
// ------------------------------------------------------------------------------------

/// One line of what happened in an incident.
struct IncidentLine {
  WallTime at{};
  std::string text;
  std::string result;  // of an action; empty otherwise
  bool operator==(const IncidentLine&) const = default;
};

/// What else fails because of it.
struct IncidentMember {
  Subject subject;
  std::string title;
  std::string text;  // why, when it joined
  WallTime joined{};
  std::optional<WallTime> recovered;
  bool operator==(const IncidentMember&) const = default;
};

/// What a receiver was told of an incident last, or will be by a delivery that was made.
struct IncidentTold {
  std::string receiver;
  std::uint64_t sequence = 0;  // of the incident then
  Severity severity = Severity::info;
  std::string cause;
  bool flapping = false;
  bool ended = false;
  WallTime at{};
  bool operator==(const IncidentTold&) const = default;
};

/// One episode with one root cause.
struct Incident {
  std::string id;  // ULID: 26 characters, ordered by beginning
  Subject root;
  std::string title;
  Severity severity = Severity::critical;  // the worst so far, of its members as well
  std::string cause;
  std::string text;  // latest
  std::string container;
  WallTime began{};
  std::optional<WallTime> ended;
  std::string end_text;                 // how it ended
  bool ended_gone = false;              // because it was stopped or removed on purpose
  std::uint64_t sequence = 0;           // grows by one at each change that is told to people
  std::vector<IncidentMember> members;  // at most 1000 are named
  unsigned more_members = 0;
  std::vector<IncidentLine> lines;  // the first 10 and the newest 40
  std::string health_output;
  std::string log_tail;
  bool flapping = false;
  std::string merged_into;         // id of the incident of its cause, when that was found later
  std::vector<IncidentTold> told;  // by receiver
  bool closed = false;             // ended, and nothing is left to be told: it need not be restored
  bool operator==(const Incident&) const = default;
};

// --- rules
// ----------------------------------------------------------------------------------------

/// Labels of an incident, by which it is routed, silenced and inhibited: `kind`, `project` (of a
/// server or pool: `pool`), `service` or `server`, `replica`, `severity`, `cause`, `host`, and
/// those of the configuration.
using Labels = std::map<std::string, std::string, std::less<>>;

struct Matcher {
  enum class Op : std::uint8_t { equal, not_equal, like, not_like };
  std::string label;  // one that is missing is empty
  Op op = Op::equal;
  std::string value;  // of like: `*` any characters, `?` one
  bool operator==(const Matcher&) const = default;
};
/// All must match; none matches everything.
using Matchers = std::vector<Matcher>;
bool matches(const Matchers& matchers, const Labels& labels);

/// The first route that matches counts; with `go_on` the ones after it are looked at as well.
struct AlertRoute {
  Matchers match;
  std::vector<std::string> receivers;  // names; unknown ones are refused by the configuration
  std::vector<std::string> group_by{"project", "pool"};
  Duration group_wait = 10s;       // from the first of a group to its message
  Duration group_interval = 1min;  // between messages of a group about changes
  Duration repeat = 4h;            // while it goes on; 0: never
  bool go_on = false;
  bool operator==(const AlertRoute&) const = default;
};

/// While an incident that matches `source` is open, nothing begins to be told of one that matches
/// `target` and has equal values of all labels in `equal`. What ended is told nevertheless, if its
/// beginning was.
struct InhibitRule {
  Matchers source;
  Matchers target;
  std::vector<std::string> equal;
  bool operator==(const InhibitRule&) const = default;
};

/// What the core has to know of a receiver.
struct AlertReceiver {
  std::string name;
  bool resolved = true;     // ends are sent
  bool stateful = false;    // Alertmanager: every minute anew while firing, 5 min after the end;
                            // groups, repeats and rates are its own business
  unsigned rate = 20;       // messages in 10 minutes; what is above becomes one digest
  Duration refresh = 1min;  // of a stateful one
  Duration refresh_ended = 5min;  // of a stateful one, from the end; 0: not at all
  Duration longest_pause = 5min;  // between attempts while it fails
  bool operator==(const AlertReceiver&) const = default;
};

struct AlertConfig {
  std::string host;  // this machine's name, for people
  Labels labels;     // of every incident
  std::vector<AlertReceiver> receivers;
  std::vector<AlertRoute> routes;
  std::vector<InhibitRule> inhibit;
  Duration resolve_hold{};  // an end is told when it has lasted so long
  std::string dashboard;    // URL, empty: none
  std::map<std::string, std::string, std::less<>> runbooks;  // by cause: URL
  std::uint64_t seed = 1;  // of jitter and of the random part of ids
  bool operator==(const AlertConfig&) const = default;
};

struct Silence {
  std::string id;  // ULID
  Matchers match;
  std::string by;
  std::string comment;
  WallTime begins{};
  WallTime ends{};
  bool operator==(const Silence&) const = default;
};

// --- messages
// -------------------------------------------------------------------------------------

enum class MessageKind : std::uint8_t { firing, changed, reminder, resolved, digest, test };
std::string_view to_string(MessageKind);

/// One incident as it was when the message was made.
struct MessageItem {
  Incident incident;
  Labels labels;
  std::string link;     // to the dashboard; empty: none
  std::string runbook;  // empty: none
  bool operator==(const MessageItem&) const = default;
};

/// What a receiver is to be told, independent of its channel.
struct Message {
  static constexpr std::size_t max_items = 20;
  MessageKind kind = MessageKind::firing;
  std::string host;
  Labels group;                    // values by which it was grouped
  std::vector<MessageItem> items;  // the worst, then the oldest, first
  unsigned more = 0;               // incidents left out
  std::string note;                // of a digest or a flapping summary: the sentence; else empty
  WallTime made{};
  bool operator==(const Message&) const = default;
};

/// What a delivery leaves behind in an incident that it tells of.
struct DeliveryCover {
  std::string incident;
  IncidentTold told;
  bool operator==(const DeliveryCover&) const = default;
};

/// One receiver's copy on its way. Kept until it was accepted or given up.
struct Delivery {
  std::uint64_t id = 0;  // grows; never used twice, restarts included
  std::string key;  // idempotency: `incident:sequence:receiver`, of the first item; of a digest
                    // its own ULID. Two copies of one thing carry the same key
  std::string receiver;
  Message message;
  std::vector<DeliveryCover> covers;  // also those its message only counts; at most 1000
  unsigned attempts = 0;
  WallTime created{};
  WallTime changed{};            // at which the moment of detection is known: for latency
  std::optional<WallTime> dead;  // given up then
  std::string error;             // of the last attempt
  bool operator==(const Delivery&) const = default;
};

enum class SendResult : std::uint8_t {
  accepted,
  retry,      // network error, 408, 429, 5xx, 4xx of SMTP
  permanent,  // other 4xx of HTTP, 5xx of SMTP, impossible content
};
std::string_view to_string(SendResult);

}  // namespace sentinel::core
