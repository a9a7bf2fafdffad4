// Healing from the failure to its end: attempts, verification, ladder, budget, quarantine and
// trial.

#include <catch2/catch_test_macros.hpp>

#include "sim/scripted.hpp"

using namespace sentinel::sim;
using namespace std::chrono_literals;

namespace {

std::vector<State> path(const Script& s) {
  std::vector<State> states;
  states.reserve(s.transitions.size());
  for (const auto& t : s.transitions) states.push_back(t.to);
  return states;
}

bool operated(const Script& s, std::size_t times) { return s.operations.size() >= times; }

}  // namespace

TEST_CASE("an unhealthy container is restarted once and found healthy again") {
  Script s;
  const auto web = s.add("web");
  s.connect();
  REQUIRE(s.state("web") == State::healthy);
  s.turns(web, EngineHealth::unhealthy);
  s.run(1min);

  REQUIRE(s.sent(web) == 1);
  CHECK(s.operations.front().step == Step::restart);
  CHECK(s.operations.front().stop_timeout == 10s);
  CHECK(s.state("web") == State::healthy);
  CHECK(path(s) ==
        std::vector{State::healthy, State::unhealthy, State::recovering, State::healthy});
  CHECK(s.transitions.back().down_for.has_value());
  REQUIRE(s.count(NoticeKind::healed) == 1);
  CHECK(s.last(NoticeKind::healed)->result == "healthy");
  CHECK(s.last(NoticeKind::heal_acted)->result == "done");
  CHECK(s.forgotten == std::vector{s.operations.front().op});
  CHECK(s.view("web").budget_remaining == 4);
}

TEST_CASE("an operation waits for its intent and for a fresh inspect") {
  Script s;
  const auto web = s.add("web");
  s.connect();
  s.hold_store = true;
  s.turns(web, EngineHealth::unhealthy);
  s.run(10ms);
  REQUIRE(s.intents.size() == 1);
  CHECK(s.intents[0].intent.container == web);
  CHECK(s.intents[0].service.budget_left.size() == 1);
  CHECK(s.operations.empty());
  s.feed(IntentStored{s.intents[0].intent.op, true});
  CHECK(s.operations.size() == 1);
  CHECK(s.count(NoticeKind::intent_not_durable) == 0);
}

TEST_CASE("a slow store costs 250 ms and is told") {
  Script s;
  const auto web = s.add("web");
  s.connect();
  s.hold_store = true;
  s.turns(web, EngineHealth::unhealthy);
  s.run(249ms);
  CHECK(s.operations.empty());
  REQUIRE(s.run_until([&] { return operated(s, 1); }, 5ms));
  CHECK(s.count(NoticeKind::intent_not_durable) == 1);
}

TEST_CASE("a store that fails does not keep a service from being healed") {
  Script s;
  const auto web = s.add("web");
  s.connect();
  s.store_works = false;
  s.turns(web, EngineHealth::unhealthy);
  s.run(10ms);
  CHECK(s.operations.size() == 1);
  CHECK(s.count(NoticeKind::intent_not_durable) == 1);
  s.run(1min);
  CHECK(s.state("web") == State::healthy);
}

TEST_CASE("the Engine's yes is not health: verification fails at its deadline") {
  Script s;
  const auto web = s.add("web", [](ContainerInfo& info) { info.settings.verify_timeout = 40s; });
  s.connect();
  s.boot = 10min;  // never says anything in time
  s.turns(web, EngineHealth::unhealthy);
  s.run(30s);
  CHECK(s.state("web") == State::recovering);
  CHECK(s.view("web").phase == "verifying");
  CHECK(s.count(NoticeKind::healed) == 0);
  REQUIRE(s.run_until([&] { return s.count(NoticeKind::heal_failed) == 1; }, 15s));
  CHECK(s.last(NoticeKind::heal_failed)->result == "not_verified");
  CHECK(s.run_until([&] { return operated(s, 2); }, 10s));
}

TEST_CASE("a restart counts until its window of healthy time has passed, and the budget is exact") {
  Script s;
  const auto web = s.add("web", [](ContainerInfo& info) { info.settings.budget = {3, 15min}; });
  s.connect();
  s.cured[web] = false;
  s.turns(web, EngineHealth::unhealthy);
  s.run(55min);
  CHECK(s.sent(web) == 3);
  CHECK(s.state("web") == State::quarantined);
  CHECK(s.count(NoticeKind::quarantined) == 1);
  CHECK(s.view("web").budget_remaining == 0);
  CHECK(s.view("web").next_attempt.has_value());
  CHECK_FALSE(s.view("web").decision.empty());

  // One trial each hour, and nothing else.
  const Time since = s.now();
  REQUIRE(s.run_until([&] { return operated(s, 4); }, 1h));
  CHECK(s.count(NoticeKind::trial) == 1);
  CHECK(s.intents.back().intent.trial);
  const Time first_trial = s.now();
  REQUIRE(s.run_until([&] { return operated(s, 5); }, 2h));
  CHECK(s.now() - first_trial >= 1h - 1s);
  CHECK(s.now() - first_trial <= 1h + 1min);
  s.run(24h - (s.now() - since));
  CHECK(s.sent(web) <= 3 + 24);
  CHECK(s.sent(web) >= 3 + 22);
  CHECK(s.state("web") == State::quarantined);
}

TEST_CASE("a trial that heals ends the quarantine, not the budget") {
  Script s;
  const auto web = s.add("web", [](ContainerInfo& info) { info.settings.budget = {2, 15min}; });
  s.connect();
  s.cured[web] = false;
  s.turns(web, EngineHealth::unhealthy);
  s.run(30min);
  REQUIRE(s.state("web") == State::quarantined);
  REQUIRE(s.sent(web) == 2);
  s.cured[web] = true;
  REQUIRE(s.run_until([&] { return s.state("web") == State::healthy; }, 1h));
  CHECK(s.sent(web) == 3);
  s.run(1min);
  // Fails again before the window of healthy time is over: straight to quarantine.
  s.turns(web, EngineHealth::unhealthy);
  s.run(10s);
  CHECK(s.state("web") == State::quarantined);
  CHECK(s.sent(web) == 3);
}

TEST_CASE("no trial is made when it is 0, and that is said") {
  Script s;
  const auto web = s.add("web", [](ContainerInfo& info) {
    info.settings.budget = {1, 15min};
    info.settings.trial = 0s;
  });
  s.connect();
  s.cured[web] = false;
  s.turns(web, EngineHealth::unhealthy);
  s.run(48h);
  CHECK(s.sent(web) == 1);
  CHECK(s.state("web") == State::quarantined);
  CHECK_FALSE(s.view("web").next_attempt.has_value());
  CHECK(s.view("web").decision.find("trial") != std::string::npos);
}

TEST_CASE("failing time never refills a budget, healthy time does") {
  Script s;
  const auto web = s.add("web", [](ContainerInfo& info) { info.settings.budget = {2, 15min}; });
  s.connect();
  s.turns(web, EngineHealth::unhealthy);
  s.run(30s);
  REQUIRE(s.state("web") == State::healthy);
  CHECK(s.view("web").budget_remaining == 1);
  s.run(14min);
  CHECK(s.view("web").budget_remaining == 1);
  s.run(2min);
  CHECK(s.view("web").budget_remaining == 2);

  s.cured[web] = false;
  s.turns(web, EngineHealth::unhealthy);
  s.run(12h);
  CHECK(s.view("web").budget_remaining == 0);
  CHECK(s.sent(web) == 3 + s.count(NoticeKind::trial));
}

TEST_CASE("attempts are spaced by a growing back-off from the second on") {
  Script s;
  const auto web = s.add("web", [](ContainerInfo& info) {
    info.settings.backoff = {10s, 60s};
    info.settings.verify_timeout = 20s;
  });
  s.connect();
  s.cured[web] = false;
  s.turns(web, EngineHealth::unhealthy);
  std::vector<Duration> waits;
  for (std::size_t attempt = 1; attempt <= 5; ++attempt) {
    const Time from = s.now();
    REQUIRE(s.run_until([&] { return operated(s, attempt); }, 10min));
    waits.push_back(s.now() - from);
    REQUIRE(s.run_until([&] { return s.count(NoticeKind::heal_failed) == attempt; }, 5min));
  }
  CHECK(waits[0] < 100ms);
  CHECK(waits[1] >= 10s);
  CHECK(waits[1] <= 13s);
  CHECK(waits[2] >= 15s);
  CHECK(waits[2] <= 26s);
  CHECK(waits[3] >= 30s);
  CHECK(waits[3] <= 51s);
  CHECK(waits[4] >= 45s);
  CHECK(waits[4] <= 61s);
}

TEST_CASE("the ladder goes from restart to kill to stop, and stopped stays stopped") {
  Script s;
  const auto web = s.add("web", [](ContainerInfo& info) {
    info.settings.ladder = {Rung::restart, Rung::kill, Rung::stop};
  });
  s.connect();
  s.cured[web] = false;
  s.turns(web, EngineHealth::unhealthy);
  s.run(2h);
  std::vector<Step> steps;
  steps.reserve(s.operations.size());
  for (const auto& o : s.operations) steps.push_back(o.step);
  CHECK(steps == std::vector{Step::restart, Step::kill, Step::start, Step::stop});
  CHECK(s.state("web") == State::stopped);
  CHECK(s.kept.empty());
}

TEST_CASE("a hung process is given its stop timeout, and the wait for it is no failure") {
  Script s;
  const auto web = s.add("web", [](ContainerInfo& info) { info.settings.stop_timeout = 30s; });
  s.connect();
  s.hung[web] = true;
  s.turns(web, EngineHealth::unhealthy);
  s.run(2min);
  REQUIRE(s.sent(web) == 1);
  CHECK(s.operations.front().stop_timeout == 30s);
  CHECK(s.state("web") == State::healthy);
  CHECK(s.count(NoticeKind::heal_failed) == 0);
}

TEST_CASE("a delay is waited for, and a recovery within it is left alone") {
  Script s;
  const auto web = s.add("web", [](ContainerInfo& info) { info.settings.delay = 20s; });
  s.connect();
  s.turns(web, EngineHealth::unhealthy);
  s.run(10s);
  CHECK(s.operations.empty());
  s.turns(web, EngineHealth::healthy);
  s.run(5min);
  CHECK(s.operations.empty());
  s.turns(web, EngineHealth::unhealthy);
  s.run(19s);
  CHECK(s.operations.empty());
  s.run(2s);
  CHECK(s.operations.size() == 1);
}

TEST_CASE("failures within the start grace are left alone, later ones are not") {
  Script s;
  const auto web = s.add("web", [](ContainerInfo& info) { info.settings.start_grace = 30s; });
  s.connect();
  s.stopped_by_person(web);
  s.starts(web);
  s.run(1s);
  CHECK(s.state("web") == State::starting);
  s.turns(web, EngineHealth::unhealthy);
  s.run(25s);
  CHECK(s.state("web") == State::starting);
  CHECK(s.operations.empty());
  s.run(10s);
  CHECK(s.operations.size() == 1);
}

TEST_CASE("a restart that the Engine refuses is an attempt that failed") {
  Script s;
  asked_to_restart(s);
  s.answer(s.operations[0], OperationResult::failed, "no space left on device");
  s.run(500ms);
  REQUIRE(s.count(NoticeKind::heal_failed) == 1);
  CHECK(s.last(NoticeKind::heal_failed)->result == "engine_error");
  CHECK(s.last(NoticeKind::heal_failed)->text.find("no space left") != std::string::npos);
  CHECK(s.run_until([&] { return operated(s, 2); }, 10s));
}

TEST_CASE("restart answers 500 in D state; when it dies at last it is started") {
  Script s;
  const auto web = asked_to_restart(s);
  s.run(15s);
  s.answer(s.operations[0], OperationResult::failed, "did not receive an exit event");
  s.run(100ms);
  s.exits(web, 137);  // thawed: it stays down, even with a policy
  s.manual = false;
  s.run(1min);
  REQUIRE(s.operations.size() == 2);
  CHECK(s.operations[1].step == Step::start);
  CHECK(s.state("web") == State::healthy);
}

TEST_CASE("answers for another operation, late or repeated ones change nothing") {
  Script s;
  const auto web = asked_to_restart(s);
  const Operate first = s.operations[0];
  s.feed(OperationDone{first.op + 1, Step::restart, OperationResult::done, {}});
  s.feed(OperationDone{first.op, Step::stop, OperationResult::done, {}});
  s.run(5s);
  CHECK(s.view("web").phase == "acting");
  CHECK(s.operations.size() == 1);
  s.manual = false;
  s.starts(web);
  s.answer(first, OperationResult::done);
  s.run(2s);
  CHECK(s.view("web").phase == "verifying");
  s.answer(first, OperationResult::failed, "late and wrong");
  s.answer(first, OperationResult::done);
  s.turns(web, EngineHealth::healthy);
  s.run(1s);
  CHECK(s.state("web") == State::healthy);
  s.answer(first, OperationResult::failed, "later still");
  s.run(10min);
  CHECK(s.state("web") == State::healthy);
  CHECK(s.operations.size() == 1);
  CHECK(s.count(NoticeKind::heal_failed) == 0);
}

TEST_CASE("a lost answer is no failure: what happened is looked up before anything else") {
  Script s;
  const auto web = asked_to_restart(s);
  s.answer(s.operations[0], OperationResult::unknown, "connection reset");
  s.run(5s);
  CHECK(s.operations.size() == 1);  // the Engine may still be at it, for its stop timeout
  s.starts(web);
  s.run(4s);
  s.turns(web, EngineHealth::healthy);
  s.run(10min);
  CHECK(s.operations.size() == 1);
  CHECK(s.state("web") == State::healthy);
  CHECK(s.count(NoticeKind::healed) == 1);
}

TEST_CASE("an Engine that hung is not asked again while it may still do what it was asked") {
  Script s;
  const auto web = asked_to_restart(s);
  s.run(30s);
  s.answer(s.operations[0], OperationResult::timed_out, "no answer from the Engine within 30 s");
  s.run(14s);  // its stop timeout and a little more, since it answers again
  CHECK(s.operations.size() == 1);
  CHECK(s.count(NoticeKind::heal_failed) == 0);
  SECTION("it does it") {
    s.starts(web);
    s.run(1s);
    s.turns(web, EngineHealth::healthy);
    s.run(10min);
    CHECK(s.operations.size() == 1);
    CHECK(s.count(NoticeKind::healed) == 1);
  }
  SECTION("it does not") {
    CHECK(s.run_until([&] { return operated(s, 2); }, 1min));
    CHECK(s.count(NoticeKind::heal_failed) == 1);
  }
}

TEST_CASE("an answer that never comes cannot wedge a service") {
  Script s;
  const auto web = s.add("web");
  s.connect();
  s.manual = true;
  s.turns(web, EngineHealth::unhealthy);
  CHECK(s.run_until([&] { return operated(s, 2); }, 5min));
  CHECK(s.sent(web) == 2);
}
