#pragma once

// What must hold after every step, judged from the core's border (what it was told, what it asked
// for) and from the model's truth. Where the two differ because of a race or a fault, the rule is
// what Sentinel could know: an action is judged by the answers delivered to it before.
//
//   one operation per container in flight, at the border and in the Engine; never more than the cap
//   no operation without a StoreIntent of it that was answered or is 250 ms old; none while the
//   Engine is lost only containers that may be healed; none that is known to be paused, stopped or
//   being stopped by a person, gone or in maintenance the first step of an operation follows a
//   fresh inspect, and not one that says "healthy" restarts per window of healthy time <= budget,
//   at the border and in every stored record, across process restarts trials at least `trial`
//   apart; back-off between attempts of one episode; steps that belong to the rung and the ladder
//   transitions form a path; a storm is held for storm_hold at most and nothing new begins
//   meanwhile after a tick nothing is due any more
//
//   a restart that a person asked for is done once at most, and not when a later word of others
//   against it was told; neither health, maintenance, ladder, budget nor back-off hold it

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/action.hpp"
#include "core/core.hpp"
#include "core/event.hpp"
#include "sim/engine_model.hpp"

namespace sentinel::sim {

/// Where a delivered event comes from; known to the world, not to the core.
struct Origin {
  Index container = 0;  // of a hint or an inspect
  Cause cause = Cause::itself;
  Time truth_at{};  // when it was true
};

struct Counters {
  std::uint64_t operations = 0;
  std::uint64_t attempts = 0;
  std::uint64_t trials = 0;
  std::uint64_t healed = 0;
  std::uint64_t quarantined = 0;
  std::uint64_t storms = 0;
  std::uint64_t not_durable = 0;
  std::uint64_t transitions = 0;
};

class Checker {
 public:
  /// `probes_lie`: probe answers get lost, so that a failing probe proves nothing.
  Checker(const EngineModel& engine, const core::Config& config, bool probes_lie)
      : engine_(engine), config_(config), probes_lie_(probes_lie) {}

  void process_started(const core::Restored& restored, Time now);
  void process_ended(Time now);
  /// The process was not scheduled for this long: it may be late with what is due.
  void process_paused(Time until) { excused_until_ = until + std::chrono::seconds{2}; }

  void delivered(const core::Event& event, const Origin& origin, Time now);
  void acted(const core::Action& action, Time now);
  void stepped(const core::Core& core, bool ticked, Time core_now, Time now);
  /// The store has made this attempt durable.
  void durable(core::OperationId op);

  /// Empty as long as everything holds.
  const std::string& failure() const { return failure_; }
  const Counters& counters() const { return counters_; }
  /// Services seen in quarantine since the given time.
  bool quarantined_since(const core::ServiceKey& key, Time since) const;
  Index culprit() const { return culprit_; }

 private:
  struct Seen {  // of one container, in this process
    Time inspected_at = Time::min();
    Time snapshot_at = Time::min();
    core::Inspected::Outcome outcome = core::Inspected::Outcome::failed;
    core::ContainerStatus status;
    bool known_gone = false;
    Time pause_told = Time::min();  // when a pause was delivered
    // When the latest stop by a person happened that was told beyond doubt: a `stop`, or a `kill`
    // and the `die` it led to.
    Time person_stop_true = Time::min();
    Time person_kill_true = Time::min();
    std::int64_t stopping_run = 0;  // known to be stopped by a person: started_at of the run
    Time kill_told = Time::min();   // the latest `kill` that was delivered, true or not
    // Our latest step, and until when its events may come: a person's stop in between cannot be
    // told from our own.
    Time own_from = Time::min();
    Time own_until = Time::min();
    Time flight_until = Time::min();  // an operation is unanswered until then
    core::OperationId flight = 0;
  };
  struct Attempt {
    core::OperationId op = 0;
    Duration mark{};  // on the service's healthy clock
    bool durable = false;
  };
  struct Account {                 // of one service key, across processes
    std::deque<Attempt> attempts;  // not forgiven yet
    core::Budget budget;
    Duration healthy{};
    std::optional<Time> healthy_since;
    Time last_trial = Time::min();
    Time last_attempt = Time::min();
    core::OperationId latest = 0;  // of both
    bool latest_durable = false;
    unsigned chain = 0;  // attempts without a healthy moment in between
    Time maintenance_until = Time::min();
    Time quarantined_at = Time::min();
    Time asked_at = Time::min();         // when a person asked for a restart, the latest time
    bool asked = false;                  // and no operation was begun for it
    Time done_for_person = Time::min();  // when one was begun that was asked for
    Duration clock(Time now) const {
      return healthy_since ? healthy + (now - *healthy_since) : healthy;
    }
  };
  struct Op {
    core::IntentRecord intent;
    Time wanted_at = Time::min();  // by a person
    std::size_t budget_marks = 0;
    Time asked{};
    bool answered = false;
    bool durable = false;
    bool begun = false;
    core::Step last_step = core::Step::restart;
  };

  void fail(Index container, Time now, std::string what);
  void check_operate(const core::Operate& operate, Time now);
  void check_first(const core::Operate& operate, Op& op, const Container& truth, const Seen& seen,
                   Index index, Time now);
  void check_known_intent(const Op& op, const Container& truth, const Seen& seen, Index index,
                          Time now);
  void check_budget(const Op& op, const Container& truth, Index index, Time now);
  void transition(const core::Transition& transition, Time now);
  Seen& seen(Index container);
  static void settle(Account& account, Time now);

  const EngineModel& engine_;
  core::Config config_;
  bool probes_lie_;
  std::string failure_;
  Index culprit_ = 0;
  Counters counters_;

  std::vector<Seen> seen_;
  std::vector<Index> in_flight_;
  std::map<core::ServiceKey, Account> accounts_;
  std::unordered_map<core::OperationId, Op> ops_;
  std::unordered_map<core::ServiceId, core::State> states_;
  bool engine_known_up_ = false;
  std::optional<Time> storm_since_;
  Time excused_until_ = Time::min();
  unsigned idle_ticks_ = 0;
  Time last_tick_ = Time::min();
};

}  // namespace sentinel::sim
