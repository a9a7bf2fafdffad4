#pragma once

// Small text helpers of the settings' parsers.

#include <algorithm>
#include <array>
#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/error.hpp"

namespace sentinel::protocol::text {

inline std::unexpected<Error> expected_form(std::string what) {
  return std::unexpected(Error{"expected " + std::move(what)});
}

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
/// Visible ASCII.
constexpr bool is_visible(char c) { return c > ' ' && c < 0x7F; }

inline std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

inline std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// At most `most` parts, each trimmed; what follows them is left out.
inline std::vector<std::string_view> split(std::string_view text, char separator,
                                           std::size_t most) {
  std::vector<std::string_view> parts;
  while (parts.size() < most) {
    const auto at = text.find(separator);
    parts.push_back(trim(text.substr(0, at)));
    if (at == std::string_view::npos) break;
    text.remove_prefix(at + 1);
  }
  return parts;
}

/// The same at each comma or line feed outside of double quotes, brackets and braces: for lists of
/// JSON values and of DNS records. Empty parts are left out.
inline std::vector<std::string_view> split_values(std::string_view text, std::size_t most) {
  std::vector<std::string_view> parts;
  bool quoted = false;
  int depth = 0;
  std::size_t start = 0;
  for (std::size_t i = 0; i <= text.size() && parts.size() < most; ++i) {
    const char c = i < text.size() ? text[i] : '\n';
    const bool end = i == text.size();
    if (quoted && !end) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        quoted = false;
      }
    } else if (!end && c == '"') {
      quoted = true;
    } else if (!end && (c == '[' || c == '{')) {
      ++depth;
    } else if (!end && (c == ']' || c == '}')) {
      --depth;
    } else if (end || (depth <= 0 && (c == ',' || c == '\n'))) {
      const auto part = trim(text.substr(start, i - start));
      if (!part.empty()) parts.push_back(part);
      start = i + 1;
    }
  }
  return parts;
}

}  // namespace sentinel::protocol::text
