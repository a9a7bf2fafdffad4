#include "sim/engine_model.hpp"

#include <algorithm>
#include <utility>

namespace sentinel::sim {

using core::EngineHealth;
using core::HintKind;
using core::OperationResult;
using core::RestartPolicy;
using core::RunState;
using core::Step;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t booted = 0;
constexpr std::uint32_t fails = 1;
constexpr std::uint32_t recovers = 2;

// process_exits carries the exit code and who caused it.
constexpr std::uint32_t pack(int code, Cause cause) {
  return static_cast<std::uint32_t>(code) | (static_cast<std::uint32_t>(cause) << 8U);
}

bool up(const Container& c) { return c.run == RunState::running || c.run == RunState::paused; }

}  // namespace

Index EngineModel::create(std::shared_ptr<const core::ContainerInfo> info, const Profile& profile) {
  const auto index = size();
  Container& c = containers_.emplace_back();
  by_id_.emplace(info->id, index);
  c.info = std::move(info);
  c.profile = profile;
  emit(index, HintKind::create, Cause::person);
  return index;
}

void EngineModel::begin_running(Index container, Time now) {
  start(container, Cause::person, now);
  Container& c = containers_[container];
  set_serving(container, true, now);
  c.health = c.info->health_check ? EngineHealth::healthy : EngineHealth::none;
  emitted.clear();
}

void EngineModel::operate(Index container, Step step, Duration stop_timeout, Cause cause,
                          std::uint64_t reference, Time now) {
  Container& c = containers_[container];
  const auto answer = [&](OperationResult result) {
    if (reference != 0) finished.push_back({reference, result});
  };
  if (cause == Cause::person && (step == Step::stop || step == Step::kill))
    c.person_stopped_at = now;
  if (!c.exists) return answer(OperationResult::gone);
  if (c.removing) return answer(OperationResult::failed);
  if (step == Step::start && c.run == RunState::running)
    return answer(OperationResult::not_modified);
  if (step == Step::start && c.run == RunState::paused) return answer(OperationResult::conflict);
  if (step == Step::kill && !up(c)) return answer(OperationResult::conflict);
  if (step == Step::stop && !up(c)) {
    if (c.run != RunState::restarting) return answer(OperationResult::not_modified);
    c.run = RunState::exited;  // ends the policy's waiting
    c.manually_stopped = true;
    c.exit_cause = cause;
    ++c.life;
    return answer(OperationResult::done);
  }

  Index task = 0;
  if (free_tasks_.empty()) {
    task = static_cast<Index>(tasks_.size());
    tasks_.emplace_back();
  } else {
    task = free_tasks_.back();
    free_tasks_.pop_back();
  }
  tasks_[task] = {container, step, cause, Stage::stopping, up(c), reference, ++serials_};
  c.tasks.push_back(task);
  if (!up(c)) return advance(task, now);
  c.run = RunState::running;  // signals and restarts end a pause
  c.manually_stopped = true;
  if (step == Step::kill) {
    emit(container, HintKind::kill, cause);
    schedule_.at(now + 20ms, What::process_exits, container, c.life, pack(137, cause));
  } else {
    send_term(container, stop_timeout, cause, now);
  }
}

void EngineModel::send_term(Index container, Duration stop_timeout, Cause cause, Time now) {
  Container& c = containers_[container];
  emit(container, HintKind::kill, cause);
  const bool obeys = !c.hung && c.profile.term_time < stop_timeout;
  if (c.serving && prng_.chance(500'000)) {  // it stops serving first; a check under way fails
    set_serving(container, false, now);
    if (c.info->health_check && prng_.chance(500'000))
      schedule_.at(now + c.profile.term_time / 2, What::health_check, container, c.life);
  }
  schedule_.at(now + (obeys ? c.profile.term_time : stop_timeout + 20ms), What::process_exits,
               container, c.life, pack(obeys ? 143 : 137, cause));
}

void EngineModel::advance(Index task, Time now) {
  Task& t = tasks_[task];
  if (t.step == Step::kill || t.step == Step::stop) {
    if (t.step == Step::stop) emit(t.container, HintKind::stop, t.cause);
    return finish(task, OperationResult::done);
  }
  if (t.step == Step::restart && t.was_running) emit(t.container, HintKind::stop, t.cause);
  t.stage = Stage::starting;
  // No life: a policy's restart that comes first must not strand the task.
  schedule_.at(now + prng_.between(20ms, 400ms), What::task_starts, task, t.serial);
}

void EngineModel::finish(Index task, OperationResult result) {
  Task& t = tasks_[task];
  auto& tasks = containers_[t.container].tasks;
  std::erase(tasks, task);
  if (t.reference != 0) finished.push_back({t.reference, result});
  t.stage = Stage::free;
  free_tasks_.push_back(task);
}

bool EngineModel::start(Index container, Cause cause, Time now) {
  Container& c = containers_[container];
  ++c.life;
  if (!calm_ && prng_.chance(c.profile.start_failure_ppm)) {
    c.run = RunState::exited;
    c.exit_code = 128;
    return false;
  }
  c.run = RunState::running;
  c.manually_stopped = false;
  c.oom_killed = false;
  c.exit_code = 0;
  c.started = now;
  c.started_at = engine_clock(now);
  c.health = c.info->health_check ? EngineHealth::starting : EngineHealth::none;
  c.streak = 0;
  c.serving = false;
  c.hung = false;
  c.checking = false;
  if (c.restarts_left > 0) --c.restarts_left;
  emit(container, HintKind::start, cause);
  schedule_.at(now + c.profile.boot, What::app_changes, container, c.life, booted);
  arm_check(container, now);
  return true;
}

void EngineModel::exited(Index container, int code, Cause cause, Time now) {
  Container& c = containers_[container];
  const bool short_run = now - c.started < 10s;
  ++c.life;
  c.run = RunState::exited;
  c.exit_code = code;
  c.exit_cause = cause;
  c.serving = false;
  c.hung = false;
  c.checking = false;
  if (cause == Cause::itself && prng_.chance(c.profile.oom_ppm)) {
    c.oom_killed = true;
    emit(container, HintKind::oom, cause);
  }
  emit(container, HintKind::die, cause);
  c.policy_delay = short_run && c.policy_delay > 0s ? std::min<Duration>(c.policy_delay * 2, 1min)
                                                    : Duration{100ms};
  const bool restarting =
      std::ranges::any_of(c.tasks, [&](Index t) { return tasks_[t].step == Step::restart; });
  const std::vector<Index> waiting = c.tasks;
  for (const Index task : waiting) {
    if (tasks_[task].stage == Stage::stopping) advance(task, now);
  }
  if (c.info->auto_remove && !restarting) {
    c.exists = false;
    emit(container, HintKind::destroy, cause);
    return;
  }
  if (c.tasks.empty()) apply_policy(container, now);
}

void EngineModel::apply_policy(Index container, Time now) {
  Container& c = containers_[container];
  const RestartPolicy policy = c.info->restart_policy;
  const bool wanted = policy == RestartPolicy::always || policy == RestartPolicy::unless_stopped ||
                      (policy == RestartPolicy::on_failure && c.exit_code != 0);
  if (!wanted || c.manually_stopped || !c.exists) return;
  c.run = RunState::restarting;
  schedule_.at(now + c.policy_delay, What::policy_restart, container, c.life);
}

void EngineModel::arm_check(Index container, Time now) {
  Container& c = containers_[container];
  if (!c.info->health_check || c.checking || c.run != RunState::running) return;
  const bool settled = c.serving ? c.health == EngineHealth::healthy && c.streak == 0
                                 : c.streak >= c.info->health_check->retries;
  if (settled) return;
  const Duration interval = c.info->health_check->interval;
  const auto round = (now - c.started) / interval + 1;
  c.checking = true;
  schedule_.at(c.started + interval * round, What::health_check, container, c.life);
}

void EngineModel::check(Index container, Time now) {
  Container& c = containers_[container];
  c.checking = false;
  if (c.run != RunState::running) return;
  const core::HealthCheck& test = *c.info->health_check;
  if (c.serving) {
    c.streak = 0;
    if (c.health != EngineHealth::healthy) {
      c.health = EngineHealth::healthy;
      emit(container, HintKind::healthy, Cause::itself);
    }
  } else if (c.health != EngineHealth::starting || now - c.started >= test.start_period) {
    ++c.streak;
    if (c.streak >= test.retries && c.health != EngineHealth::unhealthy) {
      c.health = EngineHealth::unhealthy;
      emit(container, HintKind::unhealthy, Cause::itself);
    }
  }
  arm_check(container, now);
}

void EngineModel::set_serving(Index container, bool serving, Time now) {
  Container& c = containers_[container];
  if (serving && !c.serving) c.serving_since = now;
  c.serving = serving;
  if (serving) c.hung = false;
  arm_check(container, now);
}

void EngineModel::app_changes(Index container, std::uint32_t change, Time now) {
  Container& c = containers_[container];
  if (c.run == RunState::paused) {  // frozen: it happens when it runs again
    schedule_.at(now + 10s, What::app_changes, container, c.life, change);
    return;
  }
  if (c.run != RunState::running) return;
  const Profile& p = c.profile;
  if (change == recovers) return set_serving(container, true, now);
  if (change == booted) {
    const bool broken = (p.nature == Nature::hopeless && c.failed_once) || c.restarts_left > 0;
    if (!broken) {
      set_serving(container, true, now);
      if (p.nature != Nature::steady) {
        schedule_.at(now + prng_.around(p.up_time), What::app_changes, container, c.life, fails);
      }
      return;
    }
  } else if (calm_ && p.nature != Nature::relapsing) {
    return;
  }
  if (p.nature == Nature::stubborn && c.restarts_left == 0) c.restarts_left = p.restarts_needed;
  c.failed_once = true;
  if (p.failing == Failing::exiting) return exited(container, p.exit_code, Cause::itself, now);
  set_serving(container, false, now);
  c.hung = p.failing == Failing::hanging;
  if (p.nature == Nature::transient) {
    schedule_.at(now + prng_.between(10s, 5min), What::app_changes, container, c.life, recovers);
  }
}

void EngineModel::on(const Item& item, Time now) {
  if (item.what == What::task_starts) {
    Task& t = tasks_[item.subject];
    if (t.stage != Stage::starting || t.serial != item.stamp) return;
    const Index container = t.container;
    const Container& c = containers_[container];
    if (!c.exists || c.removing)
      return finish(item.subject, c.exists ? OperationResult::failed : OperationResult::gone);
    if (up(c)) {  // somebody else was quicker
      if (t.step == Step::restart) emit(container, HintKind::restart, t.cause);
      return finish(item.subject, t.step == Step::restart ? OperationResult::done
                                                          : OperationResult::not_modified);
    }
    const bool started = start(container, t.cause, now);
    if (started && t.step == Step::restart) emit(container, HintKind::restart, t.cause);
    return finish(item.subject, started ? OperationResult::done : OperationResult::failed);
  }
  Container& c = containers_[item.subject];
  if (!c.exists || c.life != item.stamp) return;
  switch (item.what) {
    case What::app_changes: return app_changes(item.subject, item.detail, now);
    case What::health_check: return check(item.subject, now);
    case What::process_exits:
      if (up(c))
        exited(item.subject, static_cast<int>(item.detail & 0xFFU),
               static_cast<Cause>(item.detail >> 8U), now);
      return;
    case What::policy_restart:
      if (c.run == RunState::restarting && !down_ && !start(item.subject, Cause::engine, now)) {
        c.policy_delay = std::min<Duration>(c.policy_delay * 2, 1min);
        apply_policy(item.subject, now);
      }
      return;
    default: return;
  }
}

bool EngineModel::pause(Index container, Time now) {
  Container& c = containers_[container];
  if (!c.exists || c.run != RunState::running || !c.tasks.empty()) return false;
  c.run = RunState::paused;
  c.paused_at = now;
  // Whatever the last check said, and without an event; see core/judgement.hpp.
  if (c.health != EngineHealth::none) c.health = EngineHealth::unhealthy;
  emit(container, HintKind::pause, Cause::person);
  return true;
}

bool EngineModel::unpause(Index container, Time now) {
  Container& c = containers_[container];
  if (!c.exists || c.run != RunState::paused) return false;
  c.run = RunState::running;
  emit(container, HintKind::unpause, Cause::person);
  arm_check(container, now);
  return true;
}

void EngineModel::rename(Index container, std::shared_ptr<const core::ContainerInfo> info, Time) {
  if (!containers_[container].exists) return;
  containers_[container].info = std::move(info);
  emit(container, HintKind::rename, Cause::person);
}

void EngineModel::remove(Index container, Cause cause, Time now) {
  Container& c = containers_[container];
  if (!c.exists) return;
  c.removing = true;
  c.manually_stopped = true;
  if (up(c)) {
    emit(container, HintKind::kill, cause);
    exited(container, 137, cause, now);
  }
  const std::vector<Index> waiting = c.tasks;
  for (const Index task : waiting) finish(task, OperationResult::failed);
  ++c.life;
  if (!c.exists) return;  // --rm was quicker
  c.exists = false;
  emit(container, HintKind::destroy, cause);
}

void EngineModel::crash(bool live_restore, Time now) {
  down_ = true;
  for (Index i = 0; i < size(); ++i) {
    Container& c = containers_[i];
    if (!c.exists) continue;
    const bool in_operation = !c.tasks.empty();
    const bool ours = busy_for_sentinel(i);
    const std::vector<Index> waiting = c.tasks;
    for (const Index task : waiting) {
      tasks_[task].reference =
          0;  // the connection broke with the daemon: nobody gets an answer from here
      finish(task, OperationResult::unknown);
    }
    if (live_restore && !in_operation) continue;
    if (!up(c)) continue;
    const bool by_hand = c.manually_stopped;
    const Cause cause = ours ? Cause::sentinel : Cause::engine;
    exited(i, 137, cause, now);
    c.manually_stopped = by_hand;
    if (c.exists && c.run == RunState::restarting) {  // the policy waits for the daemon
      c.run = RunState::exited;
      ++c.life;
    }
  }
  emitted.clear();
  finished.clear();
}

void EngineModel::revive(Time now) {
  down_ = false;
  for (Index i = 0; i < size(); ++i) {
    Container& c = containers_[i];
    if (!c.exists) continue;
    if (up(c)) {
      arm_check(i, now);
      continue;
    }
    if (c.run == RunState::created) continue;
    // `always` comes back even after a stop by hand; measured on 20.10 for a restart that was cut
    // short.
    if (c.info->restart_policy == RestartPolicy::always) {
      c.manually_stopped = false;
    }
    if (c.exit_cause != Cause::engine && c.run != RunState::restarting &&
        c.info->restart_policy != RestartPolicy::always)
      continue;
    c.policy_delay = 100ms;
    apply_policy(i, now);
  }
}

core::ContainerFacts EngineModel::facts(Index container, Time now) const {
  const Container& c = containers_[container];
  core::ContainerFacts facts{c.info, {}};
  facts.status.run = c.removing ? RunState::removing : c.run;
  facts.status.health = c.health;
  facts.status.failing_streak = c.streak;
  facts.status.exit_code = c.exit_code;
  facts.status.oom_killed = c.oom_killed;
  facts.status.started_at = c.started_at;
  if (up(c)) {
    facts.status.uptime = now - c.started;
    facts.status.address = "192.0.2.7";
  }
  if (c.health == EngineHealth::unhealthy) facts.status.health_output = "503";
  return facts;
}

std::vector<core::ListedContainer> EngineModel::list() const {
  std::vector<core::ListedContainer> rows;
  for (const Container& c : containers_) {
    if (c.exists) rows.push_back({c.info->id, c.removing ? RunState::removing : c.run, c.health});
  }
  return rows;
}

Index EngineModel::find(const core::ContainerId& id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? size() : found->second;
}

bool EngineModel::busy_for_sentinel(Index container) const {
  return std::ranges::any_of(containers_[container].tasks,
                             [&](Index t) { return tasks_[t].cause == Cause::sentinel; });
}

bool EngineModel::being_stopped_by_person(Index container) const {
  return up(containers_[container]) &&
         std::ranges::any_of(containers_[container].tasks, [&](Index t) {
           return tasks_[t].cause == Cause::person && tasks_[t].stage == Stage::stopping;
         });
}

bool EngineModel::curable(Index container) const {
  const Container& c = containers_[container];
  if (c.profile.nature == Nature::relapsing) return false;
  return c.profile.nature != Nature::hopeless || !c.failed_once;
}

}  // namespace sentinel::sim
