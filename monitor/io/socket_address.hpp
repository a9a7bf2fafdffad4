#pragma once

// IP addresses as the kernel takes and gives them.

#include <sys/socket.h>

#include <cstdint>
#include <optional>

#include "core/ip.hpp"

namespace sentinel::io {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

SocketAddress socket_address(const core::IpAddress& address, std::uint16_t port);

/// nullopt: neither IPv4 nor IPv6.
std::optional<core::IpAddress> ip_address(const sockaddr_storage& storage);

}  // namespace sentinel::io
