// Targets and windows of the file, our own sight, flapping, and containers that are recreated.

#include <catch2/catch_test_macros.hpp>

#include "sim/scripted.hpp"

using namespace sentinel::sim;
using namespace std::chrono_literals;

namespace {

ProbeOutcome failing(ProbeReason reason, std::string sentence = "it fails") {
  ProbeOutcome outcome;
  outcome.reason = reason;
  outcome.sentence = std::move(sentence);
  return outcome;
}

/// `count` targets t0, t1, ... on hosts h0, h1, ...
SetTargets many(unsigned count, const Script::TargetTweak& tweak = {}) {
  SetTargets all;
  for (unsigned i = 0; i < count; ++i)
    all.targets.push_back(Script::target("t" + std::to_string(i), "h" + std::to_string(i), tweak));
  return all;
}

void all_say(Script& s, unsigned count, const ProbeOutcome& outcome) {
  for (unsigned i = 0; i < count; ++i) s.host_says["h" + std::to_string(i)] = outcome;
}

std::size_t down(const Script& s, unsigned count) {
  std::size_t n = 0;
  for (unsigned i = 0; i < count; ++i)
    if (s.state("t" + std::to_string(i)) == State::unhealthy) ++n;
  return n;
}

}  // namespace

TEST_CASE("targets are judged by their probes, without any Engine, and never healed") {
  Script s;
  s.feed(SetTargets{{Script::target("mail", "mx")}});
  s.run(20s);
  CHECK(s.state("mail") == State::healthy);
  CHECK(s.view("mail").target);
  CHECK_FALSE(s.view("mail").overlays.blind);
  CHECK(s.view("mail").budget_remaining > 0);  // an empty one would be told as a fault
  CHECK(s.view("net/mail").probes.at(0).known);
  s.host_says["mx"] = failing(ProbeReason::refused, "connection refused");
  s.run(20s);
  CHECK(s.state("mail") == State::unhealthy);
  CHECK(s.transitions.back().reason == "connection refused");
  CHECK(s.view("mail").decision.find("never healed") != std::string::npos);
  s.run(1h);
  CHECK(s.operations.empty());
  CHECK(s.count(NoticeKind::left_alone) == 0);
  s.host_says.clear();
  s.run(20s);
  CHECK(s.state("mail") == State::healthy);
  CHECK(s.transitions.back().down_for.has_value());
}

TEST_CASE("an Engine that is lost does not blind the targets") {
  Script s;
  s.add("web");
  s.connect();
  s.feed(SetTargets{{Script::target("mail", "mx")}});
  s.run(20s);
  s.lose_engine();
  s.host_says["mx"] = failing(ProbeReason::refused);
  s.run(20s);
  CHECK(s.state("mail") == State::unhealthy);
  CHECK(s.view("web").overlays.blind);
  CHECK(s.state("web") == State::healthy);
}

TEST_CASE("a new list keeps what did not change, and drops what is gone") {
  Script s;
  s.feed(many(3));
  s.host_says["h1"] = failing(ProbeReason::refused);
  s.run(1min);
  REQUIRE(s.state("t1") == State::unhealthy);
  const auto since = s.view("t1").since;
  const auto id = s.view("t1").id;
  const auto before = s.transitions.size();
  // t0 goes; t1 fails sooner from now on, which changes nothing about its verdict; t2 gets a second
  // probe.
  SetTargets next;
  next.targets = {Script::target("t1", "h1", [](TargetInfo& t) { t.settings.probes[0].fall = 1; }),
                  Script::target("t2", "h2", [](TargetInfo& t) {
                    t.settings.probes.push_back(t.settings.probes[0]);
                    t.settings.probes[1].name = "other";
                    t.settings.probes[1].port = 26;
                  })};
  s.feed(next);
  CHECK_FALSE(s.is_known("t0"));
  CHECK(s.count(NoticeKind::service_removed) == 1);
  CHECK(s.state("t1") == State::unhealthy);
  CHECK(s.view("t1").id == id);
  CHECK(s.view("t1").since == since);
  CHECK(s.view("t2").probes.at(0).known);
  CHECK_FALSE(s.view("t2").probes.at(1).known);
  s.run(1min);
  CHECK(s.view("t2").probes.at(1).known);
  CHECK(s.state("t1") == State::unhealthy);
  CHECK(s.changes("t1").size() == 1);
  const auto settled = s.transitions.size();
  CHECK(settled == before);  // what is not known yet takes nothing away
  s.feed(next);              // again
  s.run(1min);
  CHECK(s.transitions.size() == settled);
}

TEST_CASE("a probe under way when the list changes is not lost") {
  Script s;
  s.hold_probes = true;
  SetTargets two;
  two.targets = {Script::target("mail", "mx", [](TargetInfo& t) {
    t.settings.probes.push_back(t.settings.probes[0]);
    t.settings.probes[1].name = "second";
    t.settings.probes[1].port = 465;
  })};
  s.feed(two);
  REQUIRE(s.run_until([&] { return s.probes.size() == 2; }, 10s));
  const auto second =
      std::ranges::find(s.probes, "second", [](const StartProbe& p) { return p.spec->name; });
  REQUIRE(second != s.probes.end());
  auto only = Script::target("mail", "mx", [&](TargetInfo& t) {
    t.settings.probes = {two.targets[0]->settings.probes[1]};
  });
  s.feed(SetTargets{{only}});
  ProbeFinished result;
  result.token = second->token;
  result.outcome.verdict = Verdict::pass;
  result.outcome.sentence = "open";
  s.feed(result);
  CHECK(s.view("mail").probes.at(0).sentence == "open");
}

TEST_CASE("a target has precedence over containers of its name") {
  Script s;
  const auto web = s.add("web", [](ContainerInfo& info) { info.key = {"net", "web", 1}; });
  s.connect();
  s.run(10s);
  REQUIRE(s.state("web") == State::healthy);
  s.feed(SetTargets{{Script::target("web", "h0")}});
  CHECK(s.view("web").target);
  s.list(true);
  s.run(1min);
  CHECK(s.view("web").target);
  CHECK(s.count(NoticeKind::label_warning) == 1);
  s.turns(web, EngineHealth::unhealthy);
  s.run(10min);
  CHECK(s.operations.empty());
  s.turns(web, EngineHealth::healthy);
  s.feed(SetTargets{});
  s.run(1min);
  CHECK_FALSE(s.view("web").target);
  CHECK(s.state("web") == State::healthy);
}

TEST_CASE("probes of a target are spread, jittered, and do not drift") {
  Script s;
  s.feed(many(100));
  const Time begin = s.now();
  REQUIRE(s.run_until([&] { return s.probes.size() == 100; }, 5s));
  CHECK(s.now() - begin > 2s);
  std::vector<Time> starts;
  s.run(20s);
  s.probes.clear();
  REQUIRE(s.run_until(
      [&] {
        while (!s.probes.empty()) {
          if (s.probes.front().spec->host == "h0") starts.push_back(s.now());
          s.probes.erase(s.probes.begin());
        }
        return starts.size() == 1001;
      },
      2h));
  const Duration took = starts.back() - starts.front();
  CHECK(took > 5000s - 300ms);
  CHECK(took < 5000s + 300ms);
  std::size_t uneven = 0;
  for (std::size_t i = 1; i < starts.size(); ++i) {
    const Duration apart = starts[i] - starts[i - 1];
    CHECK(apart >= 5s - 251ms);
    CHECK(apart <= 5s + 251ms);
    if (apart < 4990ms || apart > 5010ms) ++uneven;
  }
  CHECK(uneven > 500);
}

// --- sight

TEST_CASE("when nearly all hosts are lost at once it is our own network, and nobody is blamed") {
  Script s;
  s.feed(many(20, [](TargetInfo& t) { t.settings.probes[0].fall = 1; }));
  s.run(30s);
  const auto before = s.transitions.size();
  all_say(s, 20, failing(ProbeReason::resolve));
  s.host_says["h7"] = failing(ProbeReason::unreachable);
  s.host_says["h8"] = failing(ProbeReason::timeout);
  s.host_says.erase("h9");  // on our own network
  s.run(5min);
  CHECK(s.count(NoticeKind::blind) == 1);
  CHECK(s.core().blind());
  CHECK(s.view("t3").overlays.blind);
  CHECK(s.transitions.size() == before + (s.state("t8") == State::unhealthy ? 1U : 0U));
  s.host_says.clear();
  s.run(30s);
  CHECK(s.count(NoticeKind::blind_ended) == 1);
  CHECK_FALSE(s.view("t3").overlays.blind);
  CHECK(down(s, 20) == 0);
}

TEST_CASE("a hold ends, and then everything is told as it looks") {
  Script s;
  s.feed(many(6));
  s.run(30s);
  all_say(s, 6, failing(ProbeReason::unreachable));
  s.run(9min);
  CHECK(s.count(NoticeKind::blind) == 1);
  CHECK(down(s, 6) == 0);
  s.run(2min);
  CHECK(s.count(NoticeKind::blind_exhausted) == 1);
  CHECK(down(s, 6) == 6);
  s.run(2h);
  CHECK(s.count(NoticeKind::blind) == 1);
  s.host_says.clear();
  s.run(1min);
  CHECK(s.count(NoticeKind::blind_ended) == 1);
  CHECK(down(s, 6) == 0);
  // And it can be recognised again.
  s.run(1min);
  all_say(s, 6, failing(ProbeReason::unreachable));
  s.run(1min);
  CHECK(s.count(NoticeKind::blind) == 2);
}

TEST_CASE("everything behind one host is that host's outage") {
  Script s;
  SetTargets all = many(5);
  for (unsigned i = 0; i < 40; ++i)
    all.targets.push_back(Script::target("b" + std::to_string(i), "one"));
  s.feed(all);
  s.run(30s);
  s.host_says["one"] = failing(ProbeReason::unreachable);
  s.run(20s);
  CHECK(s.count(NoticeKind::blind) == 0);
  for (unsigned i = 0; i < 40; ++i) CHECK(s.state("b" + std::to_string(i)) == State::unhealthy);
  CHECK(down(s, 5) == 0);
}

TEST_CASE("half of the hosts lost is their outage, told 10 s later at most") {
  Script s;
  s.feed(many(20));
  s.run(30s);
  all_say(s, 10, failing(ProbeReason::unreachable));
  s.run(19s);  // interval 5 s, two more at 1 s, 10 s of doubt
  CHECK(s.count(NoticeKind::blind) == 0);
  CHECK(down(s, 20) == 10);
}

TEST_CASE("a refusal is an answer: all hosts refusing are all down") {
  Script s;
  s.feed(many(20));
  s.run(30s);
  all_say(s, 20, failing(ProbeReason::refused));
  s.run(10s);
  CHECK(s.count(NoticeKind::blind) == 0);
  CHECK(down(s, 20) == 20);
}

TEST_CASE("time-outs are our own when no witness answers either, and theirs when one does") {
  Script s;
  SetTargets all = many(2, [](TargetInfo& t) { t.settings.probes[0].fall = 1; });
  all.targets.push_back(Script::target("gateway", "gw", [](TargetInfo& t) { t.witness = true; }));
  s.feed(all);
  s.run(30s);
  all_say(s, 2, failing(ProbeReason::timeout));
  s.host_says["gw"] = failing(ProbeReason::timeout);
  s.run(1min);
  CHECK(s.count(NoticeKind::blind) == 1);
  CHECK(down(s, 2) == 0);
  s.host_says.erase("gw");
  s.run(30s);  // we see again, and they still do not answer
  CHECK(s.count(NoticeKind::blind_ended) == 1);
  CHECK(down(s, 2) == 2);
  s.host_says.clear();
  s.run(30s);
  CHECK(down(s, 2) == 0);
  s.host_says["h1"] = failing(ProbeReason::timeout);
  s.run(25s);
  CHECK(s.count(NoticeKind::blind) == 1);
  CHECK(s.state("t1") == State::unhealthy);
}

TEST_CASE("our own inability is no fact about anybody") {
  Script s;
  s.feed(many(3));
  s.run(30s);
  all_say(s, 3, failing(ProbeReason::internal, "no file descriptors"));
  s.run(1h);
  CHECK(down(s, 3) == 0);
  CHECK(s.view("t1").probes.at(0).sentence == "no file descriptors");
}

// --- flapping

TEST_CASE("flapping is told once at its begin and once at its end, and holds improvements") {
  Script s;
  s.feed(many(1, [](TargetInfo& t) {
    t.settings.probes[0].fall = 1;
    t.settings.probes[0].rise = 1;
    t.settings.probes[0].interval = 1s;
  }));
  s.run(30s);
  const Time begin = s.now();
  for (int i = 0; i < 180; ++i) {  // an hour of 10 s up, 10 s down
    s.host_says["h0"] = failing(ProbeReason::refused);
    s.run(10s);
    s.host_says.clear();
    s.run(10s);
  }
  CHECK(s.view("t0").overlays.flapping);
  CHECK(s.count(NoticeKind::flapping) == 1);
  CHECK(s.count(NoticeKind::flapping_ended) == 0);
  CHECK(s.changes("t0").size() <= 1 + 7);
  CHECK(s.state("t0") == State::unhealthy);
  CHECK(s.now() - begin > 50min);
  s.run(2min);
  CHECK(s.state("t0") == State::healthy);
  CHECK(s.transitions.back().flapping);
  s.run(10min);
  CHECK(s.count(NoticeKind::flapping_ended) == 1);
  const std::string text = s.last(NoticeKind::flapping_ended)->text;
  CHECK(text.find("360 changes") != std::string::npos);
  CHECK(text.find("it is healthy") != std::string::npos);
  s.host_says["h0"] = failing(ProbeReason::refused);
  s.run(3s);
  s.host_says.clear();
  s.run(3s);
  CHECK(s.state("t0") == State::healthy);  // no hold any more
}

// --- windows

TEST_CASE("an open window keeps what it covers from being healed, and closes by itself") {
  Script s;
  const auto web = s.add("web", [](ContainerInfo& info) { info.key = {"shop", "web", 1}; });
  const auto db = s.add("db", [](ContainerInfo& info) { info.key = {"shop", "db", 1}; });
  s.connect();
  s.run(10s);
  s.feed(SetWindows{{{"backup", {"shop/d*"}, 1h}}});
  CHECK(s.view("db").overlays.maintenance);
  CHECK(s.view("db").maintenance_until == s.now() + 1h);
  CHECK_FALSE(s.view("web").maintenance_until);
  CHECK(s.view("db").maintenance.find("backup") != std::string::npos);
  CHECK_FALSE(s.view("web").overlays.maintenance);
  CHECK(s.count(NoticeKind::maintenance) == 1);
  s.turns(db, EngineHealth::unhealthy);
  s.turns(web, EngineHealth::unhealthy);
  s.run(30min);
  CHECK(s.sent(web) > 0);
  CHECK(s.sent(db) == 0);
  CHECK(s.changes("db").back().maintenance);
  s.feed(SetWindows{{{"backup", {"shop/d*"}, 30min}}});  // again: nothing is told twice
  CHECK(s.count(NoticeKind::maintenance) == 1);
  s.run(29min);
  CHECK(s.sent(db) == 0);
  s.run(2min);
  CHECK(s.count(NoticeKind::maintenance_ended) == 1);
  CHECK(s.sent(db) == 1);
}

TEST_CASE("a window covers services that come while it is open, until it is taken from the list") {
  Script s;
  s.feed(SetWindows{{{"night", {"*"}, 8h}}});
  s.feed(many(1));
  CHECK(s.view("t0").overlays.maintenance);
  s.feed(SetWindows{});
  CHECK_FALSE(s.view("t0").overlays.maintenance);
  CHECK(s.count(NoticeKind::maintenance_ended) == 1);
}

TEST_CASE("of a window and of what was asked for, what ends later is told") {
  Script s;
  s.feed(SetWindows{{{"night", {"*"}, 1h}}});
  s.feed(many(1));
  const auto ends = [&s] { return s.view("t0").maintenance_until.value_or(Time{}) - s.now(); };
  const auto key = s.view("t0").key;
  CHECK(ends() == 1h);
  s.feed(SetMaintenance{key, 10min});
  CHECK(ends() == 1h);
  CHECK(s.view("t0").maintenance == "window night, 1 h left");
  s.feed(SetMaintenance{key, 2h});
  CHECK(ends() == 2h);
  CHECK(s.view("t0").maintenance == "asked for, 2 h left");
  s.run(90min);
  CHECK(ends() == 30min);
  s.feed(SetMaintenance{key, 0s});
  CHECK_FALSE(s.view("t0").maintenance_until);
  CHECK(s.view("t0").maintenance.empty());
}

// --- recreation

TEST_CASE("while Compose recreates a container its failures are not told") {
  Script s;
  const auto old = s.add("web");
  s.connect();
  s.run(10s);
  const auto next = s.add("web");
  s.status(next).run = RunState::created;
  s.status(next).health = EngineHealth::none;
  s.run(100ms);
  CHECK(s.view("web").overlays.maintenance);
  CHECK(s.view("web").maintenance.find("recreated") != std::string::npos);
  CHECK_FALSE(s.view("web").maintenance_until);
  CHECK(s.count(NoticeKind::recreating) == 1);
  s.turns(old, EngineHealth::unhealthy);  // it is being shut down
  s.run(8s);
  CHECK(s.state("web") == State::healthy);
  s.stopped_by_person(old);
  s.run(100ms);
  s.removed(old);
  s.run(1s);
  CHECK(s.view("web").overlays.maintenance);  // until the new one runs
  s.starts(next);
  s.run(1s);
  CHECK_FALSE(s.view("web").overlays.maintenance);
  s.turns(next, EngineHealth::healthy);
  s.run(1min);
  CHECK(s.state("web") == State::healthy);
  for (const auto& t : s.transitions) CHECK(t.to != State::unhealthy);
  CHECK(s.operations.empty());
}

TEST_CASE("a recreation that does not end is no excuse for ever") {
  Script s;
  const auto old = s.add("web");
  s.connect();
  s.run(10s);
  const auto next = s.add("web");
  s.status(next).run = RunState::created;
  s.run(1s);
  s.turns(old, EngineHealth::unhealthy);
  s.run(1min);
  CHECK(s.state("web") == State::healthy);
  s.run(90s);
  CHECK(s.count(NoticeKind::heal_started) == 1);
}
