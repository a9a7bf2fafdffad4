#include "io/socket_address.hpp"

#include <netinet/in.h>

#include <cstring>

namespace sentinel::io {

SocketAddress socket_address(const core::IpAddress& address, std::uint16_t port) {
  SocketAddress result;
  if (address.family == core::Family::v4) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    std::memcpy(&in.sin_addr, address.bytes.data(), sizeof in.sin_addr);
    std::memcpy(&result.storage, &in, sizeof in);
    result.size = sizeof in;
  } else {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(port);
    std::memcpy(&in.sin6_addr, address.bytes.data(), sizeof in.sin6_addr);
    std::memcpy(&result.storage, &in, sizeof in);
    result.size = sizeof in;
  }
  return result;
}

std::optional<core::IpAddress> ip_address(const sockaddr_storage& storage) {
  core::IpAddress result;
  if (storage.ss_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, &storage, sizeof in);
    std::memcpy(result.bytes.data(), &in.sin_addr, sizeof in.sin_addr);
    return result;
  }
  if (storage.ss_family == AF_INET6) {
    sockaddr_in6 in{};
    std::memcpy(&in, &storage, sizeof in);
    result.family = core::Family::v6;
    std::memcpy(result.bytes.data(), &in.sin6_addr, sizeof in.sin6_addr);
    return result;
  }
  return std::nullopt;
}

}  // namespace sentinel::io
