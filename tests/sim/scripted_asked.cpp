// What a person asks for: a restart now, an end of a quarantine.

#include <catch2/catch_test_macros.hpp>

#include "sim/scripted.hpp"

using namespace sentinel::sim;
using namespace std::chrono_literals;

namespace {

const ServiceKey web_key{"", "web", 1};

void observed(ContainerInfo& info) { info.settings.ladder.clear(); }

std::string problem(Script& s) { return s.core().restart_problem(s.view("web").id); }

/// In quarantine after three restarts that did not help.
ContainerId quarantined(Script& s) {
  const auto web = s.add("web", [](ContainerInfo& info) { info.settings.budget = {3, 15min}; });
  s.connect();
  s.cured[web] = false;
  s.turns(web, EngineHealth::unhealthy);
  REQUIRE(s.run_until([&] { return s.state("web") == State::quarantined; }, 1h));
  REQUIRE(s.sent(web) == 3);
  return web;
}

}  // namespace

TEST_CASE("a restart that is asked for happens at once, once, and counts") {
  Script s;
  const auto web = s.add("web");
  s.connect();
  s.run(1min);
  const auto budget = s.view("web").budget_remaining;
  s.feed(RestartService{web_key, "root: stuck"});
  s.run(1min);
  CHECK(s.sent(web, Step::restart) == 1);
  REQUIRE(s.intents.size() == 1);
  CHECK(s.intents[0].intent.asked);
  CHECK(s.kept.empty());
  REQUIRE(s.count(NoticeKind::restart_asked) == 1);
  CHECK(s.last(NoticeKind::restart_asked)->text == "a restart of web was asked for by root: stuck");
  CHECK(s.last(NoticeKind::heal_started)->text ==
        "restarting web, as was asked for (restart 1 of 5)");
  CHECK(s.count(NoticeKind::healed) == 1);
  CHECK(s.view("web").budget_remaining == budget - 1);
  CHECK(s.state("web") == State::healthy);
  s.run(1h);
  CHECK(s.sent(web) == 1);
  CHECK(s.core().operations_in_flight() == 0);
}

TEST_CASE("a restart that is asked for is done with no budget left, and says so") {
  Script s;
  const auto web = s.add("web", [](ContainerInfo& info) { info.settings.budget = {1, 15min}; });
  s.connect();
  for (unsigned i = 1; i <= 3; ++i) {
    s.feed(RestartService{web_key, {}});
    s.run(1min);
    CHECK(s.sent(web) == i);
  }
  CHECK(s.last(NoticeKind::heal_started)->text.ends_with("(beyond its budget of 1)"));
  CHECK(s.state("web") == State::healthy);
  s.turns(web, EngineHealth::unhealthy);
  s.run(1min);
  CHECK(s.state("web") == State::quarantined);
  CHECK(s.sent(web) == 3);
}

TEST_CASE("maintenance and heal=none hold what Sentinel decides, not what a person asks for") {
  Script s;
  const auto web = s.add("web", observed);
  s.connect();
  s.feed(SetMaintenance{web_key, 1h});
  s.feed(RestartService{web_key, {}});
  s.run(1min);
  CHECK(s.sent(web, Step::restart) == 1);
  CHECK(s.state("web") == State::healthy);
}

TEST_CASE("a restart that is asked for and does not help is not repeated against the policy") {
  Script s;
  const auto web = s.add("web", observed);
  s.connect();
  s.cured[web] = false;
  s.feed(RestartService{web_key, {}});
  s.run(3h);
  CHECK(s.sent(web) == 1);
  REQUIRE(s.count(NoticeKind::heal_failed) == 1);
  CHECK(s.last(NoticeKind::heal_failed)
            ->text.starts_with("the restart of web that was asked for failed: "));
  CHECK(s.state("web") == State::unhealthy);
  CHECK(s.core().operations_in_flight() == 0);
}

TEST_CASE("a restart that is asked for while one is pending comes in its place") {
  Script s;
  const auto web = s.add("web", [](ContainerInfo& info) { info.settings.delay = 30s; });
  s.connect();
  s.turns(web, EngineHealth::unhealthy);
  s.run(5s);
  REQUIRE(s.operations.empty());
  REQUIRE(problem(s).empty());
  s.feed(RestartService{web_key, {}});
  s.run(2s);
  CHECK(s.sent(web) == 1);
  s.run(10min);
  CHECK(s.sent(web) == 1);
}

TEST_CASE("a restart that is asked for takes no rung of the ladder") {
  Script s;
  const auto web =
      s.add("web", [](ContainerInfo& info) { info.settings.ladder = {Rung::restart, Rung::kill}; });
  s.connect();
  s.cured[web] = false;
  s.turns(web, EngineHealth::unhealthy);
  REQUIRE(s.run_until([&] { return s.count(NoticeKind::heal_failed) == 1; }, 10min));
  s.feed(RestartService{web_key, {}});
  REQUIRE(s.run_until([&] { return s.count(NoticeKind::heal_failed) == 2; }, 10min));
  CHECK(s.sent(web, Step::restart) == 2);
  REQUIRE(s.run_until([&] { return s.sent(web, Step::kill) == 1; }, 10min));
}

TEST_CASE("what is stopped is started by a restart that is asked for") {
  Script s;
  const auto web = s.add("web");
  s.connect();
  s.stopped_by_person(web);
  s.run(1min);
  REQUIRE(s.state("web") == State::stopped);
  s.feed(RestartService{web_key, {}});
  s.run(1min);
  CHECK(s.sent(web, Step::start) == 1);
  CHECK(s.state("web") == State::healthy);
}

TEST_CASE("what cannot be restarted is not, and says why") {
  Script s;
  const auto web = s.add("web");
  s.connect();
  CHECK(problem(s).empty());
  CHECK(s.core().restart_problem(0) == "it is gone");
  s.paused(web);
  s.run(1s);
  CHECK(problem(s) == "it is paused");
  s.feed(RestartService{web_key, {}});
  s.unpaused(web);
  s.lose_engine();
  CHECK(problem(s) == "the Engine does not answer");
  s.feed(RestartService{web_key, {}});
  s.feed(RestartService{{"", "nobody", 1}, {}});
  s.regain_engine();
  s.feed(SetTargets{{Script::target("proxy", "192.0.2.1")}});
  CHECK(s.core().restart_problem(s.view("proxy").id).starts_with("it is a target of the file"));
  s.run(10min);
  CHECK(s.operations.empty());
  CHECK(s.count(NoticeKind::restart_asked) == 0);
}

TEST_CASE("a Swarm task is left to Swarm") {
  Script s;
  s.add("web", [](ContainerInfo& info) { info.swarm_task = true; });
  s.connect();
  CHECK(problem(s).contains("Swarm"));
  s.feed(RestartService{web_key, {}});
  s.run(1min);
  CHECK(s.operations.empty());
}

TEST_CASE("of two that ask, the second is told that it is being done") {
  Script s;
  const auto web = s.add("web");
  s.connect();
  s.manual = true;
  s.feed(RestartService{web_key, {}});
  s.run(1s);
  REQUIRE(s.sent(web) == 1);
  CHECK(problem(s).starts_with("a restart was asked for already"));
  s.feed(RestartService{web_key, {}});
  s.run(1s);
  CHECK(s.sent(web) == 1);
  CHECK(s.count(NoticeKind::restart_asked) == 1);
}

TEST_CASE("a restart that waits for a place is given up when it can or need not be done any more") {
  Script s{Config{.max_concurrent = 1}};
  const auto first = s.add("first");
  const auto web = s.add("web");
  s.connect();
  s.manual = true;
  s.feed(RestartService{{"", "first", 1}, {}});
  s.run(1s);
  REQUIRE(s.sent(first) == 1);
  s.feed(RestartService{web_key, {}});
  s.run(1s);
  REQUIRE(s.sent(web) == 0);
  REQUIRE(s.view("web").phase == "waiting");
  CHECK(problem(s).starts_with("a restart was asked for: it will be done as soon as"));
  std::string why;
  SECTION("paused") {
    s.paused(web);
    why = "it is paused";
  }
  SECTION("stopped") {
    s.stopped_by_person(web);
    why = "stop";
  }
  SECTION("restarted by others") {
    s.stopped_by_person(web);
    s.starts(web);
    why = "";
  }
  SECTION("removed") {
    s.removed(web);
    why = "its container was removed";
  }
  SECTION("the Engine is lost") {
    s.lose_engine();
    why = "the Engine does not answer";
  }
  s.run(1s);
  REQUIRE(s.count(NoticeKind::heal_abandoned) >= 1);
  const auto given_up = std::ranges::find_if(s.notices, [](const Notice& n) {
    return n.kind == NoticeKind::heal_abandoned && n.key == web_key;
  });
  REQUIRE(given_up != s.notices.end());
  CHECK(given_up->text.contains(why));
  CHECK(s.view("web").phase == "none");
  s.run(10min);
  CHECK(s.sent(web) == 0);
}

TEST_CASE("a restart that was asked for is taken up by the next process, heal=none or not") {
  std::optional<Restored> kept;
  {
    Script s;
    const auto web = s.add("web", observed);
    s.connect();
    s.manual = true;
    s.feed(RestartService{web_key, {}});
    s.run(1s);
    REQUIRE(s.sent(web) == 1);
    kept = s.restored();
  }
  REQUIRE(kept->intents.size() == 1);
  Script s{{}, kept};
  const auto web = s.add("web", observed);
  s.connect();
  CHECK(s.last(NoticeKind::heal_started)->text.contains("taking it up again"));
  CHECK(s.view("web").phase != "none");
  s.run(10min);
  CHECK(s.count(NoticeKind::heal_failed) + s.count(NoticeKind::healed) == 1);
  CHECK(s.sent(web) == 0);
  CHECK(s.view("web").phase == "none");
}

TEST_CASE("a service that is released from quarantine has its whole budget") {
  Script s;
  const auto web = quarantined(s);
  const auto id = s.view("web").id;
  CHECK(s.core().release_problem(id).empty());
  s.feed(ReleaseService{web_key, "root"});
  REQUIRE(s.count(NoticeKind::released) == 1);
  CHECK(s.last(NoticeKind::released)->text ==
        "web was released from quarantine by root; it has its whole budget again");
  CHECK(s.records.at(web_key).budget_left.size() == 1);  // of the restart that follows at once
  CHECK_FALSE(s.records.at(web_key).quarantined);
  CHECK(s.core().release_problem(id) == "it is not quarantined");
  CHECK(s.core().release_problem(0) == "it is gone");
  REQUIRE(s.run_until([&] { return s.state("web") == State::quarantined; }, 1h));
  CHECK(s.sent(web) == 6);
  s.feed(ReleaseService{{"", "nobody", 1}, {}});
  s.cured[web] = true;
  s.feed(ReleaseService{web_key, {}});
  s.run(1min);
  CHECK(s.sent(web) == 7);
  CHECK(s.state("web") == State::healthy);
  s.feed(ReleaseService{web_key, {}});
  CHECK(s.count(NoticeKind::released) == 2);
}

TEST_CASE("a restart that is about to happen counts when its service is released meanwhile") {
  Script s;
  const auto web = quarantined(s);
  s.hold_store = true;
  s.feed(RestartService{web_key, {}});
  REQUIRE(s.view("web").phase == "preparing");
  REQUIRE(s.sent(web) == 3);
  s.feed(ReleaseService{web_key, {}});
  REQUIRE(s.view("web").phase == "preparing");
  CHECK(s.records.at(web_key).budget_left.size() == 1);
  s.hold_store = false;
  s.run(20s);
  CHECK(s.sent(web) == 4);
  CHECK(s.last(NoticeKind::heal_started)->text ==
        "restarting web, as was asked for (restart 1 of 3)");
  REQUIRE(s.run_until([&] { return s.state("web") == State::quarantined; }, 1h));
  CHECK(s.sent(web) == 6);
}

TEST_CASE("a restart that is asked for in quarantine takes the place of a trial") {
  Script s;
  const auto web = quarantined(s);
  s.run(50min);
  REQUIRE(s.sent(web) == 3);
  s.feed(RestartService{web_key, {}});
  s.run(50min);
  CHECK(s.sent(web) == 4);
  CHECK(s.state("web") == State::quarantined);
  CHECK(s.count(NoticeKind::trial) == 0);
  s.cured[web] = true;
  s.feed(RestartService{web_key, {}});
  s.run(1min);
  CHECK(s.state("web") == State::healthy);
}
