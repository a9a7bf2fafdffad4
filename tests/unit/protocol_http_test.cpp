#include <catch2/catch_test_macros.hpp>
#include <string>

#include "protocol/http_response.hpp"

using namespace sentinel::protocol;
using namespace std::string_literals;

namespace {

struct Outcome {
  bool done = false;
  bool failed = false;
  unsigned status = 0;
  std::string body;
  std::string rest;
  bool keep_alive = false;
  std::string date;
  bool operator==(const Outcome&) const = default;
};

Outcome read(std::string_view text, std::size_t step, HttpLimits limits = {}, bool eof = false) {
  HttpResponseReader reader(limits);
  Outcome out;
  while (!text.empty() && !reader.done()) {
    std::string_view part = text.substr(0, step);
    const std::size_t offered = part.size();
    while (!part.empty() && !reader.done()) {
      const auto piece = reader.take(part);
      if (!piece) {
        Outcome refused;
        refused.failed = true;
        return refused;
      }
      out.body += *piece;
    }
    text.remove_prefix(offered - part.size());
  }
  if (eof) reader.finish();
  out.done = reader.done();
  out.status = reader.head_done() ? reader.status() : 0;
  out.keep_alive = reader.keep_alive();
  out.rest = text;
  out.date = reader.date();
  return out;
}

/// The same in one piece and byte by byte.
Outcome both(std::string_view text, HttpLimits limits = {}, bool eof = false) {
  const Outcome whole = read(text, text.size() + 1, limits, eof);
  CHECK(read(text, 1, limits, eof) == whole);
  CHECK(read(text, 7, limits, eof) == whole);
  return whole;
}

const std::string head = "HTTP/1.1 200 OK\r\n";

}  // namespace

TEST_CASE("framings of a body") {
  auto sized =
      both(head + "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 5\r\n\r\nhelloNEXT");
  CHECK(sized.done);
  CHECK(sized.body == "hello");
  CHECK(sized.rest == "NEXT");
  CHECK(sized.keep_alive);
  CHECK(sized.date == "Sun, 06 Nov 1994 08:49:37 GMT");

  auto chunked = both(
      head +
      "transfer-encoding:  Chunked \r\n\r\n5;ext=1\r\nhello\r\n1\r\n \r\n0\r\nTrailer: x\r\n\r\n");
  CHECK(chunked.done);
  CHECK(chunked.body == "hello ");
  CHECK(chunked.keep_alive);

  auto to_end = both(head + "\r\nuntil the end", {}, true);
  CHECK(to_end.done);
  CHECK(to_end.body == "until the end");
  CHECK_FALSE(to_end.keep_alive);

  CHECK(both("HTTP/1.1 204 No Content\r\n\r\n").done);
  CHECK(both("HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n").done);
  CHECK(both(head + "Content-Length: 0\r\n\r\n").done);
  CHECK(both("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n").done);
  CHECK(both("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno")
            .status == 404);
}

TEST_CASE("connections that end with the answer") {
  CHECK_FALSE(both(head + "Connection: Keep-Alive, Close\r\nContent-Length: 0\r\n\r\n").keep_alive);
  CHECK_FALSE(both("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").keep_alive);
  CHECK(both("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n").keep_alive);
}

TEST_CASE("an end in the middle is no end") {
  CHECK_FALSE(both(head + "Content-Length: 5\r\n\r\nhell", {}, true).done);
  CHECK_FALSE(both(head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", {}, true).done);
  CHECK_FALSE(both(head + "Transfer-Encoding: chunked\r\n\r\n0\r\n", {}, true).done);
  CHECK_FALSE(both("HTTP/1.1 200 OK\r\nContent-", {}, true).done);
}

TEST_CASE("refused answers") {
  const std::string chunked = head + "Transfer-Encoding: chunked\r\n\r\n";
  for (const std::string& bad :
       {"SSH-2.0-OpenSSH\r\n"s,
        "HTTP/2 200\r\n"s,
        "HTTP/1.1 99 X\r\n"s,
        "HTTP/1.1 099 X\r\n"s,
        "HTTP/1.1 600 X\r\n"s,
        "HTTP/1.1 2x0 OK\r\n"s,
        "HTTP/1.1 2000 OK\r\n"s,
        "HTTP/1.1 101 Switching\r\n\r\n"s,
        head + "no colon\r\n",
        head + ": x\r\n",
        head + "A: b\r\n folded\r\n",
        head + "Bad Name: x\r\n",
        head + "Content-Length: 5\r\nContent-Length: 6\r\n",
        head + "Content-Length: -1\r\n",
        head + "Content-Length: 0x5\r\n",
        head + "Content-Length: 9999999999999999999999\r\n",
        head + "Content-Length: 5, 5\r\n",
        head + "Transfer-Encoding: chunked, identity\r\n",
        head + "Transfer-Encoding: gzip\r\n",
        head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        head + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n"s,
        head + "A: b\rc\r\n",
        head + "A: \0b\r\n"s + "\r\n",
        chunked + "x\r\n",
        chunked + "-5\r\n",
        chunked + "5 5\r\n",
        chunked + "ffffffffffffffff\r\n",
        chunked + "\r\n",
        chunked + "1\r\nab\r\n",
        chunked + "1;" + std::string(300, 'e'),
        head + "A: " + std::string(40'000, 'x'),
        chunked + "0\r\n" + std::string(40'000, 't')}) {
    INFO(bad.substr(0, 100));
    CHECK(both(bad).failed);
  }
  std::string interim;
  for (int i = 0; i < 10; ++i) interim += "HTTP/1.1 100 Continue\r\n\r\n";
  CHECK(both(interim).failed);
}

TEST_CASE("bodies beyond the limit") {
  const HttpLimits limits{.max_body = 10};
  CHECK(both(head + "Content-Length: 11\r\n\r\n", limits).failed);
  CHECK(both(head + "Transfer-Encoding: chunked\r\n\r\n6\r\n123456\r\n5\r\n", limits).failed);
  CHECK(both(head + "\r\n12345678901", limits).failed);
  CHECK(both(head + "Content-Length: 10\r\n\r\n1234567890", limits).done);
}

TEST_CASE("requests") {
  CHECK(http_request("GET", "/_ping", "localhost") ==
        "GET /_ping HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Sentinel\r\nAccept: "
        "application/json\r\n\r\n");
  CHECK(http_request("POST", "/x", "h").find("Content-Length: 0\r\n\r\n") != std::string::npos);
}
