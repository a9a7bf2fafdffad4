#include "core/ip.hpp"

#include <algorithm>
#include <charconv>
#include <span>

namespace sentinel::core {
namespace {

constexpr std::size_t v4_bytes = 4;
constexpr std::size_t v6_bytes = 16;
constexpr std::size_t v6_groups = 8;
constexpr std::size_t longest_text = 45;  // ffff:...:255.255.255.255

std::optional<unsigned> number(std::string_view text, int base, unsigned max) {
  unsigned value = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value, base);
  if (error != std::errc{} || rest != end || value > max) return std::nullopt;
  return value;
}

bool parse_v4(std::string_view text, std::span<std::uint8_t, v4_bytes> out) {
  for (std::size_t part = 0; part < v4_bytes; ++part) {
    const auto dot = std::min(text.find('.'), text.size());
    const std::string_view digits = text.substr(0, dot);
    const auto value = number(digits, 10, 255);
    if (!value || (digits.size() > 1 && digits.front() == '0')) return false;
    out[part] = static_cast<std::uint8_t>(*value);
    const bool last = part + 1 == v4_bytes;
    if (last != (dot == text.size())) return false;
    if (!last) text.remove_prefix(dot + 1);
  }
  return true;
}

/// Groups of a side of `::`; the last may be an IPv4 address. The number of bytes, nullopt: bad.
std::optional<std::size_t> parse_groups(std::string_view text, bool v4_may_end,
                                        std::span<std::uint8_t, v6_bytes> out) {
  std::size_t used = 0;
  while (!text.empty()) {
    const auto colon = std::min(text.find(':'), text.size());
    const std::string_view group = text.substr(0, colon);
    const bool last = colon == text.size();
    if (last && v4_may_end && group.find('.') != std::string_view::npos) {
      if (used + v4_bytes > v6_bytes || !parse_v4(group, out.subspan(used).first<v4_bytes>()))
        return std::nullopt;
      return used + v4_bytes;
    }
    const auto value = group.size() <= 4 ? number(group, 16, 0xffff) : std::nullopt;
    if (!value || used + 2 > v6_bytes) return std::nullopt;
    out[used++] = static_cast<std::uint8_t>(*value >> 8U);
    out[used++] = static_cast<std::uint8_t>(*value & 0xffU);
    if (last) break;
    text.remove_prefix(colon + 1);
    if (text.empty()) return std::nullopt;  // a trailing colon
  }
  return used;
}

bool parse_v6(std::string_view text, std::span<std::uint8_t, v6_bytes> out) {
  const auto gap = text.find("::");
  if (gap == std::string_view::npos) return parse_groups(text, true, out) == v6_bytes;
  const std::string_view right = text.substr(gap + 2);
  std::array<std::uint8_t, v6_bytes> tail{};
  const auto left_used = parse_groups(text.substr(0, gap), false, out);
  const auto right_used = parse_groups(right, true, tail);
  // `::` stands for at least one group.
  if (!left_used || !right_used || *left_used + *right_used > v6_bytes - 2) return false;
  std::fill(out.begin() + static_cast<std::ptrdiff_t>(*left_used), out.end(), std::uint8_t{0});
  std::copy_n(tail.begin(), *right_used, out.end() - static_cast<std::ptrdiff_t>(*right_used));
  return true;
}

std::string v4_text(std::span<const std::uint8_t> bytes) {
  std::string out;
  for (std::size_t i = 0; i < v4_bytes; ++i) {
    if (i > 0) out += '.';
    out += std::to_string(bytes[i]);
  }
  return out;
}

std::string v6_text(const std::array<std::uint8_t, v6_bytes>& bytes) {
  const auto group = [&](std::size_t i) {
    return static_cast<unsigned>(bytes[2 * i] << 8U) | bytes[2 * i + 1];
  };
  // The first of the longest runs of at least two zero groups is left out.
  std::size_t gap = v6_groups;
  std::size_t gap_length = 1;
  for (std::size_t i = 0; i < v6_groups;) {
    std::size_t end = i;
    while (end < v6_groups && group(end) == 0) ++end;
    if (end - i > gap_length) gap = i, gap_length = end - i;
    i = std::max(end, i + 1);
  }
  constexpr std::size_t mapped_groups = 5;
  if (gap == 0 && gap_length == mapped_groups && group(mapped_groups) == 0xffff)
    return "::ffff:" + v4_text(std::span{bytes}.subspan(12));
  std::string out;
  for (std::size_t i = 0; i < v6_groups; ++i) {
    if (i == gap) {
      out += "::";
      i += gap_length - 1;
      continue;
    }
    if (!out.empty() && !out.ends_with(':')) out += ':';
    std::array<char, 4> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), group(i), 16).ptr;
    out.append(digits.data(), end);
  }
  return out;
}

/// The bits of byte `index` that belong to a prefix of `length` bits.
std::uint8_t mask_byte(unsigned length, std::size_t index) {
  const auto before = static_cast<unsigned>(index) * 8;
  if (length <= before) return 0;
  const unsigned bits = std::min(length - before, 8U);
  return static_cast<std::uint8_t>(0xff00U >> bits);
}

}  // namespace

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  if (text.empty() || text.size() > longest_text) return std::nullopt;
  IpAddress out;
  if (text.find(':') == std::string_view::npos) {
    if (!parse_v4(text, std::span{out.bytes}.first<v4_bytes>())) return std::nullopt;
    return out;
  }
  out.family = Family::v6;
  if (!parse_v6(text, out.bytes)) return std::nullopt;
  return out;
}

std::string IpAddress::to_string() const {
  return family == Family::v4 ? v4_text(bytes) : v6_text(bytes);
}

std::optional<IpPrefix> IpPrefix::parse(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  const unsigned whole = address->family == Family::v4 ? 32 : 128;
  unsigned length = whole;
  if (slash != std::string_view::npos) {
    const std::string_view digits = text.substr(slash + 1);
    const auto given = number(digits, 10, whole);
    if (!given || (digits.size() > 1 && digits.front() == '0')) return std::nullopt;
    length = *given;
  }
  for (std::size_t i = 0; i < v6_bytes; ++i)
    if ((address->bytes[i] & ~mask_byte(length, i) & 0xff) != 0) return std::nullopt;
  return IpPrefix{*address, static_cast<std::uint8_t>(length)};
}

std::string IpPrefix::to_string() const {
  return address.to_string() + "/" + std::to_string(length);
}

bool IpPrefix::contains(const IpAddress& other) const {
  if (other.family != address.family) return false;
  for (std::size_t i = 0; i < v6_bytes; ++i)
    if ((other.bytes[i] & mask_byte(length, i)) != address.bytes[i]) return false;
  return true;
}

}  // namespace sentinel::core
