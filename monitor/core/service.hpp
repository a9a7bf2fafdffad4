#pragma once

// The state the core keeps per container and per service, and the life of one healing operation:
//
//   phase       entered when                              left when
//   idle        nothing is to be done
//   waiting     a failure stands that may act             due (delay, back-off, trial) and a place
//   under the cap is free and
//                                                         no storm is held -> preparing; failure
//                                                         gone, or others are stopping it -> idle
//   preparing   intent is being stored (250 ms at most),  both answered, and the same run of the
//   same container still
//               container inspected anew unless just done fails -> acting; else back to waiting or
//               idle, charge refunded
//   acting      the Engine was asked                      answer or deadline (stop timeout + 25 s)
//   -> exiting | confirming exiting     `kill` was accepted                       exit seen ->
//   acting (start) confirming  the answer has to be seen in an inspect   new StartedAt ->
//   verifying; exited -> acting (start) when the answer
//                                                         was unclear, else failed; unchanged ->
//                                                         failed once nothing can come
//   verifying   a new run has begun                       healthy -> idle (healed); deadline or
//   exit -> failed
//
//   failed: the next rung of the ladder (the last one repeats), from `waiting`, until the budget is
//   used up: quarantined, then one trial each `trial`. A container that is gone, replaced, paused
//   or stopped by others meanwhile is abandoned -> idle.
//
//   A restart that a person asks for is `waiting` at once, whatever the state, and in place of what
//   was waited for; only what asked.cpp lists keeps it from being done, and ends the wait for it.
//
// preparing, acting, exiting and confirming hold one of `max_concurrent` places; waiting and
// verifying hold none, so that services that never become healthy cannot keep others from being
// healed.

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/action.hpp"
#include "core/flap.hpp"
#include "core/judgement.hpp"
#include "core/ledger.hpp"
#include "core/probe_judge.hpp"
#include "core/sight.hpp"
#include "core/types.hpp"

namespace sentinel::core {

// Limits of waiting for others. Each is reported when it is reached.
inline constexpr Duration intent_limit = 250ms;  // the durable intent, then go on without
inline constexpr Duration inspect_limit = 15s;   // one inspect
inline constexpr unsigned inspect_tries = 5;     // then the next list decides
inline constexpr Duration fresh_for =
    1s;  // an inspect this recent need not be repeated before acting
inline constexpr Duration answer_slack = 25s;  // beyond the stop timeout, for an operation's answer
inline constexpr Duration unclear_slack =
    5s;  // beyond the stop timeout, for an operation whose answer was lost
inline constexpr Duration confirm_limit = 60s;  // for seeing the result, once nothing more can come
inline constexpr Duration start_follows = 2s;   // from a restart's exit to its start, at most
inline constexpr Duration longest_stop = 1h;    // of any stop timeout
inline constexpr Duration stop_slack = 15s;     // beyond its stop timeout, for a stop by others
inline constexpr Duration exit_limit = 10s;     // from an accepted SIGKILL to the exit
inline constexpr Duration settle_time =
    10s;  // running without any check counts as healthy after this
inline constexpr Duration own_hints_for =
    2s;  // events of our own operation may trail its answer by this
inline constexpr Duration recreate_hold =
    2min;  // two containers of one identity: a deployment is under way, until the new one runs
inline constexpr Duration forget_after = 10min;  // a service without container

struct Container {
  ContainerId id;
  std::shared_ptr<const ContainerInfo> info;  // null until the first inspect
  ContainerStatus status;
  ServiceId service = 0;  // 0: not watched
  Purpose purpose;
  // Others have signalled it: it may be ending, and what fails of it meanwhile is no illness. See
  // hint_stopping.
  Time stopping_since = Time::min();
  Time stopping_until = Time::min();

  // By others: told, and not inspected since. What its probes say meanwhile is no illness.
  bool pausing = false;
  bool unpaused = false;

  Time run_began{};  // our time, of the run status.started_at
  bool run_seen_from_start = false;
  Time asked_at = Time::min();  // when the latest inspect was sent
  Time inspected_at = Time::min();
  Time busy_until = Time::min();  // an operation was sent and has neither been answered nor run out

  std::uint64_t token = 0;  // of the inspect under way, 0: none
  bool again = false;       // something happened since it was sent
  unsigned tries = 0;
  Time retry_at = never;
  bool awaited = true;       // not inspected yet, and counted in Impl::first_inspects_
  bool shadow_told = false;  // that a target has its identity
};

struct Probe {
  ProbeJudge judge;
  std::uint64_t sequence = 0;
  bool running = false;
  bool passed_in_run = false;
  Time next = never;  // start, or deadline of the answer while running
  Time slot{};        // of the latest start, without jitter: the next is counted from here, so that
                      // nothing drifts
  Time next_slot{};
  std::string sentence;
  ProbeReason reason = ProbeReason::none;
  std::optional<Time> last;
  Duration took{};
  ProbePhases phases;
  bool address_told = false;
  Sight::Host* host = nullptr;  // what it says about our own sight; null: nothing
  unsigned waiting = 0;         // failures that are not judged yet, see core/sight.hpp
};

enum class Phase : std::uint8_t {
  idle,
  waiting,
  preparing,
  acting,
  exiting,
  confirming,
  verifying
};

struct Operation {
  Phase phase = Phase::idle;
  OperationId id = 0;        // of the latest attempt; 0: none yet
  bool intent_kept = false;  // a stored intent has to be forgotten at the end
  Rung rung = Rung::restart;
  bool trial = false;
  bool asked = false;        // by a person, from `waiting` on
  bool was_stopped = false;  // when it was asked for
  bool charged = false;

  Time due = never;    // waiting: earliest start
  bool ready = false;  // waiting: in the queue for a place
  bool intent_known = false;
  Time intent_due = never;
  bool inspected = false;

  ContainerId container;
  std::int64_t started_at = 0;  // of the run to be replaced; when asked for, from `waiting` on
  Step step = Step::restart;
  Time sent{};            // of the step
  Time first_sent{};      // of the attempt's first step
  Time deadline = never;  // of the phase
  OperationResult result = OperationResult::unknown;
  std::string detail;       // what the Engine said of a failure
  bool unclear = false;     // the answer was lost: it may still happen
  bool overdue = false;     // no answer came, and none to an inspect after it yet
  Time confirm_from{};      // an inspect from here on counts
  Time settle_until{};      // until here the result may still appear
  Time look_at = never;     // when to inspect again
  Time down_from = never;   // confirming: the exit was seen, the Engine's own start may follow
  bool completing = false;  // a start after an interrupted restart; at most once per attempt
  bool taken_up =
      false;  // from the last run of this process: how the service did meanwhile was not seen
  bool placed = true;  // holds one of max_concurrent places while under way
  Time own_until{};    // events up to here are our own
  unsigned stops_seen = 0;
  bool interfered = false;
  Time verify_from{};
};

struct Service {
  ServiceId id = 0;
  ServiceKey key;
  std::string name;
  std::vector<ContainerId> containers;  // with this identity; usually one
  std::optional<ContainerId> current;
  std::shared_ptr<const TargetInfo> target;  // null: a container's
  Time crowded_since = never;                // more than one container since
  Time recreate_until = Time::min();
  Time empty_since = never;

  State state = State::unknown;
  Time since{};
  std::string reason;
  ProbeReason probe_reason = ProbeReason::none;
  Overlays overlays;
  Judgement judged;
  std::optional<Time> down_since;
  Time maintenance_until = Time::min();
  Time window_until = Time::min();  // of the open windows that cover it, the latest
  std::string window;               // its name
  Time other_due = never;           // when something else than a probe is due

  Budget budget;  // as last configured, also while there is no container
  Ledger ledger;
  Flap flap;
  std::vector<Probe> probes;
  Operation op;
  unsigned rung_index = 0;
  unsigned attempts = 0;              // in this episode
  unsigned unprepared = 0;            // attempts given up before the Engine was asked, in a row
  std::optional<Time> failing_since;  // of the failure that `waiting` counts from
  bool quarantined = false;
  Time trial_at = never;
  bool unverified =
      false;  // the last operation did not make it healthy: a failure of its own until it is
  std::string alone_because;            // last reason told for leaving it alone
  std::optional<unsigned> judged_rank;  // of the latest healthy, degraded, unhealthy judged
  std::optional<unsigned> shown_rank;   // and shown
  Time better_since = never;            // judged better than shown since
  bool counted = false;                 // in Impl::watched_
  unsigned restarts = 0;
  Time stale_check = never;
  bool stale_told = false;
};

}  // namespace sentinel::core
