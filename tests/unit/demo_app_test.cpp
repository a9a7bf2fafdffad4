#include "demo-service/app.hpp"
#include "demo-service/metrics.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <nlohmann/json.hpp>

#include <string>

namespace {

using namespace std::chrono_literals;
using namespace sentinel::demo;
using Catch::Matchers::ContainsSubstring;
using Json = nlohmann::json;

class Fixture {
 public:
  explicit Fixture(AppSettings settings = {.name = "web-1",
                                           .version = "1.2.3",
                                           .leak_cap_mib = 64,
                                           .unhealthy_for = std::nullopt})
      : app{std::move(settings), now} {}

  Reply get(std::string_view target) { return ask("GET", target); }
  Reply post(std::string_view target) { return ask("POST", target); }
  Reply ask(std::string_view method, std::string_view target) {
    return app.handle({.method = method, .target = target, .host = "demo:8080", .origin = ""},
                      facts, now);
  }
  void pass(std::chrono::milliseconds time) {
    now.steady += time;
    now.wall += time;
    app.expire(now);
  }

  Instant now{std::chrono::steady_clock::time_point{1000s},
              std::chrono::system_clock::time_point{1'700'000'000s}};
  Facts facts;
  App app;
};

TEST_CASE("demo app: the health document follows the draft", "[demo]") {
  Fixture demo;
  demo.pass(1500ms);
  const auto reply = demo.get("/health");
  CHECK(reply.status == 200);
  CHECK(reply.content_type == "application/health+json");
  const auto body = Json::parse(reply.body);
  CHECK(body.at("status") == "pass");
  CHECK(body.at("version") == "1");
  CHECK(body.at("releaseId") == "1.2.3");
  CHECK(body.at("serviceId") == "web-1");
  CHECK_FALSE(body.contains("output"));
  for (const auto& [name, check] : body.at("checks").items()) {
    CAPTURE(name);
    REQUIRE(check.is_array());
    CHECK(check.at(0).contains("observedValue"));
    CHECK(check.at(0).at("time") == "2023-11-14T22:13:21.500Z");
  }
  CHECK(body.at("checks").at("uptime").at(0).at("observedValue") == 1.5);
}

TEST_CASE("demo app: degraded answers 200 and unhealthy 503", "[demo]") {
  Fixture demo;
  CHECK(demo.post("/simulate/degraded").status == 200);
  auto reply = demo.get("/health");
  CHECK(reply.status == 200);
  CHECK(Json::parse(reply.body).at("status") == "warn");
  CHECK(demo.post("/simulate/unhealthy?for=3s").status == 200);
  reply = demo.get("/health");
  CHECK(reply.status == 503);
  CHECK(Json::parse(reply.body).at("status") == "fail");
  CHECK(Json::parse(reply.body).at("output") == "simulating unhealthy, degraded");
  demo.pass(3s);
  CHECK(demo.get("/health").status == 200);
  CHECK(demo.post("/simulate/recover").status == 200);
  CHECK(Json::parse(demo.get("/health").body).at("status") == "pass");
}

TEST_CASE("demo app: the start can be unhealthy, for a time or for ever", "[demo]") {
  const auto duration = GENERATE(0ms, 4000ms);
  Fixture demo{{.name = "n", .version = "1", .leak_cap_mib = 1, .unhealthy_for = duration}};
  CHECK(demo.get("/health").status == 503);
  demo.pass(4s);
  CHECK(demo.get("/health").status == (duration == 0ms ? 503 : 200));
}

TEST_CASE("demo app: GET / names the instance and says how it is", "[demo]") {
  Fixture demo;
  CHECK_THAT(demo.get("/").body, ContainsSubstring("web-1: pass"));
  demo.post("/simulate/unhealthy");
  CHECK_THAT(demo.get("/").body, ContainsSubstring("web-1: fail"));
}

TEST_CASE("demo app: slow delays what is watched, not the way back", "[demo]") {
  Fixture demo;
  demo.post("/simulate/slow?ms=250");
  CHECK(demo.get("/health").delay == 250ms);
  CHECK(demo.get("/").delay == 250ms);
  CHECK(demo.post("/simulate/recover").delay == 0ms);
  CHECK(demo.get("/health").delay == 0ms);
}

TEST_CASE("demo app: what ends the process is left to the server", "[demo]") {
  Fixture demo;
  CHECK(demo.post("/simulate/crash").follow_up == FollowUp::crash);
  const auto exit = demo.post("/simulate/exit?code=42");
  CHECK(exit.status == 202);
  CHECK(exit.follow_up == FollowUp::exit);
  CHECK(exit.exit_code == 42);
  CHECK(demo.post("/simulate/exit").exit_code == 1);
  CHECK(demo.post("/simulate/refuse?for=1s").follow_up == FollowUp::refuse);
  const auto leak = demo.post("/simulate/leak?mb=10");
  CHECK(leak.follow_up == FollowUp::leak);
  CHECK(leak.leak_mib == 10);
}

TEST_CASE("demo app: leaks stop at the cap", "[demo]") {
  Fixture demo;
  demo.facts.leaked_mib = 60;
  CHECK(demo.post("/simulate/leak?mb=4").status == 200);
  const auto reply = demo.post("/simulate/leak?mb=5");
  CHECK(reply.status == 409);
  CHECK(reply.follow_up == FollowUp::none);
  CHECK(demo.post("/simulate/leak?mb=65").status == 400);
}

TEST_CASE("demo app: a bad parameter is named, with what was expected", "[demo]") {
  struct Case {
    std::string target;
    std::string parameter;
    std::string expected;
  };
  const auto bad = GENERATE(
      Case{"/simulate/slow?ms=12x", "ms", "a whole number from 1 to 60000"},
      Case{"/simulate/slow?ms=0", "ms", "a whole number from 1 to 60000"},
      Case{"/simulate/slow?ms=60001", "ms", "a whole number from 1 to 60000"},
      Case{"/simulate/slow?ms=99999999999999999999", "ms", "a whole number from 1 to 60000"},
      Case{"/simulate/slow?delay=1", "delay", "ms, for"},
      Case{"/simulate/unhealthy?for=90", "for", "a duration"},
      Case{"/simulate/unhealthy?for=", "for", "a duration"},
      Case{"/simulate/unhealthy?for=1ms", "for", "from 100ms to 168h"},
      Case{"/simulate/unhealthy?for=1s&for=2s", "for", "each parameter once"},
      Case{"/simulate/unhealthy?a%zz=1", "a%zz", "%XX"},
      Case{"/simulate/unhealthy?for=%f", "for", "%XX"},
      Case{"/simulate/flap?period=1ms", "period", "from 100ms to 1h"},
      Case{"/simulate/leak?mb=-1", "mb", "a whole number from 1 to 64"},
      Case{"/simulate/exit?code=256", "code", "a whole number from 0 to 255"},
      Case{"/simulate/exit?for=1s", "for", "code"},
      Case{"/simulate/crash?now", "now", "no parameter"},
      Case{"/simulate/recover?for=1s", "for", "no parameter"},
      Case{"/simulate/slow?a&b&c&d&e&f&g&h&i", "i", "at most 8"});
  CAPTURE(bad.target);
  Fixture demo;
  const auto reply = demo.post(bad.target);
  CHECK(reply.status == 400);
  CHECK(reply.content_type == "application/problem+json");
  CHECK(reply.follow_up == FollowUp::none);
  const auto body = Json::parse(reply.body);
  CHECK(body.at("status") == 400);
  CHECK(body.at("parameter") == bad.parameter);
  CHECK_THAT(body.at("expected").get<std::string>(), ContainsSubstring(bad.expected));
  CHECK_THAT(body.at("detail").get<std::string>(), ContainsSubstring(bad.parameter));
  CHECK(demo.app.faults().describe(demo.now.steady) == "none");
}

TEST_CASE("demo app: hostile bytes in a query do not break the answer", "[demo]") {
  Fixture demo;
  const auto reply = demo.post("/simulate/slow?ms=%ff%00%0a%22");
  CHECK(reply.status == 400);
  CHECK(Json::accept(reply.body));
}

TEST_CASE("demo app: unknown paths and wrong methods are told apart", "[demo]") {
  Fixture demo;
  CHECK(demo.get("/nothing").status == 404);
  CHECK(demo.post("/simulate/nothing").status == 404);
  CHECK(demo.post("/simulate/").status == 404);
  const auto post = demo.post("/health");
  CHECK(post.status == 405);
  CHECK(post.allow == "GET, HEAD");
  const auto get = demo.get("/simulate/crash");
  CHECK(get.status == 405);
  CHECK(get.allow == "POST");
  CHECK(get.follow_up == FollowUp::none);
}

TEST_CASE("demo app: a page of another origin cannot break the service", "[demo]") {
  Fixture demo;
  const auto from = [&](std::string_view origin) {
    return demo.app
        .handle({.method = "POST",
                 .target = "/simulate/unhealthy",
                 .host = "demo:8080",
                 .origin = origin},
                demo.facts, demo.now)
        .status;
  };
  CHECK(from("http://evil.example") == 403);
  CHECK(from("null") == 403);
  CHECK(demo.get("/health").status == 200);
  CHECK(from("http://demo:8080") == 200);
}

TEST_CASE("demo app: a body is refused rather than overlooked", "[demo]") {
  Fixture demo;
  const auto reply = demo.app.handle(
      {.method = "POST", .target = "/simulate/flap", .host = "h", .origin = "", .body_bytes = 9},
      demo.facts, demo.now);
  CHECK(reply.status == 400);
}

TEST_CASE("demo metrics: health, faults and requests are there", "[demo]") {
  Fixture demo;
  Metrics metrics{"1.2.3", "abc"};
  metrics.request("/health", 503, 20ms);
  metrics.connection_over_limit();
  demo.post("/simulate/flap?period=10s");
  demo.facts.leaked_mib = 2;
  const auto text = metrics.text(demo.app, demo.facts, demo.now);
  for (const auto* line :
       {"demo_build_info{revision=\"abc\",version=\"1.2.3\"} 1\n",
        "demo_http_requests_total{code=\"503\",route=\"/health\"} 1\n",
        "demo_http_requests_total{code=\"200\",route=\"/health\"} 0\n",
        "demo_health_status{status=\"fail\"} 1\n", "demo_health_status{status=\"pass\"} 0\n",
        "demo_simulation_active{fault=\"flap\"} 1\n", "demo_simulation_active{fault=\"hang\"} 0\n",
        "demo_leaked_bytes 2097152\n", "demo_http_connections_over_limit_total 1\n",
        "# TYPE process_start_time_seconds gauge\n",
        "demo_http_request_duration_seconds_bucket{route=\"/health\",le=\"0.1\"} 1\n"}) {
    CHECK_THAT(text, ContainsSubstring(line));
  }
}

}  // namespace
