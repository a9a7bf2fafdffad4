// Own probes: fall and rise, the fast interval, warnings, and answers that are lost.

#include <catch2/catch_test_macros.hpp>

#include "sim/scripted.hpp"

using namespace sentinel::sim;
using namespace std::chrono_literals;

namespace {

void with_probe(ContainerInfo& info) {
  ProbeSpec probe;
  probe.name = "http";
  probe.url = "http://:8080/health";
  probe.port = 8080;
  info.settings.probes = {probe};  // 5 s, 1 s while pending, fall 3, rise 2
}

ContainerId probed(Script& s, bool health_check = false, Duration delay = {}) {
  const auto web = s.add("web", [&](ContainerInfo& info) {
    with_probe(info);
    info.settings.delay = delay;
    if (!health_check) info.health_check.reset();
  });
  s.connect();
  s.run(10s);
  REQUIRE(s.state("web") == State::healthy);
  return web;
}

}  // namespace

TEST_CASE("a probe fails `fall` times before it counts, at the fast interval") {
  Script s;
  const auto web = probed(s);
  s.run(20s);
  s.probe_says[web] = Verdict::fail;
  const auto before = s.probes.size();
  REQUIRE(s.run_until([&] { return s.probes.size() == before + 1; }, 6s));
  const Time first = s.now();
  s.run(100ms);
  CHECK(s.state("web") == State::healthy);
  REQUIRE(s.run_until([&] { return s.state("web") != State::healthy; }, 5s));
  // A start is up to a twentieth of its interval after its slot.
  CHECK(s.now() - first >= 2s - 260ms);
  CHECK(s.now() - first <= 2s + 60ms);
  CHECK(s.transitions.back().probe_reason == ProbeReason::refused);
  CHECK(s.transitions.back().reason.find("connection refused") != std::string::npos);
  s.run(100ms);
  CHECK(s.sent(web) == 1);
}

TEST_CASE("one or two failures of a probe are nothing") {
  Script s;
  const auto web = probed(s);
  const auto before = s.transitions.size();
  for (int round = 0; round < 20; ++round) {
    s.probe_says[web] = Verdict::fail;
    const auto asked = s.probes.size();
    REQUIRE(s.run_until([&] { return s.probes.size() == asked + 2; }, 20s));
    s.run(10ms);
    s.probe_says[web] = Verdict::pass;
    s.run(10s);
  }
  CHECK(s.transitions.size() == before);
  CHECK(s.operations.empty());
}

TEST_CASE("a restart cures what a probe found, and the probe verifies it") {
  Script s;
  const auto web = probed(s);
  s.probe_says[web] = Verdict::fail;
  REQUIRE(s.run_until([&] { return s.sent(web) == 1; }, 15s));
  s.probe_says[web] = Verdict::pass;
  s.run(30s);
  CHECK(s.state("web") == State::healthy);
  CHECK(s.count(NoticeKind::healed) == 1);
  CHECK(s.sent(web) == 1);
}

TEST_CASE("what was answered just before its restart waits for the next answer") {
  Script s;
  const auto web = probed(s, false, 5500ms);
  s.probe_says[web] = Verdict::fail;
  REQUIRE(s.run_until([&] { return s.state("web") == State::unhealthy; }, 15s));
  // The next result comes after 5 s and the one behind it after 6 s; it takes both to be well.
  s.probe_says[web] = Verdict::pass;
  REQUIRE(s.run_until([&] { return s.view("web").phase == "preparing"; }, 6s));
  s.run(100ms);
  REQUIRE(s.view("web").phase == "preparing");
  CHECK(s.operations.empty());
  SECTION("it is well") {
    s.run(1min);
    CHECK(s.state("web") == State::healthy);
    CHECK(s.operations.empty());
    REQUIRE(s.count(NoticeKind::heal_abandoned) == 1);
    CHECK(s.view("web").budget_remaining == 5);
  }
  SECTION("it fails again") {
    s.probe_says[web] = Verdict::fail;
    REQUIRE(s.run_until([&] { return s.sent(web) == 1; }, 2s));
  }
}

TEST_CASE("what fails every other time is restarted") {
  Script s;
  const auto web = probed(s, false, 20s);
  s.probe_says[web] = Verdict::fail;
  REQUIRE(s.run_until([&] { return s.state("web") == State::unhealthy; }, 15s));
  REQUIRE(s.operations.empty());
  for (int i = 0; i < 60 && s.sent(web) == 0; ++i) {
    s.probe_says[web] = i % 2 == 0 ? Verdict::pass : Verdict::fail;
    const auto before = s.probes.size();
    REQUIRE(s.run_until([&] { return s.probes.size() > before; }, 10s));
    s.run(10ms);
  }
  CHECK(s.sent(web) == 1);
}

TEST_CASE("a probe ends the verification before the health check does") {
  Script s;
  const auto web = probed(s, true);
  s.boot = 1min;  // until the health check says so
  s.turns(web, EngineHealth::unhealthy);
  s.probe_says[web] = Verdict::pass;
  REQUIRE(s.run_until([&] { return s.count(NoticeKind::healed) == 1; }, 20s));
  CHECK(s.state("web") == State::healthy);
}

TEST_CASE("a warning is degraded: told, not healed") {
  Script s;
  const auto web = probed(s);
  s.probe_says[web] = Verdict::warn;
  s.run(10s);
  CHECK(s.state("web") == State::degraded);
  s.run(24h);
  CHECK(s.operations.empty());
  s.probe_says[web] = Verdict::pass;
  s.run(10s);
  CHECK(s.state("web") == State::healthy);
}

TEST_CASE("a prober that does not answer is asked again and blamed itself") {
  Script s;
  const auto web = probed(s);
  s.hold_probes = true;
  const auto before = s.probes.size();
  s.run(1h);
  CHECK(s.probes.size() > before + 10);
  CHECK(s.state("web") == State::healthy);
  CHECK(s.operations.empty());
  // Answers to older runs are ignored.
  ProbeFinished late;
  late.token = s.probes[before].token;
  late.outcome.reason = ProbeReason::refused;
  for (int i = 0; i < 10; ++i) s.feed(late);
  s.run(1s);
  CHECK(s.state("web") == State::healthy);
  CHECK(s.sent(web) == 0);
}

TEST_CASE("a probe without an address cannot run, and says so once") {
  Script s;
  const auto web = s.add("web", with_probe);
  s.status(web).address.clear();
  s.connect();
  s.run(1h);
  CHECK(s.probes.empty());
  CHECK(s.state("web") == State::healthy);
  CHECK(s.count(NoticeKind::label_warning) == 1);
}

TEST_CASE("probes rest while the container is paused or the Engine is away") {
  Script s;
  const auto web = probed(s);
  s.paused(web);
  s.run(1s);
  const auto paused = s.probes.size();
  s.run(1h);
  CHECK(s.probes.size() == paused);
  s.unpaused(web);
  s.run(1min);
  CHECK(s.probes.size() > paused + 5);
  s.lose_engine();
  const auto lost = s.probes.size();
  s.run(1h);
  CHECK(s.probes.size() <= lost + 1);
}

TEST_CASE("what failed because of a pause is forgotten when it ends") {
  Script s;
  const auto web = probed(s);
  // The pause is known late: by then the probes have failed often enough.
  s.hold_inspects = true;
  s.deaf = true;
  s.paused(web);
  s.probe_says[web] = Verdict::fail;
  REQUIRE(s.run_until([&] { return s.state("web") == State::unhealthy; }, 20s));
  s.hold_inspects = false;
  s.deaf = false;
  s.list();
  s.run(1min);  // an inspect that was held has to run out
  CHECK(s.view("web").overlays.paused);
  s.probe_says[web] = Verdict::pass;
  s.run(10min);
  s.unpaused(web);
  s.run(1min);
  CHECK(s.operations.empty());
  CHECK(s.state("web") == State::healthy);

  // What it says afterwards counts again.
  s.probe_says[web] = Verdict::fail;
  REQUIRE(s.run_until([&] { return s.sent(web) == 1; }, 20s));
}

TEST_CASE("probes that fail while a pause is being looked into are no illness") {
  Script s;
  const auto web = probed(s);
  const auto before = s.transitions.size();
  s.hold_inspects = true;
  s.probe_says[web] = Verdict::fail;
  s.paused(web);
  s.run(9s);
  CHECK(s.transitions.size() == before);
  s.unpaused(web);
  s.probe_says[web] = Verdict::pass;
  s.hold_inspects = false;
  s.run(1min);
  CHECK(s.transitions.size() == before);
  CHECK(s.operations.empty());

  // The Engine never says how it is: it is probed again all the same.
  s.hold_inspects = true;
  s.paused(web);
  s.run(2min);
  const auto probed_before = s.probes.size();
  s.run(1min);
  CHECK(s.probes.size() > probed_before);
}

TEST_CASE("after a long pause missed probes are skipped, not made up for") {
  Script s;
  probed(s);
  const auto before = s.probes.size();
  Actions actions;
  s.core().on(Tick{}, s.now() + 1h, actions);
  const auto started = std::ranges::count_if(
      actions, [](const Action& a) { return std::holds_alternative<StartProbe>(a); });
  CHECK(started <= 1);
  CHECK(s.probes.size() == before);
}

TEST_CASE("heal.on without probe: the failure is told and left alone") {
  Script s;
  const auto web = s.add("web", [](ContainerInfo& info) {
    with_probe(info);
    info.settings.heal_on.probe = false;
  });
  s.connect();
  s.run(10s);
  s.probe_says[web] = Verdict::fail;
  s.run(1h);
  CHECK(s.operations.empty());
  CHECK(s.state("web") == State::unhealthy);
  CHECK(s.count(NoticeKind::left_alone) == 1);
}
