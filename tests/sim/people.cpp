// People at work: deployments, stops, pauses, restarts by hand, maintenance; at times on just what
// Sentinel works on.

#include <algorithm>
#include <utility>

#include "sim/world.hpp"

namespace sentinel::sim {

using namespace std::chrono_literals;
using core::Step;

void World::operator_acts() {
  again(What::operator_acts, rates_.person_acts_every);
  if (calm_ || engine_down_) return;
  auto service = prng_.below(static_cast<std::uint32_t>(services_.size()));
  if (prng_.chance(300'000)) {  // right into what is being healed
    const auto found = std::ranges::find(services_, latest_operated_, &Service::container);
    if (found != services_.end()) service = static_cast<std::uint32_t>(found - services_.begin());
  }
  const std::uint32_t kind = prng_.below(100);
  if (kind < 15) return begin_errand(ErrandKind::stop, service);
  if (kind < 20) return begin_errand(ErrandKind::kill, service);
  if (kind < 35) return begin_errand(ErrandKind::pause, service);
  if (kind < 50) return begin_errand(ErrandKind::restart, service);
  if (kind < 60) return begin_errand(ErrandKind::remove, service);
  if (kind < 80) return begin_errand(ErrandKind::recreate, service);
  if (kind < 85) return begin_errand(ErrandKind::rename, service);
  if (kind < 90) return begin_errand(ErrandKind::maintain, service);
  if (kind < 95) return begin_errand(ErrandKind::ask, service);
  const std::string project = services_[service].blueprint.info.key.project;
  for (std::uint32_t i = 0; i < services_.size(); ++i) {  // a deployment
    if (services_[i].blueprint.info.key.project == project) begin_errand(ErrandKind::recreate, i);
  }
}

void World::begin_errand(ErrandKind kind, std::uint32_t service) {
  if (std::exchange(services_[service].errand, true)) return;
  std::uint32_t slot = 0;
  if (free_errands_.empty()) {
    slot = static_cast<std::uint32_t>(errands_.size());
    errands_.emplace_back();
  } else {
    slot = free_errands_.back();
    free_errands_.pop_back();
  }
  errands_[slot] = {kind, 0, service, 0, {}};
  operator_step(slot);
}

void World::operator_step(std::uint32_t slot) {
  Errand& errand = errands_[slot];
  if (engine_down_) {  // tries again when it is back
    schedule_.at(now_ + 10s, What::operator_step, slot);
    return;
  }
  const bool more = step_of(errand);
  drain_engine();
  ++errand.step;
  if (more) {
    schedule_.at(now_ + errand.pause_between, What::operator_step, slot);
    return;
  }
  services_[errand.service].errand = false;
  free_errands_.push_back(slot);
}

void World::create_successor(Service& service, Errand& errand, const std::string& name) {
  auto info = build(service.blueprint, prng_, name, now_.time_since_epoch().count());
  errand.other = engine_.create(std::move(info), service.blueprint.profile);
}

bool World::step_of(Errand& errand) {
  Service& service = services_[errand.service];
  const Duration own_timeout = service.blueprint.info.stop_timeout;
  const auto act = [&](Index container, Step step) {
    engine_.operate(container, step, own_timeout, Cause::person, 0, now_);
  };
  errand.pause_between = prng_.chance(500'000) ? prng_.between(50ms, 2s) : prng_.between(1s, 10s);
  switch (errand.kind) {
    case ErrandKind::stop:
    case ErrandKind::kill:
      if (errand.step == 0) {
        act(service.container, errand.kind == ErrandKind::stop ? Step::stop : Step::kill);
        errand.pause_between =
            prng_.chance(500'000) ? prng_.between(1s, 1min) : prng_.between(1min, 3h);
        return prng_.chance(800'000);
      }
      act(service.container, Step::start);
      return false;
    case ErrandKind::pause:
      if (errand.step == 0) {
        errand.pause_between =
            prng_.chance(500'000) ? prng_.between(1s, 1min) : prng_.between(1min, 3h);
        return engine_.pause(service.container, now_);
      }
      engine_.unpause(service.container, now_);
      return false;
    case ErrandKind::restart: act(service.container, Step::restart); return false;
    case ErrandKind::remove:
      if (errand.step == 0) {
        engine_.remove(service.container, Cause::person, now_);
        errand.pause_between = prng_.between(10s, 2h);
        return prng_.chance(900'000);
      }
      if (errand.step == 1) {
        create_successor(service, errand, service.name);
        service.container = errand.other;
        return true;
      }
      act(service.container, Step::start);
      return false;
    case ErrandKind::recreate:
      switch (errand.step) {
        case 0:  // Compose creates the new one under a temporary name first
          create_successor(service, errand, "0a1b2c_" + service.name);
          return true;
        case 1: act(service.container, Step::stop); return true;
        case 2: engine_.remove(service.container, Cause::person, now_); return true;
        case 3: {
          auto renamed = std::make_shared<core::ContainerInfo>(*engine_[errand.other].info);
          renamed->name = service.name;
          engine_.rename(errand.other, std::move(renamed), now_);
          service.container = errand.other;
          return true;
        }
        default: act(service.container, Step::start); return false;
      }
    case ErrandKind::rename: {
      if (!engine_[service.container].exists) return false;
      auto renamed = std::make_shared<core::ContainerInfo>(*engine_[service.container].info);
      renamed->name = service.name + "_old";
      engine_.rename(service.container, std::move(renamed), now_);
      return false;
    }
    case ErrandKind::maintain: {
      if (!core_ || now_ < paused_until_) return false;
      const bool ends = errand.step > 0;
      // The API takes it only for what is known.
      if (core_->find(service.blueprint.info.key.to_string()).empty()) return false;
      tell(core::SetMaintenance{service.blueprint.info.key,
                                ends ? Duration{} : prng_.between(1min, 2h)},
           {});
      errand.pause_between = prng_.between(30s, 2h);
      return !ends && prng_.chance(500'000);
    }
    case ErrandKind::ask: {
      if (!core_ || now_ < paused_until_) return false;
      const auto& key = service.blueprint.info.key;
      if (prng_.chance(300'000)) {
        tell(core::ReleaseService{key, "a person"}, {});
      } else {
        const auto known = core_->find(key.to_string());
        const bool can = !known.empty() && core_->restart_problem(known.front().id).empty();
        if (can) tell(core::RestartService{key, "a person"}, {});
      }
      return errand.step < 2 && prng_.chance(500'000);
    }
  }
  return false;
}

}  // namespace sentinel::sim
