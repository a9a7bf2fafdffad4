#pragma once

// IP addresses and prefixes as values.

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sentinel::core {

enum class Family : std::uint8_t { v4, v6 };

struct IpAddress {
  Family family = Family::v4;
  std::array<std::uint8_t, 16> bytes{};  // network order; v4 uses the first four, the rest are 0

  /// Dotted decimal with four parts and no leading zeros, or RFC 4291 text without zone.
  static std::optional<IpAddress> parse(std::string_view text);
  /// RFC 5952.
  std::string to_string() const;
  auto operator<=>(const IpAddress&) const = default;
};

struct IpPrefix {
  IpAddress address;  // bits beyond `length` are 0
  std::uint8_t length = 32;
  /// `10.8.0.0/24`; a plain address is a prefix of its whole length. Host bits must be 0.
  static std::optional<IpPrefix> parse(std::string_view text);
  std::string to_string() const;
  bool contains(const IpAddress&) const;
  auto operator<=>(const IpPrefix&) const = default;
};

}  // namespace sentinel::core
