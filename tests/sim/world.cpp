#include "sim/world.hpp"

#include <algorithm>
#include <utility>

namespace sentinel::sim {

using namespace std::chrono_literals;

namespace {

constexpr Duration relist_every = 60s;  // as the Engine client does it
constexpr std::uint32_t own_container = 0;

FaultRates rates_of(Prng& prng, unsigned containers) {
  FaultRates rates = FaultRates::drawn(prng, containers);
  if (rates.person_acts_every > 0s)
    rates.person_acts_every = std::max<Duration>(rates.person_acts_every, 5s);
  return rates;
}

core::Config config_of(Prng& prng) {
  core::Config config;
  config.max_concurrent = prng.chance(500'000) ? 3 : 1 + prng.below(8);
  if (prng.chance(300'000)) config.storm_hold = prng.between(0s, 60s);
  config.seed = prng.next();
  return config;
}

}  // namespace

World::World(WorldOptions options)
    : options_(std::move(options)),
      prng_(options_.seed),
      rates_(rates_of(prng_, options_.containers)),
      config_(config_of(prng_)),
      engine_(schedule_, prng_),
      checker_(engine_, config_, rates_.probe_lost > 0 || rates_.probe_late > 0) {}

void World::populate() {
  unsigned made = 0;
  for (unsigned project = 0; made < options_.containers; ++project) {
    const unsigned size = 1 + prng_.below(8);
    for (unsigned i = 0; i < size && made < options_.containers; ++i) {
      const unsigned replicas = prng_.chance(150'000) ? 2 + prng_.below(3) : 1;
      for (unsigned replica = 1; replica <= replicas && made < options_.containers;
           ++replica, ++made) {
        Service service;
        const bool alone = prng_.chance(50'000);  // not from Compose
        const std::string project_name = alone ? "" : "p" + std::to_string(project);
        const std::string name = (alone ? "c" + std::to_string(made) : "s" + std::to_string(i));
        service.blueprint = draw_blueprint(prng_, project_name, name, alone ? 1 : replica);
        if (made == own_container) service.blueprint.info.own = true;
        service.name = alone ? name : project_name + "-" + name + "-" + std::to_string(replica);
        auto info = build(service.blueprint, prng_, service.name, now_.time_since_epoch().count());
        service.container = engine_.create(std::move(info), service.blueprint.profile);
        engine_.begin_running(service.container, now_);
        services_.push_back(std::move(service));
      }
    }
  }
}

void World::again(What what, Duration mean) {
  if (mean <= 0s || calm_) return;
  schedule_.at(now_ + prng_.around(mean) + 1ms, what);
}

Outcome World::run() {
  now_ = Time{1h};
  populate();
  drain_engine();
  process_start();
  schedule_.at(now_ + relist_every, What::relist);
  again(What::operator_acts, rates_.person_acts_every);
  again(What::engine_fault, rates_.engine_fault_every);
  again(What::process_fault, rates_.process_kill_every);
  if (rates_.process_kill_every <= 0s) again(What::process_fault, rates_.process_pause_every);

  Outcome outcome;
  outcome.bound = settle_bound();
  calm_at_ = now_ + options_.faulty;
  Time look_at = calm_at_;
  bool done = false;
  std::string unsettled;
  while (!done && checker_.failure().empty()) {
    if (schedule_.empty()) {
      unsettled = "nothing is scheduled any more";
      break;
    }
    if (schedule_.next() >= look_at) {
      now_ = look_at;
      if (!calm_) {
        become_calm();
      } else if (settled(unsettled)) {
        outcome.settled_after = now_ - calm_at_;
        unsettled.clear();
        done = true;
      } else if (now_ - calm_at_ > outcome.bound) {
        done = true;
      }
      look_at = now_ + 1min;
      continue;
    }
    const Item item = schedule_.pop();
    now_ = item.at;
    ++items_;
    on(item);
  }
  outcome.failure = checker_.failure();
  outcome.culprit = checker_.culprit();
  if (outcome.failure.empty() && !unsettled.empty()) {
    outcome.failure = "not settled within the bound: " + unsettled;
    outcome.culprit = unsettled_;
  }
  outcome.core_events = core_events_;
  outcome.items = items_;
  outcome.inside_core = inside_core_;
  outcome.ended = now_;
  outcome.counters = checker_.counters();
  return outcome;
}

void World::on(const Item& item) {
  switch (item.what) {
    case What::app_changes:
    case What::health_check:
    case What::process_exits:
    case What::policy_restart:
    case What::task_starts: engine_.on(item, now_); return drain_engine();
    case What::request_arrives: return request_arrives(item.stamp);
    case What::request_times_out:
      answer(item.stamp, core::OperationResult::unknown, 0s);
      requests_.erase(item.stamp);
      return;
    case What::inspect_taken:
      return inspect_taken(item.subject, Duration{static_cast<std::int64_t>(item.stamp)});
    case What::list_taken:
      list_pending_ = false;
      if (item.subject == process_ && link_up_ && core_)
        list_taken(std::exchange(list_after_gap_, false));
      return;
    case What::store_applied: return store_applied(item.subject);
    case What::deliver: return deliver(item.subject);
    case What::tick:
      if (item.subject != process_ || !core_ || item.at != tick_at_) return;
      if (now_ < paused_until_) {
        tick_at_ = paused_until_;
        schedule_.at(paused_until_, What::tick, process_);
        return;
      }
      tick_at_ = core::never;
      return tell(core::Tick{}, {});
    case What::relist:
      schedule_.at(now_ + relist_every, What::relist);
      if (link_up_ && core_ && now_ >= paused_until_) ask_list(false, 1ms);
      return;
    case What::operator_acts: return operator_acts();
    case What::operator_step: return operator_step(item.subject);
    case What::engine_fault: return engine_fault();
    case What::engine_back: return engine_back(item);
    case What::process_fault: return process_fault();
    case What::process_back:
      if (!core_) process_start();
      return;
  }
}

void World::drain_engine() {
  for (std::size_t i = 0; i < engine_.emitted.size(); ++i) hint(engine_.emitted[i]);
  engine_.emitted.clear();
  for (std::size_t i = 0; i < engine_.finished.size(); ++i) task_finished(engine_.finished[i]);
  engine_.finished.clear();
}

// --- the connection and the Engine
// ------------------------------------------------------------------------------------

void World::link_lost(bool tell_late) {
  if (!link_up_) return;
  link_up_ = false;
  std::vector<std::uint64_t> open;
  for (const auto& [reference, request] : requests_) {
    if (request.link == link_) open.push_back(reference);
  }
  for (const std::uint64_t reference : open)
    answer(reference, core::OperationResult::unknown, prng_.between(100us, 5ms));
  if (!core_) return;
  const Duration noticed = tell_late ? prng_.between(1ms, 10s) : Duration{1ms};
  lost_told_at_ = now_ + noticed;
  send(core::EngineLost{"connection lost"}, noticed, true);
}

void World::link_made() {
  if (link_up_ || engine_down_ || !core_) return;
  if (now_ <= lost_told_at_) {  // the client has not noticed yet that the old connection is gone
    schedule_.at(lost_told_at_ + 1ms, What::engine_back);
    return;
  }
  link_up_ = true;
  ++link_;
  last_hint_at_ = now_;
  list_pending_ = false;
  send(core::EngineConnected{"1.45", "26.1.5"}, 1ms, false);
  ask_list(true, 5ms);
}

void World::engine_fault() {
  again(What::engine_fault, rates_.engine_fault_every);
  if (calm_ || engine_down_) return;
  const std::uint32_t kind = prng_.below(10);
  const Duration away = prng_.chance(800'000) ? prng_.between(1s, 30s) : prng_.between(30s, 10min);
  if (kind < 7) {
    engine_.crash(kind >= 4, now_);
    engine_down_ = true;
  }
  link_lost(kind >= 5);
  schedule_.at(now_ + away, What::engine_back);
}

void World::engine_back(const Item&) {
  if (std::exchange(engine_down_, false)) {
    engine_.revive(now_);
    drain_engine();  // nobody listens yet
  }
  link_made();
}

// --- our process
// ------------------------------------------------------------------------------------------------------

void World::process_fault() {
  const bool kills =
      rates_.process_kill_every > 0s && (rates_.process_pause_every <= 0s || prng_.chance(500'000));
  again(What::process_fault, std::max(rates_.process_kill_every, rates_.process_pause_every));
  if (calm_ || !core_ || now_ < paused_until_) return;
  const Duration away =
      prng_.chance(700'000) ? prng_.between(100ms, 20s) : prng_.between(20s, 10min);
  if (!kills) {
    paused_until_ = now_ + away;
    checker_.process_paused(paused_until_);
    return;
  }
  core_.reset();
  checker_.process_ended(now_);
  link_up_ = false;
  tick_at_ = core::never;
  schedule_.at(now_ + away, What::process_back);
}

void World::process_start() {
  ++process_;
  lost_told_at_ = Time::min();
  core::Config config = config_;
  config.seed += process_;
  core_ = std::make_unique<core::Core>(config);
  core_offset_ = prng_.between(0s, 1000h);  // each process has a clock of its own
  store_busy_until_ = now_;
  core::Restored restored;
  for (const auto& [key, record] : kept_services_) restored.services.push_back(record);
  for (const auto& [op, intent] : kept_intents_) restored.intents.push_back(intent);
  checker_.process_started(restored, now_);
  tell(restored, {});
  if (engine_down_) {
    send(core::EngineLost{"no Engine"}, 10ms, true);
  } else {
    link_made();
  }
}

void World::become_calm() {
  calm_ = true;
  engine_.calm();
  paused_until_ = std::min(paused_until_, now_);
  if (engine_down_ || (core_ && !link_up_)) engine_back({});
  if (!core_) process_start();
}

}  // namespace sentinel::sim
