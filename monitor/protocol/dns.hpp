#pragma once

// One DNS question and what comes back for it, sans-io (RFC 1035, RFC 6891). c-ares reads and
// writes the wire format: its pure functions are the only part of it that this room uses; no
// channel, no socket, no configuration of the host. Its parser follows compression pointers
// backwards only, so a loop is malformed, never endless.
//
// What arrives is compared with the question before it is believed: id, response bit, opcode, name,
// type and class (RFC 5452, 9.1). Where it came from is for the caller to check.

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/probe_spec.hpp"
#include "protocol/error.hpp"

namespace sentinel::protocol {

/// What we offer to take over UDP: fits one IPv6 packet on any path.
inline constexpr std::size_t dns_udp_bytes = 1232;
inline constexpr std::size_t dns_message_bytes = 65'535;
/// Records of the wanted type that are kept of one answer.
inline constexpr std::size_t dns_records = 256;

struct DnsQuery {
  std::string bytes{};  // the message; over TCP two bytes of length go before it
  std::string name{};   // as c-ares writes it, lower case
  std::uint16_t type = 1;
  std::uint16_t id = 0;
};

/// One question with recursion desired and EDNS0. The id is to be random. Fails when the name is
/// none.
std::expected<DnsQuery, Error> make_dns_query(std::string_view name, std::uint16_t type,
                                              std::uint16_t id);

/// Of another exchange, or of nobody's: to be ignored.
struct DnsForeign {};
/// To be asked again over TCP.
struct DnsTruncated {};
struct DnsAnswer {
  unsigned rcode = 0;
  /// Records of the wanted type that belong to the name or to what it is an alias of, in
  /// presentation form: fields separated by a space, names in lower case without trailing dot, the
  /// strings of a TXT record joined, no quotes. May hold any byte.
  std::vector<std::string> records;
};
using DnsReading = std::variant<DnsForeign, DnsTruncated, DnsAnswer, Error>;

/// Error: it is ours, and malformed.
DnsReading read_dns_answer(const DnsQuery& query, std::string_view message);

/// Verdict, reason, sentence and code. Without expected records an answer of NOERROR must have one
/// of the type. An expected record may be written with quotes, trailing dots, capitals (TXT and CAA
/// values excepted), any spelling of an address.
core::ProbeOutcome judge_dns(const core::DnsOptions& options, const DnsAnswer& answer);

/// `NXDOMAIN`, or `rcode 12`.
std::string dns_rcode_name(unsigned rcode);
/// `MX`, or `TYPE99`.
std::string dns_type_name(std::uint16_t type);

}  // namespace sentinel::protocol
