#include "io/http_probe_answer.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <format>
#include <random>
#include <string>
#include <vector>

using namespace sentinel;
using namespace sentinel::io;
using Catch::Matchers::ContainsSubstring;
using core::ProbeReason;
using core::Verdict;

namespace {

const core::HttpOptions usual;

struct Outcome {
  ProbeVerdict verdict;
  unsigned status = 0;
  bool done = false;  // before the end of the input
};

Outcome read(ProbeAnswer& answer, std::string_view bytes, std::size_t step) {
  Outcome outcome;
  answer.reset(usual);
  while (!bytes.empty() && !outcome.done) {
    outcome.done = answer.feed(bytes.substr(0, step)) == ProbeAnswer::Progress::done;
    bytes.remove_prefix(std::min(step, bytes.size()));
  }
  if (!outcome.done) answer.end();
  outcome.verdict = answer.judge();
  outcome.status = answer.status();
  return outcome;
}

/// The same verdict however the bytes are cut.
Outcome judge(std::string_view bytes) {
  Regexes regexes;
  ProbeAnswer answer(16 * 1024, 64 * 1024, regexes);
  const auto whole = read(answer, bytes, 4096);
  for (const std::size_t step : {1U, 2U, 7U}) {
    const auto cut = read(answer, bytes, step);
    CHECK(cut.verdict.verdict == whole.verdict.verdict);
    CHECK(cut.verdict.reason == whole.verdict.reason);
    CHECK(cut.verdict.sentence == whole.verdict.sentence);
    CHECK(cut.status == whole.status);
  }
  return whole;
}

std::string with_body(std::string_view body, std::string_view type = "text/plain",
                      unsigned status = 200) {
  return std::format("HTTP/1.1 {} X\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n{}", status,
                     type, body.size(), body);
}

}  // namespace

TEST_CASE("2xx passes however the body is framed") {
  for (const auto* text :
       {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.0 200 OK\r\n\r\nuntil the end",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2;x=y\r\nok\r\n0\r\nTrailer: "
        "x\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 "
        "OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n"}) {
    INFO(text);
    const auto outcome = judge(text);
    CHECK(outcome.verdict.verdict == Verdict::pass);
    CHECK(outcome.verdict.reason == ProbeReason::none);
    CHECK(outcome.status >= 200);
  }
}

TEST_CASE("other statuses fail and say so") {
  CHECK(judge(with_body("down", "text/plain", 503)).verdict.sentence == "expected 2xx, got 503");
  CHECK(judge(with_body("", "text/plain", 404)).verdict.reason == ProbeReason::status);
  CHECK(judge("HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n\r\n").verdict.sentence ==
        "expected 2xx, got 302 (redirects are not followed)");
  CHECK(judge("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n").verdict.sentence ==
        "expected 2xx, got 101");
  // The status is enough: a body that never ends is not waited for.
  const auto early = judge("HTTP/1.1 500 X\r\nContent-Length: 1000\r\n\r\n");
  CHECK(early.done);
  CHECK(early.status == 500);
}

TEST_CASE("health documents are believed over a 2xx status") {
  const auto health = [](std::string_view body) {
    return judge(with_body(body, "application/health+json; charset=utf-8")).verdict;
  };
  CHECK(health(R"({"status":"pass"})").verdict == Verdict::pass);
  CHECK(health(R"({"status":"UP"})").verdict == Verdict::pass);
  const auto warn = health(R"({"status":"warn","output":"disk \u001b[31m 91 %"})");
  CHECK(warn.verdict == Verdict::warn);
  CHECK(warn.reason == ProbeReason::health);
  CHECK(warn.sentence == "reports warn: disk \\x1b[31m 91 %");
  const auto fail = health(R"({"status":"fail"})");
  CHECK(fail.verdict == Verdict::fail);
  CHECK(fail.reason == ProbeReason::health);
  CHECK(fail.sentence == "reports fail with status 200");
  CHECK(health(R"({"output":"warn"})").verdict == Verdict::pass);
  CHECK(health(R"({"status":["warn"]})").verdict == Verdict::pass);
  CHECK(health("no json").verdict == Verdict::pass);
  CHECK(health(std::string(60'000, '[')).verdict == Verdict::pass);
  CHECK(judge(with_body(R"({"status":"warn"})", "application/json")).verdict.verdict ==
        Verdict::warn);
  CHECK(judge(with_body(R"({"status":"ready"})", "application/json")).verdict.verdict ==
        Verdict::pass);
  CHECK(judge(with_body(R"({"status":"warn"})", "text/plain")).verdict.verdict == Verdict::pass);
  CHECK(judge("HTTP/1.1 200 OK\r\nContent-Type: application/health+json\r\nTransfer-Encoding: "
              "chunked\r\n\r\n"
              "8\r\n{\"status\r\n9\r\n\":\"warn\"}\r\n0\r\n\r\n")
            .verdict.verdict == Verdict::warn);
}

TEST_CASE("what is not HTTP as we know it fails as protocol") {
  std::vector<std::string> cases{
      "SSH-2.0-OpenSSH_9.2\r\n",
      "HTTP/2 200\r\n\r\n",
      "HTTP/1.1 099 X\r\n\r\n",
      "HTTP/1.1 600 X\r\n\r\n",
      "HTTP/1.1 abc X\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
      "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\nx",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
      "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nX: a\x01\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
      "HTTP/1.1 200 OK\r\nX: " + std::string(20'000, 'a'),
  };
  std::string preliminary;
  for (int i = 0; i < 4000; ++i) preliminary += "HTTP/1.1 100 Continue\r\n\r\n";
  cases.push_back(preliminary);
  for (const auto& text : cases) {
    INFO(text.substr(0, 100));
    const auto outcome = judge(text);
    CHECK(outcome.verdict.verdict == Verdict::fail);
    CHECK(outcome.verdict.reason == ProbeReason::protocol);
    CHECK_THAT(outcome.verdict.sentence, ContainsSubstring("expected an HTTP answer, got "));
  }
}

TEST_CASE("framing without end is given up") {
  const std::string head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  Regexes regexes;
  ProbeAnswer answer(16 * 1024, 64 * 1024, regexes);
  const auto endless = [&](const std::string& prefix, const std::string& unit) {
    answer.reset(usual);
    auto progress = answer.feed(prefix);
    std::size_t sent = prefix.size();
    while (progress == ProbeAnswer::Progress::more && sent < 4'000'000) {
      progress = answer.feed(unit);
      sent += unit.size();
    }
    CHECK(progress == ProbeAnswer::Progress::done);
    CHECK(sent < 160 * 1024);
    return answer.judge();
  };
  CHECK(endless(head + "1;", std::string(1000, 'x')).reason == ProbeReason::protocol);
  CHECK(endless(head + "0\r\n", "Trailer: " + std::string(1000, 'x') + "\r\n").reason ==
        ProbeReason::protocol);
  CHECK(endless(head, "1;" + std::string(1000, 'x') + "\r\na\r\n").reason == ProbeReason::protocol);
  // A long body is no fault: what was kept is judged.
  CHECK(endless(head, "3e8\r\n" + std::string(1000, 'x') + "\r\n").verdict == Verdict::pass);
  CHECK(endless("HTTP/1.1 200 OK\r\n\r\n", std::string(1000, 'x')).verdict == Verdict::pass);
  CHECK(judge("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n").verdict.verdict ==
        Verdict::pass);
}

TEST_CASE("a connection that ends early fails as reset") {
  for (const auto* text :
       {"", "HTT", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nshor",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"}) {
    INFO(text);
    const auto outcome = judge(text);
    CHECK(outcome.verdict.verdict == Verdict::fail);
    CHECK(outcome.verdict.reason == ProbeReason::reset);
  }
}

TEST_CASE("mutated answers never confuse the reader") {
  std::mt19937 random(20'26);
  const std::vector<std::string> seeds{
      with_body(R"({"status":"warn","output":"x"})", "application/health+json"),
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: "
      "application/json\r\n\r\n5;a=b\r\n{\"sta\r\n0\r\nA: b\r\n\r\n",
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 503 no\r\nServer: x\r\n\r\nbye",
  };
  Regexes regexes;
  ProbeAnswer answer(512, 1024, regexes);
  for (int i = 0; i < 20'000; ++i) {
    auto text = seeds[random() % seeds.size()];
    for (auto changes = random() % 4; changes > 0; --changes) {
      const auto at = random() % text.size();
      switch (random() % 3) {
        case 0: text[at] = static_cast<char>(random() % 256); break;
        case 1: text.erase(at, random() % 5); break;
        default: text.insert(at, text.substr(random() % text.size(), random() % 40)); break;
      }
      if (text.empty()) text = "H";
    }
    const auto outcome = read(answer, text, 1 + random() % 64);
    REQUIRE(outcome.status <= 599);
    REQUIRE(
        (outcome.verdict.verdict != Verdict::fail || outcome.verdict.reason != ProbeReason::none));
  }
}
