#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace sentinel::demo {

/// A TCP address to listen on or to connect to.
struct Address {
  std::string host = "0.0.0.0";  ///< IPv4 or IPv6 literal, without brackets
  std::uint16_t port = 8080;     ///< 0 lets the system choose

  /// Reads "HOST:PORT", "[V6]:PORT" or ":PORT". HOST is a literal address or `localhost`, which
  /// is 127.0.0.1: names are not resolved here.
  [[nodiscard]] static std::expected<Address, std::string> parse(std::string_view text);
};

/// What a health check asks for.
struct HealthUrl {
  Address address;
  std::string path;

  /// Reads "http://HOST[:PORT][/PATH]"; the port is 80 and the path / when left out.
  [[nodiscard]] static std::expected<HealthUrl, std::string> parse(std::string_view text);

  /// GET /health of a service that listens on `listen`, asked from the same machine.
  [[nodiscard]] static HealthUrl of(const Address& listen);
};

}  // namespace sentinel::demo
