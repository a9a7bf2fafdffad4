#include "sim/fleet.hpp"

#include <array>
#include <utility>

namespace sentinel::sim {

using namespace std::chrono_literals;
using core::Rung;

namespace {

Profile draw_profile(Prng& prng) {
  Profile p;
  const std::uint32_t nature = prng.below(100);
  if (nature < 30) {
    p.nature = Nature::steady;
  } else if (nature < 65) {
    p.nature = Nature::random;
    p.up_time = prng.between(5min, 24h);
  } else if (nature < 75) {
    p.nature = Nature::transient;
    p.up_time = prng.between(10min, 12h);
  } else if (nature < 84) {
    p.nature = Nature::stubborn;
    p.up_time = prng.between(1h, 12h);
    p.restarts_needed = 2 + prng.below(4);
  } else if (nature < 92) {
    p.nature = Nature::relapsing;
    p.up_time = prng.between(5s, 90s);
  } else {
    p.nature = Nature::hopeless;
    p.up_time = prng.between(10min, 12h);
  }
  const std::uint32_t failing = prng.below(10);
  p.failing = failing < 6 ? Failing::unhealthy : failing < 8 ? Failing::hanging : Failing::exiting;
  p.exit_code = prng.chance(700'000) ? 1 : 0;
  p.boot = prng.chance(800'000) ? prng.between(10ms, 3s) : prng.between(3s, 40s);
  p.term_time = prng.chance(800'000) ? prng.between(5ms, 900ms) : prng.between(1s, 8s);
  p.start_failure_ppm = prng.chance(100'000) ? prng.below(300'000) : 0;
  p.oom_ppm = prng.chance(100'000) ? 300'000 : 0;
  return p;
}

core::ServiceSettings draw_settings(Prng& prng) {
  core::ServiceSettings s;
  s.enabled = !prng.chance(60'000);
  switch (prng.below(12)) {
    case 0: s.ladder = {Rung::restart, Rung::kill}; break;
    case 1: s.ladder = {Rung::kill}; break;
    case 2: s.ladder = {Rung::restart, Rung::kill, Rung::stop}; break;
    case 3: s.ladder = {}; break;
    case 4: s.ladder = {Rung::restart, Rung::stop}; break;
    default: break;
  }
  s.heal_on.exited = prng.chance(300'000);
  if (prng.chance(50'000)) s.heal_on.unhealthy = false;
  if (prng.chance(50'000)) s.heal_on.probe = false;
  if (prng.chance(200'000)) s.stop_timeout = prng.between(0s, 30s);
  if (prng.chance(100'000)) s.start_grace = prng.between(0s, 30s);
  if (prng.chance(100'000)) s.delay = prng.between(1s, 30s);
  if (prng.chance(200'000)) s.verify_timeout = prng.between(20s, 3min);
  if (prng.chance(400'000)) s.budget = {1 + prng.below(6), prng.between(1min, 20min)};
  const std::uint32_t trial = prng.below(10);
  if (trial < 4) s.trial = prng.between(5min, 90min);
  if (trial == 9) s.trial = 0s;
  if (prng.chance(500'000)) {
    s.backoff.min = prng.between(100ms, 10s);
    s.backoff.max = prng.between(s.backoff.min, 4min);
  }
  return s;
}

core::ProbeSpec draw_probe(Prng& prng, std::string name) {
  core::ProbeSpec probe;
  probe.name = std::move(name);
  probe.url = "http://:8080/health";
  probe.port = 8080;
  probe.http.target = "/health";
  probe.interval = prng.between(2s, 15s);
  probe.timeout = prng.between(500ms, 3s);
  probe.fall = 1 + prng.below(5);
  probe.rise = 1 + prng.below(3);
  return probe;
}

}  // namespace

core::ContainerId draw_id(Prng& prng) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string hex;
  hex.reserve(64);
  for (int word = 0; word < 4; ++word) {
    std::uint64_t bits = prng.next();
    for (int i = 0; i < 16; ++i, bits >>= 4U) hex.push_back(digits[bits & 15U]);
  }
  return *core::ContainerId::parse(hex);
}

Blueprint draw_blueprint(Prng& prng, const std::string& project, const std::string& service,
                         unsigned replica) {
  Blueprint b;
  b.info.image = "image";
  b.info.key = {project, service, replica};
  b.profile = draw_profile(prng);
  b.info.settings = draw_settings(prng);
  b.info.auto_remove = prng.chance(20'000);
  b.info.swarm_task = prng.chance(20'000);
  b.info.stop_timeout = prng.between(1s, 15s);
  constexpr std::array policies{core::RestartPolicy::no, core::RestartPolicy::on_failure,
                                core::RestartPolicy::always, core::RestartPolicy::unless_stopped};
  b.info.restart_policy = policies[prng.below(4)];
  if (b.info.auto_remove) b.info.restart_policy = core::RestartPolicy::no;
  const std::uint32_t watch = prng.below(10);  // by whom: health check, probe, both, nobody
  if (watch < 8) {
    core::HealthCheck check;
    check.interval = prng.between(2s, 30s);
    check.timeout = prng.between(1s, 5s);
    check.start_period = prng.chance(500'000) ? prng.between(1s, 60s) : 0s;
    check.retries = 1 + prng.below(4);
    b.info.health_check = check;
  }
  if (watch >= 6 && watch < 9) {
    b.info.settings.probes.push_back(draw_probe(prng, "a"));
    if (prng.chance(200'000)) b.info.settings.probes.push_back(draw_probe(prng, "b"));
  }
  if (prng.chance(30'000))
    b.info.warnings.emplace_back("sentinel.heal.budget: \"lots\" is not like 5/15m");
  return b;
}

std::shared_ptr<const core::ContainerInfo> build(const Blueprint& blueprint, Prng& prng,
                                                 const std::string& name, std::int64_t created) {
  auto info = std::make_shared<core::ContainerInfo>(blueprint.info);
  info->id = draw_id(prng);
  info->name = name;
  info->created = created;
  return info;
}

bool may_be_healed(const core::ContainerInfo& info) {
  return info.settings.enabled && !info.own && !info.swarm_task && !info.auto_remove &&
         !info.settings.ladder.empty();
}

}  // namespace sentinel::sim
