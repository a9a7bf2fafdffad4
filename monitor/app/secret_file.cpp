#include "app/secret_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace sentinel::app {

std::expected<std::string, std::string> read_secret_file(const std::string& path) {
  constexpr std::size_t shortest = 16;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return std::unexpected(std::generic_category().message(errno));
  std::array<char, 4097> buffer{};
  const auto n = ::read(fd, buffer.data(), buffer.size());
  const int error = errno;
  ::close(fd);
  if (n < 0) return std::unexpected(std::generic_category().message(error));
  if (static_cast<std::size_t>(n) == buffer.size())
    return std::unexpected("expected at most 4096 bytes");
  std::string secret(buffer.data(), static_cast<std::size_t>(n));
  buffer.fill('\0');
  if (const auto end = secret.find_first_of("\r\n"); end != std::string::npos) secret.resize(end);
  const bool visible = std::ranges::all_of(secret, [](char c) { return c > ' ' && c < 0x7F; });
  if (!visible || secret.size() < shortest) {
    return std::unexpected("expected one line of at least 16 visible ASCII characters");
  }
  return secret;
}

}  // namespace sentinel::app
