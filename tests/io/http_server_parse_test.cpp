#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "io/http_server.hpp"
#include "io/http_server_parse.hpp"

using namespace sentinel::io;

TEST_CASE("targets are decoded and folded") {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"/", "/"},
      {"/a/b", "/a/b"},
      {"/a//b/./c/", "/a/b/c/"},
      {"/a/.", "/a/"},
      {"/caf%C3%A9", "/caf\xC3\xA9"},
      {"/api/v1/services/p%2Fs", "/api/v1/services/p/s"},
      {"/a%20b", "/a b"},
      {"/...", "/..."},
      {"//", "/"},
      {"http://localhost:8090/x?q", "/x"},
      {"http://localhost?q", "/"},
  };
  for (const auto& [target, path] : cases) {
    INFO(target);
    const auto parsed = parse_target(target);
    REQUIRE(parsed);
    CHECK(parsed->path == path);
  }
  CHECK(parse_target("/a?b=c%20d&e")->query == "b=c%20d&e");
  CHECK(parse_target("http://Example.org:80/x")->authority == "Example.org:80");
}

TEST_CASE("targets that climb or hide something are refused") {
  for (const auto* target : {"",
                             "*",
                             "a",
                             "?x",
                             "/..",
                             "/a/../b",
                             "/%2e%2e/x",
                             "/a/%2E./b",
                             "/..%2fetc",
                             "/a%00",
                             "/a%0d%0ab",
                             "/%",
                             "/%1",
                             "/%zz",
                             "/a%7f",
                             "/x#y",
                             "http://",
                             "http:///x",
                             "http://a b/",
                             "https://localhost/x",
                             "http://user@localhost/"}) {
    INFO(target);
    CHECK_FALSE(parse_target(target));
  }
}

TEST_CASE("Host is a name, an address or nothing we serve") {
  const std::vector<std::string> names{"monitor", "sentinel.example.org"};
  for (const auto* host :
       {"localhost", "LOCALHOST:8090", "a.localhost", "localhost.", "127.0.0.1", "10.1.2.3:80",
        "[::1]", "[::1]:8090", "monitor:8090", "Monitor", "sentinel.example.org"}) {
    INFO(host);
    CHECK(valid_host(host));
    CHECK(host_allowed(host, names));
  }
  for (const auto* host :
       {"evil.example", "localhost.evil.example", "evillocalhost", "127.0.0.1.evil.example",
        "monitor.evil", "1.2.3", "0x7f.1", ".localhost"}) {
    INFO(host);
    CHECK(valid_host(host));
    CHECK_FALSE(host_allowed(host, names));
  }
  for (const auto* host : {"", ":80", "a b", "a/b", "a@b", "::1", "[::1", "[::1]x", "[]", "a:b",
                           "a:123456", "a,b", "[127.0.0.1]"}) {
    INFO(host);
    CHECK_FALSE(valid_host(host));
  }
  CHECK_FALSE(valid_host(std::string(300, 'a')));
}

TEST_CASE("Accept-Encoding: q=0 means no") {
  for (const auto* value : {"gzip", "GZIP", "deflate, gzip;q=0.5", "x-gzip", "*",
                            "br;q=1.0, *;q=0.1", "gzip ; q=0.001", "identity, gzip"}) {
    INFO(value);
    CHECK(accepts_gzip(value));
  }
  for (const auto* value : {"", "identity", "deflate, br", "gzip;q=0", "gzip;q=0.000, *", "*;q=0",
                            "gzip;q=", "gzip;q=abc", "gzipped", "gzip;q=0.0000001"}) {
    INFO(value);
    CHECK_FALSE(accepts_gzip(value));
  }
}

TEST_CASE("headers that parsers disagree about are suspect") {
  CHECK_FALSE(header_suspect("GET / HTTP/1.1\r\nHost: a\r\nX:\tb\r\n\r\n"));
  CHECK(header_suspect("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n"));
  CHECK(header_suspect("GET / HTTP/1.1\r\nHost: a\r\n\tb\r\n\r\n"));
  CHECK(header_suspect("GET / HTTP/1.1\nHost: a\r\n\r\n"));
  CHECK(header_suspect("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n"));
  CHECK(header_suspect(std::string_view{"GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", 29}));
  CHECK(header_suspect("GET / HTTP/1.1\r\nHost: \x1b[2J\r\n\r\n"));
}

TEST_CASE("query parameters are decoded one by one") {
  const HttpRequest request{
      .method = "GET", .path = "/", .query = "a=1&service=shop%2Fweb+1&a=2&bad=%zz&empty"};
  CHECK(request.parameter("a") == "1");
  CHECK(request.parameter("service") == "shop/web 1");
  CHECK(request.parameter("empty") == "");
  CHECK_FALSE(request.parameter("bad"));
  CHECK_FALSE(request.parameter("none"));
}

TEST_CASE("a problem document survives hostile detail") {
  const auto response = http_problem(404, "no \"service\" \xff\x01 called so");
  CHECK(response.content_type == "application/problem+json");
  CHECK(response.status == 404);
  CHECK(response.body ==
        "{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404,\"detail\":\"no "
        "\\\"service\\\" \xEF\xBF\xBD\\u0001 called so\"}\n");
}
