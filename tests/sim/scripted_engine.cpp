// The Engine and our own process come and go; many fail at once; facts are late, lost or false.

#include <catch2/catch_test_macros.hpp>

#include "sim/scripted.hpp"

using namespace sentinel::sim;
using namespace std::chrono_literals;

namespace {

Config cap(unsigned places) {
  Config config;
  config.max_concurrent = places;
  return config;
}

Config no_storm() {
  Config config;
  config.storm_hold = 0s;
  return config;
}

std::vector<ContainerId> many(Script& s, unsigned count) {
  std::vector<ContainerId> ids;
  ids.reserve(count);
  for (unsigned i = 0; i < count; ++i) ids.push_back(s.add("s" + std::to_string(i)));
  return ids;
}

}  // namespace

TEST_CASE("nothing is judged or healed while the Engine is away") {
  Script s;
  const auto web = s.add("web");
  s.connect();
  s.lose_engine();
  CHECK(s.view("web").overlays.blind);
  s.turns(web, EngineHealth::unhealthy);
  s.run(10min);
  CHECK(s.operations.empty());
  CHECK(s.state("web") == State::healthy);
  s.regain_engine();
  CHECK_FALSE(s.view("web").overlays.blind);
  s.run(1min);
  CHECK(s.sent(web) == 1);
  CHECK(s.count(NoticeKind::engine_down) == 1);
  CHECK(s.count(NoticeKind::engine_up) == 2);
}

TEST_CASE("the Engine is lost in mid-restart and the restart had happened: not repeated") {
  Script s;
  const auto web = asked_to_restart(s);
  s.lose_engine();
  s.answer(s.operations[0], OperationResult::unknown, "connection lost");
  s.run(30s);
  s.starts(web);
  s.regain_engine();
  s.run(5s);
  s.turns(web, EngineHealth::healthy);
  s.run(30min);
  CHECK(s.operations.size() == 1);
  CHECK(s.state("web") == State::healthy);
}

TEST_CASE(
    "the Engine is killed in mid-restart and leaves the container down: it is started within 30 "
    "s") {
  Script s;
  const auto web = asked_to_restart(s);
  s.lose_engine();
  s.answer(s.operations[0], OperationResult::unknown, "connection lost");
  s.status(web).run = RunState::exited;
  s.status(web).exit_code = 137;
  s.run(1min);
  s.manual = false;
  s.regain_engine();
  s.run(30s);
  REQUIRE(s.operations.size() == 2);
  CHECK(s.operations[1].step == Step::start);
  CHECK(s.state("web") == State::healthy);
}

TEST_CASE("our process is killed before the operation was sent: taken up, once") {
  Script before;
  const auto web = before.add("web");
  before.connect();
  before.manual = true;
  before.turns(web, EngineHealth::unhealthy);
  before.run(10ms);
  REQUIRE(before.kept.size() == 1);
  const OperationId op = before.kept.begin()->first;

  Script s{{}, before.restored()};
  const auto same = s.add("web");
  s.set_health(same, EngineHealth::unhealthy);
  s.status(same).started_at = before.kept.begin()->second.started_at;
  s.connect();
  s.run(2min);
  CHECK(s.sent(same) == 1);
  CHECK(s.operations.front().op > op);  // never the same number twice
  CHECK(s.state("web") == State::healthy);
  CHECK(s.kept.empty());
  CHECK(s.view("web").budget_remaining == 3);
}

TEST_CASE("our process is killed after the restart was done: verified, not repeated") {
  Script before;
  const auto web = before.add("web");
  before.connect();
  before.manual = true;
  before.turns(web, EngineHealth::unhealthy);
  before.run(10ms);

  Script s{{}, before.restored()};
  const auto same = s.add("web");
  s.starts(same);
  s.connect();
  s.run(4s);
  s.turns(same, EngineHealth::healthy);
  s.run(10min);
  CHECK(s.operations.empty());
  CHECK(s.state("web") == State::healthy);
  CHECK(s.kept.empty());
}

TEST_CASE("our process is killed in mid-restart and the container is down: started") {
  Script before;
  const auto web = before.add("web");
  before.connect();
  before.manual = true;
  before.turns(web, EngineHealth::unhealthy);
  before.run(10ms);

  Script s{{}, before.restored()};
  const auto same = s.add("web");
  s.status(same).run = RunState::exited;
  s.status(same).exit_code = 137;
  s.status(same).started_at = before.kept.begin()->second.started_at;
  s.connect();
  s.run(1min);
  REQUIRE(s.sent(same) == 1);
  CHECK(s.operations[0].step == Step::start);
  CHECK(s.state("web") == State::healthy);
}

TEST_CASE("an intent whose container is gone is given up") {
  Script before;
  const auto web = before.add("web");
  before.connect();
  before.manual = true;
  before.turns(web, EngineHealth::unhealthy);
  before.run(10ms);

  Script s{{}, before.restored()};
  s.add("other", [](ContainerInfo& info) { info.id = make_id(99); });
  s.connect();
  s.run(1min);
  CHECK(s.operations.empty());
  CHECK(s.forgotten == std::vector{before.kept.begin()->first});
  CHECK(s.count(NoticeKind::heal_abandoned) == 1);
}

TEST_CASE("quarantine and its trial survive a restart of the process") {
  const auto tight = [](ContainerInfo& info) { info.settings.budget = {1, 15min}; };
  Script before;
  const auto web = before.add("web", tight);
  before.connect();
  before.cured[web] = false;
  before.turns(web, EngineHealth::unhealthy);
  before.run(10min);
  REQUIRE(before.state("web") == State::quarantined);

  Script s{{}, before.restored()};
  const auto same = s.add("web", tight);
  s.set_health(same, EngineHealth::unhealthy);
  s.connect();
  s.run(40min);
  CHECK(s.operations.empty());
  CHECK(s.state("web") == State::quarantined);
  s.run(30min);
  CHECK(s.sent(same) == 1);
  CHECK(s.intents.at(0).intent.trial);
}

TEST_CASE("a lost event is found by the next list") {
  Script s;
  const auto web = s.add("web");
  s.connect();
  s.deaf = true;
  s.turns(web, EngineHealth::unhealthy);
  s.run(1h);
  CHECK(s.operations.empty());
  s.deaf = false;
  s.list();
  s.run(30s);
  CHECK(s.sent(web) == 1);
  CHECK(s.state("web") == State::healthy);
}

TEST_CASE("an event that is not true is looked up, not believed") {
  Script s;
  const auto web = s.add("web");
  s.connect();
  for (int i = 0; i < 100; ++i) s.feed(Hint{web, HintKind::unhealthy});
  s.feed(Hint{web, HintKind::destroy});
  s.run(1min);
  CHECK(s.operations.empty());
  CHECK(s.state("web") == State::healthy);
  CHECK(s.transitions.size() == 1);
  CHECK(s.inspects.size() < 10);  // one under way and one more at most, not one per event
}

TEST_CASE("another container under an old id is not believed to be the old one") {
  Script s;
  const auto web = s.add("web");
  s.connect();
  const auto impostor = make_id(77);
  s.relabelled(web, [&](ContainerInfo& info) { info.id = impostor; });
  s.turns(web, EngineHealth::unhealthy);
  s.run(1h);
  CHECK(s.operations.empty());
}

TEST_CASE(
    "answers to inspects that fail or never come are asked for again, a bounded number of times") {
  Script s;
  const auto web = s.add("web");
  s.connect();
  const auto before = s.inspects.size();
  s.hold_inspects = true;
  s.turns(web, EngineHealth::unhealthy);
  s.run(1h);
  CHECK(s.inspects.size() > before);
  CHECK(s.inspects.size() <= before + 6);
  CHECK(s.operations.empty());
  s.hold_inspects = false;
  s.list();
  s.run(1min);
  CHECK(s.state("web") == State::healthy);
  CHECK(s.sent(web) == 1);
}

TEST_CASE("never more than the cap at once, and the others get their turn") {
  Config config = cap(2);
  config.storm_hold = 0s;
  Script s{config};
  const auto ids = many(s, 7);
  s.connect();
  s.manual = true;
  for (const auto& id : ids) s.turns(id, EngineHealth::unhealthy);
  s.run(1s);
  CHECK(s.operations.size() == 2);
  CHECK(s.core().operations_in_flight() == 2);
  for (std::size_t done = 0; done < ids.size(); ++done) {
    REQUIRE(s.operations.size() > done);
    const Operate operate = s.operations[done];
    s.starts(operate.id);
    s.answer(operate, OperationResult::done);
    s.turns(operate.id, EngineHealth::healthy);
    s.run(100ms);
    CHECK(s.core().operations_in_flight() <= 2);
  }
  s.run(1s);
  CHECK(s.operations.size() == 7);
  for (const auto& id : ids) CHECK(s.sent(id) == 1);
}

TEST_CASE("services that never verify do not hold a place against others") {
  Config config = cap(1);
  config.storm_hold = 0s;
  Script s{config};
  const auto bad = s.add("bad", [](ContainerInfo& info) { info.settings.verify_timeout = 10min; });
  const auto good = s.add("good");
  s.connect();
  s.cured[bad] = false;
  s.turns(bad, EngineHealth::unhealthy);
  s.run(1s);
  s.turns(good, EngineHealth::unhealthy);
  s.run(10s);
  CHECK(s.sent(good) == 1);
  CHECK(s.state("good") == State::healthy);
}

TEST_CASE("half of the fleet at once: held, told, then healed at the cap") {
  Script s;
  const auto ids = many(s, 8);
  s.connect();
  for (unsigned i = 0; i < 5; ++i) s.turns(ids[i], EngineHealth::unhealthy);
  const auto early = s.operations.size();  // some may have begun before it was a storm
  s.run(1s);
  CHECK(s.core().storm());
  CHECK(s.count(NoticeKind::storm_began) == 1);
  const auto held_from = s.operations.size();
  CHECK(held_from <= 3);
  CHECK(early <= held_from);
  s.run(8s);
  CHECK(s.operations.size() == held_from);
  s.run(2s);
  CHECK_FALSE(s.core().storm());
  CHECK(s.count(NoticeKind::storm_ended) == 1);
  s.run(1min);
  for (unsigned i = 0; i < 5; ++i) CHECK(s.state("s" + std::to_string(i)) == State::healthy);
  CHECK(s.operations.size() == 5);
}

TEST_CASE("no storm below five services, below half, or with the hold off") {
  Script few;
  const auto four = many(few, 4);
  few.connect();
  for (const auto& id : four) few.turns(id, EngineHealth::unhealthy);
  few.run(1s);
  CHECK(few.count(NoticeKind::storm_began) == 0);

  Script minority;
  const auto ten = many(minority, 10);
  minority.connect();
  for (unsigned i = 0; i < 5; ++i) minority.turns(ten[i], EngineHealth::unhealthy);
  minority.run(1s);
  CHECK(minority.count(NoticeKind::storm_began) == 0);

  Script off{no_storm()};
  const auto eight = many(off, 8);
  off.connect();
  for (const auto& id : eight) off.turns(id, EngineHealth::unhealthy);
  off.run(1s);
  CHECK(off.count(NoticeKind::storm_began) == 0);
  CHECK(off.operations.size() >= 3);
}

TEST_CASE("a wrong label is told once per container") {
  Script s;
  s.add("web",
        [](ContainerInfo& info) { info.warnings = {"sentinel.heal.budget is not like 5/15m"}; });
  s.connect();
  CHECK(s.count(NoticeKind::label_warning) == 1);
  for (int i = 0; i < 5; ++i) {
    s.list(true);
    s.run(1s);
  }
  CHECK(s.count(NoticeKind::label_warning) == 1);
}

TEST_CASE("a long pause of our process is no burst of restarts") {
  Script s;
  const auto ids = many(s, 3);
  s.connect();
  s.run(1s);
  s.deaf = true;
  for (const auto& id : ids) {
    s.set_health(id, EngineHealth::unhealthy);
  }
  s.deaf = false;
  Actions actions;
  s.core().on(Tick{}, s.now() + 5min, actions);
  for (const auto& action : actions) CHECK_FALSE(std::holds_alternative<Operate>(action));
}

TEST_CASE("an earlier time counts as the latest one seen") {
  Script s;
  const auto web = s.add("web");
  s.connect();
  Actions actions;
  s.core().on(Tick{}, Time{}, actions);
  CHECK(actions.empty());
  s.turns(web, EngineHealth::unhealthy);
  s.run(1min);
  CHECK(s.state("web") == State::healthy);
}

TEST_CASE("more services than the limit are told once and not watched") {
  Config config;
  config.max_services = 2;
  Script s{config};
  many(s, 4);
  s.connect();
  s.list(true);
  s.run(1s);
  CHECK(s.core().service_count() == 2);
  CHECK(s.count(NoticeKind::too_many_services) == 1);
}

TEST_CASE("what our attempts left down is tried again after a restart of the process, as a trial") {
  const auto tight = [](ContainerInfo& info) { info.settings.budget = {1, 15min}; };
  Script before;
  const auto web = before.add("web", tight);
  before.connect();
  before.manual = true;
  before.turns(web, EngineHealth::unhealthy);
  before.run(10ms);
  REQUIRE(before.operations.size() == 1);
  before.exits(web, 137);
  before.answer(before.operations[0], OperationResult::failed, "cannot start");
  before.run(1min);
  REQUIRE(before.state("web") == State::quarantined);

  Script s{{}, before.restored()};
  const auto same = s.add("web", tight);
  s.status(same) = before.status(web);
  s.connect();
  s.run(50min);
  CHECK(s.operations.empty());
  CHECK(s.state("web") == State::quarantined);
  s.run(20min);
  REQUIRE(s.operations.size() == 1);
  CHECK(s.operations[0].step == Step::start);
  CHECK(s.intents.at(0).intent.trial);
  CHECK(s.state("web") == State::healthy);
}

TEST_CASE(
    "a restart that goes on without us is not started a second time between its stop and its "
    "start") {
  Script s;
  const auto web = asked_to_restart(s);
  s.answer(s.operations[0], OperationResult::unknown, "connection reset");
  s.run(1s);
  s.exits(web, 143);
  s.feed(Hint{web, HintKind::stop});
  s.run(400ms);
  CHECK(s.operations.size() == 1);
  s.starts(web);
  s.run(4s);
  s.turns(web, EngineHealth::healthy);
  s.run(1min);
  CHECK(s.operations.size() == 1);
  CHECK(s.state("web") == State::healthy);
}

namespace {

/// The Engine says that it has done what it was asked; what happens `later`, before an inspect
/// shows its result, is held to be a person's stop.
void stopped_before_the_inspect(Script& s, Duration later, const std::function<void()>& happens) {
  s.hold_inspects = true;
  s.answer(s.operations[0], OperationResult::done);
  s.run(later);
  happens();
  s.hold_inspects = false;
  s.run(5min);
  CHECK(s.operations.size() == 1);
  CHECK(s.state("web") == State::stopped);
}

}  // namespace

TEST_CASE("who kills a container soon after its restart is heard, however late its inspect") {
  Script s;
  const auto web = asked_to_restart(s);
  s.exits(web, 143);
  s.feed(Hint{web, HintKind::stop});
  s.starts(web);
  stopped_before_the_inspect(s, 6s, [&] {
    s.feed(Hint{web, HintKind::kill});
    s.exits(web, 137);
    s.run(1s);
  });
}

TEST_CASE("a stop soon after a start of ours is heard, however late the inspect and the kill") {
  Script s;
  const auto web = s.add("web", [](ContainerInfo& info) { info.settings.heal_on.exited = true; });
  s.connect();
  s.manual = true;
  s.exits(web, 1);
  REQUIRE(s.run_until([&] { return s.sent(web, Step::start) == 1; }, 1min));
  s.starts(web);
  stopped_before_the_inspect(s, 10s, [&] {
    s.exits(web, 143);
    s.feed(Hint{web, HintKind::stop});
    s.feed(Hint{web, HintKind::kill});
  });
}

TEST_CASE("a stop long after the answer is not that of a restart that was not done") {
  Script s;
  const auto web = asked_to_restart(s);
  stopped_before_the_inspect(s, 10s, [&] {
    s.exits(web, 143);
    s.feed(Hint{web, HintKind::stop});
  });
}
