#include <catch2/catch_test_macros.hpp>
#include <string>

#include "observe/text.hpp"

using namespace sentinel;
using namespace std::chrono_literals;
using observe::human;
using observe::one_line;

TEST_CASE("text stays one line and valid UTF-8 whatever comes in") {
  CHECK(one_line("plain text", 100) == "plain text");
  CHECK(one_line("a\nb\r\tc", 100) == "a\\x0Ab\\x0D\\x09c");
  CHECK(one_line("\x1b[31mred\x1b[0m", 100) == "\\x1B[31mred\\x1B[0m");
  CHECK(one_line(std::string_view("nul\0end", 7), 100) == "nul\\x00end");
  CHECK(one_line("caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80", 100) ==
        "caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80");
  CHECK(one_line("right-to-left \xE2\x80\xAE"
                 "evil",
                 100) == "right-to-left \\u{202E}evil");
  CHECK(one_line("line\xE2\x80\xA8"
                 "separator",
                 100) == "line\\u{2028}separator");
  CHECK(one_line("C1 \xC2\x9B"
                 "31m",
                 100) == "C1 \\x9B31m");
}

TEST_CASE("bytes that are no UTF-8 are replaced one by one") {
  const std::string bad = "\xEF\xBF\xBD";
  CHECK(one_line("\xFF", 100) == bad);
  CHECK(one_line("\xC0\xAF", 100) == bad + bad);            // overlong
  CHECK(one_line("\xED\xA0\x80", 100) == bad + bad + bad);  // surrogate
  CHECK(one_line("\xF4\x90\x80\x80", 100) == bad + bad + bad + bad);
  CHECK(one_line("cut \xE2\x82", 100) == "cut " + bad + bad);
}

TEST_CASE("long text is cut between characters") {
  CHECK(one_line("0123456789", 10) == "0123456789");
  CHECK(one_line("0123456789x", 10) == "0123456\xE2\x80\xA6");
  CHECK(one_line("\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC", 10) ==
        "\xE2\x82\xAC\xE2\x82\xAC\xE2\x80\xA6");
  CHECK(one_line("anything", 0).empty());
  for (std::size_t limit = 0; limit < 40; ++limit)
    CHECK(one_line("a\x1b\xE2\x82\xAC\xFF\xF0\x9F\x98\x80 tail", limit).size() <= limit);
}

TEST_CASE("durations for people") {
  CHECK(human(0ms) == "0 ms");
  CHECK(human(-5s) == "0 ms");
  CHECK(human(850ms) == "850 ms");
  CHECK(human(12s + 449ms) == "12.4 s");
  CHECK(human(60s) == "1 min");
  CHECK(human(185s) == "3 min 5 s");
  CHECK(human(2h + 10min + 59s) == "2 h 10 min");
  CHECK(human(49h) == "2 d 1 h");
}

TEST_CASE("RFC 3339 in UTC with milliseconds") {
  CHECK(observe::rfc3339(0) == "1970-01-01T00:00:00.000Z");
  CHECK(observe::rfc3339(1'709'210'096'007) == "2024-02-29T12:34:56.007Z");
  CHECK(observe::rfc3339(-1) == "1969-12-31T23:59:59.999Z");
}
