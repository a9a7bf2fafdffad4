// Operations: see the table in service.hpp.

#include <algorithm>

#include "core/impl.hpp"

namespace sentinel::core {
namespace {

bool exited(RunState run) {
  return run == RunState::exited || run == RunState::created || run == RunState::dead;
}

constexpr Duration longest_stop = 1h;

}  // namespace

Duration Core::Impl::stop_timeout(const Service& s) const {
  const auto& info = *current(s)->info;
  return std::clamp(info.settings.stop_timeout.value_or(info.stop_timeout), Duration{},
                    longest_stop);
}

void Core::Impl::heal(Service& s) {
  const bool under_way = s.op.phase >= Phase::preparing;
  if (under_way && s.current != s.op.container) {
    abandon(s, "its container is gone");
  }
  switch (s.op.phase) {
    case Phase::idle: break;
    case Phase::waiting: {
      const bool failing = s.judged.failing() || s.unverified;
      if (!failing || !why_not(s).empty()) {
        leave_ready(s);
        idle(s);
      } else if (now_ >= s.op.due && !s.op.ready) {
        s.op.ready = true;
        ready_.emplace(s.op.due, s.id);
      }
      break;
    }
    case Phase::preparing: preparing(s); break;
    case Phase::acting:
      if (now_ >= s.op.deadline) confirm(s, true, Duration{});
      break;
    case Phase::exiting: exiting(s); break;
    case Phase::confirming: confirming(s); break;
    case Phase::verifying: verifying(s); break;
  }
  if (s.op.phase == Phase::idle) consider(s);
}

void Core::Impl::consider(Service& s) {
  const bool failing = s.judged.failing() || s.unverified;
  if (!failing) {
    s.failing_since.reset();
    if (!s.judged.policy_acts && s.judged.state != State::unknown) s.alone_because.clear();
    if (s.judged.state == State::healthy || s.judged.state == State::degraded ||
        s.judged.state == State::stopped) {
      s.attempts = 0;
      s.unprepared = 0;
      s.rung_index = 0;
      if (Container* c = current(s); c != nullptr) c->purpose.ours = false;
      if (s.op.intent_kept) idle(s);
    }
    return;
  }
  if (!s.failing_since) s.failing_since = now_;
  if (!why_not(s).empty()) {
    tell_left_alone(s);
    return;
  }
  s.alone_because.clear();
  const auto& settings = current(s)->info->settings;
  if (s.quarantined) {
    if (settings.trial <= Duration{} || settings.ladder.front() == Rung::stop) return;
    if (s.trial_at == never) s.trial_at = after(now_, settings.trial);
    s.op.phase = Phase::waiting;
    s.op.trial = true;
    s.op.due = s.trial_at;
  } else {
    s.rung_index =
        std::min<unsigned>(s.rung_index, static_cast<unsigned>(settings.ladder.size()) - 1);
    if (settings.ladder[s.rung_index] != Rung::stop && s.ledger.remaining(s.budget) == 0) {
      quarantine(s);
      return;
    }
    s.op.phase = Phase::waiting;
    s.op.trial = false;
    const unsigned before = std::max(s.ledger.used(), s.attempts) + s.unprepared;
    s.op.due = after(*s.failing_since,
                     std::max(settings.delay, backoff_delay(settings.backoff, before, rng_)));
  }
  s.op.ready = false;
  if (now_ >= s.op.due) {
    s.op.ready = true;
    ready_.emplace(s.op.due, s.id);
  }
}

void Core::Impl::quarantine(Service& s) {
  const auto& settings = current(s)->info->settings;
  s.quarantined = true;
  s.trial_at = settings.trial > Duration{} ? after(now_, settings.trial) : never;
  if (s.op.intent_kept)
    idle(s);
  else
    store(s);
  tell(s, NoticeKind::quarantined,
       s.name + " is quarantined: " + std::to_string(s.ledger.used()) + " restarts within " +
           in_words(settings.budget.window) + " of healthy time are its budget" +
           (s.trial_at == never ? std::string{"; no trial is configured"}
                                : "; next trial in " + in_words(settings.trial)));
  consider(s);
}

// The queue for a place under the cap, oldest due first.
void Core::Impl::pump_ready() {
  while (engine_up_ && listed_ && !storm_.holding() && in_flight_ < config_.max_concurrent &&
         !ready_.empty()) {
    const ServiceId id = ready_.begin()->second;
    ready_.erase(ready_.begin());
    Service& s = services_.at(id);
    s.op.ready = false;
    prepare(s);
    evaluate(s);
  }
}

void Core::Impl::leave_ready(Service& s) {
  if (!s.op.ready) return;
  ready_.erase({s.op.due, s.id});
  s.op.ready = false;
}

void Core::Impl::prepare(Service& s) {
  Container& c = *current(s);
  const auto& settings = c.info->settings;
  auto& op = s.op;
  if (op.intent_kept) out_->emplace_back(ForgetIntent{op.id, record(s)});
  if (op.id != 0) operations_.erase(op.id);
  const bool trial = op.trial;
  op = Operation{};
  op.trial = trial;
  op.phase = Phase::preparing;
  op.id = ++last_operation_;
  op.rung = trial ? settings.ladder.front() : settings.ladder[s.rung_index];
  op.container = c.id;
  op.started_at = c.status.started_at;
  operations_.emplace(op.id, s.id);
  ++in_flight_;
  if (!trial && op.rung != Rung::stop) {
    s.ledger.charge(now_);
    op.charged = true;
  }
  if (trial) s.trial_at = settings.trial > Duration{} ? after(now_, settings.trial) : never;
  op.intent_due = after(now_, intent_limit);
  op.deadline = after(now_, inspect_limit * 2);
  op.intent_kept = true;
  out_->emplace_back(StoreIntent{{op.id, s.key, c.id, op.started_at, op.rung, trial}, record(s)});
  if (c.token != 0 || now_ - c.inspected_at > fresh_for) want_inspect(c);
}

void Core::Impl::handle(const IntentStored& event) {
  const auto it = operations_.find(event.op);
  if (it == operations_.end()) return;
  Service& s = services_.at(it->second);
  if (s.op.phase != Phase::preparing || s.op.intent_known) return;
  s.op.intent_known = true;
  if (!event.durable) {
    tell(s, NoticeKind::intent_not_durable,
         "the intent to heal " + s.name + " could not be stored; going on without");
  }
  evaluate(s);
}

void Core::Impl::preparing(Service& s) {
  Container& c = *current(s);
  auto& op = s.op;
  if (c.status.started_at != op.started_at) return unprepare(s, "it was started anew");
  if (!(s.judged.failing() || s.unverified)) return unprepare(s, "it is no longer failing");
  if (const auto why = why_not(s); !why.empty()) return unprepare(s, why);
  if (now_ >= op.deadline) return unprepare(s, "the Engine did not say how it is");
  if (!op.intent_known && now_ >= op.intent_due) {
    op.intent_known = true;
    tell(s, NoticeKind::intent_not_durable,
         "the intent to heal " + s.name + " was not stored within " + in_words(intent_limit) +
             "; going on without");
  }
  if (!op.intent_known || c.token != 0) return;
  if (now_ - c.inspected_at > fresh_for) {
    if (c.retry_at == never) want_inspect(c);
    return;
  }
  if (exited(c.status.run)) {
    if (op.rung == Rung::stop) {
      c.purpose.stop_seen = true;
      return abandon(s, "it has stopped by itself, which is the last rung of its ladder");
    }
    return send(s, Step::start);
  }
  switch (op.rung) {
    case Rung::restart: return send(s, Step::restart);
    case Rung::kill: return send(s, Step::kill);
    case Rung::stop: return send(s, Step::stop);
  }
}

void Core::Impl::send(Service& s, Step step) {
  Container& c = *current(s);
  auto& op = s.op;
  const Duration stop = step == Step::restart || step == Step::stop ? stop_timeout(s) : Duration{};
  const bool first = op.phase == Phase::preparing;
  op.phase = Phase::acting;
  op.step = step;
  op.sent = now_;
  op.deadline = after(now_, stop + answer_slack);
  op.unclear = false;
  op.stops_seen = 0;
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
    n.text = verb + s.name + (op.trial ? " for a trial" : "") + " because: " + s.reason;
    if (!op.trial && op.rung != Rung::stop) {
      n.text += " (restart " + std::to_string(s.ledger.used()) + " of " +
                std::to_string(settings.budget.restarts) + ")";
    }
    tell(std::move(n));
  }
  out_->emplace_back(Operate{op.id, c.id, step, stop});
}

void Core::Impl::handle(const OperationDone& event) {
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
        confirm(s, false, 2s);
      }
      break;
    case gone:
    case conflict: confirm(s, false, 2s); break;
    case failed: confirm(s, false, Duration{}); break;
    case unknown: confirm(s, true, Duration{}); break;
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

// The answer is in, or will not come: only an inspect from now on tells what happened.
void Core::Impl::confirm(Service& s, bool unclear, Duration settle) {
  auto& op = s.op;
  op.phase = Phase::confirming;
  op.unclear = unclear;
  op.confirm_from = now_;
  // When the answer was lost the Engine may still be at work: it goes on when a client leaves.
  const Duration stop =
      op.step == Step::restart || op.step == Step::stop ? stop_timeout(s) : Duration{};
  op.settle_until =
      unclear ? std::max(now_, after(op.sent, stop + unclear_slack)) : after(now_, settle);
  op.deadline = after(op.settle_until, confirm_limit);
  want_inspect(*current(s));
}

void Core::Impl::confirming(Service& s) {
  Container& c = *current(s);
  auto& op = s.op;
  if (c.token != 0 || c.inspected_at < op.confirm_from) {
    if (now_ >= op.confirm_from && c.token == 0 && c.retry_at == never) want_inspect(c);
    if (now_ >= op.deadline)
      failed(s, "engine_error",
             "its result could not be confirmed within " + in_words(confirm_limit));
    return;
  }
  const auto& status = c.status;
  const bool anew = status.started_at != op.started_at;
  if (op.interfered && exited(status.run)) c.purpose.stop_seen = true;
  if (status.run == RunState::paused) return abandon(s, "it was paused");
  if (status.run == RunState::removing) return abandon(s, "it is being removed");
  if (op.step == Step::stop && exited(status.run)) {
    c.purpose.stop_seen = true;
    auto n = notice(
        s, NoticeKind::heal_acted,
        s.name + " was stopped, as its ladder says; it stays stopped until somebody starts it");
    n.result = "done";
    tell(std::move(n));
    release_place(s);
    idle(s);
    s.judged = judge_now(s);
    return;
  }
  if (exited(status.run)) {
    if (c.purpose.stop_seen || c.purpose.signalled_before_die)
      return abandon(s, "somebody stopped it");
    if ((op.unclear || op.result == OperationResult::conflict) && !anew && !op.completing) {
      op.completing = true;
      return send(s, Step::start);
    }
    if (anew || op.result == OperationResult::failed || now_ >= op.settle_until) {
      return failed(s, "engine_error",
                    anew ? "it exited again at once, with code " + std::to_string(status.exit_code)
                    : op.detail.empty() ? "it did not start"
                                        : "the Engine said: " + op.detail);
    }
  } else if (anew || status.run == RunState::restarting) {
    if (op.step != Step::stop) return begin_verify(s);
  } else if (now_ >= op.settle_until) {
    const std::string text = op.result == OperationResult::failed && !op.detail.empty()
                                 ? "the Engine said: " + op.detail
                                 : "the Engine did not do it";
    return failed(s, "engine_error", text);
  }
  // Not there yet: look again when nothing more can come. Events on the way cause a look of their
  // own.
  op.confirm_from = std::max(op.settle_until, now_ + 1ns);
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
  op.deadline =
      std::max(now_, after(c.status.run == RunState::running ? c.run_began : now_, limit));
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
  auto n =
      notice(s, NoticeKind::heal_failed,
             "healing " + s.name + " by " + std::string{to_string(op.rung)} + " failed: " + text);
  n.result = result;
  n.took = now_ - op.first_sent;
  tell(std::move(n));
  const auto& ladder = current(s)->info->settings.ladder;
  if (!op.trial && s.rung_index + 1 < ladder.size()) ++s.rung_index;
  s.unverified = true;
  s.failing_since = now_;
  op.phase = Phase::idle;
  s.judged = judge_now(s);
  // The intent stays stored: whatever state the container is left in, it is ours to bring back.
  if (s.judged.state == State::stopped) {
    s.unverified = false;
    idle(s);
  }
}

void Core::Impl::healed(Service& s) {
  auto n =
      notice(s, NoticeKind::healed,
             s.name + " was healed by " + std::string{to_string(s.op.rung)} + " in " +
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
  auto n = notice(s, NoticeKind::heal_abandoned, "healing " + s.name + " is given up: " + why);
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
  ++s.unprepared;
  s.failing_since = now_;
  auto n = notice(s, NoticeKind::heal_abandoned, "not healing " + s.name + " now: " + why);
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
  if (c.id != intent.container || c.info->settings.ladder.empty()) {
    out_->emplace_back(ForgetIntent{intent.op, record(s)});
    return;
  }
  auto& op = s.op;
  op = Operation{};
  op.id = intent.op;
  op.phase = Phase::confirming;
  op.intent_kept = true;
  op.rung = intent.rung;
  op.step = intent.rung == Rung::kill   ? Step::kill
            : intent.rung == Rung::stop ? Step::stop
                                        : Step::restart;
  op.trial = intent.trial;
  op.charged = !intent.trial && intent.rung != Rung::stop;
  op.container = c.id;
  op.started_at = intent.started_at;
  op.sent = op.first_sent = now_;
  op.unclear = true;
  op.confirm_from = c.inspected_at;
  op.settle_until = after(now_, stop_timeout(s) + unclear_slack);
  op.deadline = after(op.settle_until, confirm_limit);
  operations_.emplace(op.id, s.id);
  ++in_flight_;
  s.attempts = 1;
  c.purpose.ours = true;
  tell(s, NoticeKind::heal_started,
       "healing " + s.name + " was interrupted by a restart of Sentinel; taking it up again");
}

}  // namespace sentinel::core
