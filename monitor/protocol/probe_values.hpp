#pragma once

// Values of probe options that have a grammar of their own; used by the table in probe_options.cpp.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/settings.hpp"

namespace sentinel::protocol {

/// `200-299,401`, `2xx`; 100..599.
Parsed<std::vector<core::StatusRange>> parse_status_ranges(std::string_view text);

/// `/status = "ok", /queue < 100, /x exists`, separated by commas or line feeds. A value is JSON;
/// <, <=, > and >= compare numbers.
Parsed<std::vector<core::JsonCheck>> parse_json_checks(std::string_view text);

/// As written; RE2 has compiled it within max_regex_memory.
Parsed<std::string> parse_regex(std::string_view text);

/// `\r \n \t \\ \xHH` stand for bytes; at most max_expected_bytes of them.
Parsed<std::string> parse_bytes(std::string_view text);

using Header = std::pair<std::string, std::string>;
/// A field name that does not decide where the message ends or the connection leads.
Parsed<std::string> parse_header_name(std::string_view text);
/// Without controls; surrounding white space is dropped.
Parsed<std::string> parse_header_value(std::string_view text);
/// `Name: value`.
Parsed<Header> parse_header(std::string_view text);

/// `A`, `AAAA`, ..., or `TYPE65`.
Parsed<std::uint16_t> parse_dns_type(std::string_view text);
/// `NXDOMAIN` or its number, 0 to 15.
Parsed<unsigned> parse_dns_rcode(std::string_view text);

/// `local@domain`; `<>` for the null sender when `null_sender`.
Parsed<std::string> parse_mailbox(std::string_view text, bool null_sender);

/// A JSON array of strings, or words; a word may stand in single or double quotes, within which
/// there are no escapes. No shell.
Parsed<std::vector<std::string>> parse_command(std::string_view text);

struct Threshold {
  unsigned count = 1;
  unsigned of = 0;
};
/// `3`, or `3/5`: three of the last five, at most 64.
Parsed<Threshold> parse_threshold(std::string_view text, unsigned max);

}  // namespace sentinel::protocol
