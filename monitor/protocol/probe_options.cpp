// The table of probe options.

#include <algorithm>
#include <array>
#include <utility>

#include "protocol/probe_settings.hpp"
#include "protocol/probe_values.hpp"
#include "protocol/settings_text.hpp"

namespace sentinel::protocol {
namespace {

using core::ProbeKind;
using core::ProbeSpec;
using text::expected_form;

using Set = Parsed<void>;

template <class Value, class Target>
Set assign(Parsed<Value>&& parsed, Target& target) {
  if (!parsed) return std::unexpected(std::move(parsed.error()));
  target = std::move(*parsed);
  return {};
}

using Kinds = unsigned;
constexpr Kinds only(ProbeKind kind) { return 1U << std::to_underlying(kind); }
constexpr Kinds http = only(ProbeKind::http);
constexpr Kinds tcp = only(ProbeKind::tcp);
constexpr Kinds dns = only(ProbeKind::dns);
constexpr Kinds smtp = only(ProbeKind::smtp);
constexpr Kinds icmp = only(ProbeKind::icmp);
constexpr Kinds exec = only(ProbeKind::exec);
// Of http, https alone: see option_fits().
constexpr Kinds with_tls = http | only(ProbeKind::tls) | smtp;
constexpr Kinds all = (1U << core::all_probe_kinds.size()) - 1;

struct Option {
  std::string_view name;
  Kinds kinds;
  OptionList list;
  Set (*set)(ProbeSpec&, std::string_view, const SettingsLimits&);
};

/// The fast interval follows the interval until somebody sets it.
constexpr Duration derived_fast(Duration interval) {
  return std::min<Duration>(interval, ProbeSpec{}.fast_interval);
}

Set set_interval(ProbeSpec& s, std::string_view v, const SettingsLimits& limits) {
  const auto parsed = parse_duration(v, limits.interval);
  if (!parsed) return std::unexpected(parsed.error());
  if (s.fast_interval == derived_fast(s.interval)) s.fast_interval = derived_fast(*parsed);
  s.interval = *parsed;
  return {};
}

Set set_fall(ProbeSpec& s, std::string_view v, const SettingsLimits& limits) {
  const auto parsed = parse_threshold(v, limits.max_fall);
  if (!parsed) return std::unexpected(parsed.error());
  s.fall = parsed->count;
  s.fall_of = parsed->of;
  return {};
}

Set set_rise(ProbeSpec& s, std::string_view v, const SettingsLimits& limits) {
  const auto parsed = parse_threshold(v, limits.max_fall);
  if (!parsed) return std::unexpected(parsed.error());
  s.rise = parsed->count;
  s.rise_of = parsed->of;
  return {};
}

Set set_method(ProbeSpec& s, std::string_view v, const SettingsLimits&) {
  constexpr std::array<std::string_view, 7> methods{"GET",   "HEAD",   "POST",   "PUT",
                                                    "PATCH", "DELETE", "OPTIONS"};
  if (std::ranges::find(methods, v) == methods.end())
    return expected_form("GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS");
  s.http.method = v;
  return {};
}

/// Replaces one of the same name.
Set put_header(std::vector<std::pair<std::string, std::string>>& headers, Parsed<Header> header) {
  if (!header) return std::unexpected(std::move(header.error()));
  const auto same = std::ranges::find_if(headers, [&](const auto& known) {
    return text::lower(known.first) == text::lower(header->first);
  });
  if (same != headers.end()) {
    *same = std::move(*header);
    return {};
  }
  if (headers.size() >= max_headers)
    return expected_form("at most " + std::to_string(max_headers) + " headers");
  headers.push_back(std::move(*header));
  return {};
}

Set set_header(ProbeSpec& s, std::string_view v, const SettingsLimits&) {
  return put_header(s.http.headers, parse_header(v));
}

Set set_headers(ProbeSpec& s, std::string_view v, const SettingsLimits&) {
  std::vector<std::pair<std::string, std::string>> headers;
  for (const auto line : text::split(v, '\n', max_headers + 2)) {
    if (line.empty()) continue;
    if (auto put = put_header(headers, parse_header(line)); !put) return put;
  }
  s.http.headers = std::move(headers);
  return {};
}

Set set_body(ProbeSpec& s, std::string_view v, const SettingsLimits&) {
  s.http.body = v;
  return {};
}

Set set_redirects(ProbeSpec& s, std::string_view v, const SettingsLimits&) {
  constexpr unsigned followed = 5;
  if (const auto count = parse_count(v, 0, 10)) {
    s.http.max_redirects = *count;
  } else if (const auto on = parse_bool(v)) {
    s.http.max_redirects = *on ? followed : 0;
  } else {
    return expected_form("how many redirects are followed, 0 to 10, or true for 5");
  }
  return {};
}

Set set_expected_body(ProbeSpec& s, std::string_view v, const SettingsLimits&) {
  if (v.empty() || v.size() > max_expected_bytes)
    return expected_form("a text of 1 to " + std::to_string(max_expected_bytes) + " bytes");
  s.http.body_contains = v;
  return {};
}

/// Records in presentation form; quotes of TXT strings belong to it.
Set set_expect(ProbeSpec& s, std::string_view v, const SettingsLimits&) {
  if (s.kind == ProbeKind::tcp) return assign(parse_bytes(v), s.tcp.expect);
  std::vector<std::string> records;
  for (const auto part : text::split_values(v, max_list + 1)) records.emplace_back(part);
  const bool good = !records.empty() && records.size() <= max_list &&
                    std::ranges::all_of(records, [](const std::string& record) {
                      return record.size() <= 1024 && std::ranges::all_of(record, [](char c) {
                               return c == ' ' || text::is_visible(c);
                             });
                    });
  if (!good)
    return expected_form("a list of records such as 192.0.2.1,192.0.2.2, at most " +
                         std::to_string(max_list) + " of them");
  s.dns.expect = std::move(records);
  return {};
}

Set set_server_name(ProbeSpec& s, std::string_view v, const SettingsLimits&) {
  if (v.empty() || !good_host(v, false)) return expected_form("a host name");
  s.tls.server_name = text::lower(v);
  return {};
}

Set set_ca(ProbeSpec& s, std::string_view v, const SettingsLimits&) {
  const bool good =
      v.size() > 1 && v.size() <= 255 && v.front() == '/' && std::ranges::none_of(v, [](char c) {
        return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
      });
  if (!good) return expected_form("an absolute path of at most 255 bytes");
  s.tls.ca_file = v;
  return {};
}

Set set_min_version(ProbeSpec& s, std::string_view v, const SettingsLimits&) {
  if (v != "1.2" && v != "1.3") return expected_form("1.2 or 1.3");
  s.tls.min_version = v == "1.2" ? core::TlsVersion::tls1_2 : core::TlsVersion::tls1_3;
  return {};
}

Set set_starttls(ProbeSpec& s, std::string_view v, const SettingsLimits&) {
  constexpr std::array<std::string_view, 3> words{"none", "optional", "required"};
  const auto word = std::ranges::find(words, v);
  if (word == words.end()) return expected_form("none, optional or required");
  s.smtp.starttls = static_cast<core::StartTls>(word - words.begin());
  return {};
}

Set set_ehlo(ProbeSpec& s, std::string_view v, const SettingsLimits&) {
  // A domain, or an address literal such as [192.0.2.1].
  const bool literal = v.size() > 2 && v.front() == '[' && v.back() == ']';
  const bool good = literal ? std::ranges::all_of(v.substr(1, v.size() - 2),
                                                  [](char c) {
                                                    return text::is_digit(c) || text::is_alpha(c) ||
                                                           c == '.' || c == ':';
                                                  })
                            : !v.empty() && good_host(v, false);
  if (!good || v.size() > 253)
    return expected_form("a host name, or an address such as [192.0.2.1]");
  s.smtp.ehlo = v;
  return {};
}

Set set_transport(ProbeSpec& s, std::string_view v, const SettingsLimits&) {
  if (v != "udp" && v != "tcp") return expected_form("udp or tcp");
  s.dns.tcp = v == "tcp";
  return {};
}

Set set_loss(ProbeSpec& s, std::string_view v, const SettingsLimits&) {
  if (v.ends_with('%')) v.remove_suffix(1);
  const auto percent = parse_count(v, 0, 99);
  if (!percent) return expected_form("a percentage from 0% to 99%");
  s.icmp.max_loss = *percent;
  return {};
}

using L = const SettingsLimits&;
using V = std::string_view;
using enum OptionList;

constexpr std::array<Option, 35> options{{
    {"interval", all, none, set_interval},
    {"fast-interval", all, none,
     [](ProbeSpec& s, V v, L l) { return assign(parse_duration(v, l.interval), s.fast_interval); }},
    {"timeout", all, none,
     [](ProbeSpec& s, V v, L l) { return assign(parse_duration(v, l.probe_timeout), s.timeout); }},
    {"slow", all, none,
     [](ProbeSpec& s, V v, L l) {
       return assign(parse_duration(v, {{}, l.probe_timeout.max}), s.slow);
     }},
    {"fall", all, none, set_fall},
    {"rise", all, none, set_rise},
    {"method", http, none, set_method},
    {"header", http, none, set_header},
    {"headers", http, lines, set_headers},
    {"body", http, none, set_body},
    {"redirects", http, none, set_redirects},
    {"keep-alive", http, none,
     [](ProbeSpec& s, V v, L) { return assign(parse_bool(v), s.http.keep_alive); }},
    {"expect.status", http, comma,
     [](ProbeSpec& s, V v, L) { return assign(parse_status_ranges(v), s.http.status); }},
    {"expect.body", http, none, set_expected_body},
    {"expect.regex", http, none,
     [](ProbeSpec& s, V v, L) { return assign(parse_regex(v), s.http.body_regex); }},
    {"expect.json", http, lines,
     [](ProbeSpec& s, V v, L) { return assign(parse_json_checks(v), s.http.json); }},
    {"send", tcp, none, [](ProbeSpec& s, V v, L) { return assign(parse_bytes(v), s.tcp.send); }},
    {"expect", tcp | dns, lines, set_expect},
    {"tls.verify", with_tls, none,
     [](ProbeSpec& s, V v, L) { return assign(parse_bool(v), s.tls.verify); }},
    {"tls.name", with_tls, none, set_server_name},
    {"tls.ca", with_tls, none, set_ca},
    {"tls.min-version", with_tls, none, set_min_version},
    {"tls.expiry-warn", with_tls, none,
     [](ProbeSpec& s, V v, L) { return assign(parse_duration(v), s.tls.expiry_warn); }},
    {"tls.expiry-fail", with_tls, none,
     [](ProbeSpec& s, V v, L) { return assign(parse_duration(v), s.tls.expiry_fail); }},
    {"starttls", smtp, none, set_starttls},
    {"ehlo", smtp, none, set_ehlo},
    {"from", smtp, none,
     [](ProbeSpec& s, V v, L) { return assign(parse_mailbox(v, true), s.smtp.mail_from); }},
    {"to", smtp, none,
     [](ProbeSpec& s, V v, L) { return assign(parse_mailbox(v, false), s.smtp.rcpt_to); }},
    {"type", dns, none, [](ProbeSpec& s, V v, L) { return assign(parse_dns_type(v), s.dns.type); }},
    {"rcode", dns, none,
     [](ProbeSpec& s, V v, L) { return assign(parse_dns_rcode(v), s.dns.rcode); }},
    {"transport", dns, none, set_transport},
    {"count", icmp, none,
     [](ProbeSpec& s, V v, L) { return assign(parse_count(v, 1, 20), s.icmp.count); }},
    {"spacing", icmp, none,
     [](ProbeSpec& s, V v, L) { return assign(parse_duration(v, {10ms, 10s}), s.icmp.spacing); }},
    {"max-loss", icmp, none, set_loss},
    {"command", exec, words,
     [](ProbeSpec& s, V v, L) { return assign(parse_command(v), s.exec.command); }},
}};

constexpr std::string_view header_prefix = "header.";
constexpr std::string_view any_header = "header.NAME";

constexpr auto names = [] {
  std::array<std::string_view, options.size() + 1> list{};
  std::ranges::transform(options, list.begin(), &Option::name);
  list.back() = any_header;
  return list;
}();

/// nullptr: there is no such option.
const Option* find_option(std::string_view name) {
  if (name.starts_with(header_prefix)) name = "header";
  const auto found = std::ranges::find(options, name, &Option::name);
  return found == options.end() ? nullptr : &*found;
}

bool is_of(const ProbeSpec& spec, Kinds kinds) { return (kinds & only(spec.kind)) != 0; }

/// `https`, `dns`; what people call it.
std::string_view kind_name(const ProbeSpec& spec) {
  return spec.kind == ProbeKind::http && spec.http.tls ? "https" : to_string(spec.kind);
}

std::string kind_names(const Option& option) {
  std::string list;
  for (const ProbeKind kind : core::all_probe_kinds) {
    if ((option.kinds & only(kind)) == 0) continue;
    if (!list.empty()) list += ", ";
    list += kind == ProbeKind::http && option.kinds == with_tls ? "https" : to_string(kind);
  }
  return list;
}

}  // namespace

std::span<const std::string_view> probe_option_names() { return names; }

bool is_probe_option(std::string_view option) { return find_option(option) != nullptr; }

OptionList option_list(const ProbeSpec& spec, std::string_view option) {
  const Option* known = find_option(option);
  if (known == nullptr || (option == "expect" && spec.kind == ProbeKind::tcp)) return none;
  return known->list;
}

bool option_is_secret(std::string_view option) {
  return option.starts_with("header") || option == "body" || option == "send";
}

bool option_needs_file(std::string_view option) { return option == "tls.ca"; }

bool option_is_general(std::string_view option) {
  const Option* known = find_option(option);
  return known != nullptr && known->kinds == all;
}

Set option_fits(const ProbeSpec& spec, std::string_view option) {
  const Option* known = find_option(option);
  if (known == nullptr) return expected_form("an option of probes");
  const bool plain_http = spec.kind == ProbeKind::http && !spec.http.tls;
  if (is_of(spec, known->kinds) && !(known->kinds == with_tls && plain_http)) return {};
  return expected_form("an option of " + std::string(kind_name(spec)) +
                       " probes: this one belongs to " + kind_names(*known));
}

Set set_probe_option(ProbeSpec& spec, std::string_view option, std::string_view value,
                     const SettingsLimits& limits) {
  if (auto fits = option_fits(spec, option); !fits) return fits;
  if (value.size() > max_option_bytes)
    return expected_form("at most " + std::to_string(max_option_bytes) + " bytes");
  if (!option.starts_with(header_prefix)) return find_option(option)->set(spec, value, limits);
  if (option.ends_with("_file") || option.ends_with("-file"))
    return expected_form("the file of a value in the configuration file only");
  auto name = parse_header_name(option.substr(header_prefix.size()));
  if (!name) return std::unexpected(std::move(name.error()));
  auto content = parse_header_value(value);
  if (!content) return std::unexpected(std::move(content.error()));
  return put_header(spec.http.headers, Header{std::move(*name), std::move(*content)});
}

SettledProbe settle_probe(ProbeSpec& spec) {
  SettledProbe settled;
  const auto problem = [&settled](std::string_view option, std::string expected,
                                  std::string instead) {
    settled.problems.push_back(
        {option, Error{"expected " + std::move(expected)}, std::move(instead)});
  };
  if (spec.fast_interval > spec.interval) {
    spec.fast_interval = derived_fast(spec.interval);
    problem("fast-interval", "at most the interval, " + format_duration(spec.interval),
            format_duration(spec.fast_interval) + " is used");
  }
  if (spec.slow != Duration{} && spec.slow >= spec.timeout) {
    spec.slow = {};
    problem("slow", "less than the timeout, " + format_duration(spec.timeout),
            "no latency is too long");
  }
  if (spec.tls.expiry_fail > spec.tls.expiry_warn) {
    // Only the later of the two would ever be said: whoever sets one alone means no harm.
    spec.tls.expiry_warn = spec.tls.expiry_fail;
  }
  if (spec.kind == ProbeKind::smtp && !spec.smtp.rcpt_to.empty() && spec.smtp.mail_from.empty()) {
    spec.smtp.rcpt_to.clear();
    problem("to", "a sender as well: from", "no recipient is tried");
  }
  if (spec.kind == ProbeKind::smtp && spec.smtp.tls && spec.smtp.starttls != core::StartTls::none) {
    spec.smtp.starttls = core::StartTls::none;
    problem("starttls", "smtp:// instead of smtps://, which is TLS from the first byte",
            "TLS from the first byte is used");
  }
  if (spec.kind == ProbeKind::icmp) {
    const auto sending = spec.icmp.spacing * (spec.icmp.count - 1);
    if (sending >= spec.timeout) {
      spec.icmp.count = 1;
      problem(
          "count",
          "so many packets that all are sent within the timeout, " + format_duration(spec.timeout),
          "1 is used");
    }
  }
  if (spec.kind == ProbeKind::dns && spec.dns.rcode != 0 && !spec.dns.expect.empty()) {
    spec.dns.expect.clear();
    problem("expect", "records only with rcode NOERROR", "no records are expected");
  }
  if (spec.kind == ProbeKind::exec && spec.exec.command.empty()) {
    settled.usable = false;
    problem("command", "the program to run: exec:COMMAND, or the option command",
            "the probe is left out");
  }
  return settled;
}

std::string format_threshold(unsigned count, unsigned of) {
  return std::to_string(count) + (of == 0 ? "" : "/" + std::to_string(of));
}

}  // namespace sentinel::protocol
