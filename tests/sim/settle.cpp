// Liveness: what must be true of every service once nothing goes wrong any more, and by when.
//
// The bound, from the settings of the world's own services (maxima; N containers, C places under
// the cap):
//   notice   = relist + health check (start period + (interval + timeout) x (retries + 1)) + probes
//   (interval x fall) place    = (stop timeout + answer slack + confirmation) x ceil(N / C) waiting
//   for all others once attempt  = notice + longest back-off + delay + storm hold + place + verify
//   timeout bound    = rest of a maintenance + (budget + 1) x attempt + restarts that a cure takes
//   x (trial + attempt)

#include <algorithm>
#include <map>

#include "sim/world.hpp"

namespace sentinel::sim {

using namespace std::chrono_literals;
using core::RunState;
using core::State;

namespace {

constexpr Duration answer_slack = 25s;
constexpr Duration confirmation = 60s;
constexpr Duration relist = 75s;  // a minute, and an answer that is late
constexpr Duration longest_maintenance = 2h;
constexpr unsigned longest_cure = 6;  // restarts of a stubborn application

Duration notice(const core::ContainerInfo& info) {
  Duration d = relist;
  if (info.health_check) {
    const auto& check = *info.health_check;
    d += check.start_period + (check.interval + check.timeout) * (check.retries + 1);
  }
  for (const auto& probe : info.settings.probes) d += (probe.interval + probe.timeout) * probe.fall;
  return d + info.settings.start_grace.value_or(0s);
}

bool detectable(const core::ContainerInfo& info) {
  return info.health_check || !info.settings.probes.empty();
}

/// A failure of the running application may be acted on.
bool may_act_running(const core::ContainerInfo& info) {
  const auto& on = info.settings.heal_on;
  return may_be_healed(info) &&
         ((on.unhealthy && info.health_check) || (on.probe && !info.settings.probes.empty()));
}

bool on_ladder(const core::ContainerInfo& info, core::Rung rung) {
  return std::ranges::find(info.settings.ladder, rung) != info.settings.ladder.end();
}

}  // namespace

Duration World::settle_bound() const {
  const auto rounds = (services_.size() + config_.max_concurrent - 1) / config_.max_concurrent;
  Duration longest_operation{};
  for (const Service& s : services_) {
    const auto& info = s.blueprint.info;
    longest_operation =
        std::max(longest_operation, info.settings.stop_timeout.value_or(info.stop_timeout));
  }
  const Duration place = (longest_operation + answer_slack + confirmation) * rounds;
  Duration bound{};
  for (const Service& s : services_) {
    const auto& info = s.blueprint.info;
    const auto& settings = info.settings;
    const Duration verify =
        settings.verify_timeout.value_or(core::default_verify_timeout(info.health_check));
    const Duration attempt =
        notice(info) + settings.backoff.max + settings.delay + config_.storm_hold + place + verify;
    bound = std::max(bound, (settings.budget.restarts + 1) * attempt +
                                longest_cure * (settings.trial + attempt));
  }
  return longest_maintenance + bound;
}

bool World::settled(std::string& why) {
  why.clear();
  if (!core_ || !core_->engine_up() || !core_->synchronised()) {
    why = "the core does not see the Engine";
    return false;
  }
  std::map<core::ServiceKey, core::ServiceView> views;
  for (auto& view : core_->services()) views.emplace(view.key, std::move(view));
  for (const Service& service : services_) {
    const auto view = views.find(service.blueprint.info.key);
    if (service_settled(service, view == views.end() ? nullptr : &view->second, why)) continue;
    const Container& truth = engine_[service.container];
    unsettled_ = service.container;
    why = service.blueprint.info.key.to_string() + " (container " +
          std::to_string(service.container) + ", really " + std::string{to_string(truth.run)} +
          ", " + std::string{to_string(truth.health)} +
          (truth.serving ? ", serving" : ", not serving") + "; nature " +
          std::to_string(static_cast<int>(truth.profile.nature)) + "): " + why;
    if (view != views.end()) {
      const core::ServiceView& v = view->second;
      why += "; seen as " + std::string{to_string(v.state)} + ", phase " + v.phase + ", reason '" +
             v.reason + "', decision '" + v.decision + "'";
    }
    return false;
  }
  return true;
}

bool World::service_settled(const Service& service, const core::ServiceView* view,
                            std::string& why) const {
  const Container& truth = engine_[service.container];
  const core::ContainerInfo& info = service.blueprint.info;
  if (!info.settings.enabled) {
    why = "watched though it is not enabled";
    return view == nullptr;
  }
  if (!truth.exists) {
    why = "gone, still watched";
    return view == nullptr;
  }
  if (info.own || info.swarm_task || info.auto_remove) return true;  // only left alone
  if (view == nullptr) {
    why = "not watched";
    return false;
  }
  if (view->overlays.blind) {
    why = "blind";
    return false;
  }
  const bool in_quarantine =
      view->state == State::quarantined || checker_.quarantined_since(info.key, calm_at_);
  const bool explained = !view->decision.empty();
  if (!explained && view->state != State::healthy && view->state != State::degraded) {
    why = "no word of what will be done or why nothing is";
    return false;
  }
  const bool curable = engine_.curable(service.container);
  switch (truth.run) {
    case RunState::paused: why = "paused, unseen"; return view->overlays.paused;
    case RunState::created:
    case RunState::dead:
    case RunState::removing:
      why = "not running, seen otherwise";
      return view->state == State::stopped || view->state == State::quarantined;
    case RunState::restarting: why = "the restart policy is at work"; return !curable;
    case RunState::exited: {
      why = "exited, seen otherwise";
      if (view->state == State::stopped) {
        why = "left down by our own operation";
        return truth.exit_cause != Cause::sentinel || on_ladder(info, core::Rung::stop) ||
               truth.person_stopped_at > Time::min();
      }
      if (view->state == State::quarantined) return true;
      const bool acts = info.settings.heal_on.exited && may_be_healed(info);
      why = "exited, may be healed, is not";
      return view->state == State::unhealthy && (!acts || (in_quarantine && !curable));
    }
    case RunState::running: break;
  }
  const bool relapsing =
      truth.profile.nature == Nature::relapsing || truth.profile.failing == Failing::exiting;
  // By its luck, well, in quarantine or flapping; or in the hands of its restart policy.
  if (!curable && relapsing) return true;
  if (!detectable(info)) {
    why = "running without a check, not seen as healthy";
    return view->state == State::healthy || view->state == State::quarantined;
  }
  if (!curable) {
    why = "cannot be healed, not quarantined";
    return !may_act_running(info) || in_quarantine;
  }
  if (truth.serving) {
    why = "serving, not seen as healthy";
    return view->state == State::healthy;
  }
  why = "could be healed, is not";
  return !may_act_running(info) || (view->state == State::quarantined && info.settings.trial <= 0s);
}

}  // namespace sentinel::sim
