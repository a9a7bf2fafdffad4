#include "sim/checker.hpp"

#include <algorithm>
#include <utility>

#include "sim/fleet.hpp"

namespace sentinel::sim {

using namespace std::chrono_literals;
using core::RunState;
using core::State;
using core::Step;

namespace {

// The core may act on an inspect that is one second old and waits 250 ms for the store; the rest is
// the schedule's jitter.
constexpr Duration fresh = 2s;
// Events of an operation trail its answer for so long; without an answer, until it has been looked
// into.
constexpr Duration own_events = 5s;
constexpr Duration unclear_events = 65s;
// Signals that follow each other within this time may be taken for something else than a stop.
constexpr Duration kill_series = 2min;

bool belongs(core::Rung rung, Step step) {
  switch (rung) {
    case core::Rung::restart: return step == Step::restart || step == Step::start;
    case core::Rung::kill: return step == Step::kill || step == Step::start;
    case core::Rung::stop: return step == Step::stop;
  }
  return false;
}

}  // namespace

void Checker::fail(Index container, Time now, std::string what) {
  if (!failure_.empty()) return;
  culprit_ = container;
  const auto ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count();
  failure_ = std::move(what) + " [container " + std::to_string(container) + " at " +
             std::to_string(ms) + " ms]";
}

Checker::Seen& Checker::seen(Index container) {
  if (seen_.size() <= container) seen_.resize(container + 64);
  return seen_[container];
}

void Checker::process_started(const core::Restored& restored, Time now) {
  for (auto& [key, account] : accounts_) {
    account.maintenance_until = Time::min();
    account.asked = false;
  }
  for (const core::ServiceRecord& record : restored.services) {
    Account& account = accounts_[record.key];
    account.maintenance_until =
        record.maintenance_left > 0s ? now + record.maintenance_left : Time::min();
    settle(account, now);
    // What was never made durable is forgotten, and rightly so; what was durable must be in the
    // record.
    const auto kept =
        static_cast<std::size_t>(std::ranges::count_if(account.attempts, &Attempt::durable));
    if (record.budget_left.size() < kept) {
      fail(0, now, "the stored record of " + record.key.to_string() + " forgot a restart");
    }
  }
  for (auto& [key, account] : accounts_) {
    std::erase_if(account.attempts, [](const Attempt& attempt) { return !attempt.durable; });
    account.chain = 0;
    if (!account.latest_durable) account.last_trial = account.last_attempt = Time::min();
  }
  for (const core::IntentRecord& intent : restored.intents) {
    Op& op = ops_[intent.op];
    op.intent = intent;
    op.budget_marks = core::Budget{}.restarts;
    op.asked = now;
    op.answered = op.durable = op.begun = true;
    // It may still be under way: a signal from now on may be its own.
    const Index index = engine_.find(intent.container);
    if (index < engine_.size()) seen(index).kill_told = now;
  }
}

void Checker::process_ended(Time now) {
  seen_.assign(engine_.size(), Seen{});
  in_flight_.clear();
  ops_.clear();
  states_.clear();
  engine_known_up_ = false;
  storm_since_.reset();
  for (auto& [key, account] : accounts_) {
    account.healthy = account.clock(now);
    account.healthy_since.reset();
  }
}

void Checker::durable(core::OperationId op) {
  const auto found = ops_.find(op);
  if (found == ops_.end()) return;
  found->second.durable = true;
  for (Attempt& attempt : accounts_[found->second.intent.key].attempts) {
    if (attempt.op == op) attempt.durable = true;
  }
  Account& account = accounts_[found->second.intent.key];
  if (account.latest == op) account.latest_durable = true;
}

void Checker::delivered(const core::Event& event, const Origin& origin, Time now) {
  if (const auto* hint = std::get_if<core::Hint>(&event)) {
    Seen& s = seen(origin.container);
    switch (hint->kind) {
      case core::HintKind::destroy: s.known_gone = true; break;
      case core::HintKind::pause: s.pause_told = now; break;
      case core::HintKind::kill:
        // dockerd never sends it after the `die` it leads to; one that comes late proves nothing.
        if (origin.cause == Cause::person && now - origin.truth_at < 50ms) {
          s.person_kill_true = origin.truth_at;
          // Not one of a series, nor in a time when it could be our own.
          if (now - kill_series > s.kill_told && now - unclear_events > s.own_until &&
              s.status.started_at == engine_[origin.container].started_at)
            s.stopping_run = s.status.started_at;
        }
        s.kill_told = now;
        break;
      case core::HintKind::die:
      case core::HintKind::stop: {
        const bool own_time = now >= s.own_from && now <= s.own_until;  // looks like our own
        const bool prompt = now - origin.truth_at < 2s;
        const bool told =
            hint->kind == core::HintKind::stop || (prompt && s.person_kill_true > Time::min());
        if (origin.cause == Cause::person && told && !own_time)
          s.person_stop_true = origin.truth_at;
        s.person_kill_true = Time::min();
        break;
      }
      default: break;
    }
  } else if (const auto* inspected = std::get_if<core::Inspected>(&event)) {
    Seen& s = seen(origin.container);
    s.inspected_at = now;
    s.outcome = inspected->outcome;
    s.snapshot_at = origin.truth_at;
    if (inspected->outcome == core::Inspected::Outcome::gone) s.known_gone = true;
    if (inspected->facts) s.status = inspected->facts->status;
  } else if (const auto* done = std::get_if<core::OperationDone>(&event)) {
    const auto op = ops_.find(done->op);
    if (op == ops_.end() || op->second.last_step != done->step) return;
    const Index index = engine_.find(op->second.intent.container);
    if (index == engine_.size()) {
      std::erase_if(in_flight_, [&](Index i) { return seen_[i].flight == done->op; });
      return;
    }
    Seen& s = seen(index);
    if (s.flight != done->op) return;
    s.flight = 0;
    if (done->result != core::OperationResult::unknown) s.own_until = now + own_events;
    std::erase(in_flight_, index);
  } else if (const auto* stored = std::get_if<core::IntentStored>(&event)) {
    const auto op = ops_.find(stored->op);
    if (op != ops_.end()) op->second.answered = true;
  } else if (std::holds_alternative<core::EngineConnected>(event)) {
    engine_known_up_ = true;
  } else if (std::holds_alternative<core::EngineLost>(event)) {
    engine_known_up_ = false;
  } else if (const auto* maintenance = std::get_if<core::SetMaintenance>(&event)) {
    accounts_[maintenance->key].maintenance_until =
        maintenance->duration > 0s ? now + maintenance->duration : Time::min();
  } else if (const auto* restart = std::get_if<core::RestartService>(&event)) {
    accounts_[restart->key].asked = true;
    accounts_[restart->key].asked_at = now;
  }
}

void Checker::acted(const core::Action& action, Time now) {
  if (const auto* store = std::get_if<core::StoreIntent>(&action)) {
    if (!(store->intent.key == store->service.key))
      fail(0, now, "an intent and its service record have different keys");
    Account& account = accounts_[store->intent.key];
    if (store->intent.asked && !std::exchange(account.asked, false))
      fail(0, now, "nobody asked for this restart, or it is the second");
    Op& op = ops_[store->intent.op];
    op = {};
    op.intent = store->intent;
    if (store->intent.asked) op.wanted_at = account.asked_at;
    op.budget_marks = store->service.budget_left.size();
    op.asked = now;
  } else if (const auto* operate = std::get_if<core::Operate>(&action)) {
    check_operate(*operate, now);
  } else if (const auto* change = std::get_if<core::Transition>(&action)) {
    transition(*change, now);
  } else if (const auto* notice = std::get_if<core::Notice>(&action)) {
    switch (notice->kind) {
      case core::NoticeKind::healed: ++counters_.healed; break;
      case core::NoticeKind::quarantined: ++counters_.quarantined; break;
      case core::NoticeKind::intent_not_durable: ++counters_.not_durable; break;
      case core::NoticeKind::service_removed:  // without a container for long: a later one begins
                                               // anew
        accounts_.erase(notice->key);
        break;
      case core::NoticeKind::released: {
        Account& account = accounts_[notice->key];
        account.attempts.clear();
        account.chain = 0;
        account.last_trial = account.last_attempt = Time::min();
        break;
      }
      case core::NoticeKind::storm_began:
        ++counters_.storms;
        storm_since_ = now;
        break;
      case core::NoticeKind::storm_ended: storm_since_.reset(); break;
      default: break;
    }
  }
}

void Checker::check_operate(const core::Operate& operate, Time now) {
  ++counters_.operations;
  const Index index = engine_.find(operate.id);
  const auto found = ops_.find(operate.op);
  if (found == ops_.end()) return fail(index, now, "an operation without a stored intent");
  Op& op = found->second;
  if (!engine_known_up_) return fail(index, now, "an operation while the Engine is lost");
  if (!op.answered && now - op.asked < 250ms)
    return fail(index, now, "an operation before its intent was stored");
  if (op.intent.container != operate.id)
    return fail(index, now, "an operation on another container than intended");
  if (!belongs(op.intent.rung, operate.step))
    return fail(index, now, "a step that is not of the rung");

  std::erase_if(in_flight_,
                [&](Index i) { return seen_[i].flight == 0 || seen_[i].flight_until <= now; });
  if (in_flight_.size() >= config_.max_concurrent)
    return fail(index, now, "more operations in flight than the cap allows");
  op.last_step = operate.step;
  const bool first = !std::exchange(op.begun, true);
  if (index == engine_.size())
    return;  // gone and unknown: answered with 404, harmless; known_gone is checked below

  const Container& truth = engine_[index];
  Seen& s = seen(index);
  if (s.flight != 0 && s.flight_until > now)
    return fail(index, now, "two operations in flight on one container");
  if (engine_.busy_for_sentinel(index))
    return fail(index, now, "the Engine is still working on our previous operation");
  const bool touchable =
      op.intent.asked ? truth.info->settings.enabled && !truth.info->own && !truth.info->swarm_task
                      : may_be_healed(*truth.info);
  if (!touchable) return fail(index, now, "a container that must not be touched");
  if (!op.intent.asked && std::ranges::find(truth.info->settings.ladder, op.intent.rung) ==
                              truth.info->settings.ladder.end()) {
    return fail(index, now, "a rung that is not on the ladder");
  }
  const Duration timeout = truth.info->settings.stop_timeout.value_or(truth.info->stop_timeout);
  const bool stops = operate.step == Step::restart || operate.step == Step::stop;
  if (stops && operate.stop_timeout != timeout)
    return fail(index, now, "not the container's stop timeout");
  if (first) check_first(operate, op, truth, s, index, now);
  check_known_intent(op, truth, s, index, now);

  s.flight = operate.op;
  s.flight_until = now + operate.stop_timeout + 20s;
  s.own_from = now;
  s.own_until = now + operate.stop_timeout + unclear_events;
  in_flight_.push_back(index);
}

void Checker::check_first(const core::Operate& operate, Op& op, const Container& truth,
                          const Seen& s, Index index, Time now) {
  if (s.outcome != core::Inspected::Outcome::found ||
      (s.inspected_at < now - fresh && now > excused_until_)) {
    return fail(index, now, "an operation without a fresh inspect before it");
  }
  const bool probed = !truth.info->settings.probes.empty();
  // Not core's own rule: it is what is looked at here. After an attempt that did not help, nothing
  // says that it is well.
  const auto& check = truth.info->health_check;
  const bool unchecked = s.status.health == core::EngineHealth::unhealthy && check &&
                         s.status.failing_streak < check->retries &&
                         accounts_[truth.info->key].chain == 0;
  const bool says_well = s.status.run == RunState::running &&
                         (s.status.health == core::EngineHealth::healthy ||
                          s.status.health == core::EngineHealth::none || unchecked);
  if (says_well && !probed && !op.intent.asked)
    return fail(index, now, "an operation although the inspect says that it is well");
  if (says_well && !op.intent.asked && !probes_lie_ && truth.serving &&
      s.snapshot_at - truth.serving_since > 3min) {
    return fail(index, now, "an operation on a container that has been well for minutes");
  }
  if (s.status.run == RunState::paused)
    return fail(index, now, "an operation on a container that the inspect says is paused");
  const Account& account = accounts_[truth.info->key];
  if (account.maintenance_until > now && !op.intent.asked)
    return fail(index, now, "an operation during maintenance");
  if (storm_since_ && op.asked > *storm_since_)
    return fail(index, now, "an operation begun while a storm is held");
  if (operate.step == Step::start && op.intent.rung == core::Rung::kill &&
      s.status.run == RunState::running) {
    return fail(index, now, "a start of a running container");
  }
  check_budget(op, truth, index, now);
}

void Checker::check_known_intent(const Op& op, const Container& truth, const Seen& s, Index index,
                                 Time now) {
  if (s.known_gone) return fail(index, now, "an operation on a container that is known to be gone");
  const bool shown = s.snapshot_at >= truth.paused_at || s.pause_told > s.inspected_at;
  if (truth.run == RunState::paused && shown && now > s.own_until)
    return fail(index, now, "an operation on a container that is known to be paused");
  if (engine_.being_stopped_by_person(index) && s.stopping_run == truth.started_at)
    return fail(index, now, "an operation on a container that a person is known to be stopping");
  const bool stopped = (truth.run == RunState::exited || truth.run == RunState::removing) &&
                       truth.exit_cause == Cause::person;
  // Who asks for a restart of what was stopped wants it to run, also when that restart fails.
  const Time since = std::max({truth.person_stopped_at, truth.started, op.wanted_at,
                               accounts_[truth.info->key].done_for_person});
  if (stopped && s.person_stop_true >= since && s.person_stop_true > Time::min()) {
    return fail(index, now, "an operation on a container that is known to be stopped by a person");
  }
}

void Checker::settle(Account& account, Time now) {
  while (!account.attempts.empty() &&
         account.clock(now) - account.attempts.front().mark >= account.budget.window) {
    account.attempts.pop_front();
  }
}

void Checker::check_budget(const Op& op, const Container& truth, Index index, Time now) {
  const core::ServiceSettings& settings = truth.info->settings;
  Account& account = accounts_[truth.info->key];
  account.budget = settings.budget;
  settle(account, now);
  ++counters_.attempts;
  if (op.intent.rung == core::Rung::stop) return;  // no restart: costs nothing
  account.latest = op.intent.op;
  account.latest_durable = op.durable;
  if (op.intent.trial) {
    ++counters_.trials;
    if (settings.trial == 0s) return fail(index, now, "a trial although there are none");
    const Time latest = std::max(account.last_trial, account.last_attempt);
    if (latest > Time::min() && op.asked - latest < settings.trial - 1s)
      return fail(index, now, "a trial too early");
    account.last_trial = op.asked;  // from here the next one is counted; preparing takes a while
    return;
  }
  if (account.attempts.size() >= settings.budget.restarts && !op.intent.asked)
    return fail(index, now, "more restarts than the budget allows");
  if (op.budget_marks < account.attempts.size() + 1)
    return fail(index, now, "the stored record does not count this restart");
  if (account.chain > 0 && !op.intent.asked) {
    Duration base = settings.backoff.min;
    for (unsigned i = 1; i < account.chain && base < settings.backoff.max; ++i)
      base = std::min(base * 2, settings.backoff.max);
    const Duration least = std::max(settings.backoff.min, base - base / 4);
    if (now - account.last_attempt < least)
      return fail(index, now, "an attempt before its back-off is over");
  }
  ++account.chain;
  account.last_attempt = op.intent.asked ? op.asked : now;
  if (op.intent.asked) account.done_for_person = now;
  account.attempts.push_back({op.intent.op, account.clock(now), op.durable});
}

void Checker::transition(const core::Transition& change, Time now) {
  ++counters_.transitions;
  State& state = states_.try_emplace(change.service, State::unknown).first->second;
  if (change.from != state || change.from == change.to) {
    fail(engine_.find(change.container), now,
         "transitions do not form a path: " + change.key.to_string() + " was " +
             std::string{to_string(state)} + ", then " + std::string{to_string(change.from)} +
             " -> " + std::string{to_string(change.to)});
  }
  state = change.to;
  Account& account = accounts_[change.key];
  const bool well = change.to == State::healthy || change.to == State::degraded;
  if (well) {
    account.chain = 0;
    if (!account.healthy_since) account.healthy_since = now;
  } else if (account.healthy_since) {
    account.healthy = account.clock(now);
    account.healthy_since.reset();
  }
  if (change.to == State::quarantined) account.quarantined_at = now;
}

void Checker::stepped(const core::Core& core, bool ticked, Time core_now, Time now) {
  if (core.operations_in_flight() > config_.max_concurrent)
    fail(0, now, "the core counts more operations than the cap");
  if (storm_since_ && now - *storm_since_ > config_.storm_hold + 2s && now > excused_until_) {
    fail(0, now, "a storm is held too long");
  }
  if (!ticked) return;
  const auto next = core.next_deadline();
  if (!next || *next > core_now) {
    idle_ticks_ = 0;
  } else if (++idle_ticks_ > 3) {
    fail(0, now, "ticks do not get the core past what is due");
  }
}

bool Checker::quarantined_since(const core::ServiceKey& key, Time since) const {
  const auto found = accounts_.find(key);
  return found != accounts_.end() && found->second.quarantined_at >= since;
}

}  // namespace sentinel::sim
