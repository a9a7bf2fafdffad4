#include "protocol/escape.hpp"

#include <array>
#include <cstdint>

namespace sentinel::protocol {
namespace {

struct CodePoint {
  std::uint32_t value = 0xFFFD;
  std::size_t length = 1;
  bool valid = false;
};

constexpr unsigned byte_at(std::string_view text, std::size_t i) {
  return static_cast<unsigned char>(text[i]);
}

/// The code point at `i`, or the length of the maximal ill-formed subpart there. Table 3-7 of the
/// Unicode standard.
CodePoint decode(std::string_view text, std::size_t i) {
  const unsigned lead = byte_at(text, i);
  if (lead < 0x80) return {lead, 1, true};
  std::size_t length = 0;
  unsigned low = 0x80;
  unsigned high = 0xBF;
  std::uint32_t value = 0;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
    value = lead & 0x1FU;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    value = lead & 0x0FU;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    value = lead & 0x07U;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return {};
  }
  for (std::size_t k = 1; k < length; ++k) {
    if (i + k >= text.size()) return {0xFFFD, k, false};
    const unsigned next = byte_at(text, i + k);
    if (next < low || next > high) return {0xFFFD, k, false};
    value = (value << 6U) | (next & 0x3FU);
    low = 0x80;
    high = 0xBF;
  }
  return {value, length, true};
}

constexpr bool is_space(std::uint32_t c) {
  return c == ' ' || (c >= 0x09 && c <= 0x0D) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

/// Characters that change how others are shown, or that cannot be seen.
constexpr bool is_hidden(std::uint32_t c) {
  return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0xAD || c == 0x061C || c == 0x180E ||
         (c >= 0x200B && c <= 0x200F) || (c >= 0x202A && c <= 0x202E) ||
         (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFB) ||
         (c >= 0xE0000 && c <= 0xE007F);
}

void append_visible(std::string& out, std::uint32_t c) {
  constexpr std::string_view digits = "0123456789abcdef";
  if (c < 0x80) {
    out += "\\x";
    out += digits[c >> 4U];
    out += digits[c & 0xFU];
    return;
  }
  std::array<char, 8> reversed{};
  std::size_t n = 0;
  for (; c != 0; c >>= 4U) reversed[n++] = digits[c & 0xFU];
  out += "\\u{";
  while (n > 0) out += reversed[--n];
  out += '}';
}

std::string sanitize(std::string_view text, std::size_t max_bytes, bool keep_line_feeds) {
  constexpr std::string_view mark = "...";
  std::string out;
  std::size_t safe = 0;  // longest prefix of `out` that leaves room for the mark
  bool space = false;
  std::string piece;
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint c = decode(text, i);
    piece.clear();
    if (c.valid && c.value == '\n' && keep_line_feeds) {
      space = false;
      piece = "\n";
    } else if (c.valid && is_space(c.value)) {
      space = true;
      i += c.length;
      continue;
    } else {
      if (space && !out.empty() && out.back() != '\n') piece += ' ';
      space = false;
      if (!c.valid) {
        piece += "\xEF\xBF\xBD";
      } else if (is_hidden(c.value)) {
        append_visible(piece, c.value);
      } else {
        piece.append(text.substr(i, c.length));
      }
    }
    if (out.size() + piece.size() > max_bytes) {
      out.resize(safe);
      if (max_bytes >= mark.size()) out += mark;
      return out;
    }
    out += piece;
    if (out.size() + mark.size() <= max_bytes) safe = out.size();
    i += c.length;
  }
  while (keep_line_feeds && !out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

}  // namespace

std::string one_line(std::string_view text, std::size_t max_bytes) {
  return sanitize(text, max_bytes, false);
}

std::string many_lines(std::string_view text, std::size_t max_bytes) {
  return sanitize(text, max_bytes, true);
}

}  // namespace sentinel::protocol
