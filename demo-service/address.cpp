#include "address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace sentinel::demo {
namespace {

constexpr std::string_view address_form =
    "expected HOST:PORT with an IP address, such as 0.0.0.0:8080 or [::]:8080";
constexpr std::string_view url_form =
    "expected http://HOST:PORT/PATH with an IP address or localhost";

bool is_ip_literal(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  return inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 ||
         inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

}  // namespace

std::expected<Address, std::string> Address::parse(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return std::unexpected(std::string{address_form});
  }
  auto host = text.substr(0, colon);
  const auto port = text.substr(colon + 1);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) {
    host = host.substr(1, host.size() - 2);
  }
  Address address;
  if (host == "localhost") {
    address.host = "127.0.0.1";
  } else if (!host.empty()) {
    address.host = host;
  }
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  const bool has_colon = host.find(':') != std::string_view::npos;
  if (error != std::errc{} || end != port.data() + port.size() || has_colon != bracketed ||
      !is_ip_literal(address.host)) {
    return std::unexpected(std::string{address_form});
  }
  return address;
}

std::expected<HealthUrl, std::string> HealthUrl::parse(std::string_view text) {
  constexpr std::string_view scheme = "http://";
  const bool clean = std::ranges::all_of(text, [](char each) { return each > ' ' && each <= '~'; });
  if (!text.starts_with(scheme) || !clean) {
    return std::unexpected(std::string{url_form});
  }
  text.remove_prefix(scheme.size());
  const auto slash = std::min(text.find('/'), text.size());
  std::string authority{text.substr(0, slash)};
  const auto bracket = authority.rfind(']');
  if (authority.find(':', bracket == std::string::npos ? 0 : bracket) == std::string::npos) {
    authority += ":80";
  }
  auto address = Address::parse(authority);
  if (!address || authority.front() == ':' || address->port == 0) {
    return std::unexpected(std::string{url_form});
  }
  return HealthUrl{.address = std::move(*address),
                   .path = slash == text.size() ? "/" : std::string{text.substr(slash)}};
}

HealthUrl HealthUrl::of(const Address& listen) {
  HealthUrl url{.address = listen, .path = "/health"};
  if (listen.host == "0.0.0.0") {
    url.address.host = "127.0.0.1";
  } else if (listen.host == "::") {
    url.address.host = "::1";
  }
  return url;
}

}  // namespace sentinel::demo
