#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>

#include "protocol/settings.hpp"
#include "protocol/settings_text.hpp"

namespace sentinel::protocol {
namespace {

using text::expected_form;
using text::is_alpha;
using text::is_digit;
using text::lower;
using text::split;
using text::trim;

/// Digits only; no more than 18 of them, so that the value fits.
std::optional<std::int64_t> take_digits(std::string_view& text) {
  std::size_t n = 0;
  while (n < text.size() && is_digit(text[n])) ++n;
  if (n == 0 || n > 18) return std::nullopt;
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + n, value);
  text.remove_prefix(n);
  return value;
}

struct Unit {
  std::string_view suffix;
  std::int64_t nanoseconds;
};
// Largest first; `ms` before `m` so that the longer suffix is tried first.
constexpr std::array<Unit, 5> units{{{"d", 86'400'000'000'000},
                                     {"h", 3'600'000'000'000},
                                     {"m", 60'000'000'000},
                                     {"s", 1'000'000'000},
                                     {"ms", 1'000'000}}};

std::optional<Duration> scan_duration(std::string_view text) {
  if (text == "0") return Duration{};
  if (text.empty() || text.size() > 40) return std::nullopt;
  std::int64_t total = 0;
  std::size_t next_unit = 0;  // units must get smaller
  while (!text.empty()) {
    const auto whole = take_digits(text);
    if (!whole) return std::nullopt;
    std::int64_t fraction = 0;  // in units of 1e-3
    bool fractional = false;
    if (text.starts_with('.')) {
      text.remove_prefix(1);
      std::size_t n = 0;
      std::int64_t scale = 100;
      while (n < text.size() && is_digit(text[n])) {
        fraction += (text[n] - '0') * scale;
        scale /= 10;
        ++n;
      }
      if (n == 0 || n > 3) return std::nullopt;
      text.remove_prefix(n);
      fractional = true;
    }
    std::size_t unit = units.size();
    if (text.starts_with("ms")) {
      unit = 4;
    } else {
      for (std::size_t i = 0; i < 4; ++i) {
        if (text.starts_with(units[i].suffix)) unit = i;
      }
    }
    if (unit == units.size() || unit < next_unit) return std::nullopt;
    text.remove_prefix(units[unit].suffix.size());
    if (fractional && !text.empty()) return std::nullopt;
    next_unit = unit + 1;
    const std::int64_t size = units[unit].nanoseconds;
    constexpr std::int64_t limit = std::int64_t{366} * 86'400'000'000'000;
    if (*whole > limit / size) return std::nullopt;
    total += *whole * size + fraction * (size / 1000);
    if (total > limit) return std::nullopt;
  }
  return Duration{total};
}

std::string between(DurationRange range) {
  return " between " + format_duration(range.min) + " and " + format_duration(range.max);
}

}  // namespace

Parsed<Duration> parse_duration(std::string_view text, DurationRange range) {
  const auto value = scan_duration(trim(text));
  if (!value || *value < range.min || *value > range.max) {
    return expected_form("a duration such as 90s, 1m30s or 500ms" + between(range));
  }
  return *value;
}

std::string format_duration(Duration duration) {
  auto left = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  if (left <= 0) return "0s";
  std::string out;
  for (const Unit& unit : units) {
    const auto size = unit.nanoseconds / 1'000'000;
    // Days only when nothing is left over: people read 36h more easily than 1d12h.
    if (unit.suffix == "d" && left % size != 0) continue;
    if (left < size) continue;
    out += std::to_string(left / size);
    out += unit.suffix;
    left %= size;
  }
  return out;
}

Parsed<unsigned> parse_count(std::string_view text, unsigned min, unsigned max) {
  text = trim(text);
  const auto value = text.size() <= 18 ? take_digits(text) : std::nullopt;
  if (!value || !text.empty() || *value < min || *value > max) {
    return expected_form("a number from " + std::to_string(min) + " to " + std::to_string(max));
  }
  return static_cast<unsigned>(*value);
}

Parsed<bool> parse_bool(std::string_view text) {
  const std::string word = lower(trim(text).substr(0, 8));
  if (word == "true" || word == "yes" || word == "on" || word == "1") return true;
  if (word == "false" || word == "no" || word == "off" || word == "0") return false;
  return expected_form("true or false");
}

Parsed<core::Budget> parse_budget(std::string_view text, BudgetRange range) {
  const auto parts = split(text, '/', 3);
  if (parts.size() == 2) {
    const auto restarts = parse_count(parts[0], 1, range.max_restarts);
    const auto window = parse_duration(parts[1], {range.min_window, range.max_window});
    if (restarts && window) return core::Budget{*restarts, *window};
  }
  return expected_form(
      "restarts per healthy time such as 5/15m, from 1/" + format_duration(range.min_window) +
      " to " + std::to_string(range.max_restarts) + "/" + format_duration(range.max_window));
}

std::string format_budget(const core::Budget& budget) {
  return std::to_string(budget.restarts) + "/" + format_duration(budget.window);
}

Parsed<core::Backoff> parse_backoff(std::string_view text, DurationRange range) {
  const auto dots = text.find("..");
  const auto first = parse_duration(text.substr(0, dots), range);
  const auto last =
      dots == std::string_view::npos ? first : parse_duration(text.substr(dots + 2), range);
  if (!first || !last || *first > *last) {
    return expected_form("a delay and the longest it grows to, such as 1s..5m," + between(range));
  }
  return core::Backoff{*first, *last};
}

std::string format_backoff(const core::Backoff& backoff) {
  return format_duration(backoff.min) + ".." + format_duration(backoff.max);
}

Parsed<std::vector<core::Rung>> parse_ladder(std::string_view text) {
  constexpr std::string_view form =
      "none, or a list of restart, kill and stop in the order to try, stop last";
  constexpr std::size_t most = 8;
  std::vector<core::Rung> ladder;
  if (trim(text) == "none") return ladder;
  const auto words = split(text, ',', most + 1);
  if (words.size() > most) return expected_form(std::string(form) + ", at most 8");
  for (const auto word : words) {
    if (!ladder.empty() && ladder.back() == core::Rung::stop)
      return expected_form(std::string(form));
    if (word == "restart") {
      ladder.push_back(core::Rung::restart);
    } else if (word == "kill") {
      ladder.push_back(core::Rung::kill);
    } else if (word == "stop") {
      ladder.push_back(core::Rung::stop);
    } else if (word == "recreate") {
      return expected_form(std::string(form) + " (recreate is not supported yet)");
    } else {
      return expected_form(std::string(form));
    }
  }
  return ladder;
}

std::string format_ladder(const std::vector<core::Rung>& ladder) {
  std::string out;
  for (const core::Rung rung : ladder) {
    if (!out.empty()) out += ',';
    out += to_string(rung);
  }
  return out.empty() ? "none" : out;
}

Parsed<core::FailureSet> parse_failure_set(std::string_view text) {
  constexpr std::string_view form = "a list of unhealthy, probe and exited";
  core::FailureSet set{.unhealthy = false, .probe = false, .exited = false};
  for (const auto word : split(text, ',', 8)) {
    if (word == "unhealthy") {
      set.unhealthy = true;
    } else if (word == "probe") {
      set.probe = true;
    } else if (word == "exited") {
      set.exited = true;
    } else if (word == "oom") {
      return expected_form(std::string(form) + " (oom is not supported yet)");
    } else {
      return expected_form(std::string(form));
    }
  }
  return set;
}

std::string format_failure_set(const core::FailureSet& set) {
  std::string out;
  const auto add = [&out](bool on, std::string_view word) {
    if (!on) return;
    if (!out.empty()) out += ',';
    out += word;
  };
  add(set.unhealthy, "unhealthy");
  add(set.probe, "probe");
  add(set.exited, "exited");
  return out;
}

Parsed<std::string> parse_probe_name(std::string_view text) {
  const bool good = !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
    return is_digit(c) || is_alpha(c) || c == '-' || c == '_';
  });
  if (!good) return expected_form("a probe name of 1 to 64 letters, digits, - or _");
  return std::string(text);
}

Parsed<std::string> parse_service_name(std::string_view text) {
  const bool good = !text.empty() && text.size() <= 128 && std::ranges::all_of(text, [](char c) {
    return c > ' ' && c < 0x7F && c != '/' && c != '"' && c != '\\';
  });
  if (!good) return expected_form("a name of 1 to 128 visible ASCII characters without / \" or \\");
  return std::string(text);
}

Parsed<std::vector<std::string>> parse_service_list(std::string_view text) {
  constexpr std::size_t most = 64;
  std::vector<std::string> out;
  if (text == "none") return out;
  for (const std::string_view name : text::split(text, ',', most + 1)) {
    const auto slash = name.find('/');
    const bool good =
        parse_service_name(slash == std::string_view::npos ? name : name.substr(slash + 1)) &&
        (slash == std::string_view::npos || parse_service_name(name.substr(0, slash)));
    if (!good || out.size() >= most) {
      return expected_form(
          "at most 64 services, comma separated, each as SERVICE or "
          "PROJECT/SERVICE, or none");
    }
    out.emplace_back(name);
  }
  return out;
}

std::string format_service_list(const std::vector<std::string>& services) {
  if (services.empty()) return "none";
  std::string out;
  for (const std::string& name : services) out += (out.empty() ? "" : ",") + name;
  return out;
}

}  // namespace sentinel::protocol
