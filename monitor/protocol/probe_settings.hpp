#pragma once

// The language of probes: their URLs, and the one table of their options, whoever writes them (a
// label, the file, the command line). See docs/configuration.md for what each means.
//
// How a probe is read: set_probe_url() or parse_probe_url(), then set_probe_option() for each
// option in any order, then settle_probe() once. What may come from a label is the caller's
// business: see option_needs_file().

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/probe_spec.hpp"
#include "protocol/settings.hpp"

namespace sentinel::protocol {

// What an option may hold at most. A regular expression that RE2 cannot compile within
// `max_regex_memory` is refused; whoever runs it may count on that.
inline constexpr std::size_t max_probe_url = 2300;
inline constexpr std::size_t max_option_bytes = 16 * 1024;  // any option; of a body: all of it
inline constexpr std::size_t max_expected_bytes = 4096;     // expect, send, expect.body
inline constexpr std::size_t max_regex_bytes = 1024;
inline constexpr std::int64_t max_regex_memory = 512 * 1024;
inline constexpr std::size_t max_headers = 32;
inline constexpr std::size_t max_header_bytes = 8 * 1024;  // one value
inline constexpr std::size_t max_list = 32;  // status ranges, JSON checks, DNS records, words

/// Sets kind, url, host, port and what else the URL says; the rest stays as in a default ProbeSpec.
///
///     http://[HOST][:PORT][/PATH][?QUERY]    https://...
///     tcp://[HOST]:PORT                      tls://[HOST][:PORT]
///     dns://[SERVER][:PORT]/NAME[?type=&expect=&rcode=&transport=]
///     smtp://[HOST][:PORT][?starttls=&ehlo=&from=&to=]    smtps://...
///     icmp:[//HOST][?count=&spacing=&max-loss=]
///     exec:[COMMAND]
///
/// Host left out: the container's own address. No user, no fragment; at most 2300 bytes of visible
/// ASCII. In the query of all but http, options of that kind, `%41` decoded. Link-local and cloud
/// metadata hosts are refused.
Parsed<core::ProbeSpec> parse_probe_url(std::string_view text);

/// Gives a probe that exists another URL: name, times and thresholds stay; all that belongs to its
/// kind starts anew, so that what was meant for one peer never reaches another. Unchanged on error.
Parsed<void> set_probe_url(core::ProbeSpec& spec, std::string_view text);

/// All of them, for suggestions and documentation; `header.NAME` stands for any header.
std::span<const std::string_view> probe_option_names();

bool is_probe_option(std::string_view option);

/// How several values are written in one text, when the file has them as a list.
enum class OptionList : std::uint8_t {
  none,   // a single value
  comma,  // 200,300
  lines,  // separated by line feeds; values may hold commas
  words,  // a JSON array of strings
};
OptionList option_list(const core::ProbeSpec& spec, std::string_view option);

/// Its value is never shown, in errors neither, and may be read from a file: headers, bodies, bytes
/// to send.
bool option_is_secret(std::string_view option);

/// Names a path of the machine Sentinel runs on: not for labels.
bool option_needs_file(std::string_view option);

/// Whether the option belongs to every kind: interval, timeout, fall, ...
bool option_is_general(std::string_view option);

/// An error says to which kinds the option belongs.
Parsed<void> option_fits(const core::ProbeSpec& spec, std::string_view option);

/// Sets one option of a probe whose URL is set. Unchanged on error; an option that is unknown or
/// does not belong to the probe's kind is one.
Parsed<void> set_probe_option(core::ProbeSpec& spec, std::string_view option,
                              std::string_view value, const SettingsLimits& limits);

struct ProbeProblem {
  std::string_view option;
  Error error;          // "expected ..."
  std::string instead;  // what is used now: "5s is used"
};
/// What only all options together show. Repairs it, so that a spec is good afterwards in any case
/// but one: false in `usable` says that there is nothing to run.
struct SettledProbe {
  std::vector<ProbeProblem> problems;
  bool usable = true;
};
SettledProbe settle_probe(core::ProbeSpec& spec);

/// `3`, or `3/5`: so many, in a row or of the last so many.
std::string format_threshold(unsigned count, unsigned of);

}  // namespace sentinel::protocol
