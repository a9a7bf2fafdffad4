// HTTP probes of servers that break off, drag on, and send without end.

#include <zlib.h>

#include "hostile_bed.hpp"

using namespace sentinel;
using namespace sentinel::test;
using namespace std::chrono_literals;
using core::ProbeReason;
using core::Verdict;

namespace {

core::ProbeSpec http(std::uint16_t port, core::Duration timeout = 20s) {
  core::ProbeSpec spec;
  spec.name = "web";
  spec.port = port;
  spec.timeout = timeout;
  return spec;
}

core::ProbeSpec wanting(std::uint16_t port, std::string text) {
  auto spec = http(port);
  spec.http.body_contains = std::move(text);
  return spec;
}

std::string gzip(const std::string& text) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string from = text;
  std::string to(text.size() / 100 + 1024, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(from.data());
  stream.avail_in = static_cast<uInt>(from.size());
  stream.next_out = reinterpret_cast<Bytef*>(to.data());
  stream.avail_out = static_cast<uInt>(to.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  to.resize(stream.total_out);
  deflateEnd(&stream);
  return to;
}

const std::string ok_head = "HTTP/1.1 200 OK\r\n";

}  // namespace

TEST_CASE("http: refused") {
  HostileBed bed;
  check(bed.suffer(http(closed_port())), ProbeReason::refused, "connection refused");
}

TEST_CASE("http: a server that hangs up or resets at any step") {
  HostileBed bed;
  const Script script{Hear{"\r\n\r\n"}, Say{ok_head},   Say{"Content-Length: 12\r\n"},
                      Say{"\r\n"},      Say{"all is "}, Say{"fine\n"}};
  const std::string wanted = GENERATE("", "fine");
  for (std::size_t steps = 0; steps < script.size(); ++steps) {
    CAPTURE(steps, wanted);
    ScriptedPeer resets(bed.context(), cut(script, steps, Reset{}));
    const auto reset = bed.suffer(wanting(resets.port(), wanted));
    // That the connection was taken is known before the request is sent, or as it is.
    check(reset, ProbeReason::reset, "connection");
    CHECK(reset.code == (steps >= 4 ? 200 : 0));
    if (steps == 0) continue;  // a request that nobody read is answered with RST as well
    ScriptedPeer ends(bed.context(),
                      Script(script.begin(), script.begin() + std::ptrdiff_t(steps)));
    check(bed.suffer(wanting(ends.port(), wanted)), ProbeReason::reset,
          steps == 1 ? "closed without an answer" : "closed in the middle of the answer");
  }
  ScriptedPeer whole(bed.context(), script);
  CHECK(bed.suffer(wanting(whole.port(), wanted)).verdict == Verdict::pass);
}

TEST_CASE("http: a timeout is of the whole run, whatever trickles in") {
  HostileBed bed;
  const auto [script, said] = GENERATE(table<Script, std::string>({
      {{Hang{}}, "no answer within 400 ms"},
      {{Hear{"\r\n\r\n"}, Drip{ok_head + "Content-Length: 0\r\n\r\n", 50ms}}, "within 400 ms"},
      {{Hear{"\r\n\r\n"}, Say{ok_head}, Say{"Content-Length: 60\r\n\r\n"},
        Drip{std::string(60, 'x'), 50ms}},
       "the answer did not end within 400 ms"},
      {{Hear{"\r\n\r\n"}, Say{ok_head + "Transfer-Encoding: chunked\r\n\r\n"},
        Drip{repeated("1\r\nx\r\n", 60), 50ms}},
       "the answer did not end within 400 ms"},
      {{Hear{"\r\n\r\n"}, Drip{repeated("HTTP/1.1 100 Continue\r\n\r\n", 60), 50ms}},
       "within 400 ms"},
  }));
  ScriptedPeer peer(bed.context(), script);
  check(bed.suffer(http(peer.port(), 400ms)), ProbeReason::timeout, said);
}

TEST_CASE("http: an answer without end is given up at a size") {
  struct Endless {
    std::string head;
    std::string more;
    ProbeReason reason;
    std::string sentence;
  };
  const auto one = GENERATE(values<Endless>({
      {ok_head, repeated("X-More: 1\r\n", 4096), ProbeReason::protocol,
       "header fields beyond the limit"},
      {ok_head + "X: ", std::string(4096, 'x'), ProbeReason::protocol,
       "header fields beyond the limit"},
      {"HTTP/1.1 200 ", std::string(4096, 'x'), ProbeReason::protocol,
       "header fields beyond the limit"},
      {"", repeated("HTTP/1.1 100 Continue\r\n\r\n", 4096), ProbeReason::protocol,
       "interim answers"},
      {ok_head + "\r\n", std::string(4096, 'x'), ProbeReason::body, "does not hold \"needle\""},
      {ok_head + "Content-Length: 999999999999999999\r\n\r\n", std::string(4096, 'x'),
       ProbeReason::body, "does not hold \"needle\" in what was read"},
      {ok_head + "Transfer-Encoding: chunked\r\n\r\n",
       repeated("400\r\n" + std::string(1024, 'y') + "\r\n", 4096), ProbeReason::body,
       "does not hold \"needle\" in what was read"},
      {ok_head + "Transfer-Encoding: chunked\r\n\r\n", repeated("1\r\nx\r\n", 4096),
       ProbeReason::protocol, "more framing than content"},
      {ok_head + "Transfer-Encoding: chunked\r\n\r\n1;", std::string(4096, 'e'),
       ProbeReason::protocol, "a chunk header beyond the limit"},
      {ok_head + "Transfer-Encoding: chunked\r\n\r\n0\r\n", repeated("T: 1\r\n", 4096),
       ProbeReason::protocol, "header fields beyond the limit"},
      {"HTTP/1.1 503 Busy\r\n\r\n", std::string(4096, 'x'), ProbeReason::status,
       "expected 2xx, got 503"},
      {"", std::string(4096, '\0'), ProbeReason::protocol, "not HTTP/1"},
  }));
  CAPTURE(one.head, one.sentence);
  HostileBed bed;
  ScriptedPeer peer(bed.context(), {Hear{"\r\n\r\n"}, Say{one.head}, Flood{one.more}});
  check(bed.suffer(wanting(peer.port(), "needle")), one.reason, one.sentence);
  CHECK(peer.said() < bounded);
}

TEST_CASE("http: of a body nobody asks for little is read") {
  HostileBed bed;
  const std::string framing = GENERATE("\r\n", "Content-Length: 999999999999\r\n\r\n");
  ScriptedPeer peer(bed.context(),
                    {Hear{"\r\n\r\n"}, Say{ok_head + framing}, Flood{std::string(4096, 'x')}});
  CHECK(bed.suffer(http(peer.port())).verdict == Verdict::pass);
  CHECK(peer.said() < bounded);
}

TEST_CASE("http: a compressed bomb is never unpacked") {
  HostileBed bed;
  const auto bomb = gzip(std::string(std::size_t{64} << 20U, 'a'));
  REQUIRE(bomb.size() > 60'000);
  ScriptedPeer peer(
      bed.context(),
      {Hear{"\r\n\r\n"}, Say{ok_head +
                             "Content-Encoding: gzip\r\nContent-Type: application/json\r\n"
                             "Content-Length: " +
                             std::to_string(bomb.size()) + "\r\n\r\n" + bomb}});
  CHECK(bed.suffer(http(peer.port())).verdict == Verdict::pass);
  CHECK_FALSE(peer.heard().contains("Accept-Encoding"));
  check(bed.suffer(wanting(peer.port(), std::string(8, 'a'))), ProbeReason::body, "does not hold");
  auto json = http(peer.port());
  json.http.json = {{.pointer = "/a", .op = core::JsonCheck::Op::exists, .value = {}}};
  check(bed.suffer(json), ProbeReason::body, "JSON");
}

TEST_CASE("http: JSON that is deep, wide or broken") {
  HostileBed bed;
  const auto document =
      GENERATE(repeated("[", 60'000), repeated("{\"a\":", 60'000),
               "[" + repeated("0,", 60'000) + "0]", std::string("{\"a\": 1e999999}"),
               std::string("{\"a\": \"\xff\xfe\"}"), std::string("{"), std::string());
  ScriptedPeer peer(bed.context(), {Hear{"\r\n\r\n"},
                                    Say{ok_head +
                                        "Content-Type: application/health+json\r\n"
                                        "Content-Length: " +
                                        std::to_string(document.size()) + "\r\n\r\n" + document}});
  auto spec = http(peer.port());
  spec.http.json = {{.pointer = "/b", .op = core::JsonCheck::Op::exists, .value = {}}};
  check(bed.suffer(spec), ProbeReason::body, "");
  CHECK(bed.suffer(http(peer.port())).verdict == Verdict::pass);
}

TEST_CASE("http: a health document's own words are one printable line") {
  HostileBed bed;
  const std::string document = "{\"status\":\"fail\",\"output\":\"" +
                               repeated("\\u001b[31m\\r\\nred<b>\xe2\x80\xae", 8000) + "\"}";
  ScriptedPeer peer(bed.context(),
                    {Hear{"\r\n\r\n"},
                     Say{ok_head + "Content-Type: application/health+json\r\n\r\n" + document}});
  const auto found = bed.suffer(http(peer.port()));
  check(found, ProbeReason::health, "reports fail");
  for (const char c : found.sentence) CHECK(static_cast<unsigned char>(c) >= 0x20);
}

TEST_CASE("http: framings that contradict themselves") {
  const auto [head, sentence] = GENERATE(table<std::string, std::string>({
      {"Content-Length: 1\r\nContent-Length: 2\r\n", "two Content-Length"},
      {"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", "both Content-Length"},
      {"Transfer-Encoding: chunked, identity\r\n", "Transfer-Encoding"},
      {"Content-Length: -1\r\n", "Content-Length is no number"},
      {"Content-Length: 99999999999999999999999\r\n", "Content-Length is no number"},
      {" folded\r\n", "header field without a name"},
      {"X: a\rb\r\n", "bare CR"},
      {std::string("X: a\0b\r\n", 8), "NUL"},
  }));
  HostileBed bed;
  ScriptedPeer peer(bed.context(), {Hear{"\r\n\r\n"}, Say{ok_head + head + "\r\nxx"}, Hang{}});
  check(bed.suffer(http(peer.port())), ProbeReason::protocol, sentence);
}

TEST_CASE("http: something else than HTTP") {
  const std::string greeting =
      GENERATE("220 mail.example.net ESMTP\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/2 200\r\n",
               "HTTP/1.1 099 No\r\n\r\n", "HTTP/1.1 9999 No\r\n\r\n", "\x15\x03\x01\x02\x02",
               "<html>\r\n", "\r\n\r\n\r\n");
  HostileBed bed;
  ScriptedPeer peer(bed.context(), {Hear{"\r\n\r\n"}, Say{greeting}, Hang{}});
  check(bed.suffer(http(peer.port())), ProbeReason::protocol, "expected an HTTP answer, got ");
}

TEST_CASE("http: a refusal in words before the request was read is heard") {
  HostileBed bed;
  // Closing with the request unread makes the network send RST behind the words.
  ScriptedPeer peer(bed.context(), {Say{"HTTP/1.1 429 Slow down\r\nContent-Length: 0\r\n\r\n"}});
  const auto found = bed.suffer(http(peer.port()));
  check(found, ProbeReason::status, "got 429");
}

namespace {

/// Sends whoever comes from one path to the next.
std::string onward(std::string_view heard, const std::string& location) {
  const auto path = heard.substr(0, heard.find(" HTTP")).substr(4);
  std::string to = location;
  if (to == "longer") to = std::string(path) + "x";
  if (to == "other") to = path == "/a" ? "/b" : "/a";
  return "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + to + "\r\n\r\n";
}

}  // namespace

TEST_CASE("http: redirects in a circle, without end, and to where nobody goes") {
  const auto [location, sentence, connections] =
      GENERATE(table<std::string, std::string, unsigned>({
          {"/", "the redirect leads to itself", 1},
          {"other", "more than 5 redirects", 6},
          {"longer", "more than 5 redirects", 6},
          {"http://169.254.169.254/latest/meta-data", "another host", 1},
          {"//example.net/", "another host", 1},
          {"http://127.0.0.1@example.net/", "", 1},
          {"file:///etc/passwd", "another protocol", 1},
          {"gopher://127.0.0.1/", "another protocol", 1},
          {"http://127.0.0.1:0/", "no URL", 1},
          {"http://127.0.0.1:99999/", "no URL", 1},
          {"/a b", "no URL", 1},
      }));
  CAPTURE(location);
  HostileBed bed;
  ScriptedPeer peer(bed.context(),
                    {Hear{"\r\n\r\n"}, Answer{[to = location](std::string_view heard) {
                       return onward(heard, to);
                     }}});
  auto spec = http(peer.port());
  spec.http.max_redirects = 5;
  const auto found = bed.suffer(spec);
  check(found, ProbeReason::redirect, sentence);
  CHECK(found.code == 302);
  CHECK(peer.accepted() == connections);
}

TEST_CASE("http: a connection that was kept and is not good any more") {
  HostileBed bed;
  const Script answer{Hear{"\r\n\r\n"}, Say{ok_head + "Content-Length: 2\r\n\r\nok"}};
  const auto spoiled = GENERATE(
      values<Step>({Step{Reset{}}, Step{Say{"HTTP/1.1 503 Unasked\r\nContent-Length: 0\r\n\r\n"}},
                    Step{Hear{}}, Step{Flood{std::string(4096, 'x')}}}));
  ScriptedPeer peer(bed.context(), cut(answer, answer.size(), spoiled));
  auto spec = std::make_shared<core::ProbeSpec>(http(peer.port()));
  spec->http.keep_alive = true;
  for (unsigned i = 0; i < 3; ++i) {
    const auto found = bed.outcome(bed.start(spec));
    INFO(found.sentence);
    CHECK(found.verdict == Verdict::pass);
  }
  CHECK(peer.accepted() >= 2);
  CHECK(peer.said() < bounded);
}

TEST_CASE("http: many hostile servers at once take nothing from a good one") {
  HostileBed bed;
  std::vector<std::unique_ptr<ScriptedPeer>> peers;
  std::vector<std::uint64_t> runs;
  for (int i = 0; i < 40; ++i) {
    peers.push_back(std::make_unique<ScriptedPeer>(
        bed.context(), i % 2 == 0 ? Script{Hang{}}
                                  : Script{Hear{"\r\n\r\n"}, Say{ok_head + "\r\n"},
                                           Drip{std::string(100, 'x'), 20ms}}));
    runs.push_back(bed.start(wanting(peers.back()->port(), "needle")));
  }
  ScriptedPeer last(bed.context(), {Hang{}});
  check(bed.suffer(http(last.port(), 500ms)), ProbeReason::timeout, "no answer");
  for (const auto run : runs) {
    const auto* ended = bed.found(run);
    if (ended != nullptr) CHECK(ended->verdict == Verdict::fail);
  }
}
