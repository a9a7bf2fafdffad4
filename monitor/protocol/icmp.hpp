#pragma once

// ICMP echo (RFC 792, RFC 4443): requests as bytes, and what a socket hands over as values. Every
// request carries a token of eight random bytes; a reply that does not repeat it is nobody's.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "core/ip.hpp"

namespace sentinel::protocol {

struct IcmpEcho {
  std::uint16_t id = 0;  // a ping socket's is chosen by the kernel
  std::uint16_t sequence = 0;
  std::uint64_t token = 0;
  bool operator==(const IcmpEcho&) const = default;
};

/// An echo request. Its checksum is right for v4; for v6 the kernel makes it, for it covers
/// addresses.
std::string icmp_echo_request(core::Family family, const IcmpEcho& echo);

/// Why the network gave a request back.
enum class IcmpError : std::uint8_t {
  network_unreachable,
  host_unreachable,
  prohibited,
  port_unreachable,
  protocol_unreachable,
  too_big,
  time_exceeded
};

/// An error message about one of our requests. The token is missing when the sender quotes the
/// eight bytes that RFC 792 demands and no more.
struct IcmpFailure {
  IcmpError error = IcmpError::host_unreachable;
  core::IpAddress target;  // whom the request was for
  std::uint16_t id = 0;
  std::uint16_t sequence = 0;
};

/// monostate: neither, or malformed.
using IcmpMessage = std::variant<std::monostate, IcmpEcho, IcmpFailure>;

/// `packet`: an ICMP message, as a ping socket or a raw v6 socket gives it; with `ip_header` a v4
/// packet, as a raw v4 socket gives it.
IcmpMessage parse_icmp(core::Family family, std::string_view packet, bool ip_header);

/// The echo request that an error queue or an error message quotes: the token only when there.
struct IcmpQuoted {
  std::uint16_t id = 0;
  std::uint16_t sequence = 0;
};
std::optional<IcmpQuoted> parse_icmp_request(core::Family family, std::string_view message);

/// nullopt: an error that says nothing about reachability.
std::optional<IcmpError> icmp_error(core::Family family, std::uint8_t type, std::uint8_t code);

/// `no route to the host`, says a router.
std::string_view to_string(IcmpError);

}  // namespace sentinel::protocol
