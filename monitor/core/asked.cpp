// What people ask for: a restart now, the end of a quarantine.

#include "core/impl.hpp"

namespace sentinel::core {

namespace {

std::string by(const auto& event) { return event.by.empty() ? "" : " by " + event.by; }

/// Not of the latest one of the service.
Notice about_no_operation(Notice n) {
  n.op = 0;
  n.attempt = 0;
  return n;
}

}  // namespace

void Core::Impl::handle(const RestartService& event) {
  const auto it = keys_.find(event.key);
  if (it == keys_.end()) return;
  Service& s = services_.at(it->second);
  if (!restart_problem(s).empty()) return;
  leave_ready(s);  // of what was decided before
  // An intent that a failed attempt left stays until the one of this restart is stored.
  s.op.phase = Phase::waiting;
  s.op.asked = true;
  s.op.trial = false;
  s.op.was_stopped = s.judged.state == State::stopped;
  s.op.started_at = current(s)->status.started_at;
  s.op.due = now_;
  s.op.ready = true;
  ready_.emplace(s.op.due, s.id);
  tell(about_no_operation(notice(s, NoticeKind::restart_asked,
                                 "a restart of " + s.name + " was asked for" + by(event))));
  evaluate(s);
}

/// The policy does not matter, but what others do does.
std::string Core::Impl::why_not_asked(const Service& s) const {
  if (s.target) return "it is a target of the file: it has no container";
  if (unseen(s)) return "the Engine does not answer";
  const Container* c = current(s);
  if (c == nullptr) return "it has no container";
  if (c->info->swarm_task) return "it is a Swarm task: Swarm replaces it";
  if (s.overlays.paused) return "it is paused";
  if (c->status.run == RunState::removing) return "it is being removed";
  if (being_stopped(s)) return "somebody is stopping it";
  if (recreating(s)) return "it is being recreated";
  if (now_ < c->busy_until) return "an earlier operation on it has not been answered yet";
  if (!s.op.asked) return {};
  if (c->status.started_at != s.op.started_at) return "it was started anew";
  if (s.judged.state == State::stopped && !s.op.was_stopped) return "somebody stopped it";
  return {};
}

std::string Core::Impl::restart_problem(const Service& s) const {
  if (s.op.phase >= Phase::preparing)
    return (s.op.asked ? "a restart was asked for already: " : "it is being healed already: ") +
           decision(s);
  if (s.op.asked) return decision(s);
  return why_not_asked(s);
}

void Core::Impl::give_up_asked(Service& s, const std::string& why) {
  tell(about_no_operation(
      notice(s, NoticeKind::heal_abandoned,
             "the restart of " + s.name + " that was asked for is given up: " + why)));
  leave_ready(s);
  idle(s);
}

void Core::Impl::handle(const ReleaseService& event) {
  const auto it = keys_.find(event.key);
  if (it == keys_.end()) return;
  Service& s = services_.at(it->second);
  if (!s.quarantined) return;
  s.quarantined = false;
  s.trial_at = never;
  s.attempts = 0;
  s.unprepared = 0;
  s.rung_index = 0;
  s.ledger.restore({}, s.budget);
  // Still to come: it counts against the new budget.
  if (s.op.phase == Phase::preparing && s.op.charged) s.ledger.charge(now_);
  // In place of the trial that it waits for, it is healed; see consider().
  if (s.op.phase == Phase::waiting && !s.op.asked) {
    leave_ready(s);
    s.op.phase = Phase::idle;
  }
  store(s);
  tell(about_no_operation(notice(
      s, NoticeKind::released,
      s.name + " was released from quarantine" + by(event) + "; it has its whole budget again")));
  evaluate(s);
}

}  // namespace sentinel::core
