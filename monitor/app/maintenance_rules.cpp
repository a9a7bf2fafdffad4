#include "app/maintenance_rules.hpp"

#include <algorithm>
#include <array>
#include <ctime>

#include "protocol/settings_text.hpp"

namespace sentinel::app {

namespace {

using protocol::text::expected_form;

constexpr std::array<std::string_view, 7> day_names{"mon", "tue", "wed", "thu",
                                                    "fri", "sat", "sun"};

/// When the rule's window begins `offset` days from the day of `unix_seconds`; nullopt: not on that
/// weekday.
std::optional<std::int64_t> start_of(const MaintenanceRule& rule, std::int64_t unix_seconds,
                                     int offset) {
  const std::time_t now = unix_seconds;
  std::tm day{};
  if ((rule.local ? ::localtime_r(&now, &day) : ::gmtime_r(&now, &day)) == nullptr)
    return std::nullopt;
  // Sunday is 0 there.
  const unsigned weekday = static_cast<unsigned>(day.tm_wday + 6 + offset + 70) % 7;
  if ((rule.days >> weekday & 1U) == 0) return std::nullopt;
  day.tm_mday += offset;
  day.tm_hour = static_cast<int>(rule.start / 60);
  day.tm_min = static_cast<int>(rule.start % 60);
  day.tm_sec = 0;
  day.tm_isdst = -1;
  return rule.local ? ::mktime(&day) : ::timegm(&day);
}

}  // namespace

protocol::Parsed<std::uint8_t> parse_days(std::string_view text) {
  constexpr std::string_view form = "days such as mon-fri or sat,sun";
  unsigned days = 0;
  for (const auto part : protocol::text::split(text, ',', 8)) {
    const auto dash = part.find('-');
    const auto from = std::ranges::find(day_names, protocol::text::lower(part.substr(0, dash)));
    const auto to =
        dash == std::string_view::npos
            ? from
            : std::ranges::find(day_names, protocol::text::lower(part.substr(dash + 1)));
    if (from == day_names.end() || to == day_names.end()) return expected_form(std::string{form});
    for (auto day = static_cast<unsigned>(from - day_names.begin());; day = (day + 1) % 7) {
      days |= 1U << day;
      if (day == static_cast<unsigned>(to - day_names.begin())) break;
    }
  }
  return static_cast<std::uint8_t>(days);
}

protocol::Parsed<unsigned> parse_time_of_day(std::string_view text) {
  if (text.size() == 5 && text[2] == ':') {
    const auto hours = protocol::parse_count(text.substr(0, 2), 0, 23);
    const auto minutes = protocol::parse_count(text.substr(3), 0, 59);
    const bool digits =
        std::ranges::all_of(text, [](char c) { return protocol::text::is_digit(c) || c == ':'; });
    if (hours && minutes && digits) return *hours * 60 + *minutes;
  }
  return expected_form("a time of day such as 02:00");
}

WindowsNow windows_at(const std::vector<MaintenanceRule>& rules, std::int64_t unix_seconds) {
  constexpr int days_back = 8;  // of the longest window, and the part of a day
  constexpr int days_ahead = 8;
  WindowsNow now;
  const auto change_at = [&now](std::int64_t moment) {
    now.next_change = std::min(now.next_change.value_or(moment), moment);
  };
  for (const MaintenanceRule& rule : rules) {
    const auto length = std::chrono::duration_cast<std::chrono::seconds>(rule.duration).count();
    std::int64_t open_until = 0;  // of several openings that overlap, the last
    for (int offset = -days_back; offset <= days_ahead; ++offset) {
      const auto start = start_of(rule, unix_seconds, offset);
      if (!start) continue;
      if (*start > unix_seconds) {
        change_at(*start);
        break;
      }
      if (*start + length > unix_seconds) open_until = std::max(open_until, *start + length);
    }
    if (open_until == 0) continue;
    change_at(open_until);
    now.open.push_back({rule.name, rule.services, std::chrono::seconds{open_until - unix_seconds}});
  }
  return now;
}

}  // namespace sentinel::app
