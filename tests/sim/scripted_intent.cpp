// People's will and other keepers: what is paused, stopped, removed, replaced or not ours is left
// alone.

#include <algorithm>
#include <catch2/catch_test_macros.hpp>

#include "sim/scripted.hpp"

using namespace sentinel::sim;
using namespace std::chrono_literals;

namespace {

/// A service whose restart is pending for another 20 s.
ContainerId pending(Script& s, const Script::Tweak& tweak = {}) {
  const auto web = s.add("web", [&](ContainerInfo& info) {
    info.settings.delay = 30s;
    if (tweak) tweak(info);
  });
  s.connect();
  s.turns(web, EngineHealth::unhealthy);
  s.run(10s);
  REQUIRE(s.operations.empty());
  REQUIRE(s.view("web").next_attempt.has_value());
  return web;
}

}  // namespace

TEST_CASE("paused while a restart is pending: left alone until it is unpaused") {
  Script s;
  const auto web = pending(s);
  s.paused(web);
  s.run(1h);
  CHECK(s.operations.empty());
  CHECK(s.view("web").overlays.paused);
  CHECK(s.view("web").decision.find("paused") != std::string::npos);
  s.unpaused(web);
  s.run(2min);
  CHECK(s.sent(web) == 1);
}

TEST_CASE("what a pause calls unhealthy is not healed before a check has said so") {
  Script s;
  const auto web = s.add("web");
  s.connect();
  s.run(1min);
  const auto before = s.transitions.size();
  s.paused(web);
  s.run(1h);
  s.unpaused(web);
  SECTION("a check passes, late") {
    s.run(20min);
    CHECK(s.operations.empty());
    CHECK(s.state("web") == State::healthy);
    CHECK(s.view("web").reason == "not checked since it was paused");
    s.turns(web, EngineHealth::healthy);
    s.run(1s);
    CHECK(s.view("web").reason == "health check passes");
    CHECK(s.transitions.size() == before);
  }
  SECTION("checks fail, of which no event tells") {
    s.run(10s);
    s.set_health(web, EngineHealth::unhealthy);
    s.run(2min);
    CHECK(s.sent(web) == 1);
  }
  SECTION("it is restarted by others: what it was paused with is over") {
    s.starts(web);
    s.run(5s);
    s.turns(web, EngineHealth::unhealthy);
    s.run(1s);
    CHECK(s.sent(web) == 1);
  }
}

TEST_CASE("stopped by hand while a restart is pending: stays stopped") {
  Script s;
  const auto web = pending(s);
  s.stopped_by_person(web);
  s.run(24h);
  CHECK(s.operations.empty());
  CHECK(s.state("web") == State::stopped);
}

TEST_CASE("removed while a restart is pending: forgotten without an alarm") {
  Script s;
  const auto web = pending(s);
  s.removed(web);
  s.run(1min);
  CHECK(s.operations.empty());
  CHECK(s.count(NoticeKind::heal_failed) == 0);
  CHECK(s.state("web") == State::stopped);
  s.run(15min);
  CHECK_FALSE(s.is_known("web"));
  CHECK(s.count(NoticeKind::service_removed) == 1);
}

TEST_CASE("renamed while a restart is pending: still the same container, healed once") {
  Script s;
  const auto web = pending(s);
  s.renamed(web, "web_old");
  s.run(1min);
  CHECK(s.sent(web) == 1);
  CHECK(s.view("web").container_name == "web_old");
}

TEST_CASE("recreated while a restart is pending: neither the old nor the new one is touched") {
  Script s;
  const auto old = pending(s);
  // Compose: create, stop the old one, remove it, rename, start.
  const auto fresh = s.add("web", [](ContainerInfo& info) { info.settings.delay = 30s; });
  s.status(fresh).run = RunState::created;
  s.status(fresh).started_at = 0;
  s.run(1s);
  s.stopped_by_person(old);
  s.removed(old);
  s.run(1s);
  s.starts(fresh);
  s.run(4s);
  s.turns(fresh, EngineHealth::healthy);
  s.run(10min);
  CHECK(s.operations.empty());
  CHECK(s.state("web") == State::healthy);
  CHECK(s.view("web").container == fresh);
}

TEST_CASE("what a restart has cost survives recreation") {
  Script s;
  const auto old = s.add("web");
  s.connect();
  s.turns(old, EngineHealth::unhealthy);
  s.run(1min);
  REQUIRE(s.view("web").budget_remaining == 4);
  s.stopped_by_person(old);
  s.removed(old);
  const auto fresh = s.add("web");
  s.run(1min);
  CHECK(s.view("web").container == fresh);
  CHECK(s.view("web").budget_remaining == 4);
}

TEST_CASE("stopped by hand during the verification: abandoned") {
  Script s;
  const auto web = s.add("web");
  s.connect();
  s.boot = 30s;
  s.turns(web, EngineHealth::unhealthy);
  s.run(10s);
  REQUIRE(s.view("web").phase == "verifying");
  s.stopped_by_person(web);
  s.run(1h);
  CHECK(s.sent(web) == 1);
  CHECK(s.state("web") == State::stopped);
  CHECK(s.count(NoticeKind::heal_failed) == 0);
  CHECK(s.kept.empty());
}

TEST_CASE("removed while it is being restarted: gone, no retry and no false alarm") {
  Script s;
  const auto web = asked_to_restart(s);
  s.removed(web);
  s.answer(s.operations[0], OperationResult::failed, "is marked for removal");
  s.run(1h);
  CHECK(s.operations.size() == 1);
  CHECK(s.count(NoticeKind::heal_failed) == 0);
  CHECK(s.core().operations_in_flight() == 0);
}

TEST_CASE("maintenance holds healing until it ends") {
  Script s;
  const auto web = s.add("web");
  s.connect();
  s.feed(SetMaintenance{{"", "web", 1}, 30min});
  s.turns(web, EngineHealth::unhealthy);
  s.run(29min);
  CHECK(s.operations.empty());
  CHECK(s.view("web").overlays.maintenance);
  CHECK(s.state("web") == State::unhealthy);
  s.run(5min);
  CHECK(s.sent(web) == 1);
  CHECK(s.count(NoticeKind::maintenance_ended) == 1);
}

TEST_CASE("maintenance can be ended early and survives a restart of the process") {
  Script s;
  const auto web = s.add("web");
  s.connect();
  s.feed(SetMaintenance{{"", "web", 1}, 24h});
  s.turns(web, EngineHealth::unhealthy);
  s.run(1min);
  REQUIRE(s.records.at({"", "web", 1}).maintenance_left > 23h);

  Script again{{}, s.restored()};
  const auto same = again.add("web");
  again.set_health(same, EngineHealth::unhealthy);
  again.connect();
  again.run(1h);
  CHECK(again.operations.empty());
  again.feed(SetMaintenance{{"", "web", 1}, 0s});
  again.run(1min);
  CHECK(again.sent(same) == 1);
}

TEST_CASE("an exit that somebody wanted is no failure") {
  Script s;
  const auto web = s.add("web", [](ContainerInfo& info) { info.settings.heal_on.exited = true; });
  s.connect();
  s.stopped_by_person(web, 137);
  s.run(24h);
  CHECK(s.operations.empty());
  CHECK(s.state("web") == State::stopped);
}

TEST_CASE("an exit with success is no failure") {
  Script s;
  const auto job = s.add("job", [](ContainerInfo& info) { info.settings.heal_on.exited = true; });
  s.connect();
  s.exits(job, 0);
  s.run(1h);
  CHECK(s.operations.empty());
  CHECK(s.state("job") == State::stopped);
}

TEST_CASE("a crash is healed where heal.on names exited, and reported where it does not") {
  Script s;
  const auto yes = s.add("yes", [](ContainerInfo& info) { info.settings.heal_on.exited = true; });
  const auto no = s.add("no");
  s.connect();
  s.exits(yes, 1);
  s.exits(no, 1);
  s.run(1min);
  CHECK(s.sent(yes, Step::start) == 1);
  CHECK(s.state("yes") == State::healthy);
  CHECK(s.sent(no) == 0);
  CHECK(s.state("no") == State::unhealthy);
  REQUIRE(s.count(NoticeKind::left_alone) == 1);
  CHECK(s.last(NoticeKind::left_alone)->text.find("exited") != std::string::npos);
}

TEST_CASE(
    "an exit nobody saw, with a signal's code, counts as wanted; with another code as a crash") {
  Script s;
  const auto heal = [](ContainerInfo& info) { info.settings.heal_on.exited = true; };
  const auto term = s.add("term", heal);
  const auto crash = s.add("crash", heal);
  s.connect();
  s.deaf = true;
  s.exits(term, 143);
  s.exits(crash, 3);
  s.deaf = false;
  s.list();
  s.run(1min);
  CHECK(s.sent(term) == 0);
  CHECK(s.state("term") == State::stopped);
  CHECK(s.sent(crash) == 1);
}

TEST_CASE("running out of memory is told, and is not a wanted exit") {
  Script s;
  const auto web = s.add("web", [](ContainerInfo& info) { info.settings.heal_on.exited = true; });
  s.connect();
  s.exits(web, 137, true);
  s.run(1min);
  CHECK(s.count(NoticeKind::oom_killed) == 1);
  CHECK(s.sent(web, Step::start) == 1);
}

TEST_CASE("the Engine's restart policy is let work") {
  Script s;
  const auto web = s.add("web", [](ContainerInfo& info) { info.settings.heal_on.exited = true; });
  s.connect();
  s.exits(web, 1);
  s.status(web).run = RunState::restarting;
  s.run(20s);
  CHECK(s.operations.empty());
  s.starts(web);
  s.run(1s);
  s.turns(web, EngineHealth::healthy);
  s.run(1min);
  CHECK(s.operations.empty());
  CHECK(s.state("web") == State::healthy);
}

TEST_CASE("what is not ours is never touched") {
  Script s;
  const auto unwatched =
      s.add("unwatched", [](ContainerInfo& info) { info.settings.enabled = false; });
  const auto own = s.add("own", [](ContainerInfo& info) { info.own = true; });
  const auto swarm = s.add("swarm", [](ContainerInfo& info) { info.swarm_task = true; });
  const auto remove = s.add("remove", [](ContainerInfo& info) { info.auto_remove = true; });
  const auto observed = s.add("observed", [](ContainerInfo& info) { info.settings.ladder = {}; });
  const auto probe_only =
      s.add("probe-only", [](ContainerInfo& info) { info.settings.heal_on.unhealthy = false; });
  s.connect();
  for (const auto& id : {unwatched, own, swarm, remove, observed, probe_only})
    s.turns(id, EngineHealth::unhealthy);
  s.run(48h);
  CHECK(s.operations.empty());
  CHECK_FALSE(s.is_known("unwatched"));
  for (const char* name : {"swarm", "remove", "observed", "probe-only"}) {
    CHECK(s.state(name) == State::unhealthy);
    CHECK(s.view(name).decision.find("left alone") != std::string::npos);
  }
}

TEST_CASE("somebody else's restart meanwhile is seen and not repeated") {
  Script s;
  const auto web = pending(s);
  s.stopped_by_person(web);
  s.starts(web);
  s.run(4s);
  s.turns(web, EngineHealth::healthy);
  s.run(1h);
  CHECK(s.operations.empty());
  CHECK(s.state("web") == State::healthy);
}

TEST_CASE("a health check that fails while somebody stops the container is no illness") {
  Script s;
  const auto web = s.add("web", [](ContainerInfo& info) { info.settings.heal_on.exited = true; });
  s.connect();
  s.feed(Hint{web, HintKind::kill});
  s.run(30ms);
  s.turns(web, EngineHealth::unhealthy);
  s.run(150ms);
  CHECK(s.state("web") == State::healthy);
  CHECK(s.view("web").decision.find("somebody is stopping it") != std::string::npos);
  s.exits(web, 137);
  s.feed(Hint{web, HintKind::stop});
  s.run(24h);
  CHECK(s.operations.empty());
  CHECK(s.intents.empty());
  CHECK(s.state("web") == State::stopped);
  CHECK(std::ranges::none_of(s.transitions,
                             [](const Transition& t) { return t.to == State::unhealthy; }));
}

TEST_CASE("probes that fail while somebody stops the container are no illness") {
  Script s;
  const auto web = s.add("web", [](ContainerInfo& info) {
    info.settings.probes.push_back({});
    info.settings.probes.back().name = "http";
    info.stop_timeout = 1min;
  });
  s.connect();
  s.run(1min);
  s.feed(Hint{web, HintKind::kill});
  s.probe_says[web] = Verdict::fail;  // it closes its port, then ends its work
  s.run(1min);
  CHECK(s.operations.empty());
  CHECK(s.state("web") == State::healthy);
  s.exits(web, 0);
  s.feed(Hint{web, HintKind::stop});
  s.run(1h);
  CHECK(s.operations.empty());
  CHECK(s.state("web") == State::stopped);
}

TEST_CASE("somebody stops it while the intent to heal it is being stored: not sent, not charged") {
  Script s;
  const auto web = s.add("web");
  s.connect();
  s.hold_store = true;
  s.turns(web, EngineHealth::unhealthy);
  s.run(10ms);
  REQUIRE(s.intents.size() == 1);
  s.feed(Hint{web, HintKind::kill});
  s.feed(IntentStored{s.intents[0].intent.op, true});
  s.run(9s);
  CHECK(s.operations.empty());
  CHECK(s.forgotten == std::vector{s.intents[0].intent.op});
  CHECK(s.core().operations_in_flight() == 0);
  s.exits(web, 137);
  s.feed(Hint{web, HintKind::stop});
  s.run(24h);
  CHECK(s.operations.empty());
  CHECK(s.state("web") == State::stopped);
  CHECK(s.view("web").budget_remaining == 5);
}

TEST_CASE("an attempt that becomes due while somebody stops the container is held") {
  Script s;
  const auto web = pending(s, [](ContainerInfo& info) { info.stop_timeout = 5min; });
  s.feed(Hint{web, HintKind::kill});
  s.run(5min);
  CHECK(s.operations.empty());
  CHECK(s.state("web") == State::unhealthy);
  s.exits(web, 137);
  s.feed(Hint{web, HintKind::stop});
  s.run(1h);
  CHECK(s.operations.empty());
  CHECK(s.state("web") == State::stopped);
}

TEST_CASE("a signal that ends nothing holds healing no longer than a stop could take") {
  Script s;
  const auto web = s.add("web");
  s.connect();
  s.feed(Hint{web, HintKind::kill});
  s.run(1s);
  s.turns(web, EngineHealth::unhealthy);
  s.run(23s);  // stop timeout 10 s, 15 s beyond it
  CHECK(s.operations.empty());
  CHECK(s.state("web") == State::healthy);
  s.run(2s);
  CHECK(s.sent(web) == 1);
  s.run(1min);
  CHECK(s.state("web") == State::healthy);
}

TEST_CASE("signals again and again do not hold healing for ever") {
  Script s;
  const auto web = s.add("web");
  s.connect();
  s.turns(web, EngineHealth::unhealthy);
  s.feed(Hint{web, HintKind::kill});
  for (unsigned i = 0; i < 9 && s.operations.empty(); ++i) {
    s.run(7s);
    s.feed(Hint{web, HintKind::kill});
  }
  CHECK(s.sent(web) == 1);
}

TEST_CASE("a restart by somebody is over once the next run is seen") {
  Script s;
  const auto web = s.add("web");
  s.connect();
  s.stopped_by_person(web);
  s.starts(web);
  s.run(1s);
  s.turns(web, EngineHealth::unhealthy);
  s.run(1s);
  CHECK(s.sent(web) == 1);
}

TEST_CASE("a second stop during our restart is interference, and is told") {
  Script s;
  const auto web = asked_to_restart(s);
  for (const auto kind :
       {HintKind::kill, HintKind::kill, HintKind::die, HintKind::stop, HintKind::stop}) {
    s.feed(Hint{web, kind});
  }
  CHECK(s.count(NoticeKind::interference) == 1);
}

TEST_CASE("a late stop event of our own operation is nobody's will") {
  Script s;
  const auto web = s.add("web", [](ContainerInfo& info) { info.settings.backoff.min = 30s; });
  s.connect();
  s.manual = true;
  s.turns(web, EngineHealth::unhealthy);
  s.run(10ms);
  REQUIRE(s.operations.size() == 1);
  s.exits(web, 128);
  s.answer(s.operations[0], OperationResult::failed, "cannot start");
  s.run(10s);
  s.feed(Hint{web, HintKind::stop});  // its start failed; the stop before it is heard of only now
  s.manual = false;
  s.run(1min);
  CHECK(s.state("web") == State::healthy);
}

TEST_CASE("a stop event heard after the next start does not count against a later heal") {
  Script s;
  const auto web = s.add("web");
  s.connect();
  s.turns(web, EngineHealth::unhealthy);
  s.run(10s);
  REQUIRE(s.state("web") == State::healthy);
  s.feed(Hint{web, HintKind::stop});
  s.run(1min);
  s.manual = true;
  s.turns(web, EngineHealth::unhealthy);
  s.run(10s);
  REQUIRE(s.operations.size() == 2);
  s.exits(web, 128);
  s.answer(s.operations[1], OperationResult::failed, "cannot start");
  s.manual = false;
  s.run(2min);
  CHECK(s.state("web") == State::healthy);
}
