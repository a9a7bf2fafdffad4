// What the facts about a container mean: the table of judgement.hpp, row by row.

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "core/judgement.hpp"

using namespace sentinel::core;

namespace {

struct Subject {
  ContainerInfo info;
  ContainerStatus status;
  Purpose purpose;
  bool in_grace = false;
  bool seen_from_start = false;
  bool unchecked = false;
  std::vector<ProbeInput> probes;
  ProbeSpec spec{.name = "http", .url = {}, .host = {}};
  std::string sentence = "connection refused";

  Subject() { status.run = RunState::running; }
  Subject& probe(std::optional<Verdict> v, bool passed = false) {
    probes.push_back({.spec = nullptr,
                      .verdict = v,
                      .passed_in_run = passed,
                      .ignored = false,
                      .reason = ProbeReason::refused});
    return *this;
  }
  Judgement judged() const {
    // Subjects are copied: point at this one's own texts.
    auto own = probes;
    for (auto& p : own) {
      p.spec = &spec;
      p.sentence = &sentence;
    }
    return judge({.status = &status,
                  .probes = own,
                  .purpose = purpose,
                  .in_grace = in_grace,
                  .run_seen_from_start = seen_from_start,
                  .unchecked = unchecked});
  }
};

Subject with(EngineHealth health) {
  Subject s;
  s.status.health = health;
  return s;
}

Subject exited(int code) {
  Subject s;
  s.status.run = RunState::exited;
  s.status.exit_code = code;
  return s;
}

}  // namespace

TEST_CASE("the Engine's health alone") {
  CHECK(with(EngineHealth::none).judged().state == State::healthy);
  CHECK(with(EngineHealth::healthy).judged().state == State::healthy);
  CHECK(with(EngineHealth::starting).judged().state == State::starting);
  auto s = with(EngineHealth::unhealthy);
  s.status.health_output = "status fail";
  const auto j = s.judged();
  CHECK(j.state == State::unhealthy);
  CHECK(j.failures.unhealthy);
  CHECK_FALSE(j.failures.probe);
  CHECK(j.reason == "health check fails: status fail");
  s.in_grace = true;
  CHECK(s.judged().state == State::starting);
  CHECK_FALSE(s.judged().failing());
}

TEST_CASE("the worst of Engine health and probes is the state") {
  CHECK(with(EngineHealth::healthy).probe(Verdict::pass).judged().state == State::healthy);
  CHECK(with(EngineHealth::healthy).probe(Verdict::warn).judged().state == State::degraded);
  CHECK(with(EngineHealth::healthy).probe(Verdict::pass).probe(Verdict::warn).judged().state ==
        State::degraded);
  const auto j = with(EngineHealth::healthy).probe(Verdict::pass).probe(Verdict::fail).judged();
  CHECK(j.state == State::unhealthy);
  CHECK(j.failures.probe);
  CHECK_FALSE(j.failures.unhealthy);
  CHECK(j.reason == "connection refused");
  CHECK(j.probe_reason == ProbeReason::refused);
  const auto both = with(EngineHealth::unhealthy).probe(Verdict::fail).judged();
  CHECK(both.failures.unhealthy);
  CHECK(both.failures.probe);
  CHECK(both.reason == "connection refused");
  CHECK(with(EngineHealth::unhealthy).probe(Verdict::pass).judged().state == State::unhealthy);
}

TEST_CASE("passing probes end `starting` early, all of them") {
  CHECK(with(EngineHealth::starting).probe(Verdict::pass).judged().state == State::healthy);
  CHECK(with(EngineHealth::starting).probe(Verdict::pass).probe(std::nullopt).judged().state ==
        State::starting);
  CHECK(with(EngineHealth::starting).probe(std::nullopt).judged().state == State::starting);
}

TEST_CASE("a probe that is not known yet is starting only in a run that began before our eyes") {
  auto s = with(EngineHealth::healthy).probe(std::nullopt);
  CHECK(s.judged().state == State::unknown);
  s.seen_from_start = true;
  CHECK(s.judged().state == State::starting);
}

TEST_CASE("a probe that fails within the grace counts only once it has passed") {
  auto s = with(EngineHealth::none).probe(Verdict::fail);
  s.in_grace = true;
  CHECK(s.judged().state == State::starting);
  auto passed = with(EngineHealth::none).probe(Verdict::fail, true);
  passed.in_grace = true;
  CHECK(passed.judged().state == State::unhealthy);
}

TEST_CASE("a probe that cannot run says nothing") {
  auto s = with(EngineHealth::healthy).probe(std::nullopt);
  s.probes[0].ignored = true;
  CHECK(s.judged().state == State::healthy);
}

TEST_CASE("an exit is on purpose or a failure") {
  SECTION("seen without a signal: a crash") {
    for (const int code : {1, 137, 143}) {
      auto s = exited(code);
      s.purpose.die_seen = true;
      CHECK(s.judged().state == State::unhealthy);
      CHECK(s.judged().failures.exited);
    }
  }
  SECTION("code 0 is an end") {
    auto s = exited(0);
    s.purpose.die_seen = true;
    CHECK(s.judged().state == State::stopped);
  }
  SECTION("stopped or killed by somebody") {
    auto s = exited(1);
    s.purpose.die_seen = true;
    s.purpose.stop_seen = true;
    CHECK(s.judged().state == State::stopped);
    auto k = exited(137);
    k.purpose.die_seen = true;
    k.purpose.signalled_before_die = true;
    CHECK(k.judged().state == State::stopped);
  }
  SECTION("not seen: the code decides") {
    CHECK(exited(137).judged().state == State::stopped);
    CHECK(exited(143).judged().state == State::stopped);
    CHECK(exited(1).judged().state == State::unhealthy);
    auto oom = exited(137);
    oom.status.oom_killed = true;
    CHECK(oom.judged().state == State::unhealthy);
  }
  SECTION("left so by a failed operation of ours: ours, whatever the code") {
    for (const int code : {0, 137}) {
      auto s = exited(code);
      s.purpose.ours = true;
      CHECK(s.judged().state == State::unhealthy);
      s.purpose.stop_seen = true;
      CHECK(s.judged().state == State::stopped);
    }
  }
}

TEST_CASE("the Engine's own restart policy is nothing to act on") {
  auto s = exited(3);
  s.status.run = RunState::restarting;
  CHECK(s.judged().state == State::unhealthy);
  CHECK(s.judged().policy_acts);
  CHECK_FALSE(s.judged().failing());
}

TEST_CASE("created, removing, dead and absent containers are stopped") {
  for (const auto run : {RunState::created, RunState::removing, RunState::dead}) {
    Subject s;
    s.status.run = run;
    CHECK(s.judged().state == State::stopped);
  }
  CHECK(judge({}).state == State::stopped);
}

TEST_CASE("what was not checked since a pause is not failing, and its probes judge") {
  auto s = with(EngineHealth::unhealthy);
  s.unchecked = true;
  CHECK(s.judged().state == State::starting);
  CHECK(s.judged().unchecked);
  CHECK_FALSE(s.judged().failing());
  CHECK(s.judged().reason == "not checked since it was paused");
  CHECK(s.probe(Verdict::pass).judged().state == State::healthy);
  CHECK(s.probe(Verdict::fail).judged().failures.probe);
}

TEST_CASE("only as many failures in a row as its retries make a running container unhealthy") {
  ContainerInfo info;
  ContainerStatus status;
  status.run = RunState::running;
  status.health = EngineHealth::unhealthy;
  CHECK_FALSE(health_unchecked(status, info));  // retries unknown: the Engine is believed
  info.health_check = HealthCheck{};
  CHECK(health_unchecked(status, info));
  status.failing_streak = 2;
  CHECK(health_unchecked(status, info));
  status.failing_streak = 3;
  CHECK_FALSE(health_unchecked(status, info));
  status.failing_streak = 0;
  status.health = EngineHealth::healthy;
  CHECK_FALSE(health_unchecked(status, info));
  status.health = EngineHealth::unhealthy;
  status.run = RunState::paused;
  CHECK_FALSE(health_unchecked(status, info));
}

TEST_CASE("a reason is bounded and cut between characters") {
  auto s = with(EngineHealth::unhealthy);
  for (int i = 0; i < 2000; ++i) s.status.health_output += "ä";
  const auto reason = s.judged().reason;
  CHECK(reason.size() < 310);
  CHECK(reason.ends_with("ä…"));
}
