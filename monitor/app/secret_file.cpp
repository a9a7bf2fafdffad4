#include "app/secret_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace sentinel::app {

namespace {

std::expected<std::string, std::string> read_small_file(const std::string& path,
                                                        std::size_t max_bytes) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return std::unexpected(std::generic_category().message(errno));
  std::string content(max_bytes + 1, '\0');
  std::size_t have = 0;
  int error = 0;
  while (have < content.size()) {
    const auto n = ::read(fd, content.data() + have, content.size() - have);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) error = errno;
    if (n <= 0) break;
    have += static_cast<std::size_t>(n);
  }
  ::close(fd);
  if (error != 0) return std::unexpected(std::generic_category().message(error));
  if (have > max_bytes)
    return std::unexpected("expected at most " + std::to_string(max_bytes) + " bytes");
  content.resize(have);
  return content;
}

}  // namespace

std::expected<std::string, std::string> read_secret_file(const std::string& path) {
  constexpr std::size_t shortest = 16;
  constexpr std::size_t longest = 4096;
  auto secret = read_small_file(path, longest);
  if (!secret) return secret;
  if (const auto end = secret->find_first_of("\r\n"); end != std::string::npos) secret->resize(end);
  const bool visible = std::ranges::all_of(*secret, [](char c) { return c > ' ' && c < 0x7F; });
  if (!visible || secret->size() < shortest) {
    return std::unexpected("expected one line of at least 16 visible ASCII characters");
  }
  return secret;
}

std::expected<std::string, std::string> read_value_file(const std::string& path,
                                                        std::size_t max_bytes) {
  if (path.empty() || path.front() != '/') return std::unexpected("expected an absolute path");
  auto content = read_small_file(path, max_bytes);
  if (!content) return content;
  if (content->ends_with('\n')) content->pop_back();
  if (content->ends_with('\r')) content->pop_back();
  if (content->empty()) return std::unexpected("it is empty");
  return content;
}

}  // namespace sentinel::app
