#include "observe/text.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>

namespace sentinel::observe {

namespace {

struct Decoded {
  char32_t code = 0;
  std::size_t length = 0;  // 0: not UTF-8
};

/// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
Decoded decode(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return {first, 1};
  std::size_t length = 0;
  char32_t code = 0;
  char32_t least = 0;
  if (first >= 0xC2 && first <= 0xDF) {
    length = 2, code = first & 0x1FU, least = 0x80;
  } else if (first >= 0xE0 && first <= 0xEF) {
    length = 3, code = first & 0x0FU, least = 0x800;
  } else if (first >= 0xF0 && first <= 0xF4) {
    length = 4, code = first & 0x07U, least = 0x10000;
  } else {
    return {};
  }
  if (text.size() < length) return {};
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80U) return {};
    code = (code << 6U) | (byte(i) & 0x3FU);
  }
  if (code < least || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return {};
  return {code, length};
}

/// Characters that move the cursor, end a line or turn the reading direction.
bool dangerous(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x61C || c == 0x200E || c == 0x200F ||
         (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF;
}

}  // namespace

std::string one_line(std::string_view text, std::size_t max_bytes) {
  constexpr std::string_view ellipsis = "…";
  const std::size_t room = max_bytes > ellipsis.size() ? max_bytes - ellipsis.size() : 0;
  std::string out;
  out.reserve(std::min(text.size(), max_bytes));
  std::size_t fits = 0;  // where a cut would go
  std::array<char, 16> buffer{};
  while (!text.empty()) {
    const Decoded d = decode(text);
    std::string_view piece = text.substr(0, std::max<std::size_t>(d.length, 1));
    text.remove_prefix(piece.size());
    if (d.length == 0) {
      piece = "\xEF\xBF\xBD";
    } else if (dangerous(d.code)) {
      const int n =
          std::snprintf(buffer.data(), buffer.size(), d.code < 0x100 ? "\\x%02X" : "\\u{%04X}",
                        static_cast<unsigned>(d.code));
      piece = {buffer.data(), static_cast<std::size_t>(n)};
    }
    if (out.size() + piece.size() > max_bytes) {
      out.resize(fits);
      if (room > 0) out += ellipsis;
      return out;
    }
    out += piece;
    if (out.size() <= room) fits = out.size();
  }
  return out;
}

std::string human(core::Duration duration) {
  using namespace std::chrono;
  const auto ms = std::max<std::int64_t>(duration_cast<milliseconds>(duration).count(), 0);
  std::array<char, 48> buffer{};
  const auto print = [&](const char* unit_a, const char* unit_b, std::int64_t a, std::int64_t b) {
    const int n = b == 0 ? std::snprintf(buffer.data(), buffer.size(), "%lld %s",
                                         static_cast<long long>(a), unit_a)
                         : std::snprintf(buffer.data(), buffer.size(), "%lld %s %lld %s",
                                         static_cast<long long>(a), unit_a,
                                         static_cast<long long>(b), unit_b);
    return std::string(buffer.data(), static_cast<std::size_t>(n));
  };
  if (ms < 1000) return print("ms", "", ms, 0);
  if (ms < 60'000) {
    const int n =
        std::snprintf(buffer.data(), buffer.size(), "%lld.%lld s",
                      static_cast<long long>(ms / 1000), static_cast<long long>(ms % 1000 / 100));
    return {buffer.data(), static_cast<std::size_t>(n)};
  }
  const std::int64_t s = ms / 1000;
  if (s < 3600) return print("min", "s", s / 60, s % 60);
  if (s < 86'400) return print("h", "min", s / 3600, s % 3600 / 60);
  return print("d", "h", s / 86'400, s % 86'400 / 3600);
}

std::string rfc3339(std::int64_t unix_ms) {
  using namespace std::chrono;
  const sys_time<milliseconds> t{milliseconds{unix_ms}};
  const auto day = floor<days>(t);
  const year_month_day date{day};
  const hh_mm_ss time{t - day};
  std::array<char, 48> buffer{};
  const int n = std::snprintf(
      buffer.data(), buffer.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ",
      static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
      static_cast<unsigned>(date.day()), static_cast<int>(time.hours().count()),
      static_cast<int>(time.minutes().count()), static_cast<int>(time.seconds().count()),
      static_cast<int>(time.subseconds().count()));
  return {buffer.data(), static_cast<std::size_t>(std::max(n, 0))};
}

}  // namespace sentinel::observe
