#pragma once

// Recurring maintenance windows of the file: which are open at a moment of wall time, and when that
// changes. The core is told (core::SetWindows) and knows no calendar.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/event.hpp"
#include "protocol/settings.hpp"

namespace sentinel::app {

struct MaintenanceRule {
  std::string name;                   // for people
  std::vector<std::string> services;  // patterns, see core/window.hpp; at least one
  std::uint8_t days = 0x7F;           // of the window's begin: bit 0 Monday .. bit 6 Sunday
  unsigned start = 0;                 // minutes after midnight, 0..1439
  core::Duration duration{};          // 1 min..7 d; may reach into the next days
  bool local = false;                 // time of day in the process's time zone (TZ), else UTC
  bool operator==(const MaintenanceRule&) const = default;
};

/// `mon-fri,sun`; a range may wrap (`sat-mon`).
protocol::Parsed<std::uint8_t> parse_days(std::string_view text);
/// `02:00`; minutes after midnight.
protocol::Parsed<unsigned> parse_time_of_day(std::string_view text);

struct WindowsNow {
  std::vector<core::MaintenanceWindow> open;
  std::optional<std::int64_t> next_change;  // s since 1970; none: no rules
};
/// In local time, a start that a clock change leaves out counts as the moment right after the
/// change, and one that happens twice counts once.
WindowsNow windows_at(const std::vector<MaintenanceRule>& rules, std::int64_t unix_seconds);

}  // namespace sentinel::app
