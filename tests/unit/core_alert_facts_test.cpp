// Which of the things that the cores make known are failures, and in which words.

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "core/alert_facts.hpp"

using namespace sentinel::core;

namespace {

Transition transition(State from, State to, ProbeReason reason = ProbeReason::none) {
  Transition t;
  t.key = {"shop", "web", 1};
  t.name = "web";
  t.from = from;
  t.to = to;
  t.reason = "connection refused";
  t.probe_reason = reason;
  return t;
}

template <class Fact>
Fact only(const AlertEvents& events) {
  REQUIRE(events.size() == 1);
  REQUIRE(std::holds_alternative<Fact>(events[0]));
  return std::get<Fact>(events[0]);
}

struct Monitored {
  Core core{Config{}};
  MonitorFacts facts{core};
  AlertEvents of(const Action& action) {
    AlertEvents out;
    facts.on(action, out);
    return out;
  }
};

AlertEvents of(const PoolAction& action) {
  FailoverFacts facts;
  AlertEvents out;
  facts.on(action, out);
  return out;
}

}  // namespace

TEST_CASE("facts: a service's subject is called as the service is") {
  for (const ServiceKey& key : {ServiceKey{"", "web", 1}, ServiceKey{"shop", "web", 2}})
    CHECK(subject_of(key).to_string() == "service:" + key.to_string());
}

TEST_CASE("facts: an unhealthy service failed, with the probe's reason as cause") {
  Monitored m;
  const auto events = m.of(transition(State::healthy, State::unhealthy, ProbeReason::refused));
  const auto fact = only<SubjectFailed>(events);
  CHECK(fact.subject == Subject{SubjectKind::service, "shop", "web", 1});
  CHECK(fact.severity == Severity::critical);
  CHECK(fact.cause == to_string(ProbeReason::refused));
  CHECK(fact.text == "connection refused");
  CHECK(fact.container.empty());
}

TEST_CASE("facts: degraded warns, quarantined is critical, healthy recovered, stopped gone") {
  Monitored m;
  CHECK(only<SubjectFailed>(m.of(transition(State::healthy, State::degraded))).severity ==
        Severity::warning);
  const auto quarantined =
      m.of(transition(State::unhealthy, State::quarantined, ProbeReason::refused));
  CHECK(only<SubjectFailed>(quarantined).cause == "quarantined");
  CHECK(only<SubjectFailed>(quarantined).severity == Severity::critical);
  CHECK(only<SubjectRecovered>(m.of(transition(State::recovering, State::healthy))).subject.name ==
        "web");
  CHECK(only<SubjectGone>(m.of(transition(State::unhealthy, State::stopped))).subject.name ==
        "web");
  for (const State on_the_way : {State::unknown, State::starting, State::recovering})
    CHECK(m.of(transition(State::unhealthy, on_the_way)).empty());
}

TEST_CASE("facts: what was done is told with its result, what concerns nobody is not") {
  Monitored m;
  Notice notice;
  notice.kind = NoticeKind::heal_acted;
  notice.key = {"shop", "web", 1};
  notice.text = "web was restarted";
  notice.result = "done";
  const auto acted = m.of(notice);
  CHECK(only<SubjectActed>(acted).text == "web was restarted");
  CHECK(only<SubjectActed>(acted).result == "done");
  notice.kind = NoticeKind::label_warning;
  CHECK(m.of(notice).empty());
  CHECK(m.of(ProbeReport{}).empty());
}

TEST_CASE("facts: the Engine and our own network fail and recover") {
  Monitored m;
  Notice notice;
  notice.text = "words";
  const auto told = [&](NoticeKind kind) {
    notice.kind = kind;
    return m.of(notice);
  };
  CHECK(only<SubjectFailed>(told(NoticeKind::engine_down)).subject == subject_of_engine());
  CHECK(only<SubjectRecovered>(told(NoticeKind::engine_up)).subject == subject_of_engine());
  CHECK(only<SubjectFailed>(told(NoticeKind::blind)).subject == subject_of_self("network"));
  CHECK(only<SubjectRecovered>(told(NoticeKind::blind_ended)).subject ==
        subject_of_self("network"));
}

TEST_CASE("facts: overlays and needs are told once, and again when they change") {
  Core core{Config{}};
  MonitorFacts facts{core};
  Actions actions;
  auto target = std::make_shared<TargetInfo>();
  target->key = {"targets", "mail", 1};
  target->settings.depends_on = {"gateway"};
  auto gateway = std::make_shared<TargetInfo>();
  gateway->key = {"targets", "gateway", 1};
  const auto told = [&](const Event& event, Time now) {
    actions.clear();
    core.on(event, now, actions);
    AlertEvents out;
    for (const Action& action : actions) facts.on(action, out);
    facts.settle(now, out);
    std::erase_if(out, [](const AlertEvent& e) {
      return !std::holds_alternative<SubjectNeeds>(e) &&
             !std::holds_alternative<SubjectOverlays>(e);
    });
    return out;
  };
  const auto needs = told(SetTargets{{target, gateway}}, Time{1s});
  REQUIRE(needs.size() == 2);
  const auto mail = std::ranges::find_if(
      needs, [](const AlertEvent& e) { return std::get<SubjectNeeds>(e).subject.name == "mail"; });
  REQUIRE(mail != needs.end());
  CHECK(std::get<SubjectNeeds>(*mail).needs == std::vector{subject_of(gateway->key)});
  CHECK(told(Tick{}, Time{2s}).empty());
  const auto held = told(SetMaintenance{target->key, 30s}, Time{3s});
  CHECK(only<SubjectOverlays>(held).maintenance);
  CHECK(told(Tick{}, Time{4s}).empty());
  CHECK_FALSE(only<SubjectOverlays>(told(Tick{}, Time{60s})).maintenance);
}

TEST_CASE("facts: a server that fails warns, and says which check and what was done") {
  ServerTransition t;
  t.pool = "web";
  t.server = "alpha";
  t.from = ServerState::up;
  t.to = ServerState::failed;
  t.check = "https";
  t.reason = "https: expected 2xx, got 503";
  t.probe_reason = ProbeReason::status;
  t.done = "1 of 2 servers is left";
  const auto events = of(t);
  const auto failed = only<SubjectFailed>(events);
  CHECK(failed.subject == Subject{SubjectKind::server, "web", "alpha", 0});
  CHECK(failed.title == "web/alpha");
  CHECK(failed.severity == Severity::warning);
  CHECK(failed.text == "https: expected 2xx, got 503; 1 of 2 servers is left");
  t.to = ServerState::up;
  CHECK(only<SubjectRecovered>(of(t)).subject.name == "alpha");
  t.to = ServerState::draining;
  t.by = "ann";
  CHECK(only<SubjectGone>(of(t)).text == "web/alpha was taken out by ann");
}

TEST_CASE("facts: a pool that is down is critical") {
  PoolNotice notice{PoolNoticeKind::pool_down, "web", {}, "no server is left"};
  CHECK(only<SubjectFailed>(of(notice)).severity == Severity::critical);
  CHECK(only<SubjectFailed>(of(notice)).subject == Subject{SubjectKind::pool, "web", {}, 0});
  notice.kind = PoolNoticeKind::pool_up;
  CHECK(only<SubjectRecovered>(of(notice)).subject.group == "web");
  notice.kind = PoolNoticeKind::kernel_refused;
  CHECK(only<SubjectFailed>(of(notice)).subject == subject_of_self("kernel"));
}
