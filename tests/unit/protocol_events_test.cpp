#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "protocol/engine_events.hpp"

using namespace sentinel::protocol;
namespace core = sentinel::core;

namespace {

const std::string id(64, 'c');

std::vector<std::string> split(LineSplitter& splitter, std::string_view text, std::size_t step) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    splitter.feed(text.substr(0, step),
                  [&lines](std::string_view line) { lines.emplace_back(line); });
    text.remove_prefix(std::min(step, text.size()));
  }
  return lines;
}

EngineEvent event(std::int64_t time, core::HintKind kind = core::HintKind::die) {
  return {time, {*core::ContainerId::parse(id), kind}};
}

}  // namespace

TEST_CASE("lines however they are cut") {
  for (const std::size_t step : {1U, 2U, 3U, 100U}) {
    LineSplitter splitter(10);
    CHECK(split(splitter, "one\ntwo\r\n\n\nthree\nfo", step) ==
          std::vector<std::string>{"one", "two", "three"});
    CHECK(split(splitter, "ur\n", step) == std::vector<std::string>{"four"});
    CHECK(splitter.overlong() == 0);
  }
}

TEST_CASE("an overlong line is dropped whole and counted once") {
  for (const std::size_t step : {1U, 4U, 7U, 100U}) {
    LineSplitter splitter(10);
    CHECK(split(splitter, "12345678901\nok\n1234567890123456789012345\nok2\n1234567890\n", step) ==
          std::vector<std::string>{"ok", "ok2", "1234567890"});
    CHECK(splitter.overlong() == 2);
  }
  LineSplitter splitter(10);
  split(splitter, "unfinished", 3);
  splitter.reset();
  CHECK(split(splitter, "x\n", 3) == std::vector<std::string>{"x"});
}

TEST_CASE("old and new shapes of an event") {
  const auto old = parse_event(
      R"({"status":"health_status: unhealthy","id":")" + id +
      R"(","from":"img","Type":"container","Action":"health_status: unhealthy","Actor":{"ID":")" +
      id +
      R"(","Attributes":{"exitCode":"0","ID":"x"}},"scope":"local","time":1795376722,"timeNano":1795376722123456789})");
  REQUIRE(old);
  REQUIRE(*old);
  CHECK(**old == EngineEvent{1795376722123456789,
                             {*core::ContainerId::parse(id), core::HintKind::unhealthy}});
  const auto recent = parse_event(
      R"({"Type":"container","Action":"die","Actor":{"Attributes":{"ID":"nested"},"ID":")" + id +
      R"("},"time":5})");
  REQUIRE(recent);
  REQUIRE(*recent);
  CHECK((*recent)->hint.kind == core::HintKind::die);
  CHECK((*recent)->time == 5'000'000'000);
  const auto oldest = parse_event(R"({"status":"start","id":")" + id + R"("})");
  REQUIRE(oldest);
  CHECK((*oldest)->hint.kind == core::HintKind::start);
}

TEST_CASE("only exact actions count") {
  for (const char* action : {"create", "start", "restart", "die", "stop", "kill", "pause",
                             "unpause", "destroy", "rename", "oom", "health_status: healthy"}) {
    CHECK(parse_action(action));
  }
  for (const char* action :
       {"", "exec_create: start", "exec_die", "startx", "health_status", "health_status: starting",
        "health_status:unhealthy", "attach", "Die"}) {
    CHECK_FALSE(parse_action(action));
  }
  CHECK(parse_event(R"({"Type":"network","Action":"create","Actor":{"ID":"x"}})").value() ==
        std::nullopt);
  CHECK(parse_event(R"({"Type":"container","Action":"exec_create: \u001b","Actor":{"ID":"x"}})")
            .value() == std::nullopt);
}

TEST_CASE("attributes cannot pose as the event") {
  const auto posed = parse_event(
      R"({"Type":"container","Actor":{"ID":")" + id +
      R"(","Attributes":{"Action":"oom","status":"oom","id":"x","Type":"network"}},"Action":"die"})");
  REQUIRE(posed);
  REQUIRE(*posed);
  CHECK((*posed)->hint.kind == core::HintKind::die);
}

TEST_CASE("malformed events") {
  for (const std::string& bad :
       {std::string("{"), std::string("[]"), std::string("7"), std::string("\"x\""),
        std::string(R"({"Type":"container","Action":"die"})"),
        std::string(R"({"Type":"container","Action":"die","Actor":{"ID":"abc"}})"),
        std::string(R"({"Action":"die","Actor":[")") + id + R"("]})",
        std::string(R"({"Action":"die","Actor":")") + id + R"("})", std::string(100'000, '['),
        std::string("{\"a\":\"\xFF\"}")}) {
    INFO(bad.substr(0, 80));
    CHECK_FALSE(parse_event(bad));
  }
  const auto huge = parse_event(R"({"Action":"die","Actor":{"ID":")" + id +
                                R"("},"time":9223372036854775807,"timeNano":-5})");
  REQUIRE(huge);
  CHECK((*huge)->time > 0);
}

TEST_CASE("events seen before are dropped") {
  EventFilter filter;
  CHECK(filter.first_time(event(10)));
  CHECK_FALSE(filter.first_time(event(10)));
  CHECK(filter.first_time(event(10, core::HintKind::stop)));
  CHECK(filter.first_time(event(9)));
  CHECK_FALSE(filter.first_time(event(9)));
  CHECK(filter.latest() == 10);
  for (std::int64_t t = 11; t < 11 + 400; ++t) CHECK(filter.first_time(event(t)));
  for (std::int64_t t = 411 - 256; t < 411; ++t) CHECK_FALSE(filter.first_time(event(t)));
  CHECK(filter.first_time(event(0)));
  CHECK(filter.first_time(event(0)));
}

TEST_CASE("what the Engine is asked for") {
  const std::string target = events_target({1795376722000000005, 1795376782000000000, false});
  CHECK(
      target.starts_with("/events?since=1795376722.000000005&until=1795376782.000000000&filters=%"
                         "7B%22type%22%3A%5B%22container%22%5D"));
  CHECK(target.find("sentinel.enable") != std::string::npos);
  CHECK(events_target({0, 1, true}).find("sentinel.enable") == std::string::npos);
  CHECK(list_target(false) ==
        "/containers/json?all=1&filters=%7B%22label%22%3A%5B%22sentinel.enable%22%5D%7D");
  CHECK(list_target(true) == "/containers/json?all=1");
}
