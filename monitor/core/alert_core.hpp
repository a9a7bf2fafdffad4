#pragma once

// Incidents and alerts: from facts to messages that matter. Pure, like core.hpp: told events with a
// moment, it answers with actions. The same rooms serve `sentinel monitor` and `sentinel failover`.
//
//   incident     open ──(root and all members work again, or are gone)──► ended
//   delivery     stored ─► due ─► sending ─► accepted | retry (back-off) | dead letter
//
// Promises, which the simulation holds it to (tests/sim):
//   - a subject that fails while something it needs has an open incident, or begins one within
//     `join_window`, joins that incident: one message, not two
//   - if a beginning was accepted by a receiver, or may have been, its end is sent there; a
//     beginning that was never sent and its end cancel each other out, or become one message
//   - nothing is attempted before DeliveryStored, or 250 ms after StoreDelivery (a broken disk must
//     not silence alerts)
//   - the order of one receiver's deliveries about one incident is kept; receivers do not wait for
//     each other
//   - a receiver gets at most `rate` messages in 10 minutes, and one digest of the rest

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/alert_model.hpp"

namespace sentinel::core {

// --- events ----------------------------------------------------------------------------------

/// First of all: what was kept. Open incidents go on; what does not work, and what does again, is
/// told by the facts that follow; one whose subject does not appear again within 10 minutes of
/// AlertsSynchronised ends as gone. Of those nothing but ends is told before AlertsSynchronised, or
/// for 30 s: until then it is not known what is maintained.
struct AlertsRestored {
  std::vector<Incident> open;  // all that are not `closed`; ended ones may have to be told yet
  std::vector<Delivery> deliveries;  // pending and dead ones
  std::vector<Silence> silences;
  std::uint64_t next_delivery = 1;
};
/// First, and after each reload.
struct AlertsConfigured {
  AlertConfig config;
};
/// The first list of the Engine was worked through: what was not seen by now is not there.
struct AlertsSynchronised {};
struct DeliveryStored {
  std::uint64_t id = 0;
  bool durable = false;
};
/// Answer to Send. One that comes late still counts when it says `accepted`.
struct Sent {
  std::uint64_t id = 0;
  SendResult result = SendResult::retry;
  std::string detail;  // escaped, bounded, without secrets
  std::optional<Duration> retry_after;
  Duration took{};
};
struct AddSilence {
  Silence silence;  // without id: one is given
};
struct EndSilence {
  std::string id;
};
/// `sentinel alert test`: one message to one receiver, past all rules.
struct TestReceiver {
  std::string receiver;
};
/// Dead letters are tried once more, or dropped.
struct RetryDead {
  std::uint64_t id = 0;
};
struct DropDead {
  std::uint64_t id = 0;
};
struct AlertTick {};

using AlertEvent = std::variant<AlertTick, AlertsRestored, AlertsConfigured, AlertsSynchronised,
                                SubjectFailed, SubjectRecovered, SubjectGone, SubjectActed,
                                SubjectOverlays, SubjectNeeds, EvidenceGathered, DeliveryStored,
                                Sent, AddSilence, EndSilence, TestReceiver, RetryDead, DropDead>;

// --- actions: to be performed ------------------------------------------------------------------
//
// Store* and Forget* are kept in the order given: what DeliveryStored calls durable is so together
// with all that was to be stored before it.

/// Last log lines of the container. Answer EvidenceGathered; the first message waits for it, within
/// its group wait.
struct GatherEvidence {
  Subject subject;
  std::string incident;
  std::string container;
};
/// Insert or replace.
struct StoreIncident {
  Incident incident;
};
/// Insert or replace; answer DeliveryStored.
struct StoreDelivery {
  Delivery delivery;
};
/// Accepted, or merged into another.
struct ForgetDelivery {
  std::uint64_t id = 0;
};
struct StoreSilence {
  Silence silence;
};
struct ForgetSilence {
  std::string id;
};
/// One attempt. Answer Sent, within 15 s in any case.
/// Refreshes of stateful receivers (MessageKind::reminder, and resolved after the first) were not
/// stored and are not repeated: the next minute brings the next.
struct Send {
  Delivery delivery;
};

// --- actions: to be made known -----------------------------------------------------------------

enum class AlertNoticeKind : std::uint8_t {
  incident_opened,
  incident_joined,  // a subject joined it
  incident_changed,
  incident_ended,
  accepted,    // a delivery
  retried,     // an attempt failed and will be repeated
  dead,        // a delivery was given up
  suppressed,  // a message was not made; `reason` says why
  silence_added,
  silence_ended,
};
std::string_view to_string(AlertNoticeKind);

struct AlertNotice {
  AlertNoticeKind kind = AlertNoticeKind::incident_opened;
  std::string incident;  // id
  std::string receiver;
  std::string reason;  // suppressed: silenced, inhibited, maintenance, flapping, rate_limited,
                       // stale; retried, dead: the detail
  std::string text;    // the sentence
  Subject subject;
  std::uint64_t delivery = 0;
  Duration took{};     // of the attempt
  Duration latency{};  // accepted: from the change to the acceptance
};

using AlertAction = std::variant<GatherEvidence, StoreIncident, StoreDelivery, ForgetDelivery,
                                 StoreSilence, ForgetSilence, Send, AlertNotice>;
using AlertActions = std::vector<AlertAction>;

// --- views -------------------------------------------------------------------------------------

struct ReceiverView {
  std::string name;
  std::size_t pending = 0;
  std::size_t dead = 0;
  std::optional<WallTime> oldest_pending;
  std::string last_error;  // of the latest attempt, empty when it was accepted
  std::optional<WallTime> last_accepted;
  std::size_t held_for_digest = 0;
};

/// What did not fit, since the start.
struct AlertCounters {
  std::uint64_t incidents_refused = 0;  // above max_incidents
  std::uint64_t subjects_refused = 0;   // above max_subjects
  std::uint64_t dead_dropped = 0;       // above max_dead
  std::uint64_t silences_refused = 0;
  bool operator==(const AlertCounters&) const = default;
};

class AlertCore {
 public:
  static constexpr Duration join_window = 5s;
  static constexpr std::size_t max_incidents = 10'000;   // open ones; more are counted, not kept
  static constexpr std::size_t max_subjects = 20'000;    // that are known at a time
  static constexpr std::size_t max_deliveries = 10'000;  // pending, of all receivers
  static constexpr std::size_t max_dead = 1'000;
  static constexpr std::size_t max_silences = 1'000;

  explicit AlertCore(AlertConfig config);
  ~AlertCore();
  AlertCore(const AlertCore&) = delete;
  AlertCore& operator=(const AlertCore&) = delete;

  /// Appends to `out`. `now.time` must not go backwards.
  void on(AlertEvent event, Moment now, AlertActions& out);
  std::optional<Time> next_deadline() const;

  /// Open ones, by beginning.
  std::vector<Incident> open_incidents() const;
  /// All that are not closed: ended ones, too, as long as something is left to be told.
  std::vector<Incident> incidents() const;
  /// The open incident the subject belongs to; empty: none.
  std::string incident_of(const Subject& subject) const;
  std::vector<ReceiverView> receivers() const;
  std::vector<Delivery> deliveries() const;  // pending and dead, oldest first
  std::vector<Silence> silences() const;
  AlertCounters counters() const;
  /// What is wrong with a silence, empty: nothing.
  std::string silence_problem(const Silence& silence) const;

  class Impl;  // core/alert_impl.hpp

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace sentinel::core
