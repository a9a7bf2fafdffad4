// An operation from the moment the Engine is asked: see the table in service.hpp.

#include <algorithm>
#include <utility>

#include "core/impl.hpp"

namespace sentinel::core {
namespace {

bool exited(RunState run) {
  return run == RunState::exited || run == RunState::created || run == RunState::dead;
}

std::string doing(const Service& s) {
  return s.op.asked ? "the restart of " + s.name + " that was asked for" : "healing " + s.name;
}

}  // namespace

void Core::Impl::send(Service& s, Step step) {
  Container& c = *current(s);
  auto& op = s.op;
  const Duration stop = time_to_stop(s, step);
  const bool first = op.phase == Phase::preparing;
  op.phase = Phase::acting;
  op.step = step;
  op.sent = now_;
  op.deadline = after(now_, stop + answer_slack);
  op.unclear = false;
  op.stops_seen = 0;
  // Who asks for a restart of what was stopped wants it to run.
  if (op.asked && op.was_stopped) c.purpose = {};
  c.purpose.ours = true;
  if (first) {
    op.first_sent = now_;
    ++s.attempts;
    s.unprepared = 0;
    const auto& settings = c.info->settings;
    auto n = notice(s, op.trial ? NoticeKind::trial : NoticeKind::heal_started, {});
    const std::string verb = step == Step::start  ? "starting "
                             : step == Step::stop ? "stopping "
                             : step == Step::kill ? "killing and starting "
                                                  : "restarting ";
    n.text = verb + s.name + (op.trial ? " for a trial" : "") +
             (op.asked ? ", as was asked for" : " because: " + s.reason);
    const auto budget = std::to_string(settings.budget.restarts);
    if (op.charged) {
      n.text += s.ledger.used() > settings.budget.restarts
                    ? " (beyond its budget of " + budget + ")"
                    : " (restart " + std::to_string(s.ledger.used()) + " of " + budget + ")";
    }
    tell(std::move(n));
  }
  c.busy_until = op.deadline;
  unanswered_[op.id] = c.id;
  out_->emplace_back(Operate{op.id, c.id, step, stop});
}

void Core::Impl::handle(const OperationDone& event) {
  if (const auto sent = unanswered_.find(event.op); sent != unanswered_.end()) {
    const auto c = containers_.find(sent->second);
    if (c != containers_.end()) c->second.busy_until = Time::min();
    unanswered_.erase(sent);
  }
  const auto it = operations_.find(event.op);
  if (it == operations_.end()) return;
  Service& s = services_.at(it->second);
  auto& op = s.op;
  if (op.phase != Phase::acting || op.step != event.step) return;
  op.result = event.result;
  op.detail = event.detail;
  using enum OperationResult;
  switch (event.result) {
    case done:
    case not_modified:
      if (op.step == Step::kill) {
        op.phase = Phase::exiting;
        op.deadline = after(now_, exit_limit);
        op.confirm_from = now_;
        want_inspect(*current(s));
      } else {
        op.own_until = after(now_, own_hints_for);
        confirm(s, false, 2s);
      }
      break;
    case gone:
    case conflict: confirm(s, false, 2s); break;
    case failed: confirm(s, false, Duration{}); break;
    case unknown: confirm(s, true, Duration{}); break;
    case timed_out: overdue(s); break;
  }
  evaluate(s);
}

void Core::Impl::exiting(Service& s) {
  const Container& c = *current(s);
  auto& op = s.op;
  if (c.token == 0 && c.inspected_at >= op.confirm_from) {
    if (c.status.run == RunState::running && c.status.started_at != op.started_at)
      return begin_verify(s);
    if (exited(c.status.run)) return send(s, Step::start);
  }
  if (now_ >= op.deadline) confirm(s, true, Duration{});
}

// An Engine that hung goes on with what it was asked once it runs again: from then on it is given
// the time it had in the first place.
void Core::Impl::overdue(Service& s) {
  confirm(s, true, Duration{});
  s.op.overdue = true;
}

// The part of a step that the container, not the Engine, may take.
Duration Core::Impl::time_to_stop(const Service& s, Step step) const {
  return step == Step::restart || step == Step::stop ? stop_timeout(s) : Duration{};
}

// The answer is in, or will not come: only an inspect from now on tells what happened.
void Core::Impl::confirm(Service& s, bool unclear, Duration settle) {
  auto& op = s.op;
  op.phase = Phase::confirming;
  op.unclear = unclear;
  op.overdue = false;
  op.confirm_from = now_;
  // When the answer was lost the Engine may still be at work: it goes on when a client leaves.
  settle_by(op, unclear ? std::max(now_, after(op.sent, time_to_stop(s, op.step) + unclear_slack))
                        : after(now_, settle));
  want_inspect(*current(s));
}

// Until `end` the result may still appear.
void Core::Impl::settle_by(Operation& op, Time end) {
  op.settle_until = end;
  op.deadline = after(end, confirm_limit);
  op.look_at = end > now_ ? end : after(now_, confirm_limit / 10);
}

void Core::Impl::confirming(Service& s) {
  Container& c = *current(s);
  auto& op = s.op;
  const bool seen = c.token == 0 && c.inspected_at >= op.confirm_from;
  if (seen && std::exchange(op.overdue, false))
    settle_by(op, after(c.inspected_at, time_to_stop(s, op.step) + unclear_slack));
  if (seen && confirmed(s)) return;
  if (now_ >= op.deadline)
    return failed(s, "engine_error",
                  "its result could not be confirmed within " + in_words(confirm_limit));
  // Not there yet: look again when nothing more can come. Events on the way cause a look of their
  // own.
  if (now_ >= op.look_at && c.token == 0 && c.retry_at == never) {
    op.look_at = after(now_, confirm_limit / 10);
    want_inspect(c);
  }
}

// What an inspect after the answer shows; false: nothing conclusive yet.
bool Core::Impl::confirmed(Service& s) {
  Container& c = *current(s);
  auto& op = s.op;
  const auto& status = c.status;
  const bool anew = status.started_at != op.started_at;
  const bool settled = c.inspected_at >= op.settle_until;
  if (op.interfered && exited(status.run)) c.purpose.stop_seen = true;
  if (status.run == RunState::paused) {
    abandon(s, "it was paused");
    return true;
  }
  if (status.run == RunState::removing) {
    abandon(s, "it is being removed");
    return true;
  }
  if (exited(status.run)) {
    if (op.step == Step::stop) {
      stopped(s);
    } else if (c.purpose.stop_seen || c.purpose.signalled_before_die) {
      abandon(s, "somebody stopped it");
    } else if ((op.unclear || op.result == OperationResult::conflict) && !anew && !op.completing) {
      // The Engine may be between the stop and the start of a restart that goes on without us.
      if (op.down_from == never) op.down_from = now_;
      const Time patience = after(op.down_from, start_follows);
      if (op.step == Step::restart && !settled && c.inspected_at < patience) {
        op.look_at = std::min(op.look_at, patience);
        return false;
      }
      // After a restart of this process there may be more of these than places.
      if (!op.placed) {
        if (in_flight_ >= config_.max_concurrent) {
          op.look_at = std::min(op.look_at, after(now_, 1s));
          return false;
        }
        op.placed = true;
        ++in_flight_;
      }
      op.completing = true;
      send(s, Step::start);
    } else if (anew) {
      failed(s, "engine_error",
             "it exited again at once, with code " + std::to_string(status.exit_code));
    } else if (settled || op.result == OperationResult::failed) {
      failed(s, "engine_error",
             op.detail.empty() ? "it did not start" : "the Engine said: " + op.detail);
    } else {
      return false;
    }
    return true;
  }
  if (op.step != Step::stop && (anew || status.run == RunState::restarting)) {
    begin_verify(s);
    return true;
  }
  if (!settled) return false;
  failed(s, "engine_error",
         op.result == OperationResult::failed && !op.detail.empty()
             ? "the Engine said: " + op.detail
             : "the Engine did not do it");
  return true;
}

// The last rung: it stays stopped until somebody starts it.
void Core::Impl::stopped(Service& s) {
  current(s)->purpose.stop_seen = true;
  auto n =
      notice(s, NoticeKind::heal_acted,
             s.name + " was stopped, as its ladder says; it stays so until somebody starts it");
  n.result = "done";
  n.took = now_ - s.op.first_sent;
  tell(std::move(n));
  release_place(s);
  s.unverified = false;
  idle(s);
  s.judged = judge_now(s);
}

void Core::Impl::begin_verify(Service& s) {
  const Container& c = *current(s);
  const auto& info = *c.info;
  auto& op = s.op;
  release_place(s);
  op.phase = Phase::verifying;
  op.verify_from = now_;
  const Duration limit =
      info.settings.verify_timeout.value_or(default_verify_timeout(info.health_check));
  const bool count_from_start = c.status.run == RunState::running && !op.taken_up;
  op.deadline = std::max(now_, after(count_from_start ? c.run_began : now_, limit));
  auto n = notice(s, NoticeKind::heal_acted,
                  s.name + " was " +
                      (op.step == Step::start && op.rung == Rung::restart ? "started"
                       : op.rung == Rung::kill                            ? "killed and started"
                                                                          : "restarted") +
                      " in " + in_words(now_ - op.first_sent) + "; it has " + in_words(limit) +
                      " to become healthy");
  n.result = "done";
  n.took = now_ - op.first_sent;
  tell(std::move(n));
  verifying(s);
}

void Core::Impl::verifying(Service& s) {
  const Container& c = *current(s);
  const auto& status = c.status;
  auto& op = s.op;
  s.judged = judge_now(s);
  if (status.run == RunState::paused) return abandon(s, "it was paused");
  if (s.judged.state == State::stopped) return abandon(s, "somebody stopped it");
  if (s.judged.failures.exited)
    return failed(s, "not_verified",
                  "it exited again with code " + std::to_string(status.exit_code));
  const bool good = s.judged.state == State::healthy || s.judged.state == State::degraded;
  const bool checked = c.info->health_check || std::ranges::any_of(s.probes, [](const Probe& p) {
                         return p.judge.verdict().has_value();
                       });
  if (good && (checked || now_ >= after(c.run_began, settle_time))) return healed(s);
  if (now_ >= op.deadline) {
    failed(s, "not_verified",
           "it is not healthy " + in_words(now_ - c.run_began) +
               " after its start: " + s.judged.reason);
  }
}

void Core::Impl::failed(Service& s, std::string_view result, const std::string& text) {
  auto& op = s.op;
  release_place(s);
  auto n = notice(
      s, NoticeKind::heal_failed,
      doing(s) + (op.asked ? "" : " by " + std::string{to_string(op.rung)}) + " failed: " + text);
  n.result = result;
  n.took = now_ - op.first_sent;
  tell(std::move(n));
  const auto& ladder = current(s)->info->settings.ladder;
  if (!op.trial && !op.asked && s.rung_index + 1 < ladder.size()) ++s.rung_index;
  s.unverified = true;
  s.failing_since = now_;
  op.phase = Phase::idle;
  op.asked = false;
  s.judged = judge_now(s);
  // The intent stays stored: whatever state the container is left in, it is ours to bring back.
  if (s.judged.state == State::stopped) {
    s.unverified = false;
    idle(s);
  }
}

void Core::Impl::healed(Service& s) {
  auto n = notice(
      s, NoticeKind::healed,
      (s.op.asked ? s.name + " is well after the restart that was asked for, in "
                  : s.name + " was healed by " + std::string{to_string(s.op.rung)} + " in ") +
          in_words(now_ - s.op.first_sent) +
          (s.attempts > 1 ? ", at attempt " + std::to_string(s.attempts) : std::string{}));
  n.result = "healthy";
  n.took = now_ - s.op.first_sent;
  tell(std::move(n));
  s.quarantined = false;
  s.trial_at = never;
  s.unverified = false;
  current(s)->purpose.ours = false;
  idle(s);
}

void Core::Impl::abandon(Service& s, const std::string& why) {
  auto n = notice(s, NoticeKind::heal_abandoned, doing(s) + " is given up: " + why);
  n.result = "abandoned";
  tell(std::move(n));
  release_place(s);
  if (Container* c = current(s); c != nullptr && c->id == s.op.container) c->purpose.ours = false;
  s.unverified = false;
  s.failing_since.reset();
  idle(s);
  s.judged = judge_now(s);
}

// Given up before the Engine was asked: it never happened, so it costs nothing.
void Core::Impl::unprepare(Service& s, const std::string& why) {
  if (s.op.charged) s.ledger.refund();
  release_place(s);
  if (!s.op.asked) {
    ++s.unprepared;
    s.failing_since = now_;
  }
  auto n =
      notice(s, NoticeKind::heal_abandoned,
             s.op.asked ? doing(s) + " is given up: " + why : "not " + doing(s) + " now: " + why);
  n.result = "abandoned";
  tell(std::move(n));
  if (s.op.trial)
    s.trial_at = after(now_, backoff_delay(current(s)->info->settings.backoff, s.unprepared, rng_));
  idle(s);
}

void Core::Impl::idle(Service& s) {
  auto& op = s.op;
  if (op.intent_kept) {
    out_->emplace_back(ForgetIntent{op.id, record(s)});
    op.intent_kept = false;
  }
  op.phase = Phase::idle;
  op.asked = false;
  op.due = never;
  op.deadline = never;
}

void Core::Impl::release_place(Service& s) {
  if (!holds_place(s)) return;
  --in_flight_;
  if (s.op.phase >= Phase::acting) s.op.own_until = after(now_, own_hints_for);
}

// After a restart of this process: an operation that was stored but not forgotten may have
// happened, be under way, or never have been sent. That is the position after a lost answer, and is
// treated as such.
void Core::Impl::take_up(Service& s) {
  const auto it = restored_intents_.find(s.key);
  if (it == restored_intents_.end()) return;
  const IntentRecord intent = it->second;
  restored_intents_.erase(it);
  Container& c = *current(s);
  if (c.id != intent.container || (c.info->settings.ladder.empty() && !intent.asked)) {
    out_->emplace_back(ForgetIntent{intent.op, record(s)});
    return;
  }
  auto& op = s.op;
  op = Operation{};
  op.id = intent.op;
  op.container = c.id;
  op.started_at = intent.started_at;
  if (s.quarantined && !intent.trial && !intent.asked) {
    // The attempts are over. What the last one left down is still ours: for the trials.
    op.intent_kept = exited(c.status.run) && c.status.started_at == intent.started_at;
    c.purpose.ours = op.intent_kept;
    if (!op.intent_kept) out_->emplace_back(ForgetIntent{intent.op, record(s)});
    return;
  }
  op.phase = Phase::confirming;
  op.intent_kept = true;
  op.rung = intent.rung;
  op.step = intent.rung == Rung::kill   ? Step::kill
            : intent.rung == Rung::stop ? Step::stop
                                        : Step::restart;
  op.trial = intent.trial;
  op.asked = intent.asked;
  op.charged = !intent.trial && intent.rung != Rung::stop;
  op.sent = op.first_sent = now_;
  op.unclear = true;
  op.taken_up = true;
  op.confirm_from = c.inspected_at;
  settle_by(op, after(now_, stop_timeout(s) + unclear_slack));
  operations_.emplace(op.id, s.id);
  op.placed = in_flight_ < config_.max_concurrent;
  if (op.placed) ++in_flight_;
  s.attempts = 1;
  c.purpose.ours = true;
  tell(s, NoticeKind::heal_started,
       doing(s) + " was interrupted by a restart of Sentinel; taking it up again");
}

}  // namespace sentinel::core
