#include "duration.hpp"

#include <array>
#include <charconv>
#include <cstdint>
#include <format>

namespace sentinel::demo {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t milliseconds;
};

// Largest first: this is the order in which a sum must be written.
constexpr std::array<Unit, 4> units{{{"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};

}  // namespace

std::expected<std::chrono::milliseconds, std::string> parse_duration(std::string_view text) {
  if (text.empty()) {
    return std::unexpected(std::format("is empty; expected {}", duration_form));
  }
  std::int64_t total = 0;
  std::size_t next_unit = 0;
  while (!text.empty()) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc::result_out_of_range) {
      return std::unexpected(
          std::format("is too long; the most is {}", format_duration(longest_duration)));
    }
    if (error != std::errc{} || number < 0) {
      return std::unexpected(std::format("is not {}", duration_form));
    }
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    const auto unit_length = std::min(text.find_first_of("0123456789+-"), text.size());
    const auto name = text.substr(0, unit_length);
    while (next_unit < units.size() && units.at(next_unit).name != name) {
      ++next_unit;
    }
    if (next_unit == units.size()) {
      return std::unexpected(std::format("is not {}", duration_form));
    }
    const auto factor = units.at(next_unit).milliseconds;
    if (number > (longest_duration.count() - total) / factor) {
      return std::unexpected(
          std::format("is too long; the most is {}", format_duration(longest_duration)));
    }
    total += number * factor;
    ++next_unit;
    text.remove_prefix(unit_length);
  }
  return std::chrono::milliseconds{total};
}

std::string format_duration(std::chrono::milliseconds duration) {
  auto rest = duration.count();
  std::string text;
  for (const auto& unit : units) {
    if (const auto amount = rest / unit.milliseconds; amount > 0) {
      text += std::format("{}{}", amount, unit.name);
      rest -= amount * unit.milliseconds;
    }
  }
  return text.empty() ? "0s" : text;
}

}  // namespace sentinel::demo
