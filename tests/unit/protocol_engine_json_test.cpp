#include <catch2/catch_test_macros.hpp>
#include <string>

#include "protocol/engine_json.hpp"

using namespace sentinel::protocol;
namespace core = sentinel::core;

namespace {

std::string id(char digit) { return std::string(64, digit); }

std::string row(char digit, const std::string& state, const std::string& status,
                const std::string& more = R"("X":1)") {
  return R"({"Id":")" + id(digit) + R"(",)" + more + R"(,"State":")" + state + R"(","Status":")" +
         status + R"("})";
}

}  // namespace

TEST_CASE("lists of API 1.41 say health in their text") {
  const auto rows = parse_list(
      "[" +
      row('a', "running", "Up 5 minutes (unhealthy)", R"("Names":["/web"],"Ports":[{"Id":"no"}])") +
      "," +
      row('b', "running", "Up 2 seconds (health: starting)",
          R"("Labels":{"State":"exited","Id":"x","Status":"x (healthy\u0029"})") +
      "," + row('c', "paused", "Up 1 hour (Paused)") + "," +
      row('d', "exited", "Exited (0) 3 days ago", R"("HostConfig":{"NetworkMode":"default"})") +
      "," + row('e', "running", "Up 1 hour (healthy)") + "]");
  REQUIRE(rows);
  REQUIRE(rows->size() == 5);
  CHECK((*rows)[0].id.hex() == id('a'));
  CHECK((*rows)[0].run == core::RunState::running);
  CHECK((*rows)[0].health == core::EngineHealth::unhealthy);
  CHECK((*rows)[1].health == core::EngineHealth::starting);
  CHECK((*rows)[2].run == core::RunState::paused);
  CHECK((*rows)[2].health == core::EngineHealth::none);
  CHECK((*rows)[3].run == core::RunState::exited);
  CHECK((*rows)[4].health == core::EngineHealth::healthy);
}

TEST_CASE("lists of API 1.52 have a field for health") {
  const auto rows = parse_list(
      R"([{"Id":")" + id('a') +
      R"(","State":"running","Status":"Up 5 minutes","Health":{"Status":"unhealthy","FailingStreak":3}},
      {"Id":")" +
      id('b') + R"(","State":"running","Health":{"Status":"none"},"Status":"Up"},
      {"Id":")" +
      id('c') +
      R"(","State":"running","Health":{"Nested":{"Status":"unhealthy"},"Status":"healthy"}},
      {"Id":")" +
      id('d') + R"(","State":"running","Health":null,"Status":"Up 3 s (healthy\u0029"}])");
  REQUIRE(rows);
  CHECK((*rows)[0].health == core::EngineHealth::unhealthy);
  CHECK((*rows)[1].health == core::EngineHealth::none);
  CHECK((*rows)[2].health == core::EngineHealth::healthy);
  CHECK((*rows)[3].health == core::EngineHealth::healthy);
}

TEST_CASE("hostile lists") {
  CHECK(parse_list("[]")->empty());
  for (const std::string& bad :
       {std::string(""), std::string("{}"), std::string("null"), std::string("\"x\""),
        std::string("7"), std::string("[1]"), std::string("[[]]"), std::string("[\"x\"]x"),
        std::string("[{}]"), std::string(R"([{"Id":"abc"}])"), R"([{"Id":")" + id('A') + R"("}])",
        R"([{"Id":)" + std::string("7}]"), R"([{"Id":[")" + id('a') + R"("]}])",
        R"([{"X":{"Id":")" + id('a') + R"("}}])", R"([{"Id":")" + id('a') + R"("})",
        std::string(400'000, '[')}) {
    INFO(bad.substr(0, 100));
    CHECK_FALSE(parse_list(bad));
  }
  const auto odd =
      parse_list(R"([{"Id":")" + id('a') +
                 R"(","State":{"x":1},"Status":["(healthy\u0029"],"Health":"unhealthy"}])");
  REQUIRE(odd);
  CHECK((*odd)[0].run == core::RunState::created);
  CHECK((*odd)[0].health == core::EngineHealth::none);
}

TEST_CASE("a string in a row's place spoils the list") {
  CHECK_FALSE(parse_list(R"(["x"])"));
  CHECK_FALSE(parse_list("[null]"));
}

TEST_CASE("versions") {
  const auto old =
      parse_version(R"({"Version":"20.10.24+dfsg1","ApiVersion":"1.41","MinAPIVersion":"1.12"})");
  REQUIRE(old);
  CHECK(old->engine == "20.10.24+dfsg1");
  CHECK(negotiate(*old) == ApiVersion{1, 41});
  CHECK(negotiate({"26.1", {1, 24}, {1, 45}}) == ApiVersion{1, 45});
  CHECK(negotiate({"29.0", {1, 44}, {1, 52}}) == ApiVersion{1, 52});
  CHECK(negotiate({"40", {1, 44}, {1, 99}}) == highest_api);
  CHECK(negotiate({"19.03", {1, 12}, {1, 40}}).error().message ==
        "Engine 19.03 speaks API 1.12 to 1.40, Sentinel needs 1.41 to 1.52");
  CHECK_FALSE(negotiate({"99", {1, 53}, {1, 99}}));
  CHECK_FALSE(negotiate({"99", {2, 0}, {2, 1}}));
  CHECK(parse_version(R"({"ApiVersion":"1.43"})")->lowest == ApiVersion{1, 24});
  for (const char* bad :
       {"", "[]", "{}", R"({"ApiVersion":1.41})", R"({"ApiVersion":"1"})",
        R"({"ApiVersion":"1.x"})", R"({"ApiVersion":"1.41.2"})", R"({"ApiVersion":"-1.41"})",
        R"({"ApiVersion":"1.99999999999"})", "<html>"}) {
    INFO(bad);
    CHECK_FALSE(parse_version(bad));
  }
  CHECK(parse_version(R"({"ApiVersion":"1.41","Version":"\u001b[2Jevil\n"})")->engine ==
        "\\x1b[2Jevil");
}

TEST_CASE("error bodies") {
  CHECK(error_message(R"({"message":"No such container: \u001bx"})") ==
        "No such container: \\x1bx");
  CHECK(error_message("page not found\n") == "page not found");
  CHECK(error_message(R"({"message":7})") == R"({"message":7})");
  CHECK(error_message(std::string(100'000, 'x')).size() <= 300);
  CHECK(error_message("").empty());
}

TEST_CASE("RFC 3339") {
  CHECK(parse_rfc3339("1970-01-01T00:00:00Z") == 0);
  CHECK(parse_rfc3339("2026-11-22T19:45:22.123456789Z") == 1795376722123456789);
  CHECK(parse_rfc3339("2026-11-22T20:45:22.5+01:00") == 1795376722500000000);
  CHECK(parse_rfc3339("2026-11-22T18:15:22-01:30") == 1795376722000000000);
  for (const char* bad :
       {"", "0001-01-01T00:00:00Z", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z",
        "2026-01-01T24:00:00Z", "2026-01-01 00:00:00Z", "2026-01-01T00:00:00",
        "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00.1234567890Z", "9999-01-01T00:00:00Z",
        "2026-01-01T00:00:00Zx", "1970-01-01T00:00:00+01:00"}) {
    INFO(bad);
    CHECK_FALSE(parse_rfc3339(bad));
  }
}

TEST_CASE("HTTP dates and the Engine's clock") {
  CHECK(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT") == 784111777);
  for (const char* bad : {"", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
                          "Sun, 06 Xxx 1994 08:49:37 GMT", "Sun, 31 Feb 1994 08:49:37 GMT",
                          "Sun, 06 Nov 1994 08:49:37 UTC"}) {
    CHECK_FALSE(parse_http_date(bad));
  }
  constexpr std::int64_t second = 1'000'000'000;
  CHECK(engine_clock(784111778 * second + 5, "Sun, 06 Nov 1994 08:49:37 GMT") ==
        784111778 * second + 5);
  CHECK(engine_clock(784111799 * second, "Sun, 06 Nov 1994 08:49:37 GMT") == 784111777 * second);
  CHECK(engine_clock(42, "nonsense") == 42);
}
