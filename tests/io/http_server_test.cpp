#include <sys/stat.h>
#include <zlib.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <format>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>

#include "http_server_fixture.hpp"

using namespace sentinel;
using namespace sentinel::io;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;
using sentinel::test::RawClient;
using sentinel::test::Server;

namespace {

std::string gunzip(std::string_view data) {
  z_stream z{};
  REQUIRE(inflateInit2(&z, 15 + 16) == Z_OK);
  std::string input{data};
  std::string output(4 * 1024 * 1024, '\0');
  z.next_in = reinterpret_cast<Bytef*>(input.data());
  z.avail_in = static_cast<uInt>(input.size());
  z.next_out = reinterpret_cast<Bytef*>(output.data());
  z.avail_out = static_cast<uInt>(output.size());
  const int result = inflate(&z, Z_FINISH);
  output.resize(z.total_out);
  inflateEnd(&z);
  REQUIRE(result == Z_STREAM_END);
  return output;
}

std::string body_of(const std::string& response) {
  return response.substr(response.find("\r\n\r\n") + 4);
}

}  // namespace

TEST_CASE("one connection serves many requests") {
  Server server;
  RawClient client(server.port);
  for (int i = 0; i < 20; ++i) {
    REQUIRE(client.send(std::format("GET /echo?n={} HTTP/1.1\r\nHost: localhost\r\n\r\n", i)));
    const auto response = client.response();
    CHECK_THAT(response, StartsWith("HTTP/1.1 200 OK\r\n"));
    CHECK_THAT(response, EndsWith(std::format("GET /echo n={}", i)));
  }
  CHECK(server.stats().requests == 20);
  CHECK(server.stats().accepted == 1);
}

TEST_CASE("pipelined requests are answered in order, one byte at a time too") {
  Server server;
  const std::string requests =
      "GET /echo?a HTTP/1.1\r\nHost: localhost\r\n\r\nPOST /echo HTTP/1.1\r\nHost: "
      "localhost\r\nContent-Length: 5\r\n\r\nhello"
      "\r\nGET /echo?b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  SECTION("at once") {
    RawClient client(server.port);
    REQUIRE(client.send(requests));
    CHECK_THAT(client.response(), EndsWith("GET /echo a"));
    CHECK_THAT(client.response(), EndsWith("POST /echo hello"));
    CHECK_THAT(client.response(), EndsWith("GET /echo b"));
    client.until_closed();
    CHECK(client.closed());
  }
  SECTION("byte by byte") {
    RawClient client(server.port);
    for (const char c : requests) REQUIRE(client.send({&c, 1}));
    CHECK_THAT(client.response(), EndsWith("GET /echo a"));
    CHECK_THAT(client.response(), EndsWith("POST /echo hello"));
    CHECK_THAT(client.response(), EndsWith("GET /echo b"));
  }
}

TEST_CASE("every response carries the fields that protect a browser") {
  Server server;
  RawClient client(server.port);
  for (const auto* path : {"/echo", "/missing"}) {
    REQUIRE(client.send(std::format("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", path)));
    const auto response = client.response();
    CHECK_THAT(response,
               ContainsSubstring(
                   "\r\nContent-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"));
    CHECK_THAT(response, ContainsSubstring("\r\nX-Content-Type-Options: nosniff\r\n"));
    CHECK_THAT(response, ContainsSubstring("\r\nReferrer-Policy: no-referrer\r\n"));
    CHECK_THAT(response, ContainsSubstring("\r\nCache-Control: no-store\r\n"));
    CHECK_THAT(response, ContainsSubstring(" GMT\r\n"));
  }
}

TEST_CASE("HEAD has the fields of GET and no body") {
  Server server;
  RawClient client(server.port);
  REQUIRE(
      client.send("HEAD /large HTTP/1.1\r\nHost: localhost\r\n\r\nGET /echo HTTP/1.1\r\nHost: "
                  "localhost\r\n\r\n"));
  CHECK_THAT(client.response(false), ContainsSubstring("\r\nContent-Length: 1000000\r\n"));
  CHECK_THAT(client.response(), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_CASE("a long text is sent with gzip to those who take it") {
  Server server;
  RawClient client(server.port);
  REQUIRE(
      client.send("GET /large HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: "
                  "deflate\r\nAccept-Encoding: gzip\r\n\r\n"));
  const auto zipped = client.response();
  CHECK_THAT(zipped, ContainsSubstring("\r\nContent-Encoding: gzip\r\n"));
  CHECK_THAT(zipped, ContainsSubstring("\r\nVary: Accept-Encoding\r\n"));
  CHECK(zipped.size() < 200'000);
  REQUIRE(
      client.send("GET /large HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip;q=0\r\n\r\n"));
  const auto plain = client.response();
  CHECK(body_of(plain).size() == 1'000'000);
  CHECK(gunzip(body_of(zipped)) == body_of(plain));
  REQUIRE(client.send("GET /echo HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n"));
  CHECK_THAT(client.response(), !ContainsSubstring("Content-Encoding"));
}

TEST_CASE("HTTP/1.0 gets one answer") {
  Server server;
  RawClient client(server.port);
  REQUIRE(client.send("GET /echo HTTP/1.0\r\nHost: localhost\r\n\r\n"));
  CHECK_THAT(client.until_closed(), ContainsSubstring("\r\nConnection: close\r\n"));
  CHECK(client.closed());
}

TEST_CASE("Expect: 100-continue is answered before the body comes") {
  Server server;
  RawClient client(server.port);
  REQUIRE(
      client.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nExpect: "
                  "100-continue\r\n\r\n"));
  CHECK(client.response() == "HTTP/1.1 100 Continue\r\n\r\n");
  REQUIRE(client.send("ok"));
  CHECK_THAT(client.response(), EndsWith("POST /echo ok"));
}

TEST_CASE("a handler that throws is a 500, not an end") {
  Server server;
  RawClient client(server.port);
  REQUIRE(client.send("GET /throw HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  const auto response = client.response();
  CHECK_THAT(response, StartsWith("HTTP/1.1 500 "));
  CHECK_THAT(response, !ContainsSubstring("secret"));
  REQUIRE(client.send("GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  CHECK_THAT(client.response(), StartsWith("HTTP/1.1 200 "));
  CHECK(server.stats().handler_errors == 1);
}

TEST_CASE("a handler cannot split the response") {
  Server server;
  RawClient client(server.port);
  REQUIRE(client.send("GET /split HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  const auto response = client.response();
  CHECK_THAT(response, !ContainsSubstring("X-Evil"));
  CHECK_THAT(response, ContainsSubstring("\r\nX-Good: yes\r\n"));
}

TEST_CASE("the Unix socket: mode, local requests, stale and live files") {
  const test::TemporaryDirectory directory;
  const auto path = directory.file("monitor.sock");
  auto first = std::make_unique<Server>(HttpServerOptions{}, path);
  struct stat found{};
  REQUIRE(::stat(path.c_str(), &found) == 0);
  CHECK((found.st_mode & 0777U) == 0660U);
  {
    RawClient client(path);
    REQUIRE(client.send("GET /local HTTP/1.1\r\nHost: anything.example\r\n\r\n"));
    CHECK_THAT(client.response(), EndsWith("local"));
    RawClient outside(first->port);
    REQUIRE(outside.send("GET /local HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    CHECK_THAT(outside.response(), EndsWith("remote"));
  }
  test::Loop loop;
  HttpServer second(loop.context(), {}, [](const HttpRequest&) { return HttpResponse{}; });
  const auto live = second.listen_unix(path, 0600);
  REQUIRE_FALSE(live);
  CHECK_THAT(live.error().text, ContainsSubstring("in use"));
  first.reset();
  CHECK_FALSE(std::filesystem::exists(path));

  {  // a dead process leaves its file behind
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(std::data(address.sun_path), sizeof address.sun_path - 1);
    REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    ::close(fd);
  }
  CHECK(second.listen_unix(path, 0600));

  const auto file = directory.file("precious");
  std::ofstream(file) << "data";
  CHECK_FALSE(second.listen_unix(file, 0600));
  CHECK(std::filesystem::exists(file));
  CHECK_FALSE(second.listen_unix(std::string(200, 'x'), 0600));
  CHECK_FALSE(second.listen_unix(directory.file("no/such/dir"), 0600));
}

TEST_CASE("endpoints that make no sense are refused") {
  test::Loop loop;
  HttpServer server(loop.context(), {}, [](const HttpRequest&) { return HttpResponse{}; });
  for (const auto* text : {"", "8090", "localhost:80", "127.0.0.1:", "127.0.0.1:99999",
                           "127.0.0.1:8o", "::1:80", "203.0.113.7:0"}) {
    INFO(text);
    CHECK_FALSE(server.listen_tcp(text));
  }
  const auto port = server.listen_tcp("127.0.0.1:0");
  REQUIRE(port);
  const auto taken = server.listen_tcp(std::format("127.0.0.1:{}", *port));
  REQUIRE_FALSE(taken);
  CHECK_THAT(taken.error().text, ContainsSubstring("cannot listen on 127.0.0.1:"));
}
