#pragma once

// What the failover keeps over restarts: who is drained, by whom, until when. A small file,
// replaced as a whole: after a crash it is either the old one or the new one.

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "core/pool_event.hpp"

namespace sentinel::app {

/// Relates the core's time to the wall clock, at one moment.
struct WallClock {
  core::Time now;
  std::int64_t unix_ms = 0;
};

/// `{"version":1,"drains":[...]}`; times in milliseconds since 1970, null for never.
std::string format_drains(const std::vector<core::DrainRecord>& drains, const WallClock& clock);
/// An error says what is wrong with the text.
std::expected<std::vector<core::DrainRecord>, std::string> parse_drains(const std::string& text,
                                                                        const WallClock& clock);

/// Durable when it returns without error (a sentence's end).
std::expected<void, std::string> replace_file(const std::string& path, const std::string& content);
/// A missing file is an empty list.
std::expected<std::vector<core::DrainRecord>, std::string> load_drains(const std::string& path,
                                                                       const WallClock& clock);

}  // namespace sentinel::app
