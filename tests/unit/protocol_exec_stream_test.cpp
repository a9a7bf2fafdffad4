#include <catch2/catch_test_macros.hpp>
#include <optional>
#include <string>

#include "protocol/exec_stream.hpp"

using namespace sentinel::protocol;
using namespace std::string_literals;

namespace {

std::string frame(int stream, std::string_view text) {
  const auto size = static_cast<std::uint32_t>(text.size());
  std::string result{static_cast<char>(stream), '\0', '\0', '\0'};
  for (unsigned shift = 32; shift > 0; shift -= 8)
    result += static_cast<char>(size >> (shift - 8) & 0xFFU);
  return result + std::string(text);
}

/// nullopt: malformed.
std::optional<std::string> read(std::string_view text, std::size_t step, std::size_t keep) {
  ExecStream stream(keep);
  while (!text.empty()) {
    if (!stream.take(text.substr(0, step))) return std::nullopt;
    text.remove_prefix(std::min(step, text.size()));
  }
  CHECK(stream.whole());
  return stream.output();
}

}  // namespace

TEST_CASE("exec: frames however they arrive") {
  const auto text = frame(1, "one\n") + frame(2, "two\n") + frame(1, "") + frame(1, "three");
  for (const std::size_t step : {1U, 5U, 1000U}) CHECK(read(text, step, 4096) == "one\ntwo\nthree");
}

TEST_CASE("exec: only so much is kept") {
  const auto text =
      frame(1, std::string(3000, 'a')) + frame(2, std::string(1'000'000, 'b')) + frame(1, "c");
  for (const std::size_t step : {777U, 2'000'000U}) {
    const auto kept = read(text, step, 4096);
    REQUIRE(kept);
    CHECK(*kept == std::string(3000, 'a') + std::string(1096, 'b'));
  }
}

TEST_CASE("exec: broken frames") {
  CHECK_FALSE(read("OCI runtime exec failed: no such file", 1000, 4096));
  CHECK_FALSE(read(frame(3, "x"), 1000, 4096));
  CHECK_FALSE(read("\x01\x00\x01\x00\x00\x00\x00\x01x"s, 1, 4096));
  ExecStream cut(4096);
  CHECK(cut.take(frame(1, "four").substr(0, 10)));
  CHECK_FALSE(cut.whole());
  CHECK(cut.output() == "fo");
}

TEST_CASE("exec: the line that tells") {
  CHECK(first_line("\n  \r\nconnection refused\r\nmore\n", 100) == "connection refused");
  CHECK(first_line("\x1b[31mred", 100) == "\\x1b[31mred");
  CHECK(first_line("", 100).empty());
  CHECK(first_line("\n\n", 100).empty());
}
