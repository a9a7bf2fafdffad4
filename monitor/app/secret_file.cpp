#include "app/secret_file.hpp"

#include <algorithm>

#include "app/regular_file.hpp"

namespace sentinel::app {

namespace {

std::expected<std::string, std::string> read_small_file(const std::string& path,
                                                        std::size_t max_bytes) {
  auto content = read_regular_file(path, max_bytes + 1);
  if (content && content->size() > max_bytes)
    return std::unexpected("expected at most " + std::to_string(max_bytes) + " bytes");
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
