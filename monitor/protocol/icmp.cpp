#include "protocol/icmp.hpp"

#include <algorithm>

namespace sentinel::protocol {
namespace {

using core::Family;

constexpr std::size_t echo_bytes = 16;  // header and token
constexpr std::size_t header_bytes = 8;
constexpr std::size_t v4_header_bytes = 20;
constexpr std::size_t v6_header_bytes = 40;
constexpr unsigned protocol_icmp = 1;
constexpr unsigned protocol_icmp6 = 58;

struct Types {
  std::uint8_t request;
  std::uint8_t reply;
};
constexpr Types types(Family family) {
  return family == Family::v4 ? Types{8, 0} : Types{128, 129};
}

unsigned byte(std::string_view text, std::size_t at) {
  return static_cast<unsigned char>(text[at]);
}

std::uint16_t u16(std::string_view text, std::size_t at) {
  return static_cast<std::uint16_t>(byte(text, at) << 8U | byte(text, at + 1));
}

void put_u16(std::string& out, std::uint16_t value) {
  out += static_cast<char>(value >> 8U);
  out += static_cast<char>(value & 0xFFU);
}

/// RFC 1071. Over a message with a right checksum it is 0.
std::uint16_t checksum(std::string_view text) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) sum += u16(text, i);
  if (text.size() % 2 == 1) sum += byte(text, text.size() - 1) << 8U;
  while (sum > 0xFFFFU) sum = (sum & 0xFFFFU) + (sum >> 16U);
  return static_cast<std::uint16_t>(~sum);
}

core::IpAddress address(Family family, std::string_view text, std::size_t at) {
  core::IpAddress result{.family = family};
  std::ranges::copy(text.substr(at, family == Family::v4 ? 4 : 16), result.bytes.begin());
  return result;
}

/// What follows a v4 header; nullopt: it is not ICMP, or cut off.
std::optional<std::string_view> inside_v4(std::string_view packet) {
  if (packet.size() < v4_header_bytes || byte(packet, 0) >> 4U != 4) return std::nullopt;
  const std::size_t header = (byte(packet, 0) & 0x0FU) * std::size_t{4};
  const bool first_fragment = (u16(packet, 6) & 0x1FFFU) == 0;
  if (header < v4_header_bytes || packet.size() < header || byte(packet, 9) != protocol_icmp ||
      !first_fragment)
    return std::nullopt;
  return packet.substr(header);
}

/// What an error message quotes of the packet it is about.
IcmpMessage parse_failure(Family family, IcmpError error, std::string_view quoted) {
  std::optional<std::string_view> inside;
  if (family == Family::v4) {
    inside = inside_v4(quoted);
  } else if (quoted.size() >= v6_header_bytes && byte(quoted, 0) >> 4U == 6 &&
             byte(quoted, 6) == protocol_icmp6) {
    inside = quoted.substr(v6_header_bytes);
  }
  if (!inside) return {};
  const auto request = parse_icmp_request(family, *inside);
  if (!request) return {};
  return IcmpFailure{error, address(family, quoted, family == Family::v4 ? 16 : 24), request->id,
                     request->sequence};
}

}  // namespace

std::string icmp_echo_request(Family family, const IcmpEcho& echo) {
  std::string out;
  out.reserve(echo_bytes);
  out += static_cast<char>(types(family).request);
  out += '\0';
  put_u16(out, 0);
  put_u16(out, echo.id);
  put_u16(out, echo.sequence);
  for (unsigned shift = 64; shift > 0; shift -= 8)
    out += static_cast<char>(echo.token >> (shift - 8) & 0xFFU);
  if (family == Family::v4) {
    const auto sum = checksum(out);
    out[2] = static_cast<char>(sum >> 8U);
    out[3] = static_cast<char>(sum & 0xFFU);
  }
  return out;
}

IcmpMessage parse_icmp(Family family, std::string_view packet, bool ip_header) {
  if (ip_header) {
    const auto inside = inside_v4(packet);
    if (!inside) return {};
    packet = *inside;
  }
  if (packet.size() < header_bytes) return {};
  // The kernel has looked at the sum of a v6 message.
  if (family == Family::v4 && checksum(packet) != 0) return {};
  const auto type = static_cast<std::uint8_t>(byte(packet, 0));
  const auto code = static_cast<std::uint8_t>(byte(packet, 1));
  if (type == types(family).reply) {
    if (code != 0 || packet.size() != echo_bytes) return {};
    IcmpEcho echo{.id = u16(packet, 4), .sequence = u16(packet, 6)};
    for (std::size_t i = header_bytes; i < echo_bytes; ++i)
      echo.token = echo.token << 8U | byte(packet, i);
    return echo;
  }
  if (const auto error = icmp_error(family, type, code))
    return parse_failure(family, *error, packet.substr(header_bytes));
  return {};
}

std::optional<IcmpQuoted> parse_icmp_request(Family family, std::string_view message) {
  if (message.size() < header_bytes || byte(message, 0) != types(family).request ||
      byte(message, 1) != 0)
    return std::nullopt;
  return IcmpQuoted{u16(message, 4), u16(message, 6)};
}

std::optional<IcmpError> icmp_error(Family family, std::uint8_t type, std::uint8_t code) {
  using enum IcmpError;
  if (family == Family::v4) {
    if (type == 11) return time_exceeded;
    if (type != 3) return std::nullopt;
    switch (code) {
      case 0:
      case 6:
      case 11: return network_unreachable;
      case 2: return protocol_unreachable;
      case 3: return port_unreachable;
      case 4: return too_big;
      case 9:
      case 10:
      case 13: return prohibited;
      default: return host_unreachable;
    }
  }
  switch (type) {
    case 1:
      switch (code) {
        case 0: return network_unreachable;
        case 1:
        case 5:
        case 6: return prohibited;
        case 4: return port_unreachable;
        default: return host_unreachable;
      }
    case 2: return too_big;
    case 3: return time_exceeded;
    case 4: return protocol_unreachable;
    default: return std::nullopt;
  }
}

std::string_view to_string(IcmpError error) {
  switch (error) {
    case IcmpError::network_unreachable: return "network is unreachable";
    case IcmpError::host_unreachable: return "host is unreachable";
    case IcmpError::prohibited: return "a firewall on the way refuses the packets";
    case IcmpError::port_unreachable: return "port is unreachable";
    case IcmpError::protocol_unreachable: return "the host does not speak ICMP echo";
    case IcmpError::too_big: return "the packets are too big for the way";
    case IcmpError::time_exceeded: return "the packets are lost in a routing loop";
  }
  return "host is unreachable";
}

}  // namespace sentinel::protocol
