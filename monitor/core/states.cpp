// From what was judged, and what is being done about it, to the state that people see.

#include <algorithm>

#include "core/impl.hpp"

namespace sentinel::core {
namespace {

bool well(State s) { return s == State::healthy || s == State::degraded; }
bool down(State s) {
  return s == State::unhealthy || s == State::recovering || s == State::quarantined;
}

// The smaller the better; nullopt: neither well nor unwell.
std::optional<unsigned> rank(State s) {
  if (s == State::healthy) return 0;
  if (s == State::degraded) return 1;
  if (down(s)) return 2;
  return std::nullopt;
}

}  // namespace

Judgement Core::Impl::judge_now(const Service& s) const {
  const Container* c = current(s);
  if (c == nullptr && !s.target) return judge({});
  const auto& specs = settings(s)->probes;
  std::vector<ProbeInput> inputs;
  inputs.reserve(s.probes.size());
  for (std::size_t i = 0; i < s.probes.size(); ++i) {
    const auto& p = s.probes[i];
    inputs.push_back({.spec = &specs[i],
                      .verdict = p.judge.verdict(),
                      .passed_in_run = p.passed_in_run,
                      .ignored = p.address_told && !p.judge.verdict(),
                      .sentence = &p.sentence,
                      .reason = p.reason});
  }
  if (s.target) {
    JudgementInput input;
    input.target = true;
    input.probes = inputs;
    return judge(input);
  }
  return judge({.status = &c->status,
                .probes = inputs,
                .purpose = c->purpose,
                .in_grace = now_ < after(c->run_began, start_grace(*c->info)),
                .run_seen_from_start = c->run_seen_from_start,
                .unchecked = health_unchecked(c->status, *c->info)});
}

// Judges, lets healing act on it, then shows the result. The only place where a state changes, but
// for the moment at which an operation is sent.
void Core::Impl::evaluate(Service& s) {
  overlays(s);
  if (unseen(s)) {
    schedule(s);
    return;
  }
  s.judged = judge_now(s);
  watch_flapping(s);
  const Container* c = current(s);
  const bool counted =
      c != nullptr && (c->status.run == RunState::running || c->status.run == RunState::restarting);
  if (counted != s.counted) {
    s.counted = counted;
    watched_ = counted ? watched_ + 1 : watched_ - 1;
  }
  if (well(s.judged.state) && s.op.phase != Phase::verifying) s.unverified = false;
  if (s.judged.state == State::stopped) s.unverified = false;

  // The failure is shown before what is done about it.
  const bool settled = s.op.phase == Phase::idle || s.op.phase == Phase::waiting;
  if (settled) enter(s, state_of(s, s.judged), s.judged.reason, s.judged.probe_reason);
  if (!s.target) heal(s);
  enter(s, state_of(s, s.judged), s.judged.reason, s.judged.probe_reason);
  if (s.quarantined && well(s.state) && s.op.phase != Phase::verifying) {
    s.quarantined = false;
    s.trial_at = never;
    store(s);
  }
  overlays(s);
  if (Container* moved = current(s);
      moved != nullptr && s.op.phase <= Phase::waiting && moved->info->key != s.key) {
    want_inspect(*moved);
  }
  schedule(s);
}

State Core::Impl::state_of(const Service& s, const Judgement& j) const {
  if (s.op.phase >= Phase::acting) return State::recovering;
  if (j.state == State::stopped) return State::stopped;
  const Container* c = current(s);
  if (c != nullptr && c->status.run == RunState::paused) {
    return s.state == State::recovering ? State::unhealthy : s.state;
  }
  const bool failing = j.failing() || (s.unverified && !well(j.state));
  if (failing && (recreating(s) || being_stopped(s)) && !down(s.state)) return s.state;
  // A new probe of a target is not known yet: that takes nothing away.
  if (s.target && j.state == State::unknown) return s.state;
  if (improvement_held(s))
    return s.shown_rank == 1U ? State::degraded
           : s.quarantined    ? State::quarantined
                              : State::unhealthy;
  if (failing) return s.quarantined ? State::quarantined : State::unhealthy;
  if (j.unchecked && j.state == State::starting && well(s.state)) return s.state;
  return j.state;
}

void Core::Impl::enter(Service& s, State to, std::string reason, ProbeReason probe_reason) {
  if (s.judged.failing() && being_stopped(s)) reason = "somebody is stopping it";
  if (to == State::recovering)
    reason = std::string{to_string(s.op.rung)} +
             (s.op.phase == Phase::verifying ? ": waiting to be healthy" : " under way");
  if (s.unverified && (to == State::unhealthy || to == State::quarantined) && !s.judged.failing()) {
    reason = "still " + reason + " after a restart";
  }
  if (improvement_held(s) && rank(to) == s.shown_rank && !s.judged.failing()) {
    reason = "flapping: it looks " + std::string{to_string(s.judged.state)} +
             " and is taken for that once it has for " + in_words(s.flap.hold());
  } else if (recreating(s) && (s.judged.failing() || to == State::stopped)) {
    reason = "being recreated";
  }
  if (to == s.state) {
    s.reason = std::move(reason);
    s.probe_reason = probe_reason;
    return;
  }
  Transition t{.service = s.id,
               .key = s.key,
               .name = s.name,
               .container = s.current.value_or(ContainerId{}),
               .from = s.state,
               .to = to,
               .reason = reason,
               .probe_reason = probe_reason,
               .in_previous = now_ - s.since,
               .down_for = {},
               .maintenance = s.overlays.maintenance,
               .flapping = s.flap.active()};
  const bool was_down = down(s.state);
  s.state = to;
  s.since = now_;
  s.reason = std::move(reason);
  s.probe_reason = probe_reason;
  if (down(to)) {
    if (!s.down_since) s.down_since = now_;
  } else if (well(to) || to == State::stopped) {
    if (s.down_since && well(to)) t.down_for = now_ - *s.down_since;
    s.down_since.reset();
  }
  out_->emplace_back(std::move(t));
  if (const auto r = rank(to)) {
    if (s.flap.active() && s.shown_rank && *r < *s.shown_rank) s.flap.released();
    s.shown_rank = r;
    s.better_since = never;
  }
  if (to == State::unhealthy && !was_down && !s.target) {
    if (const auto count = storm_.add(s.id, watched_, config_, now_)) {
      Notice n;
      n.kind = NoticeKind::storm_began;
      n.text = std::to_string(*count) + " of " + std::to_string(watched_) +
               " services turned unhealthy within " + in_words(config_.storm_window) +
               ": healing is held for " + in_words(config_.storm_hold);
      tell(std::move(n));
    }
  }
}

// Counts changes of what is judged, and how long it has been better than what is shown.
void Core::Impl::watch_flapping(Service& s) {
  const auto r = !s.judged.failing() ? rank(s.judged.state)
                 : being_stopped(s)  ? std::nullopt
                                     : rank(State::unhealthy);
  if (r && s.judged_rank && *r != *s.judged_rank) {
    s.flap.add(now_);
    settle_flapping(s);  // this one may be held already
  }
  if (r) s.judged_rank = r;
  if (!r || !s.shown_rank || *r >= *s.shown_rank)
    s.better_since = never;
  else if (s.better_since == never)
    s.better_since = now_;
}

void Core::Impl::settle_flapping(Service& s) {
  if (!s.flap.settle(now_)) return;
  s.overlays.flapping = s.flap.active();
  if (s.flap.active()) {
    tell(s, NoticeKind::flapping,
         s.name + " is flapping: " + std::to_string(Flap::set_at) + " changes within " +
             in_words(now_ - s.flap.since()) +
             "; from now on single changes are not told, and one for the better has to last");
  } else {
    tell(s, NoticeKind::flapping_ended,
         s.name + " has stopped flapping after " + in_words(now_ - s.flap.since()) + " and " +
             std::to_string(s.flap.count()) + " changes: it is " +
             std::string{to_string(s.judged.state)} +
             (s.judged.failing() ? ": " + s.judged.reason : std::string{}));
  }
}

bool Core::Impl::improvement_held(const Service& s) const {
  return s.flap.active() && s.better_since != never && now_ < after(s.better_since, s.flap.hold());
}

void Core::Impl::overlays(Service& s) {
  const Container* c = current(s);
  auto& o = s.overlays;
  o.blind = unseen(s) || (sight_.blind() && sighted(s));
  o.paused = c != nullptr && c->status.run == RunState::paused;
  if (s.maintenance_until != Time::min() && now_ >= s.maintenance_until) {
    s.maintenance_until = Time::min();
    tell(s, NoticeKind::maintenance_ended, "maintenance of " + s.name + " is over");
    store(s);
  }
  o.maintenance = now_ < s.maintenance_until || now_ < s.window_until || recreating(s);
  settle_flapping(s);
  // Only time in which the service is known to be healthy counts for the budget.
  s.ledger.run(s.state == State::healthy && !o.blind && !o.paused, now_);
  if (s.ledger.settle(s.budget, now_) > 0) store(s);
}

bool Core::Impl::may_act(const Service& s) const {
  const Container* c = current(s);
  if (c == nullptr) return false;
  const auto& on = c->info->settings.heal_on;
  const auto& f = s.judged.failures;
  return (f.unhealthy && on.unhealthy) || (f.probe && on.probe) ||
         (f.exited && (on.exited || c->purpose.ours)) || (s.unverified && !s.judged.failing());
}

// Why nothing is done about a failure; empty: something may be done.
std::string Core::Impl::why_not(const Service& s) const {
  if (s.target) return "it is a target of the file: watched, never healed";
  const Container* c = current(s);
  if (c == nullptr) return "it has no container";
  const auto& info = *c->info;
  if (now_ < s.maintenance_until) return "it is in maintenance";
  if (now_ < s.window_until) return "maintenance window " + s.window + " is open";
  if (s.overlays.paused) return "it is paused";
  if (being_stopped(s)) return "somebody is stopping it";
  if (s.judged.policy_acts) return "its restart policy is at work";
  if (info.settings.ladder.empty()) return "sentinel.heal is none";
  if (info.swarm_task) return "it is a Swarm task: Swarm replaces it";
  if (info.auto_remove) return "it was started with --rm: its end is meant to be its removal";
  if (now_ < c->busy_until) return "an earlier operation on it has not been answered yet";
  if (recreating(s)) return "it is being recreated";
  if (s.overlays.blind && !s.judged.failures.unhealthy && !s.judged.failures.exited)
    return "our own network or resolver fails";
  if (!may_act(s)) {
    if (s.judged.failures.exited) return "it exited, and sentinel.heal.on does not name exited";
    if (s.judged.failures.probe && !s.judged.failures.unhealthy)
      return "a probe fails, and sentinel.heal.on does not name probe";
    return "sentinel.heal.on does not name unhealthy";
  }
  return {};
}

void Core::Impl::tell_left_alone(Service& s) {
  auto why = why_not(s);
  if (why == s.alone_because) return;
  s.alone_because = std::move(why);
  if (!s.alone_because.empty() && !s.judged.policy_acts)
    tell(s, NoticeKind::left_alone, s.name + " is left alone: " + s.alone_because);
}

std::string Core::Impl::why_maintenance(const Service& s) const {
  const auto left = [&](Time until) { return ", " + in_words(until - now_) + " left"; };
  const bool window_counts = s.window_until > s.maintenance_until;
  if (now_ < s.maintenance_until && !window_counts) return "asked for" + left(s.maintenance_until);
  if (now_ < s.window_until) return "window " + s.window + left(s.window_until);
  if (recreating(s)) return "being recreated" + left(s.recreate_until);
  return {};
}

// It was asked for and a window is open: the later end counts.
std::optional<Time> Core::Impl::end_of_maintenance(const Service& s) const {
  const Time end = std::max(s.maintenance_until, s.window_until);
  return now_ < end ? std::optional{end} : std::nullopt;
}

std::string Core::Impl::decision(const Service& s) const {
  if (unseen(s)) return "the Engine does not answer: judgement and healing are held";
  const Container* c = current(s);
  const auto in = [&](Time t) { return in_words(t > now_ ? t - now_ : Duration{}); };
  switch (s.op.phase) {
    case Phase::waiting: {
      const std::string will =
          s.op.asked ? "a restart was asked for: it will be done " : "will be healed ";
      if (s.op.ready && storm_.holding())
        return will + "when the storm hold ends, in " + in(*storm_.until());
      if (s.op.ready)
        return will + "as soon as fewer than " + std::to_string(config_.max_concurrent) +
               " others are being healed";
      return (s.quarantined ? "quarantined: the next trial is in " : "next attempt in ") +
             in(s.op.due);
    }
    case Phase::preparing:
      return std::string{s.op.asked ? "about to be restarted, as was asked for"
                                    : "about to be healed"} +
             ": its intent is being stored and its state checked once more";
    case Phase::acting:
    case Phase::exiting:
      return "the Engine was asked to " + std::string{to_string(s.op.step)} + " it, " +
             in_words(now_ - s.op.sent) + " ago";
    case Phase::confirming: return "the Engine has answered; its result is being checked";
    case Phase::verifying:
      return "acted on; it has " + in(s.op.deadline) + " left to become healthy";
    case Phase::idle: break;
  }
  if (s.overlays.blind)
    return "our own network or resolver seems to fail: results that say so are not judged";
  if (s.target) {
    return well(s.judged.state) ? "nothing to do: it is " + std::string{to_string(s.state)}
                                : "only watched, never healed: it is a target of the file";
  }
  if (c == nullptr) return "it has no container";
  if (s.overlays.paused) return "left alone: it is paused";
  if (well(s.judged.state)) return "nothing to do: it is " + std::string{to_string(s.state)};
  if (s.judged.failing() || s.unverified || s.judged.policy_acts) {
    const auto why = why_not(s);
    if (!why.empty()) return "left alone: " + why;
    if (s.quarantined)
      return "quarantined for good: its budget is used up and sentinel.heal.trial is 0";
  }
  if (s.judged.state == State::stopped) return "left alone: " + s.judged.reason;
  return "nothing to do yet: it is " + std::string{to_string(s.state)};
}

}  // namespace sentinel::core
