#include "demo-service/healthcheck.hpp"
#include "demo-service/server.hpp"

#include "demo_client.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <memory>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace sentinel::demo;
using namespace demo_test;
using Catch::Matchers::ContainsSubstring;

/// A server on a port of its own, in a thread of its own.
class Running {
 public:
  explicit Running(ServerLimits limits = {})
      : app_{{.name = "web-1", .version = "1.2.3", .leak_cap_mib = 8, .unhealthy_for = {}},
             Instant::current()},
        server_{app_, metrics_, {.host = "127.0.0.1", .port = 0}, limits},
        port{server_.open().value_or(0)},
        thread_{[this] { status_ = server_.run(); }} {}
  ~Running() { stop(); }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  int stop() {
    server_.stop();
    return join();
  }
  int join() {
    if (thread_.joinable()) {
      thread_.join();
    }
    return status_;
  }

 private:
  App app_;
  Metrics metrics_{"1.2.3", "abc"};
  Server server_;
  int status_ = -1;

 public:
  const std::uint16_t port;

 private:
  std::thread thread_;
};

HealthResult check(const Running& demo, std::chrono::milliseconds timeout = 5s) {
  return check_health({.address = {.host = "127.0.0.1", .port = demo.port}, .path = "/health"},
                      timeout);
}

TEST_CASE("demo server: health over a socket, GET and HEAD", "[demo]") {
  const Running demo;
  const auto get = ask(demo.port, "GET", "/health");
  REQUIRE(get);
  CHECK(get->status == 200);
  CHECK_THAT(get->head, ContainsSubstring("Content-Type: application/health+json\r\n"));
  CHECK_THAT(get->head, ContainsSubstring("Cache-Control: no-store\r\n"));
  CHECK_THAT(get->body, ContainsSubstring(R"("status":"pass")"));
  const auto head = ask(demo.port, "HEAD", "/health");
  REQUIRE(head);
  CHECK(head->status == 200);
  CHECK_THAT(head->head, ContainsSubstring("Content-Length: "));
}

TEST_CASE("demo server: a connection serves several requests, pipelined ones too", "[demo]") {
  const Running demo;
  Connection connection{demo.port};
  connection.send(request_text("GET", "/health") + request_text("GET", "/"));
  CHECK(connection.receive(10s)->status == 200);
  CHECK_THAT(connection.receive(10s)->body, ContainsSubstring("web-1: pass"));
  connection.send(request_text("POST", "/simulate/unhealthy"));
  CHECK(connection.receive(10s)->status == 200);
  connection.send(request_text("GET", "/health"));
  CHECK(connection.receive(10s)->status == 503);
}

TEST_CASE("demo server: metrics are in Prometheus' text format", "[demo]") {
  const Running demo;
  CHECK(status_of(demo.port, "GET", "/health") == 200);
  const auto answer = ask(demo.port, "GET", "/metrics");
  REQUIRE(answer);
  CHECK_THAT(answer->head, ContainsSubstring("Content-Type: text/plain; version=0.0.4"));
  CHECK_THAT(answer->body,
             ContainsSubstring("demo_http_requests_total{code=\"200\",route=\"/health\"} 1\n"));
  CHECK(status_of(demo.port, "POST", "/metrics") == 404);
}

TEST_CASE("demo server: slow answers come late, and the check's timeout sees it", "[demo]") {
  const Running demo;
  CHECK(status_of(demo.port, "POST", "/simulate/slow?ms=300") == 200);
  const auto before = std::chrono::steady_clock::now();
  CHECK(status_of(demo.port, "GET", "/health") == 200);
  CHECK(std::chrono::steady_clock::now() - before >= 300ms);
  const auto result = check(demo, 50ms);
  CHECK_FALSE(result.healthy);
  CHECK(result.line == "no answer within 50ms");
}

TEST_CASE("demo server: hang accepts and answers nothing until it ends", "[demo]") {
  const Running demo;
  CHECK(status_of(demo.port, "POST", "/simulate/hang?for=400ms") == 200);
  Connection waiting{demo.port};
  REQUIRE(waiting.open());
  waiting.send(request_text("GET", "/health"));
  CHECK_FALSE(waiting.receive(100ms));
  CHECK_FALSE(check(demo, 50ms).healthy);
  // The process was stuck, the request was not lost.
  const auto answer = waiting.receive(10s);
  REQUIRE(answer);
  CHECK(answer->status == 200);
}

TEST_CASE("demo server: hang does not keep the stop waiting", "[demo]") {
  Running demo;
  CHECK(status_of(demo.port, "POST", "/simulate/hang") == 200);
  std::vector<std::unique_ptr<Connection>> stuck;
  stuck.reserve(20);
  for (int each = 0; each < 20; ++each) {
    stuck.push_back(std::make_unique<Connection>(demo.port));
    stuck.back()->send(request_text("GET", "/health"));
  }
  CHECK_FALSE(stuck.back()->receive(50ms));
  const auto before = std::chrono::steady_clock::now();
  CHECK(demo.stop() == 0);
  CHECK(std::chrono::steady_clock::now() - before < 1s);
  CHECK(stuck.front()->closed_within(10s));
}

TEST_CASE("demo server: who gives up on a hung server frees the connection", "[demo]") {
  const Running demo{{.connections = 2}};
  CHECK(status_of(demo.port, "POST", "/simulate/hang?for=1s") == 200);
  for (int each = 0; each < 6; ++each) {
    CHECK(check(demo, 20ms).line == "no answer within 20ms");
  }
  CHECK(eventually([&] { return status_of(demo.port, "GET", "/health") == 200; }));
}

TEST_CASE("demo server: refuse closes the door and opens the same one again", "[demo]") {
  const Running demo;
  Connection idle{demo.port};
  idle.send(request_text("GET", "/health"));
  CHECK(idle.receive(10s));
  CHECK(status_of(demo.port, "POST", "/simulate/refuse?for=300ms") == 200);
  CHECK(eventually([&] { return check(demo).line == "connection refused"; }, 250ms));
  CHECK(idle.closed_within(10s));
  CHECK(eventually([&] { return check(demo).healthy; }));
}

TEST_CASE("demo server: refuse for ever still ends with the process", "[demo]") {
  Running demo;
  CHECK(status_of(demo.port, "POST", "/simulate/refuse") == 200);
  CHECK(eventually([&] { return !Connection{demo.port}.open(); }));
  CHECK(demo.stop() == 0);
}

TEST_CASE("demo server: flap goes up and down by itself", "[demo]") {
  const Running demo;
  CHECK(status_of(demo.port, "POST", "/simulate/flap?period=200ms") == 200);
  for (int each = 0; each < 3; ++each) {
    CHECK(eventually([&] { return status_of(demo.port, "GET", "/health") == 503; }));
    CHECK(eventually([&] { return status_of(demo.port, "GET", "/health") == 200; }));
  }
}

TEST_CASE("demo server: a leak is held, counted, bounded and given back", "[demo]") {
  const Running demo;
  CHECK(status_of(demo.port, "POST", "/simulate/leak?mb=6") == 200);
  CHECK_THAT(ask(demo.port, "GET", "/metrics")->body,
             ContainsSubstring("demo_leaked_bytes 6291456\n"));
  CHECK_THAT(ask(demo.port, "GET", "/health")->body, ContainsSubstring(R"("status":"warn")"));
  CHECK(status_of(demo.port, "POST", "/simulate/leak?mb=3") == 409);
  CHECK(status_of(demo.port, "POST", "/simulate/recover") == 200);
  CHECK_THAT(ask(demo.port, "GET", "/metrics")->body, ContainsSubstring("demo_leaked_bytes 0\n"));
  CHECK(status_of(demo.port, "POST", "/simulate/leak?mb=1&for=100ms") == 200);
  CHECK(eventually(
      [&] { return ask(demo.port, "GET", "/metrics")->body.contains("demo_leaked_bytes 0\n"); }));
}

TEST_CASE("demo server: exit answers first and hands the status on", "[demo]") {
  Running demo;
  CHECK(status_of(demo.port, "POST", "/simulate/exit?code=7") == 202);
  CHECK(demo.join() == 7);
}

TEST_CASE("demo server: what is not honest HTTP is refused", "[demo]") {
  struct Case {
    const char* text;
    unsigned status;
  };
  const auto bad = GENERATE(
      Case{"GET / HTTP/1.1\r\n\r\n", 400},
      Case{"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      Case{"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", 400},
      Case{"POST /simulate/unhealthy HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nfor", 400},
      Case{"POST /simulate/unhealthy HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\n", 413},
      Case{"POST /simulate/unhealthy HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
           "0\r\n\r\n",
           501},
      Case{"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n", 501},
      Case{"GET / HTTP/1.1\r\nHost: a\r\n folded\x01: b\r\n\r\n", 400},
      Case{"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      Case{"GET / HTTP/9.9\r\nHost: a\r\n\r\n", 400},
      Case{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello over TLS\r\n\r\n", 400},
      Case{"G\0T / HTTP/1.1\r\n\r\n", 400});
  CAPTURE(bad.text);
  const Running demo;
  Connection connection{demo.port};
  connection.send(bad.text);
  connection.finish_sending();
  const auto answer = connection.receive(10s);
  if (answer) {
    CHECK(answer->status == bad.status);
    CHECK_THAT(answer->body, ContainsSubstring(R"("type":"about:blank")"));
  }
  CHECK(connection.closed_within(10s));
  CHECK(status_of(demo.port, "GET", "/health") == 200);
}

TEST_CASE("demo server: too long a header is refused and costs no memory", "[demo]") {
  const Running demo;
  const auto text =
      GENERATE(std::string{"GET /"} + std::string(100'000, 'a'),
               std::string{"GET / HTTP/1.1\r\nHost: a\r\nX: "} + std::string(100'000, 'b'));
  Connection connection{demo.port};
  connection.send(text);
  const auto answer = connection.receive(10s);
  REQUIRE(answer);
  CHECK(answer->status == 431);
}

TEST_CASE("demo server: who sends too slowly, or nothing, is let go", "[demo]") {
  const Running demo{{.message = 100ms, .idle = 100ms}};
  Connection slow{demo.port};
  slow.send("GET / HT");
  CHECK(slow.closed_within(10s));
  Connection silent{demo.port};
  CHECK(silent.closed_within(10s));
}

TEST_CASE("demo server: connections are counted and limited", "[demo]") {
  const Running demo{{.connections = 2}};
  Connection first{demo.port};
  Connection second{demo.port};
  first.send(request_text("GET", "/health"));
  second.send(request_text("GET", "/health"));
  REQUIRE(first.receive(10s));
  REQUIRE(second.receive(10s));
  Connection third{demo.port};
  CHECK(third.closed_within(10s));
  first.send(request_text("GET", "/metrics"));
  const auto metrics = first.receive(10s);
  REQUIRE(metrics);
  CHECK_THAT(metrics->body, ContainsSubstring("demo_http_connections 2\n"));
  CHECK_THAT(metrics->body, ContainsSubstring("demo_http_connections_over_limit_total 1\n"));
}

TEST_CASE("demo server: a taken port is an error that says so", "[demo]") {
  const Running demo;
  App app{{.name = "n", .version = "1", .leak_cap_mib = 1, .unhealthy_for = {}},
          Instant::current()};
  Metrics metrics{"1", ""};
  Server second{app, metrics, {.host = "127.0.0.1", .port = demo.port}};
  const auto port = second.open();
  REQUIRE_FALSE(port);
  CHECK_THAT(port.error(), ContainsSubstring("Address already in use"));
}

TEST_CASE("demo healthcheck: the line says what the service said", "[demo]") {
  const Running demo;
  auto result = check(demo);
  CHECK(result.healthy);
  CHECK(result.line == "200 OK, status pass");
  status_of(demo.port, "POST", "/simulate/degraded");
  result = check(demo);
  CHECK(result.healthy);
  CHECK(result.line == "200 OK, status warn: simulating degraded");
  status_of(demo.port, "POST", "/simulate/unhealthy");
  result = check(demo);
  CHECK_FALSE(result.healthy);
  CHECK(result.line == "503 Service Unavailable, status fail: simulating unhealthy, degraded");
}

}  // namespace
