#include <catch2/catch_test_macros.hpp>
#include <string>

#include "observe/observer.hpp"

using namespace sentinel;
using namespace std::chrono_literals;
using core::NoticeKind;
using core::ProbeReason;
using core::State;
using observe::line_of;
using observe::LogLevel;
using observe::sentence_of;

namespace {

core::Transition transition(State from, State to) {
  core::Transition t;
  t.service = 1;
  t.key = {"shop", "demo-service", 1};
  t.name = "demo-service";
  t.from = from;
  t.to = to;
  return t;
}

}  // namespace

TEST_CASE("the sentence begins with what the reader wants") {
  auto t = transition(State::healthy, State::unhealthy);
  t.reason = "connection refused";
  t.probe_reason = ProbeReason::refused;
  CHECK(sentence_of(t) == "demo-service unreachable: connection refused");

  t.probe_reason = ProbeReason::timeout;
  t.reason = "no answer within 2 s";
  CHECK(sentence_of(t) == "demo-service unreachable: no answer within 2 s");

  t.probe_reason = ProbeReason::status;
  t.reason = "expected 2xx, got 503";
  CHECK(sentence_of(t) == "demo-service is unhealthy: expected 2xx, got 503");

  t.probe_reason = ProbeReason::none;
  t.reason = "its health check fails";
  CHECK(sentence_of(t) == "demo-service is unhealthy: its health check fails");

  auto well = transition(State::recovering, State::healthy);
  well.down_for = 12s + 449ms;
  CHECK(sentence_of(well) == "demo-service is healthy (was unhealthy for 12.4 s)");
  CHECK(sentence_of(transition(State::starting, State::healthy)) == "demo-service is healthy");

  auto stopped = transition(State::healthy, State::stopped);
  stopped.reason = "somebody stopped it";
  CHECK(sentence_of(stopped) == "demo-service is stopped: somebody stopped it");
}

TEST_CASE("single changes of a flapping service are for the debug log") {
  auto t = transition(State::healthy, State::unhealthy);
  CHECK(line_of(t)->level == LogLevel::error);
  t.flapping = true;
  CHECK(line_of(t)->level == LogLevel::debug);
  core::Notice n;
  n.kind = NoticeKind::flapping;
  CHECK(line_of(n)->level == LogLevel::warning);
  n.kind = NoticeKind::flapping_ended;
  CHECK(line_of(n)->level == LogLevel::warning);
}

TEST_CASE("a transition carries its fields") {
  auto t = transition(State::healthy, State::unhealthy);
  t.reason = "connection refused";
  t.probe_reason = ProbeReason::refused;
  const auto line = line_of(t);
  REQUIRE(line);
  CHECK(line->level == LogLevel::error);
  CHECK(line->event == "sentinel.service.transition");
  const auto field = [&](std::string_view key) -> std::string {
    for (const auto& f : line->fields) {
      if (f.key == key) return std::get<std::string>(f.value);
    }
    return "missing";
  };
  CHECK(field("service") == "shop/demo-service/1");
  CHECK(field("from") == "healthy");
  CHECK(field("to") == "unhealthy");
  CHECK(field("error.type") == "refused");
}

TEST_CASE("one fact is told once: the notice or the transition, not both") {
  // recovering and quarantined are announced by notices
  CHECK(line_of(transition(State::unhealthy, State::recovering))->level == LogLevel::debug);
  CHECK(line_of(transition(State::unhealthy, State::quarantined))->level == LogLevel::debug);
  core::Notice notice;
  notice.text = "text";
  notice.kind = NoticeKind::quarantined;
  CHECK(line_of(notice)->level == LogLevel::error);
  notice.kind = NoticeKind::heal_started;
  CHECK(line_of(notice)->level == LogLevel::warning);
  // healed is announced by the transition to healthy
  notice.kind = NoticeKind::healed;
  CHECK(line_of(notice)->level == LogLevel::debug);
  CHECK(line_of(transition(State::recovering, State::healthy))->level == LogLevel::info);
}

TEST_CASE("a notice says its own sentence, with the operation as fields") {
  core::Notice notice;
  notice.kind = NoticeKind::heal_failed;
  notice.key = {"", "solo", 1};
  notice.text = "healing solo by restart failed: it exited again";
  notice.op = 7;
  notice.attempt = 2;
  notice.result = "not_verified";
  notice.took = 1500ms;
  const auto line = line_of(notice);
  REQUIRE(line);
  CHECK(line->msg == notice.text);
  CHECK(line->event == "sentinel.heal_failed");
  CHECK(line->level == LogLevel::error);
  CHECK(line->fields.size() == 6);
}

TEST_CASE("actions for the Engine are no lines; probes are debug") {
  CHECK_FALSE(line_of(core::Operate{}));
  CHECK_FALSE(line_of(core::Inspect{}));
  core::ProbeReport report;
  report.key = {"", "solo", 1};
  report.probe = "http";
  report.outcome.verdict = core::Verdict::fail;
  report.outcome.reason = ProbeReason::refused;
  report.outcome.sentence = "connection refused";
  const auto line = line_of(report);
  REQUIRE(line);
  CHECK(line->level == LogLevel::debug);
  CHECK(line->msg == "solo: probe http failed: connection refused");
}
