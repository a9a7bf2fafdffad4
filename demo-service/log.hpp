#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace sentinel::demo {

enum class LogFormat { automatic, text, json };
enum class LogLevel { debug, info, warning, error };

/// A field of a JSON log line.
using LogField = std::pair<std::string_view, std::variant<std::string_view, std::int64_t>>;

/// Chooses where lines go and what they look like: text on a terminal and one JSON object a line
/// elsewhere, unless `format` says which. Call once, before the first line.
void start_log(LogFormat format, bool with_debug);

/// Writes one line to standard output: in text the time, the level and `message`; in JSON also
/// `event` (a dotted name) and the fields. Control characters and invalid UTF-8 are replaced.
void log_line(LogLevel level, std::string_view event, std::string_view message,
              std::initializer_list<LogField> fields = {});

/// `text` with every control character and byte that is not ASCII replaced by '?'.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace sentinel::demo
