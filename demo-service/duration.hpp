#pragma once

#include <chrono>
#include <expected>
#include <string>
#include <string_view>

namespace sentinel::demo {

/// The longest duration any option or query parameter accepts.
inline constexpr std::chrono::milliseconds longest_duration = std::chrono::hours{24 * 7};

/// What to tell somebody whose duration could not be read.
inline constexpr std::string_view duration_form = "a duration such as 500ms, 90s, 5m or 1h30m";

/// Reads whole numbers with the units ms, s, m and h, largest unit first: "90s", "500ms", "1h30m".
/// Fails on anything else, a bare number included, and above `longest_duration`. The error is a
/// sentence part that starts with the refused text's problem, without the text itself.
[[nodiscard]] std::expected<std::chrono::milliseconds, std::string> parse_duration(
    std::string_view text);

/// The inverse of parse_duration; zero is "0s".
[[nodiscard]] std::string format_duration(std::chrono::milliseconds duration);

}  // namespace sentinel::demo
