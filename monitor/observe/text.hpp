#pragma once

// Small text helpers shared by log, metrics and API: everything that leaves the process goes
// through one of these.

#include <cstdint>
#include <string>
#include <string_view>

#include "core/time.hpp"

namespace sentinel::observe {

/// One line, valid UTF-8, at most `max_bytes` (cut between code points, then "…"): control
/// characters, the Unicode line separators and the bidirectional controls become \xNN or \u{NNNN},
/// bytes that are no UTF-8 become U+FFFD.
std::string one_line(std::string_view text, std::size_t max_bytes);

/// `12.4 s`, `3 min 5 s`, `2 h 10 min`, `850 ms`: for people; negative counts as 0.
std::string human(core::Duration duration);

/// RFC 3339 in UTC with milliseconds.
std::string rfc3339(std::int64_t unix_ms);

}  // namespace sentinel::observe
