#include <catch2/catch_test_macros.hpp>
#include <string>

#include "protocol/icmp.hpp"

using namespace sentinel::protocol;
using namespace std::string_literals;
using sentinel::core::Family;
using sentinel::core::IpAddress;

namespace {

const IcmpEcho echo{.id = 0x1234, .sequence = 0xABCD, .token = 0x0102030405060708};
const std::string token = "\x01\x02\x03\x04\x05\x06\x07\x08"s;

std::uint16_t sum(std::string_view text) {
  std::uint32_t total = 0;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    total += static_cast<unsigned>(static_cast<unsigned char>(text[i])) << 8U;
    if (i + 1 < text.size()) total += static_cast<unsigned char>(text[i + 1]);
  }
  while (total > 0xFFFF) total = (total & 0xFFFFU) + (total >> 16U);
  return static_cast<std::uint16_t>(~total);
}

/// Type, code, the checksum set right, the rest.
std::string message(int type, int code, std::string_view rest) {
  std::string text{static_cast<char>(type), static_cast<char>(code), '\0', '\0'};
  text += rest;
  const auto value = sum(text);
  text[2] = static_cast<char>(value >> 8U);
  text[3] = static_cast<char>(value & 0xFFU);
  return text;
}

std::string v4(std::string_view inside, int protocol = 1, std::string_view options = "") {
  std::string header(20, '\0');
  header[0] = static_cast<char>(0x45 + options.size() / 4);
  header[9] = static_cast<char>(protocol);
  header.replace(16, 4, "\xC0\x00\x02\x01"s);
  return header + std::string(options) + std::string(inside);
}

std::string v6(std::string_view inside) {
  std::string header(40, '\0');
  header[0] = '\x60';
  header[6] = 58;
  header.replace(24, 4, "\x20\x01\x0d\xb8");
  header[39] = 1;
  return header + std::string(inside);
}

const std::string reply_rest = "\x12\x34\xAB\xCD"s + token;
const std::string quoted = "\x08\x00\x00\x00\x12\x34\xAB\xCD"s;
const std::string quoted6 = "\x80\x00\x00\x00\x12\x34\xAB\xCD"s;

bool is_echo(const IcmpMessage& found) {
  const auto* got = std::get_if<IcmpEcho>(&found);
  return got != nullptr && *got == echo;
}
bool is_nothing(const IcmpMessage& found) { return std::holds_alternative<std::monostate>(found); }

}  // namespace

TEST_CASE("ICMP: echo requests") {
  const auto request = icmp_echo_request(Family::v4, echo);
  CHECK(request == message(8, 0, reply_rest));
  CHECK(icmp_echo_request(Family::v6, echo) == "\x80\x00\x00\x00"s + reply_rest);
  const auto read = parse_icmp_request(Family::v4, request);
  REQUIRE(read);
  CHECK(read->id == echo.id);
  CHECK(read->sequence == echo.sequence);
  CHECK_FALSE(parse_icmp_request(Family::v6, request));
  CHECK_FALSE(parse_icmp_request(Family::v4, request.substr(0, 7)));
}

TEST_CASE("ICMP: echo replies") {
  const auto reply = message(0, 0, reply_rest);
  CHECK(is_echo(parse_icmp(Family::v4, reply, false)));
  CHECK(is_echo(parse_icmp(Family::v4, v4(reply), true)));
  CHECK(is_echo(parse_icmp(Family::v4, v4(reply, 1, "\x94\x04\x00\x00"s), true)));
  CHECK(is_echo(parse_icmp(Family::v6, "\x81\x00??"s + reply_rest, false)));

  auto broken = reply;
  broken[9] = 'x';
  CHECK(is_nothing(parse_icmp(Family::v4, broken, false)));                     // checksum
  CHECK(is_nothing(parse_icmp(Family::v4, message(8, 0, reply_rest), false)));  // our own request
  CHECK(is_nothing(parse_icmp(Family::v4, message(0, 1, reply_rest), false)));  // code
  CHECK(is_nothing(parse_icmp(Family::v4, message(0, 0, reply_rest + "x"), false)));
  CHECK(is_nothing(parse_icmp(Family::v4, v4(reply, 17), true)));
  CHECK(is_nothing(parse_icmp(Family::v4, v4(reply), false)));
  CHECK(is_nothing(parse_icmp(Family::v6, reply, false)));
  const auto packet = v4(reply);
  for (std::size_t size = 0; size < packet.size(); ++size)
    CHECK(is_nothing(parse_icmp(Family::v4, packet.substr(0, size), true)));
}

TEST_CASE("ICMP: errors about our requests") {
  const auto found = parse_icmp(Family::v4, message(3, 1, "\0\0\0\0"s + v4(quoted)), false);
  const auto* failure = std::get_if<IcmpFailure>(&found);
  REQUIRE(failure != nullptr);
  CHECK(failure->error == IcmpError::host_unreachable);
  CHECK(failure->target == *IpAddress::parse("192.0.2.1"));
  CHECK(failure->id == echo.id);
  CHECK(failure->sequence == echo.sequence);

  const auto found6 = parse_icmp(Family::v6, message(1, 1, "\0\0\0\0"s + v6(quoted6)), false);
  const auto* failure6 = std::get_if<IcmpFailure>(&found6);
  REQUIRE(failure6 != nullptr);
  CHECK(failure6->error == IcmpError::prohibited);
  CHECK(failure6->target == *IpAddress::parse("2001:db8::1"));

  // About somebody's UDP, about an error, about a fragment, or cut off.
  CHECK(is_nothing(parse_icmp(Family::v4, message(3, 1, "\0\0\0\0"s + v4(quoted, 17)), false)));
  CHECK(is_nothing(
      parse_icmp(Family::v4, message(3, 1, "\0\0\0\0"s + v4("\x03\x01______"s)), false)));
  auto fragment = v4(quoted);
  fragment[7] = 1;
  CHECK(is_nothing(parse_icmp(Family::v4, message(3, 1, "\0\0\0\0"s + fragment), false)));
  CHECK(is_nothing(
      parse_icmp(Family::v4, message(3, 1, "\0\0\0\0"s + v4(quoted).substr(0, 27)), false)));
  CHECK(is_nothing(parse_icmp(Family::v4, message(5, 1, "\0\0\0\0"s + v4(quoted)), false)));
}

TEST_CASE("ICMP: what an error means") {
  using enum IcmpError;
  CHECK(icmp_error(Family::v4, 3, 0) == network_unreachable);
  CHECK(icmp_error(Family::v4, 3, 13) == prohibited);
  CHECK(icmp_error(Family::v4, 11, 0) == time_exceeded);
  CHECK_FALSE(icmp_error(Family::v4, 4, 0));
  CHECK(icmp_error(Family::v6, 1, 3) == host_unreachable);
  CHECK(icmp_error(Family::v6, 2, 0) == too_big);
  CHECK_FALSE(icmp_error(Family::v6, 128, 0));
  CHECK(to_string(host_unreachable) == "host is unreachable");
}
