// Whether and when to act: from a failure to an operation that is ready to be sent. See the table
// in service.hpp.

#include <algorithm>

#include "core/impl.hpp"

namespace sentinel::core {
namespace {

bool exited(RunState run) {
  return run == RunState::exited || run == RunState::created || run == RunState::dead;
}

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
      const std::string why = wanted(s) ? why_not_now(s) : std::string{};
      if (s.op.asked && !why.empty()) {
        give_up_asked(s, why);
      } else if (!wanted(s) || !why.empty()) {
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
      if (now_ >= s.op.deadline) {
        unanswered_.erase(s.op.id);
        overdue(s);
      }
      break;
    case Phase::exiting: exiting(s); break;
    case Phase::confirming: confirming(s); break;
    case Phase::verifying: verifying(s); break;
  }
  if (s.op.phase == Phase::idle) consider(s);
}

bool Core::Impl::wanted(const Service& s) const {
  return s.op.asked || s.judged.failing() || s.unverified;
}

std::string Core::Impl::why_not_now(const Service& s) const {
  return s.op.asked ? why_not_asked(s) : why_not(s);
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
  // What an attempt left down stays ours across a restart of this process: its intent says so.
  const bool left_down = current(s)->purpose.ours && exited(current(s)->status.run);
  if (s.op.intent_kept && !left_down)
    idle(s);
  else
    store(s);
  tell(s, NoticeKind::quarantined,
       s.name + " is quarantined: " + std::to_string(settings.budget.restarts) +
           " restarts within " + in_words(settings.budget.window) +
           " of healthy time are its budget" +
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
  const bool asked = op.asked;
  const bool was_stopped = op.was_stopped;
  op = Operation{};
  op.trial = trial;
  op.asked = asked;
  op.was_stopped = was_stopped;
  op.phase = Phase::preparing;
  op.id = ++last_operation_;
  op.rung = asked ? Rung::restart : trial ? settings.ladder.front() : settings.ladder[s.rung_index];
  op.container = c.id;
  op.started_at = c.status.started_at;
  operations_.emplace(op.id, s.id);
  ++in_flight_;
  if (!trial && op.rung != Rung::stop) {
    s.ledger.charge(now_);
    op.charged = true;
  }
  // In quarantine, what a person asks for takes the place of a trial.
  if (s.quarantined) s.trial_at = settings.trial > Duration{} ? after(now_, settings.trial) : never;
  op.intent_due = after(now_, intent_limit);
  op.deadline = after(now_, inspect_limit * 2);
  op.intent_kept = true;
  out_->emplace_back(
      StoreIntent{{op.id, s.key, c.id, op.started_at, op.rung, trial, asked}, record(s)});
  if (c.token != 0 || !fresh(c)) want_inspect(c);
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

/// Only probes say that it fails, and each of them was answered the last time it asked: what they
/// found may be over. It is when this process, or the whole machine, stood still meanwhile. The
/// next results say which.
bool Core::Impl::answers_again(const Service& s) const {
  const auto& found = s.judged.failures;
  if (!found.probe || found.unhealthy || found.exited) return false;
  return std::ranges::none_of(s.probes, [](const Probe& p) {
    return p.judge.verdict() == Verdict::fail && !p.judge.answered_last();
  });
}

void Core::Impl::preparing(Service& s) {
  Container& c = *current(s);
  auto& op = s.op;
  if (c.status.started_at != op.started_at) return unprepare(s, "it was started anew");
  if (!wanted(s)) return unprepare(s, "it is no longer failing");
  if (const auto why = why_not_now(s); !why.empty()) return unprepare(s, why);
  const bool on_hold = !op.asked && answers_again(s);
  if (now_ >= op.deadline)
    return unprepare(s, on_hold ? "it answers again" : "the Engine did not say how it is");
  if (!op.intent_known && now_ >= op.intent_due) {
    op.intent_known = true;
    tell(s, NoticeKind::intent_not_durable,
         "the intent to heal " + s.name + " was not stored within " + in_words(intent_limit) +
             "; going on without");
  }
  if (!op.intent_known || c.token != 0) return;
  if (!fresh(c)) {
    if (c.retry_at == never) want_inspect(c);
    return;
  }
  if (on_hold) return;
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

}  // namespace sentinel::core
