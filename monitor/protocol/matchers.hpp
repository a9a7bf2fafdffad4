#pragma once

// Matchers of incidents' labels as people write them: in routes of the file, on the command line,
// in the API.
//
//   severity=critical   equal          project!=test   not equal
//   service~db-*        like: `*` any characters, `?` one          service!~db-*   not like

#include <optional>
#include <string>
#include <string_view>

#include "core/alert_model.hpp"
#include "protocol/settings.hpp"

namespace sentinel::protocol {

inline constexpr std::size_t max_matchers = 16;

/// `LABEL`: 1 to 64 letters, digits, `_`, `-` or `.`.
Parsed<std::string> parse_label_name(std::string_view text);

/// One of the forms above; the value is at most 256 bytes of valid text, and may be empty.
Parsed<core::Matcher> parse_matcher(std::string_view text);
std::string format_matcher(const core::Matcher& matcher);

/// How the API writes an operator: `equal`, `not_equal`, `like`, `not_like`.
std::string_view word_of(core::Matcher::Op op);
/// nullopt: no such word.
std::optional<core::Matcher::Op> parse_op(std::string_view word);

/// Comma separated, 1 to max_matchers of them.
Parsed<core::Matchers> parse_matchers(std::string_view text);
std::string format_matchers(const core::Matchers& matchers);

}  // namespace sentinel::protocol
