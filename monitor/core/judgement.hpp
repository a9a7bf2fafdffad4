#pragma once

// What the facts about one container mean, before any operation is considered. The worst of Engine
// health and each probe is the state; `sentinel.heal.on` only says what may act and plays no part
// here.
//
//   Engine says                          state
//   no container, or created             stopped
//   removing, dead                       stopped
//   exited, on purpose                   stopped
//   exited otherwise                     unhealthy (exited)
//   restarting (its own policy acts)     unhealthy, nothing for us to do
//   paused                               as before, overlay `paused`
//   running:
//     health check unhealthy             unhealthy; starting within the start grace
//     not checked since it was paused    as before if that was well, else starting; probes judge
//     a probe fails                      unhealthy; starting within the start grace until it has
//     passed once in this run health check starting              starting; but healthy once all
//     probes pass (there is at least one) a probe not yet known              starting in a run that
//     began before our eyes or is in its grace, else unknown a probe warns degraded otherwise
//     healthy
//
// "On purpose" (see Purpose below): a stop or kill that was not ours was seen before the exit; or
// the exit was not seen and its code says nothing worse than a signal to end (0, 130, 137 without
// OOM, 143); or the exit code is 0.

#include <optional>
#include <span>
#include <string>

#include "core/probe_judge.hpp"
#include "core/types.hpp"

namespace sentinel::core {

/// What was seen of the end of a container's run.
struct Purpose {
  std::optional<Time> signalled;  // a `kill` event that was not ours
  bool stop_seen = false;  // a `stop` event that was not ours: only the Engine's API makes one
  bool die_seen = false;
  bool signalled_before_die = false;
  bool ours = false;  // a failed operation of ours left it like this: it stays ours until healthy
                      // or touched by others

  /// A new run: what was seen of the old one no longer counts.
  Purpose of_next_run() const {
    Purpose next;
    next.ours = ours;
    return next;
  }

  /// Did somebody want this exit?
  bool on_purpose(int exit_code, bool oom_killed) const;
};

struct ProbeInput {
  const ProbeSpec* spec = nullptr;
  std::optional<Verdict> verdict;
  bool passed_in_run = false;
  bool ignored = false;  // cannot run: no address
  const std::string* sentence = nullptr;
  ProbeReason reason = ProbeReason::none;
};

struct Judgement {
  State state = State::unknown;
  FailureSet failures{.unhealthy = false, .probe = false, .exited = false};  // which failures stand
  bool policy_acts = false;  // the Engine's restart policy is at work
  bool unchecked = false;    // the health check has not run since it was paused
  std::string reason;
  ProbeReason probe_reason = ProbeReason::none;
  bool failing() const { return failures.unhealthy || failures.probe || failures.exited; }
};

struct JudgementInput {
  const ContainerStatus* status = nullptr;  // null: there is no container
  bool target = false;                      // there is none to be: probes alone judge
  std::span<const ProbeInput> probes;
  Purpose purpose;
  bool in_grace = false;
  bool run_seen_from_start = false;
  bool unchecked = false;  // see health_unchecked
};

/// The Engine calls whatever it pauses unhealthy, and leaves it at that until a check has passed;
/// measured on 20.10 and 28.2. Only `retries` failures in a row, which a pause does not touch, make
/// it so: a running container with fewer has not been checked since.
bool health_unchecked(const ContainerStatus& status, const ContainerInfo& info);

Judgement judge(const JudgementInput& input);

/// The grace after a start during which failures are not judged: `sentinel.heal.start-grace`, else
/// the health check's start period, else 30 s where only probes can judge.
Duration start_grace(const ContainerInfo& info);

/// "12.4 s", "3 min 5 s", "2 h 10 min", "4 ms": for sentences.
std::string in_words(Duration d);

}  // namespace sentinel::core
