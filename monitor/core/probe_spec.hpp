#pragma once

// What a probe asks and what it takes for a good answer. Plain data; who reads it from labels or a
// file (protocol/settings) checks ranges, who runs it (io/prober) may rely on them.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/time.hpp"

namespace sentinel::core {

enum class Verdict : std::uint8_t { pass, warn, fail };
inline constexpr std::array all_verdicts{Verdict::pass, Verdict::warn, Verdict::fail};
std::string_view to_string(Verdict);

enum class ProbeKind : std::uint8_t { http, tcp, tls, dns, smtp, icmp, exec };
inline constexpr std::array all_probe_kinds{ProbeKind::http, ProbeKind::tcp,  ProbeKind::tls,
                                            ProbeKind::dns,  ProbeKind::smtp, ProbeKind::icmp,
                                            ProbeKind::exec};
std::string_view to_string(ProbeKind);

/// Why a probe failed, or warns; a small fixed set, used as a metric label.
enum class ProbeReason : std::uint8_t {
  none,
  resolve,              // the name has no address
  refused,              // connection refused, port unreachable
  unreachable,          // no route, or a local rule forbids it
  timeout,              // nothing, or not all, within the timeout
  reset,                // the peer ended the connection in the middle
  protocol,             // not the protocol that was expected
  status,               // HTTP status, SMTP reply code, exec's exit code
  body,                 // a body or bytes other than expected
  answer,               // DNS: records other than expected
  rcode,                // DNS: SERVFAIL, NXDOMAIN, REFUSED, ...
  redirect,             // too many, or to where we do not go
  starttls,             // required and not offered, or refused
  tls,                  // handshake failed, version too old
  certificate_expired,  // or not yet valid, or within the time that fails
  certificate_untrusted,
  certificate_name,
  loss,        // ICMP: more packets lost than allowed
  health,      // an application/health+json document says warn or fail
  slow,        // above the latency budget: a warning
  expiring,    // certificate ends soon: a warning
  no_address,  // no network shared with the container
  internal,    // our own inability; says nothing about the service
};
inline constexpr std::array all_probe_reasons{
    ProbeReason::none,
    ProbeReason::resolve,
    ProbeReason::refused,
    ProbeReason::unreachable,
    ProbeReason::timeout,
    ProbeReason::reset,
    ProbeReason::protocol,
    ProbeReason::status,
    ProbeReason::body,
    ProbeReason::answer,
    ProbeReason::rcode,
    ProbeReason::redirect,
    ProbeReason::starttls,
    ProbeReason::tls,
    ProbeReason::certificate_expired,
    ProbeReason::certificate_untrusted,
    ProbeReason::certificate_name,
    ProbeReason::loss,
    ProbeReason::health,
    ProbeReason::slow,
    ProbeReason::expiring,
    ProbeReason::no_address,
    ProbeReason::internal,
};
std::string_view to_string(ProbeReason);

/// Where the time of a probe went. Zero: the phase did not take place.
struct ProbePhases {
  Duration resolve{};
  Duration connect{};
  Duration tls{};
  Duration processing{};  // request sent -> first byte of the answer
  Duration transfer{};    // first byte -> enough to judge
  bool operator==(const ProbePhases&) const = default;
};

/// In their order in time, by the names that metrics and API give them.
struct ProbePhase {
  std::string_view name;
  Duration ProbePhases::* member;
};
inline constexpr std::array probe_phases{
    ProbePhase{"resolve", &ProbePhases::resolve},
    ProbePhase{"connect", &ProbePhases::connect},
    ProbePhase{"tls", &ProbePhases::tls},
    ProbePhase{"processing", &ProbePhases::processing},
    ProbePhase{"transfer", &ProbePhases::transfer},
};

enum class TlsVersion : std::uint8_t { tls1_2, tls1_3 };

/// For https, tls and smtp with STARTTLS.
struct TlsOptions {
  bool verify = true;       // chain and name; expiry is looked at even without
  std::string server_name;  // SNI, and the name in the certificate; empty: the URL's host; with
                            // neither (a container's own address) the name is not checked
  std::string ca_file;      // PEM, instead of the system's; empty: the system's
  TlsVersion min_version = TlsVersion::tls1_2;
  Duration expiry_warn = 14 * 24h;  // less validity left: warn (expiring)
  Duration expiry_fail{};           // less left: fail (certificate_expired)
  bool operator==(const TlsOptions&) const = default;
};

/// Inclusive.
struct StatusRange {
  std::uint16_t from = 200;
  std::uint16_t to = 299;
  bool operator==(const StatusRange&) const = default;
};

struct JsonCheck {
  enum class Op : std::uint8_t { equal, not_equal, less, at_most, greater, at_least, exists };
  std::string pointer;  // RFC 6901
  Op op = Op::equal;
  std::string value;  // JSON text; empty for exists
  bool operator==(const JsonCheck&) const = default;
};

struct HttpOptions {
  bool tls = false;  // https
  std::string method = "GET";
  std::string target = "/";  // path and query
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  unsigned max_redirects = 0;       // 0: a 3xx is an answer like any other; to the same host only
  std::vector<StatusRange> status;  // empty: 2xx
  std::string body_contains;        // empty: not looked at
  std::string body_regex;           // RE2, unanchored
  std::vector<JsonCheck> json;      // all must hold
  bool keep_alive = false;          // reuse the connection for the next run
  bool operator==(const HttpOptions&) const = default;
};

struct TcpOptions {
  std::string send;    // bytes; empty: nothing
  std::string expect;  // bytes that must come; empty: the connection is enough
  bool operator==(const TcpOptions&) const = default;
};

struct DnsOptions {
  std::string name;        // without trailing dot, lower case
  std::uint16_t type = 1;  // RFC 1035 / IANA number: A 1, NS 2, CNAME 5, SOA 6, PTR 12, MX 15,
                           // TXT 16, AAAA 28, SRV 33, CAA 257
  bool tcp = false;        // else UDP, and TCP when the answer is truncated
  unsigned rcode = 0;      // expected: 0 NOERROR, 3 NXDOMAIN, ...
  std::vector<std::string> expect;  // each must be among the answers, in presentation form
  bool operator==(const DnsOptions&) const = default;
};

enum class StartTls : std::uint8_t { none, optional, required };

struct SmtpOptions {
  bool tls = false;  // smtps: TLS from the first byte
  StartTls starttls = StartTls::none;
  std::string ehlo = "sentinel";  // our name
  std::string mail_from;          // empty: no dialogue beyond EHLO; "<>" is the null sender
  std::string rcpt_to;            // needs mail_from
  bool operator==(const SmtpOptions&) const = default;
};

struct IcmpOptions {
  unsigned count = 1;        // 1..20 packets a run
  Duration spacing = 200ms;  // between them
  unsigned max_loss = 0;     // percent that may be lost; 100 % always fails
  bool operator==(const IcmpOptions&) const = default;
};

struct ExecOptions {
  std::vector<std::string> command;  // in the container, no shell
  bool operator==(const ExecOptions&) const = default;
};

struct ProbeSpec {
  std::string name{};
  ProbeKind kind = ProbeKind::http;
  std::string url{};        // as written, for people
  std::string host{};       // empty: the container's own address
  std::uint16_t port = 80;  // 0 for icmp and exec
  Duration interval = 5s;
  Duration fast_interval = 1s;  // while a change is pending
  Duration timeout = 2s;        // of the whole run
  Duration slow{};              // latency budget; a pass above it warns. 0: none
  // `fall` failures make it fail: in a row, or among the last `fall_of` results when that is not 0
  // (then fall <= fall_of <= 64). `rise` likewise.
  unsigned fall = 3;
  unsigned fall_of = 0;
  unsigned rise = 2;
  unsigned rise_of = 0;
  // Of the probe's kind; the others stay as they are by default.
  HttpOptions http{};
  TcpOptions tcp{};
  TlsOptions tls{};
  DnsOptions dns{};
  SmtpOptions smtp{};
  IcmpOptions icmp{};
  ExecOptions exec{};
  bool operator==(const ProbeSpec&) const = default;
};

/// What one run of a probe found.
struct ProbeOutcome {
  Verdict verdict = Verdict::fail;
  ProbeReason reason = ProbeReason::none;
  std::string sentence;  // "connection refused", "expected 2xx, got 503"; escaped, one line
  Duration took{};       // wall time
  ProbePhases phases;
  unsigned code = 0;  // HTTP status, SMTP reply, DNS rcode, exit code; 0: none seen
  std::optional<std::int64_t> cert_not_after;  // s since 1970, the earliest end in the chain
  std::optional<double> loss;                  // ICMP, 0..1
};

}  // namespace sentinel::core
