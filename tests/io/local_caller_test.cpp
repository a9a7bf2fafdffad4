// Calls of a process on this host: its answers, and all that it may do instead.

#include "io/local_caller.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <optional>
#include <string>

#include "io/http_server.hpp"
#include "io_loop.hpp"
#include "support/scripted_engine.hpp"

using namespace sentinel;
using namespace sentinel::test;
using namespace std::chrono_literals;

namespace {

constexpr const char* route = "GET /api/v1/pools";

std::string path_of(const ScriptedEngine& peer) {
  return peer.endpoint().substr(std::string_view{"unix://"}.size());
}

struct Rig {
  boost::asio::io_context context;
  io::LocalCaller caller;
  std::optional<io::LocalCaller::Result> result;
  unsigned answers = 0;

  explicit Rig(const std::string& path, core::Duration timeout = 20s,
               std::uint64_t max_body = 10'000)
      : caller(context,
               {.path = path, .peer = "the failover", .timeout = timeout, .max_body = max_body}) {}
  ~Rig() {
    caller.stop();
    context.restart();
    context.poll();  // what was cancelled must be harmless
  }

  bool begin(std::string body = {}) {
    const std::string target = body.empty() ? "/api/v1/pools" : "/api/v1/drain";
    return caller.call(target, std::move(body), [this](io::LocalCaller::Result given) {
      result = std::move(given);
      ++answers;
    });
  }
  io::LocalCaller::Result call(std::string body = {}) {
    result.reset();
    const bool begun = begin(std::move(body));
    REQUIRE(begun);
    CHECK_FALSE(result);  // never from inside
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!result && std::chrono::steady_clock::now() < end) {
      context.restart();
      context.run_one_for(20ms);
    }
    REQUIRE(result);
    CHECK_FALSE(caller.busy());
    return *result;
  }
  std::string error(std::string body = {}) {
    const auto given = call(std::move(body));
    return given ? "none" : given.error().text;
  }
};

/// A socket at `path` at which nobody listens yet.
int bound_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(std::data(address.sun_path), sizeof address.sun_path - 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  return fd;
}

}  // namespace

TEST_CASE("local caller: our own server's answers, again and again") {
  const TemporaryDirectory folder;
  Loop loop;
  io::HttpServer server{loop.context(), {}, [](const io::HttpRequest& request) {
                          io::HttpResponse response;
                          response.status = request.method == "POST" ? 409 : 200;
                          response.body = request.path + " " + request.body +
                                          (request.local ? " local" : "") +
                                          std::string(request.field("Content-Type"));
                          return response;
                        }};
  REQUIRE(loop.call([&] { return server.listen_unix(folder.file("s"), 0600).has_value(); }));
  loop.call([&] { server.start(); });
  Rig rig{folder.file("s")};
  for (int i = 0; i < 3; ++i) {
    auto answer = rig.call();
    REQUIRE(answer);
    CHECK(answer->status == 200);
    CHECK(answer->body == "/api/v1/pools  local");
    answer = rig.call(R"({"server":"a"})");
    REQUIRE(answer);
    CHECK(answer->status == 409);
    CHECK(answer->body == R"(/api/v1/drain {"server":"a"} localapplication/json)");
  }
  loop.call([&] { server.stop(); });
  // It takes its socket away when it ends.
  CHECK(rig.call().error().code == ENOENT);
}

TEST_CASE("local caller: nobody there, for each reason") {
  const TemporaryDirectory folder;
  const std::string path = folder.file("s");
  Rig rig{path};
  auto answer = rig.call();
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code == ENOENT);
  CHECK(answer.error().text == "there is no socket at " + path);

  const int dead = bound_to(path);
  answer = rig.call();
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code == ECONNREFUSED);
  CHECK(answer.error().text == "connection refused on " + path + ": nobody listens there");
  // Root may open it all the same.
  if (::geteuid() != 0) {
    REQUIRE(::chmod(path.c_str(), 0) == 0);
    CHECK(rig.error().starts_with("permission denied on " + path));
  }
  ::close(dead);
}

TEST_CASE("local caller: a backlog that is full") {
  const TemporaryDirectory folder;
  const std::string path = folder.file("s");
  const int listener = bound_to(path);
  REQUIRE(::listen(listener, 0) == 0);
  const RawClient first{path};  // nobody accepts it
  REQUIRE(first.open());
  Rig rig{path, 500ms};
  const std::string text = rig.error();
  // As the kernel says it: at once, at the first use, or not at all.
  CHECK((text.contains("accepts no more connections") || text.contains("within") ||
         text.contains("closed") || text.contains(path)));
  ::close(listener);
}

TEST_CASE("local caller: a body without end is cut off") {
  ScriptedEngine peer;
  Rig rig{path_of(peer)};
  peer.on(route, [](auto& exchange) {
    exchange.begin_chunks();
    while (exchange.chunk(std::string(1000, 'x'))) {
    }
  });
  CHECK(rig.error() == "an answer of more than 10000 bytes");
  peer.on(route, [](auto& exchange) {
    exchange.send("HTTP/1.1 200 OK\r\n\r\n");
    while (exchange.send(std::string(1000, 'x'))) {
    }
  });
  CHECK(rig.error() == "an answer of more than 10000 bytes");
  peer.on(route, [](auto& exchange) {
    exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 10001\r\n\r\n");
    exchange.stall();
  });
  CHECK(rig.error() == "an answer of more than 10000 bytes");
  peer.on(route, [](auto& exchange) {
    exchange.send("HTTP/1.1 200 OK\r\n");
    while (exchange.send("X: " + std::string(1000, 'x') + "\r\n")) {
    }
  });
  CHECK(rig.error() == "malformed HTTP answer: header fields beyond the limit");
  peer.on(route, [](auto& exchange) { exchange.reply(200, std::string(10'000, 'x')); });
  const auto answer = rig.call();
  REQUIRE(answer);
  CHECK(answer->body.size() == 10'000);
}

TEST_CASE("local caller: the deadline is of the whole answer, however slowly it comes") {
  ScriptedEngine peer;
  Rig rig{path_of(peer), 500ms};
  peer.on(route, [](auto& exchange) { exchange.stall(); });
  CHECK(rig.error() == "no answer from the failover within 400 ms");
  peer.on(route, [](auto& exchange) {
    exchange.send("HTTP/1.1 200 OK\r\n\r\n");
    while (exchange.send("x")) ::usleep(1000);
  });
  CHECK(rig.error() == "no answer from the failover within 400 ms");
}

TEST_CASE("local caller: byte by byte is as good as at once") {
  ScriptedEngine peer;
  Rig rig{path_of(peer)};
  peer.on(route, [](auto& exchange) {
    exchange.dribble();
    exchange.reply(200, R"({"pools":[]})");
  });
  const auto answer = rig.call();
  REQUIRE(answer);
  CHECK(answer->body == R"({"pools":[]})");
}

TEST_CASE("local caller: broken answers, and the next call is none the worse") {
  ScriptedEngine peer;
  Rig rig{path_of(peer)};
  peer.on_next(route, 1, [](auto& exchange) { exchange.close(); });
  CHECK(rig.error().starts_with("the failover closed the connection without an answer"));
  peer.on_next(route, 1, [](auto& exchange) {
    exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{");
    exchange.close();
  });
  CHECK(rig.error().starts_with("the failover closed the connection in mid-answer"));
  for (const char* text :
       {"SSH-2.0-OpenSSH\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n1",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n", "HTTP/1.1 999 No\r\n\r\n"}) {
    INFO(text);
    peer.on_next(route, 1, [text](auto& exchange) { exchange.send(text); });
    CHECK(rig.error().starts_with("malformed HTTP answer: "));
  }
  // What follows the answer is none of ours.
  peer.on_next(route, 1, [](auto& exchange) {
    exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\n\r\n");
  });
  CHECK(rig.call()->body == "{}");
  peer.on(route, [](auto& exchange) { exchange.reply(503, "later"); });
  CHECK(rig.call()->status == 503);
}

TEST_CASE("local caller: the other side goes away with what it was sent unread") {
  const TemporaryDirectory folder;
  const std::string path = folder.file("s");
  const int listener = bound_to(path);
  REQUIRE(::listen(listener, 4) == 0);
  std::thread peer([listener] {
    const int one = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    pollfd entry{.fd = one, .events = POLLIN, .revents = 0};
    ::poll(&entry, 1, 20'000);
    ::close(one);  // of a Unix socket this is a reset
  });
  Rig rig{path};
  CHECK(rig.error().starts_with("the failover closed the connection without an answer: "));
  peer.join();
  ::close(listener);
}

TEST_CASE("local caller: one call at a time, none after the end") {
  ScriptedEngine peer;
  Rig rig{path_of(peer)};
  peer.on(route, [](auto& exchange) {
    exchange.wait_for("go");
    exchange.reply(200, "{}");
  });
  REQUIRE(rig.begin());
  CHECK(rig.caller.busy());
  CHECK_FALSE(rig.begin());
  peer.raise("go");
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!rig.result && std::chrono::steady_clock::now() < end) {
    rig.context.restart();
    rig.context.run_one_for(20ms);
  }
  CHECK(rig.answers == 1);
  REQUIRE(rig.begin());
  rig.caller.stop();
  CHECK_FALSE(rig.begin());
  rig.context.restart();
  rig.context.run_for(50ms);
  CHECK(rig.answers == 1);
}
