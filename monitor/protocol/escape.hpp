#pragma once

// Text from outside on its way to a log line or a terminal: one line, no control of the terminal,
// valid UTF-8, bounded.

#include <cstddef>
#include <string>
#include <string_view>

namespace sentinel::protocol {

inline constexpr std::size_t default_line_bytes = 512;

/// Makes any bytes safe to print as part of one line:
/// - white space controls (TAB, LF, VT, FF, CR, NEL, LS, PS) become a space; runs of white space
/// become one, ends are trimmed;
/// - other controls (C0, DEL, C1), bidi controls, zero-width and byte-order characters become
/// visible, `\x1b` or `\u{202e}`;
/// - every maximal ill-formed sequence becomes U+FFFD (Unicode 3.9, "substitution of maximal
/// subparts");
/// - at most `max_bytes` bytes, cut between characters and ended by "..." when something was left
/// out. Quotes and backslashes stay: quoting belongs to the sink that needs it.
std::string one_line(std::string_view text, std::size_t max_bytes = default_line_bytes);

/// Same, keeping line feeds: for the health output of an inspect, which people read as a block.
std::string many_lines(std::string_view text, std::size_t max_bytes);

}  // namespace sentinel::protocol
