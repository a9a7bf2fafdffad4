#pragma once

// The process log: one event, one line, on stdout.
//
// Writing never waits for the reader of stdout: lines go through a queue of fixed length to one
// thread, and when that reader stalls the oldest lines are given up and counted. Lines that repeat
// word for word are thinned out. Text from outside may hold anything; control characters and
// invalid UTF-8 are escaped here, so that no name, label or health output can forge a line or reach
// a terminal raw.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace sentinel::observe {

enum class LogLevel : std::uint8_t { debug, info, warning, error };
std::string_view to_string(LogLevel);
/// `debug`, `info`, `warning` (or `warn`), `error`; anything else is false and leaves `out` alone.
bool parse_log_level(std::string_view text, LogLevel& out);

/// `text`: `<RFC 3339 UTC time with ms> <level> <sentence>`. `json`: one object a line, the
/// sentence as `msg`.
enum class LogFormat : std::uint8_t { text, json };
bool parse_log_format(std::string_view text, LogFormat& out);
/// Text on a terminal, JSON otherwise.
LogFormat default_log_format(int fd);

struct LogField {
  std::string key;  // from our own code, never from outside
  std::variant<std::string, std::int64_t, double, bool> value;
};

struct LogRecord {
  LogLevel level = LogLevel::info;
  std::string_view event;  // "sentinel.service.transition"; JSON only
  std::string_view msg;    // a sentence
  std::vector<LogField> fields;
};

struct LogOptions {
  LogLevel level = LogLevel::info;
  LogFormat format = LogFormat::json;
  int fd = 1;
  std::size_t queue_lines = 512;      // 1..65536
  unsigned repeats = 5;               // the same sentence so often in a minute, then only counted
  std::size_t max_line_bytes = 8192;  // a longer sentence or field is cut
};

class Log {
 public:
  explicit Log(LogOptions options = {});
  /// Writes what is queued, for half a second at most.
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  bool enabled(LogLevel level) const;
  void set_level(LogLevel level);

  /// One thread only. Never blocks, never throws.
  void write(const LogRecord& record) noexcept;
  void info(std::string_view event, std::string_view msg) {
    write({LogLevel::info, event, msg, {}});
  }
  void warning(std::string_view event, std::string_view msg) {
    write({LogLevel::warning, event, msg, {}});
  }
  void error(std::string_view event, std::string_view msg) {
    write({LogLevel::error, event, msg, {}});
  }

  /// Lines given up because stdout did not take them.
  std::uint64_t dropped() const;
  /// Lines not written because they repeated.
  std::uint64_t suppressed() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// The line without its end, as Log writes it; `unix_ms`: milliseconds since 1970.
std::string format_line(const LogRecord& record, LogFormat format, std::int64_t unix_ms,
                        std::size_t max_bytes);

}  // namespace sentinel::observe
