#include <sys/resource.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <format>
#include <memory>
#include <string>
#include <vector>

#include "http_server_fixture.hpp"

using namespace sentinel;
using namespace sentinel::io;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;
using sentinel::test::RawClient;
using sentinel::test::Server;

namespace {

struct BadRequest {
  const char* what;
  std::string bytes;
  unsigned status;
};

std::vector<BadRequest> bad_requests() {
  const std::string get = "GET / HTTP/1.1\r\n";
  const std::string post = "POST /echo HTTP/1.1\r\nHost: localhost\r\n";
  std::string fields;
  for (int i = 0; i < 101; ++i) fields += std::format("X-{}: y\r\n", i);
  return {
      {"no Host", get + "\r\n", 400},
      {"two Hosts", get + "Host: localhost\r\nHost: localhost\r\n\r\n", 400},
      {"an empty Host", get + "Host:\r\n\r\n", 400},
      {"a Host with a path", get + "Host: localhost/x\r\n\r\n", 400},
      {"a foreign Host", get + "Host: evil.example\r\n\r\n", 421},
      {"a foreign host in the target",
       "GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 421},
      {"chunked", post + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411},
      {"chunked, identity", post + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 411},
      {"chunked in HTTP/1.0",
       "POST /echo HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       411},
      {"two lengths", post + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nok", 400},
      {"a list of lengths", post + "Content-Length: 2, 2\r\n\r\nok", 400},
      {"a negative length", post + "Content-Length: -1\r\n\r\n", 400},
      {"a length beyond all numbers", post + "Content-Length: 99999999999999999999999\r\n\r\n",
       400},
      {"length and chunks",
       post + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"a long body", post + "Content-Length: 65537\r\n\r\n", 413},
      {"a GET with a body", get + "Host: localhost\r\nContent-Length: 1\r\n\r\nx", 400},
      {"a folded field", get + "Host: localhost\r\nX: a\r\n b\r\n\r\n", 400},
      {"a blank before the colon", get + "Host : localhost\r\n\r\n", 400},
      {"a bare line feed", get + "Host: localhost\nX: y\r\n\r\n", 400},
      {"a control character", get + "Host: localhost\r\nX: \x01\r\n\r\n", 400},
      {"an unknown method", "BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n", 501},
      {"TRACE", "TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n", 501},
      {"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"HTTP/0.9", "GET /\r\n\r\n", 400},
      {"a TLS greeting", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11), 400},
      {"a climbing path", "GET /../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
      {"an unknown expectation", post + "Content-Length: 1\r\nExpect: miracles\r\n\r\n", 417},
      {"too many fields", get + "Host: localhost\r\n" + fields + "\r\n", 431},
      {"a long field", get + "Host: localhost\r\nX: " + std::string(17'000, 'a') + "\r\n\r\n", 431},
      {"an endless target", "GET /" + std::string(20'000, 'a'), 431},
  };
}

}  // namespace

TEST_CASE("bad requests are refused with a problem document, and the connection ends") {
  Server server;
  for (const auto& bad : bad_requests()) {
    INFO(bad.what);
    RawClient client(server.port);
    REQUIRE(client.send(bad.bytes));
    const auto response = client.until_closed();
    CHECK(client.closed());
    CHECK_THAT(response, StartsWith(std::format("HTTP/1.1 {} ", bad.status)));
    CHECK_THAT(response, ContainsSubstring("\r\nContent-Type: application/problem+json\r\n"));
    CHECK_THAT(response, ContainsSubstring("\r\nConnection: close\r\n"));
  }
  const auto stats = server.stats();
  CHECK(stats.requests == 0);
  CHECK(stats.refused_requests == bad_requests().size());
  CHECK(test::eventually([&] { return server.stats().open == 0; }));
}

TEST_CASE("each prefix of a request followed by the end of the connection leaves nothing behind") {
  Server server;
  const std::string request =
      "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello";
  for (std::size_t length = 0; length < request.size(); ++length) {
    RawClient client(server.port);
    REQUIRE(client.send(std::string_view{request}.substr(0, length)));
    ::shutdown(client.fd(), SHUT_WR);
    CHECK(client.until_closed().empty());
    CHECK(client.closed());
  }
  CHECK(server.stats().requests == 0);
  CHECK(test::eventually([&] { return server.stats().open == 0; }));
}

TEST_CASE("a slow request is given up at its deadline, however it trickles") {
  Server server({.message_deadline = 200ms});
  RawClient silent(server.port);
  RawClient header(server.port);
  RawClient body(server.port);
  REQUIRE(header.send("GET / HTTP/1.1\r\nHost: loc"));
  REQUIRE(body.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf"));
  CHECK(silent.until_closed().empty());
  CHECK_THAT(header.until_closed(), StartsWith("HTTP/1.1 408 "));
  CHECK_THAT(body.until_closed(), StartsWith("HTTP/1.1 408 "));
  CHECK(silent.closed());
  CHECK(server.stats().timeouts == 2);
  CHECK(test::eventually([&] { return server.stats().open == 0; }));
}

TEST_CASE("an idle connection is closed") {
  Server server({.idle_deadline = 50ms});
  RawClient client(server.port);
  REQUIRE(client.send("GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  CHECK_THAT(client.response(), StartsWith("HTTP/1.1 200 "));
  CHECK(client.until_closed().empty());
  CHECK(client.closed());
}

TEST_CASE("a client that does not read its answer is dropped") {
  Server server({.write_deadline = 200ms});
  RawClient client(server.port);
  REQUIRE(client.send("GET /huge HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  CHECK(test::eventually([&] { return server.stats().timeouts == 1 && server.stats().open == 0; }));
}

TEST_CASE("connections are capped in all and per address, and places are given back") {
  const test::TemporaryDirectory directory;
  const auto path = directory.file("socket");
  SECTION("in all; the Unix socket has places of its own") {
    Server server({.max_connections = 3, .max_local = 1}, path);
    std::vector<std::unique_ptr<RawClient>> clients;
    clients.reserve(3);
    for (int i = 0; i < 3; ++i) clients.push_back(std::make_unique<RawClient>(server.port));
    REQUIRE(test::eventually([&] { return server.stats().open == 3; }));
    RawClient more(server.port);
    CHECK_THAT(more.until_closed(), StartsWith("HTTP/1.1 503 "));
    CHECK(server.stats().refused_full == 1);
    RawClient local(path);
    REQUIRE(local.send("GET /local HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    CHECK_THAT(local.response(), StartsWith("HTTP/1.1 200 "));
    RawClient second(path);
    CHECK_THAT(second.until_closed(), StartsWith("HTTP/1.1 503 "));
    clients.pop_back();
    REQUIRE(test::eventually([&] { return server.stats().open == 3; }));
    RawClient again(server.port);
    REQUIRE(again.send("GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    CHECK_THAT(again.response(), StartsWith("HTTP/1.1 200 "));
  }
  SECTION("per address") {
    Server server({.max_per_address = 2});
    RawClient first(server.port);
    RawClient second(server.port);
    REQUIRE(test::eventually([&] { return server.stats().open == 2; }));
    RawClient third(server.port);
    CHECK_THAT(third.until_closed(), StartsWith("HTTP/1.1 503 "));
    CHECK(server.stats().refused_per_address == 1);
  }
}

TEST_CASE("running out of descriptors neither spins nor ends the server") {
  Server server;
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  RawClient waiting(server.port);
  REQUIRE(test::eventually([&] { return server.stats().open == 1; }));
  RawClient late(server.port);  // its descriptor exists, the server's for it cannot
  REQUIRE(test::eventually([&] { return server.stats().open == 2; }));
  const int spare = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(spare >= 0);
  rlimit tight = before;
  tight.rlim_cur = static_cast<rlim_t>(spare) + 1;  // the next descriptor would be above it
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &tight) == 0);
  std::vector<int> fillers;
  for (int fd = ::dup(spare); fd >= 0; fd = ::dup(spare)) fillers.push_back(fd);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(server.port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool connected =
      ::connect(spare, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  const bool counted = test::eventually([&] { return server.stats().accept_errors >= 1; });
  const auto errors = server.stats().accept_errors;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  for (const int fd : fillers) ::close(fd);
  CHECK(connected);
  CHECK(counted);
  CHECK(errors < 100);
  RawClient after(server.port);
  REQUIRE(after.send("GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  CHECK_THAT(after.response(), StartsWith("HTTP/1.1 200 "));
  ::close(spare);
}

TEST_CASE("stop in the middle of everything closes everything") {
  Server server;
  RawClient idle(server.port);
  RawClient reading(server.port);
  RawClient writing(server.port);
  REQUIRE(reading.send("GET / HT"));
  REQUIRE(writing.send("GET /huge HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  REQUIRE(
      test::eventually([&] { return server.stats().requests == 1 && server.stats().open == 3; }));
  server.loop().call([&] { server.server().stop(); });
  CHECK(idle.until_closed().empty());
  reading.until_closed();
  CHECK(reading.closed());
  writing.until_closed();
  CHECK(writing.closed());
  CHECK(server.stats().open == 0);
  server.loop().call([&] { server.server().stop(); });
  CHECK_FALSE(RawClient(server.port).open());
}
