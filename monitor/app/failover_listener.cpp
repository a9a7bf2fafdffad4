// `ADDRESS:PORTS/PROTOCOLS`.

#include <algorithm>

#include "app/failover_pools.hpp"

namespace sentinel::app {

namespace {

using protocol::Error;

std::unexpected<Error> bad(std::string_view what) {
  return std::unexpected(Error{"expected " + std::string{what} +
                               ", such as 203.0.113.10:443, 203.0.113.10:80,8000-8010/tcp or "
                               "[2001:db8::10]:53/tcp+udp"});
}

/// Calls f for each part; false as soon as f says so.
template <typename F>
bool split(std::string_view text, char separator, F f) {
  while (true) {
    const auto end = std::min(text.find(separator), text.size());
    if (!f(text.substr(0, end))) return false;
    if (end == text.size()) return true;
    text.remove_prefix(end + 1);
  }
}

bool good_address(const core::IpAddress& address) {
  const auto& b = address.bytes;
  if (address.family == core::Family::v4)
    return b[0] != 0 && b[0] < 224;  // unspecified, multicast, reserved
  const bool low = std::all_of(b.begin(), b.begin() + 10, [](auto byte) { return byte == 0; });
  const bool mapped = low && b[10] == 0xff && b[11] == 0xff;
  const bool unspecified = std::ranges::all_of(b, [](auto byte) { return byte == 0; });
  return b[0] != 0xff && !mapped && !unspecified;
}

}  // namespace

std::expected<std::vector<core::VipKey>, protocol::Error> parse_listener(std::string_view text) {
  std::string_view protocols = "tcp";
  if (const auto slash = text.find('/'); slash != std::string_view::npos) {
    protocols = text.substr(slash + 1);
    text = text.substr(0, slash);
  }
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad("an address and ports");
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto address = core::IpAddress::parse(host);
  if (!address || bracketed != (address->family == core::Family::v6))
    return bad("an IPv4 address, or an IPv6 address in brackets");
  if (!good_address(*address)) return bad("an address of a single host");

  std::vector<core::L4> transports;
  const bool known = split(protocols, '+', [&](std::string_view name) {
    if (name != "tcp" && name != "udp") return false;
    transports.push_back(name == "tcp" ? core::L4::tcp : core::L4::udp);
    return true;
  });
  if (!known) return bad("tcp, udp or tcp+udp after the slash");

  std::vector<core::VipKey> out;
  const bool ports = split(text.substr(colon + 1), ',', [&](std::string_view range) {
    const auto dash = range.find('-');
    const auto from = protocol::parse_count(range.substr(0, dash), 1, 65'535);
    const auto to = dash == std::string_view::npos
                        ? from
                        : protocol::parse_count(range.substr(dash + 1), 1, 65'535);
    if (!from || !to || *to < *from || *to - *from >= core::max_pool_listeners ||
        out.size() > 2 * core::max_pool_listeners)
      return false;
    for (unsigned port = *from; port <= *to; ++port)
      for (const core::L4 transport : transports)
        out.push_back({*address, transport, static_cast<std::uint16_t>(port)});
    return true;
  });
  if (!ports || out.size() > core::max_pool_listeners)
    return bad("ports from 1 to 65535, at most " + std::to_string(core::max_pool_listeners) +
               " of them, lower first");
  return out;
}

}  // namespace sentinel::app
