#include "web/parameters.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>

#include "core/ulid.hpp"

namespace sentinel::web {

namespace {

/// Of exactly `digits` digits at the front, which are taken off.
std::optional<int> digits(std::string_view& text, std::size_t count) {
  if (text.size() < count) return std::nullopt;
  int value = 0;
  for (const char c : text.substr(0, count)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  text.remove_prefix(count);
  return value;
}

bool skip(std::string_view& text, std::string_view any_of) {
  if (text.empty() || !any_of.contains(text.front())) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<std::chrono::minutes> zone(std::string_view text) {
  if (text == "Z" || text == "z") return std::chrono::minutes{0};
  if (text.empty() || (text.front() != '+' && text.front() != '-')) return std::nullopt;
  const int sign = text.front() == '-' ? -1 : 1;
  text.remove_prefix(1);
  const auto hours = digits(text, 2);
  if (!hours || !skip(text, ":")) return std::nullopt;
  const auto minutes = digits(text, 2);
  if (!minutes || !text.empty() || *hours > 23 || *minutes > 59) return std::nullopt;
  return std::chrono::minutes{sign * (*hours * 60 + *minutes)};
}

}  // namespace

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

Parameter<std::optional<std::uint64_t>> number_of(const io::HttpRequest& request,
                                                  std::string_view name, std::uint64_t least) {
  const auto text = request.parameter(name);
  if (!text) return std::optional<std::uint64_t>{};
  const auto value = parse_number(*text);
  if (!value || *value < least) {
    return std::unexpected(std::string{name} + ": expected a number of at least " +
                           std::to_string(least));
  }
  return value;
}

Parameter<std::size_t> limit_of(const io::HttpRequest& request, std::size_t unless_given,
                                std::size_t most) {
  const auto value = number_of(request, "limit", 1);
  if (!value) return std::unexpected(value.error());
  return static_cast<std::size_t>(std::min<std::uint64_t>(value->value_or(unless_given), most));
}

std::optional<core::WallTime> parse_time(std::string_view text) {
  const auto year = digits(text, 4);
  if (!year || !skip(text, "-")) return std::nullopt;
  const auto month = digits(text, 2);
  if (!month || !skip(text, "-")) return std::nullopt;
  const auto day = digits(text, 2);
  if (!day || !skip(text, "Tt ")) return std::nullopt;
  const auto hour = digits(text, 2);
  if (!hour || !skip(text, ":")) return std::nullopt;
  const auto minute = digits(text, 2);
  if (!minute || !skip(text, ":")) return std::nullopt;
  const auto second = digits(text, 2);
  if (!second || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  int ms = 0;
  if (skip(text, ".")) {
    const auto rest = std::ranges::find_if(text, [](char c) { return c < '0' || c > '9'; });
    const auto length = static_cast<std::size_t>(rest - text.begin());
    if (length == 0 || length > 9) return std::nullopt;
    for (std::size_t i = 0; i < 3; ++i) ms = ms * 10 + (i < length ? text[i] - '0' : 0);
    text.remove_prefix(length);
  }
  const auto offset = zone(text);
  const std::chrono::year_month_day date{std::chrono::year{*year},
                                         std::chrono::month{static_cast<unsigned>(*month)},
                                         std::chrono::day{static_cast<unsigned>(*day)}};
  if (!offset || !date.ok()) return std::nullopt;
  return core::WallTime{std::chrono::sys_days{date}} + std::chrono::hours{*hour} +
         std::chrono::minutes{*minute} + std::chrono::seconds{*second} +
         std::chrono::milliseconds{ms} - *offset;
}

Parameter<std::optional<core::WallTime>> time_of(const io::HttpRequest& request,
                                                 std::string_view name) {
  const auto text = request.parameter(name);
  if (!text) return std::optional<core::WallTime>{};
  const auto time = parse_time(*text);
  if (!time) {
    return std::unexpected(std::string{name} +
                           ": expected a time such as 2026-01-31T12:00:00Z (a + is %2B here)");
  }
  return time;
}

bool is_ulid(std::string_view text) {
  constexpr std::string_view alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  return text.size() == core::UlidMaker::length &&
         std::ranges::all_of(text, [alphabet](char c) { return alphabet.contains(c); });
}

}  // namespace sentinel::web
