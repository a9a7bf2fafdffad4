#include "protocol/hosts.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>

#include "protocol/settings_text.hpp"

namespace sentinel::protocol {
namespace {

using text::is_alpha;
using text::is_digit;
using text::lower;

std::optional<std::array<unsigned, 4>> dotted_ipv4(std::string_view text) {
  std::array<unsigned, 4> octets{};
  for (std::size_t i = 0; i < 4; ++i) {
    std::size_t n = 0;
    unsigned value = 0;
    while (n < text.size() && n < 3 && is_digit(text[n]))
      value = value * 10 + static_cast<unsigned>(text[n++] - '0');
    if (n == 0 || value > 255 || (n > 1 && text[0] == '0')) return std::nullopt;
    octets[i] = value;
    text.remove_prefix(n);
    if (i < 3) {
      if (!text.starts_with('.')) return std::nullopt;
      text.remove_prefix(1);
    }
  }
  return text.empty() ? std::optional(octets) : std::nullopt;
}

bool forbidden_ipv4(const std::array<unsigned, 4>& a) {
  return (a[0] == 169 && a[1] == 254) || a[0] == 0 ||
         a[0] >= 224 ||  // link-local, this network, multicast and above
         (a[0] == 100 && a[1] == 100 && a[2] == 100 &&
          a[3] == 200);  // metadata service of a large cloud
}

/// The eight groups of an IPv6 address; a dotted tail is allowed. No zone.
std::optional<std::array<unsigned, 8>> ipv6_groups(std::string_view text) {
  std::array<unsigned, 8> groups{};
  std::size_t count = 0;
  std::optional<std::size_t> gap;
  if (text.starts_with("::")) {
    gap = 0;
    text.remove_prefix(2);
  }
  while (!text.empty()) {
    if (count == 8) return std::nullopt;
    if (text.find(':') == std::string_view::npos && text.find('.') != std::string_view::npos) {
      const auto tail = dotted_ipv4(text);
      if (!tail || count > 6) return std::nullopt;
      groups[count++] = (*tail)[0] * 256 + (*tail)[1];
      groups[count++] = (*tail)[2] * 256 + (*tail)[3];
      text = {};
      break;
    }
    unsigned value = 0;
    const auto end = text.data() + std::min<std::size_t>(text.size(), 4);
    const auto [stop, error] = std::from_chars(text.data(), end, value, 16);
    if (error != std::errc{}) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
    groups[count++] = value;
    if (text.empty()) break;
    if (!text.starts_with(':')) return std::nullopt;
    text.remove_prefix(1);
    if (text.starts_with(':')) {
      if (gap) return std::nullopt;
      gap = count;
      text.remove_prefix(1);
    } else if (text.empty()) {
      return std::nullopt;
    }
  }
  if (!gap) return count == 8 ? std::optional(groups) : std::nullopt;
  if (count == 8) return std::nullopt;
  const auto from = groups.begin() + static_cast<std::ptrdiff_t>(*gap);
  std::rotate(from, groups.begin() + static_cast<std::ptrdiff_t>(count), groups.end());
  return groups;
}

}  // namespace

bool good_host(std::string_view host, bool bracketed) {
  if (host.size() > 253) return false;
  if (bracketed) return ipv6_groups(host).has_value();
  if (host.starts_with('.') || host.starts_with('-')) return false;
  return std::ranges::all_of(
      host, [](char c) { return is_digit(c) || is_alpha(c) || c == '-' || c == '.' || c == '_'; });
}

bool forbidden_host(std::string_view host) {
  std::string name = lower(host);
  while (name.ends_with('.')) name.pop_back();
  if (const auto v4 = dotted_ipv4(name)) return forbidden_ipv4(*v4);
  if (name.find(':') != std::string::npos) {
    const auto groups = ipv6_groups(name);
    if (!groups) return true;
    const auto& g = *groups;
    if ((g[0] & 0xFFC0U) == 0xFE80 || (g[0] & 0xFF00U) == 0xFF00)
      return true;                                                        // link-local, multicast
    if (g[0] == 0xFD00 && g[1] == 0x0EC2 && g[7] == 0x0254) return true;  // metadata service
    const bool embedded = (g[0] | g[1] | g[2] | g[3] | g[4]) == 0 &&
                          (g[5] == 0xFFFF || g[5] == 0);  // mapped, compatible
    const bool nat64 = g[0] == 0x64 && g[1] == 0xFF9B;
    if ((embedded && (g[6] | (g[7] & 0xFFFEU)) != 0) || nat64) {
      return forbidden_ipv4({g[6] >> 8U, g[6] & 0xFFU, g[7] >> 8U, g[7] & 0xFFU});
    }
    return false;
  }
  if (name == "metadata" || name == "instance-data" || name.starts_with("metadata.google.") ||
      name == "metadata.goog" || name.ends_with(".metadata.google.internal")) {
    return true;
  }
  // What inet_aton() would take for an address: a last part that is a number (0x7f.1, 2130706433,
  // 0177.0.0.1).
  const auto dot = name.rfind('.');
  const std::string_view last =
      dot == std::string::npos ? std::string_view(name) : std::string_view(name).substr(dot + 1);
  return !last.empty() && (std::ranges::all_of(last, is_digit) || last.starts_with("0x"));
}

}  // namespace sentinel::protocol
