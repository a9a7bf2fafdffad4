#include <catch2/catch_test_macros.hpp>
#include <string>

#include "protocol/escape.hpp"

using sentinel::protocol::many_lines;
using sentinel::protocol::one_line;
using namespace std::string_literals;

TEST_CASE("one_line keeps plain text and other scripts") {
  CHECK(one_line("a \"quoted\" back\\slash") == "a \"quoted\" back\\slash");
  CHECK(one_line("h\xC3\xA9llo \xE4\xB8\xAD \xF0\x9F\x98\x80") ==
        "h\xC3\xA9llo \xE4\xB8\xAD \xF0\x9F\x98\x80");
  CHECK(one_line("").empty());
}

TEST_CASE("one_line makes controls harmless") {
  CHECK(one_line("a\r\nb\t\tc") == "a b c");
  CHECK(one_line("  trimmed \n") == "trimmed");
  CHECK(one_line("\x1b[2Jboo") == "\\x1b[2Jboo");
  CHECK(one_line("nul\0byte"s) == "nul\\x00byte");
  CHECK(one_line("del\x7f") == "del\\x7f");
  CHECK(one_line("c1 \xC2\x9B") == "c1 \\u{9b}");
  CHECK(one_line("next\xC2\x85line") == "next line");
  CHECK(one_line("line\xE2\x80\xA8separator") == "line separator");
  CHECK(one_line("bidi \xE2\x80\xAE"
                 "gpj.exe") == "bidi \\u{202e}gpj.exe");
  CHECK(one_line("zero\xE2\x80\x8Bwidth") == "zero\\u{200b}width");
  CHECK(one_line("\xEF\xBB\xBF"
                 "bom") == "\\u{feff}bom");
}

TEST_CASE("one_line replaces each maximal ill-formed sequence once") {
  const std::string bad = "\xEF\xBF\xBD";
  CHECK(one_line("\xFF") == bad);
  CHECK(one_line("\xC0\xAF") == bad + bad);                      // overlong
  CHECK(one_line("\xED\xA0\x80") == bad + bad + bad);            // surrogate
  CHECK(one_line("\xF4\x90\x80\x80") == bad + bad + bad + bad);  // above U+10FFFF
  CHECK(one_line("\xE4\xB8") == bad);                            // cut off
  CHECK(one_line("a\xF0\x9F\x98z") == "a" + bad + "z");
}

TEST_CASE("one_line cuts between characters and says so") {
  CHECK(one_line("abcdef", 6) == "abcdef");
  CHECK(one_line("abcdefg", 6) == "abc...");
  CHECK(one_line("\xE4\xB8\xAD\xE4\xB8\xAD\xE4\xB8\xAD", 8) == "\xE4\xB8\xAD...");
  CHECK(one_line(std::string(10'000, '\x1b'), 20) == "\\x1b\\x1b\\x1b\\x1b...");
  CHECK(one_line("abcdef", 2).empty());
  for (std::size_t most = 0; most < 40; ++most)
    CHECK(one_line("\x01\xE2\x80\xAE \xFFxyz \n 12345678", most).size() <= most);
}

TEST_CASE("many_lines keeps line feeds only") {
  CHECK(many_lines("one\r\ntwo\n\nthree\x1b\n", 100) == "one\ntwo\n\nthree\\x1b");
}
