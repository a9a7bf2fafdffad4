#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "io/http_server.hpp"
#include "io_loop.hpp"

using namespace sentinel;
using namespace sentinel::io;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;
using sentinel::test::eventually;
using sentinel::test::RawClient;

namespace {

/// A server whose answers the test gives by hand.
class Later {
 public:
  explicit Later(HttpServerOptions options = {}) {
    loop_.call([&] {
      server_ = std::make_unique<HttpServer>(loop_.context(), std::move(options),
                                             [this](const HttpRequest& r) { return handle(r); });
      port = server_->listen_tcp("127.0.0.1:0").value_or(0);
      server_->start();
    });
    REQUIRE(port != 0);
  }
  ~Later() {
    loop_.call([this] { server_.reset(); });
  }
  Later(const Later&) = delete;
  Later& operator=(const Later&) = delete;

  HttpServerStats stats() {
    return loop_.call([this] { return server_->stats(); });
  }
  std::size_t replies() {
    return loop_.call([this] { return replies_.size(); });
  }
  std::size_t streams() {
    return loop_.call([this] { return streams_.size(); });
  }
  void reply(std::size_t which, const std::string& text) {
    loop_.call([&] {
      HttpResponse response;
      response.body = text;
      replies_.at(which)(std::move(response));
    });
  }
  bool send(std::size_t which, const std::string& text) {
    return loop_.call(
        [&] { return streams_.at(which)(std::make_shared<const std::string>(text)); });
  }
  void stop() {
    loop_.call([this] { server_->stop(); });
  }

  std::uint16_t port = 0;

 private:
  HttpResponse handle(const HttpRequest& request) {
    if (request.path == "/later")
      return http_later([this](HttpReply reply) { replies_.push_back(std::move(reply)); });
    if (request.path == "/at-once") {
      return http_later([](const HttpReply& reply) {
        HttpResponse response;
        response.body = "at once";
        reply(response);
        reply(http_problem(500, "twice"));
      });
    }
    if (request.path == "/then-stream") {
      return http_later([this](const HttpReply& reply) {
        reply(http_events([this](HttpStream stream) { streams_.push_back(std::move(stream)); }));
      });
    }
    if (request.path == "/throw")
      return http_later([](const HttpReply&) { throw std::runtime_error("secret"); });
    if (request.path == "/events")
      return http_events([this](HttpStream stream) { streams_.push_back(std::move(stream)); });
    HttpResponse response;
    response.body = "now";
    return response;
  }

  test::Loop loop_;
  std::unique_ptr<HttpServer> server_;
  std::vector<HttpReply> replies_;
  std::vector<HttpStream> streams_;
};

constexpr std::string_view get_later = "GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n";
constexpr std::string_view get_now = "GET /now HTTP/1.1\r\nHost: localhost\r\n\r\n";
constexpr std::string_view get_events = "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// What arrives until it holds `text`, or all there is.
std::string read_until(RawClient& client, std::string_view text) {
  std::string all;
  while (!all.contains(text)) {
    const auto part = client.some();
    if (part.empty()) break;
    all += part;
  }
  return all;
}

}  // namespace

TEST_CASE("an answer that comes later is sent then, and the connection goes on in order") {
  Later server;
  RawClient client(server.port);
  REQUIRE(client.send(std::string{get_later} + std::string{get_now}));
  REQUIRE(eventually([&] { return server.replies() == 1; }));
  RawClient other(server.port);
  REQUIRE(other.send(get_now));
  CHECK_THAT(other.response(), EndsWith("now"));  // nobody waits for it
  server.reply(0, "done");
  server.reply(0, "again");
  CHECK_THAT(client.response(), EndsWith("done"));
  CHECK_THAT(client.response(), EndsWith("now"));
  REQUIRE(client.send("GET /at-once HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  CHECK_THAT(client.response(), EndsWith("at once"));
  REQUIRE(client.send("HEAD /at-once HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  CHECK_THAT(client.response(false), ContainsSubstring("Content-Length: 7\r\n"));
  REQUIRE(client.send("GET /throw HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  const auto thrown = client.response();
  CHECK_THAT(thrown, StartsWith("HTTP/1.1 500 "));
  CHECK_THAT(thrown, !ContainsSubstring("secret"));
}

TEST_CASE("an answer that does not come is a 503, and a late one is dropped") {
  Later server({.answer_deadline = 50ms});
  RawClient client(server.port);
  REQUIRE(client.send(get_later));
  const auto response = client.response();
  CHECK_THAT(response, StartsWith("HTTP/1.1 503 "));
  CHECK_THAT(response, ContainsSubstring("Retry-After: "));
  server.reply(0, "too late");
  REQUIRE(client.send(get_now));
  CHECK_THAT(client.response(), EndsWith("now"));
  // The first request's reply is not the second one's.
  REQUIRE(client.send(get_later));
  REQUIRE(eventually([&] { return server.replies() == 2; }));
  server.reply(0, "of the first");
  server.reply(1, "of the second");
  CHECK_THAT(client.response(), EndsWith("of the second"));
  CHECK(server.stats().late_answers == 1);
}

TEST_CASE("who goes away while waiting leaves nothing behind") {
  Later server;
  {
    RawClient client(server.port);
    REQUIRE(client.send(get_later));
    REQUIRE(eventually([&] { return server.replies() == 1; }));
    CHECK(server.stats().open == 1);
  }
  CHECK(eventually([&] { return server.stats().open == 0; }));
  server.reply(0, "to nobody");
  RawClient waiting(server.port);
  REQUIRE(waiting.send(get_later));
  REQUIRE(eventually([&] { return server.replies() == 2; }));
  server.stop();
  CHECK(waiting.until_closed().empty());
  server.reply(1, "after the end");
}

TEST_CASE("a stream sends events as they come, and a comment into silence") {
  Later server({.heartbeat = 30ms});
  RawClient client(server.port);
  REQUIRE(client.send(get_events));
  REQUIRE(eventually([&] { return server.streams() == 1; }));
  CHECK(server.stats().streams == 1);
  CHECK(server.send(0, "data: 1\n\n"));
  CHECK(server.send(0, ""));
  CHECK(server.send(0, "data: 2\n\n"));
  const auto text = read_until(client, "data: 2\n\n:\n\n:\n\n");
  CHECK_THAT(text, StartsWith("HTTP/1.1 200 OK\r\n"));
  CHECK_THAT(text, ContainsSubstring("Content-Type: text/event-stream\r\n"));
  CHECK_THAT(text, ContainsSubstring("X-Accel-Buffering: no\r\n"));
  CHECK_THAT(text, ContainsSubstring("Connection: close\r\n"));
  CHECK_THAT(text, !ContainsSubstring("Content-Length"));
  CHECK_THAT(text, ContainsSubstring("data: 1\n\ndata: 2\n\n:\n\n:\n\n"));
}

TEST_CASE("a stream may begin after an answer was waited for") {
  Later server;
  RawClient client(server.port);
  REQUIRE(client.send("GET /then-stream HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  REQUIRE(eventually([&] { return server.streams() == 1; }));
  CHECK(server.send(0, "data: 1\n\n"));
  CHECK_THAT(read_until(client, "data: 1"), ContainsSubstring("text/event-stream"));
}

TEST_CASE("HEAD of a stream has its fields and ends") {
  Later server;
  RawClient client(server.port);
  REQUIRE(client.send("HEAD /events HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  CHECK_THAT(client.until_closed(), ContainsSubstring("Content-Type: text/event-stream\r\n"));
  CHECK(server.streams() == 0);
  CHECK(server.stats().streams == 0);
}

TEST_CASE("a reader that is too slow is disconnected, and others are not held up") {
  Later server({.stream_limit = 64 * 1024});
  RawClient slow(server.port);
  REQUIRE(slow.send(get_events));
  REQUIRE(eventually([&] { return server.streams() == 1; }));
  RawClient quick(server.port);
  REQUIRE(quick.send(get_events));
  REQUIRE(eventually([&] { return server.streams() == 2; }));
  // A first piece may be of any size: it is a snapshot. The kernel takes some megabytes.
  const std::string piece(std::size_t{1} << 20U, 'x');
  bool taken = true;
  for (int i = 0; i < 100 && taken; ++i) taken = server.send(0, piece);
  CHECK_FALSE(taken);
  CHECK_FALSE(server.send(0, "more"));
  CHECK(server.send(1, "data: still here\n\n"));
  CHECK_THAT(read_until(quick, "still here"), ContainsSubstring("still here"));
  CHECK(server.stats().slow_streams == 1);
  CHECK(server.stats().streams == 1);
}

TEST_CASE("a reader that takes nothing at all is disconnected at the write deadline") {
  Later server({.write_deadline = 100ms});
  RawClient client(server.port);
  REQUIRE(client.send(get_events));
  REQUIRE(eventually([&] { return server.streams() == 1; }));
  CHECK(server.send(0, std::string(std::size_t{32} << 20U, 'x')));
  CHECK(eventually([&] { return server.stats().streams == 0; }));
  CHECK(server.stats().timeouts == 1);
}

TEST_CASE("streams are capped, and their places are given back") {
  Later server({.max_streams = 2});
  auto first = std::make_unique<RawClient>(server.port);
  RawClient second(server.port);
  REQUIRE(first->send(get_events));
  REQUIRE(second.send(get_events));
  REQUIRE(eventually([&] { return server.streams() == 2; }));
  {
    RawClient third(server.port);
    REQUIRE(third.send(get_events));
    const auto response = third.response();
    CHECK_THAT(response, StartsWith("HTTP/1.1 503 "));
    CHECK_THAT(response, ContainsSubstring("Retry-After: "));
  }
  first.reset();
  REQUIRE(eventually([&] { return server.stats().streams == 1; }));
  CHECK_FALSE(server.send(0, "data: to nobody\n\n"));
  RawClient fourth(server.port);
  REQUIRE(fourth.send(get_events));
  REQUIRE(eventually([&] { return server.streams() == 3; }));
  server.stop();
  CHECK(server.stats().streams == 0);
  CHECK_FALSE(server.send(2, "data: after the end\n\n"));
}

TEST_CASE("who talks into its own stream is thrown out after a while") {
  Later server;
  RawClient client(server.port);
  REQUIRE(client.send(get_events));
  REQUIRE(eventually([&] { return server.streams() == 1; }));
  const std::string talk(1024, 'x');
  for (int i = 0; i < 200 && client.send(talk); ++i) continue;
  CHECK(eventually([&] { return server.stats().open == 0; }));
}
