#include <rapidcheck.h>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <span>
#include <string>

#include "core/ip.hpp"

using namespace sentinel::core;

namespace {

/// nullopt shown as such, so that a failure tells what came out.
std::string round_trip(std::string_view text) {
  const auto address = IpAddress::parse(text);
  return address ? address->to_string() : "none";
}

std::string prefix_trip(std::string_view text) {
  const auto prefix = IpPrefix::parse(text);
  return prefix ? prefix->to_string() : "none";
}

bool in(std::string_view address, std::string_view prefix) {
  return IpPrefix::parse(prefix).value().contains(IpAddress::parse(address).value());
}

}  // namespace

TEST_CASE("IPv4 addresses in the one form that every tool reads alike") {
  CHECK(round_trip("0.0.0.0") == "0.0.0.0");
  CHECK(round_trip("203.0.113.10") == "203.0.113.10");
  CHECK(round_trip("255.255.255.255") == "255.255.255.255");
  const auto* const text =
      GENERATE("", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.04", "010.0.0.1", "1.2.3.",
               ".1.2.3", "1..2.3", "1.2.3.4 ", " 1.2.3.4", "0x1.2.3.4", "1.2.3.-4", "1.2.3.+4",
               "1.2.3.4/24", "1.2.3.4.", "99999999999.2.3.4");
  CAPTURE(text);
  CHECK(round_trip(text) == "none");
}

TEST_CASE("IPv6 addresses are read in all forms of RFC 4291 and written in that of RFC 5952") {
  CHECK(round_trip("::") == "::");
  CHECK(round_trip("::1") == "::1");
  CHECK(round_trip("1::") == "1::");
  CHECK(round_trip("2001:DB8:0:0:0:0:0:1") == "2001:db8::1");
  CHECK(round_trip("2001:db8:0:1:1:1:1:1") == "2001:db8:0:1:1:1:1:1");  // one group is no run
  CHECK(round_trip("2001:0:0:1:0:0:0:1") == "2001:0:0:1::1");           // the longest
  CHECK(round_trip("2001:db8:0:0:1:0:0:1") == "2001:db8::1:0:0:1");     // the first of equals
  CHECK(round_trip("1:2:3:4:5:6:7::") == "1:2:3:4:5:6:7:0");
  CHECK(round_trip("::2:3:4:5:6:7:8") == "0:2:3:4:5:6:7:8");
  CHECK(round_trip("::ffff:192.0.2.1") == "::ffff:192.0.2.1");
  CHECK(round_trip("::ffff:c000:201") == "::ffff:192.0.2.1");
  CHECK(round_trip("64:ff9b::192.0.2.33") == "64:ff9b::c000:221");
  CHECK(round_trip("1:2:3:4:5:6:1.2.3.4") == "1:2:3:4:5:6:102:304");
  const auto* const text =
      GENERATE(":", ":::", "1:", ":1", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
               "12345::", "g::", "::1%eth0", "fe80::1%1", "1:2:3:4:5:6:7:1.2.3.4",
               "1.2.3.4::", "::1.2.3", "::1.2.3.4:5", "::1.2.3.400", "1:2:3:4::5:6:7:8",
               "::0001:00001", "[::1]", "::-1", "::1/64", "1:2:3:4:5:6:7:8:");
  CAPTURE(text);
  CHECK(round_trip(text) == "none");
}

TEST_CASE("every address is read back from its text") {
  CHECK(rc::check([](bool v6) {
    IpAddress address;
    address.family = v6 ? Family::v6 : Family::v4;
    const std::span<std::uint8_t> used{address.bytes.data(), v6 ? 16U : 4U};
    for (std::uint8_t& byte : used) {
      const bool zero = *rc::gen::inRange(0, 3) != 0;  // often, or runs would be rare
      if (!zero) byte = *rc::gen::arbitrary<std::uint8_t>();
    }
    RC_ASSERT(IpAddress::parse(address.to_string()) == address);
  }));
}

TEST_CASE("no text breaks the reader, and what it takes it writes the same way again") {
  CHECK(rc::check([] {
    const auto text = *rc::gen::container<std::string>(
        rc::gen::elementOf(std::string{"0123456789abcdefABCDEF::::....%/ "}));
    const auto address = IpAddress::parse(text);
    if (address) RC_ASSERT(IpAddress::parse(address->to_string()) == address);
    const auto prefix = IpPrefix::parse(text);
    if (prefix) RC_ASSERT(IpPrefix::parse(prefix->to_string()) == prefix);
  }));
}

TEST_CASE("prefixes") {
  CHECK(prefix_trip("10.8.0.0/24") == "10.8.0.0/24");
  CHECK(prefix_trip("10.8.0.7") == "10.8.0.7/32");
  CHECK(prefix_trip("0.0.0.0/0") == "0.0.0.0/0");
  CHECK(prefix_trip("2001:db8::/33") == "2001:db8::/33");
  CHECK(prefix_trip("::1") == "::1/128");
  CHECK(in("10.8.0.255", "10.8.0.0/24"));
  CHECK_FALSE(in("10.8.1.0", "10.8.0.0/24"));
  CHECK(in("10.8.0.129", "10.8.0.128/25"));
  CHECK_FALSE(in("10.8.0.127", "10.8.0.128/25"));
  CHECK(in("2001:db8:7fff::1", "2001:db8::/33"));
  CHECK_FALSE(in("2001:db8:8000::1", "2001:db8::/33"));
  CHECK(in("198.51.100.1", "0.0.0.0/0"));
  CHECK_FALSE(in("::1", "0.0.0.0/0"));  // families are worlds of their own
  const auto* const text =
      GENERATE("10.8.0.1/24", "10.8.0.0/33", "10.8.0.0/", "10.8.0.0/024", "/8", "10.8.0.0/-1",
               "10.8.0.0/8/8", "::1/64", "::/129", "10.8.0.0/ 8");
  CAPTURE(text);
  CHECK(prefix_trip(text) == "none");
}
