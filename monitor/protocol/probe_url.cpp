// URLs of probes.

#include <algorithm>
#include <array>
#include <optional>

#include "protocol/probe_settings.hpp"
#include "protocol/settings_text.hpp"

namespace sentinel::protocol {
namespace {

using core::ProbeKind;
using text::expected_form;
using text::is_digit;
using text::lower;

struct Scheme {
  std::string_view name;
  ProbeKind kind;
  bool tls;            // from the first byte, where the kind leaves it open
  std::uint16_t port;  // 0: none, or to be given
  std::string_view form;
};
constexpr std::array<Scheme, 9> schemes{{
    {"http", ProbeKind::http, false, 80, "a URL such as http://:8080/health"},
    {"https", ProbeKind::http, true, 443, "a URL such as https://:8443/health"},
    {"tcp", ProbeKind::tcp, false, 0, "a URL such as tcp://:5432"},
    {"tls", ProbeKind::tls, false, 443, "a URL such as tls://:443"},
    {"dns", ProbeKind::dns, false, 53, "a URL such as dns://:53/example.org?type=A"},
    {"smtp", ProbeKind::smtp, false, 25, "a URL such as smtp://:25?starttls=required"},
    {"smtps", ProbeKind::smtp, true, 465, "a URL such as smtps://:465"},
    {"icmp", ProbeKind::icmp, false, 0, "a URL such as icmp: or icmp://HOST?count=3"},
    {"exec", ProbeKind::exec, false, 0, "exec: or a command such as exec:/bin/check --quick"},
}};

struct Parts {
  std::string_view authority;
  std::string_view path;   // with its slash, or empty
  std::string_view query;  // without the question mark
  bool has_query = false;
};

Parts parts_of(std::string_view rest) {
  Parts parts;
  const auto query = rest.find('?');
  parts.has_query = query != std::string_view::npos;
  if (parts.has_query) {
    parts.query = rest.substr(query + 1);
    rest = rest.substr(0, query);
  }
  const auto slash = std::min(rest.find('/'), rest.size());
  parts.authority = rest.substr(0, slash);
  parts.path = rest.substr(slash);
  return parts;
}

Parsed<void> set_authority(core::ProbeSpec& spec, std::string_view authority, const Scheme& scheme,
                           bool with_port) {
  const std::string form{scheme.form};
  if (authority.find('@') != std::string_view::npos)
    return expected_form(form + " without user or password");
  std::string_view host;
  const bool bracketed = authority.starts_with('[');
  if (bracketed) {
    const auto close = authority.find(']');
    if (close == std::string_view::npos) return expected_form(form);
    host = authority.substr(1, close - 1);
    authority.remove_prefix(close + 1);
    if (!authority.empty() && !authority.starts_with(':')) return expected_form(form);
  } else {
    host = authority.substr(0, authority.find(':'));
    authority.remove_prefix(host.size());
  }
  spec.port = scheme.port;
  if (!authority.empty()) {
    if (!with_port) return expected_form(form + " without a port");
    const auto digits = authority.substr(1);
    const auto port = parse_count(digits, 1, 65535);
    if (!port || !is_digit(digits.front()) || !is_digit(digits.back()))
      return expected_form(form + " with a port from 1 to 65535");
    spec.port = static_cast<std::uint16_t>(*port);
  } else if (with_port && scheme.port == 0) {
    return expected_form(form + " with a port from 1 to 65535");
  }
  if (!good_host(host, bracketed) || (bracketed && host.empty()))
    return expected_form(form + " with a valid host");
  spec.host = lower(host);
  if (!host.empty() && forbidden_host(spec.host)) {
    return expected_form(form +
                         " whose host is not a link-local, metadata or numeric-only address");
  }
  return {};
}

/// Printable ASCII without what would end the request line or start a fragment.
bool good_target(std::string_view target) {
  return target.size() <= 2048 && std::ranges::all_of(target, [](char c) {
           return text::is_visible(c) && c != '#' && c != '"' && c != '<' && c != '>' && c != '\\';
         });
}

std::optional<std::string> decode(std::string_view text) {
  const auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size() || digit(text[i + 1]) < 0 || digit(text[i + 2]) < 0)
      return std::nullopt;
    out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
    i += 2;
  }
  return out;
}

/// Options of the kind, each once.
Parsed<void> set_query(core::ProbeSpec& spec, std::string_view query, const Scheme& scheme) {
  const std::string form{scheme.form};
  std::vector<std::string_view> seen;
  for (const auto part : text::split(query, '&', max_list + 1)) {
    const auto equals = part.find('=');
    const auto option = part.substr(0, equals);
    if (equals == std::string_view::npos || seen.size() == max_list ||
        std::ranges::find(seen, option) != seen.end()) {
      return expected_form(form + " with a query of option=value, each option once");
    }
    seen.push_back(option);
    if (!is_probe_option(option) || option_is_general(option) || option_needs_file(option))
      return expected_form(form + " whose query names options of " +
                           std::string(to_string(scheme.kind)) + " probes only");
    const auto value = decode(part.substr(equals + 1));
    if (!value) return expected_form(form + " whose query has %xx with two hex digits");
    if (auto set = set_probe_option(spec, option, *value, {}); !set)
      return std::unexpected(Error{std::string(option) + ": " + std::move(set.error().message)});
  }
  return {};
}

/// RFC 1035 limits; underscores for service names, no escapes.
bool good_dns_name(std::string_view name) {
  if (name.empty() || name.size() > 253) return false;
  std::size_t label = 0;
  for (const char c : name) {
    if (c == '.') {
      if (label == 0) return false;
      label = 0;
      continue;
    }
    if (!text::is_alpha(c) && !is_digit(c) && c != '-' && c != '_') return false;
    if (++label > 63) return false;
  }
  return label > 0;
}

Parsed<void> set_path(core::ProbeSpec& spec, const Parts& parts, const Scheme& scheme) {
  const std::string form{scheme.form};
  if (spec.kind != ProbeKind::dns) {
    if (!parts.path.empty() && parts.path != "/") return expected_form(form + " without a path");
    return {};
  }
  std::string_view name = parts.path.substr(std::min<std::size_t>(1, parts.path.size()));
  if (name.ends_with('.')) name.remove_suffix(1);
  if (!good_dns_name(name)) return expected_form(form + " with the name that is asked for");
  spec.dns.name = lower(name);
  return {};
}

Parsed<void> set_http(core::ProbeSpec& spec, std::string_view rest, const Scheme& scheme) {
  const auto end = std::min(rest.find_first_of("/?#"), rest.size());
  const std::string_view target = rest.substr(end);
  if (auto set = set_authority(spec, rest.substr(0, end), scheme, true); !set) return set;
  if (!good_target(target))
    return expected_form(std::string(scheme.form) +
                         " whose path and query are printable ASCII without fragment");
  spec.http.tls = scheme.tls;
  spec.http.target = target.empty() ? "/" : std::string(target);
  if (spec.http.target.front() == '?') spec.http.target.insert(0, "/");
  return {};
}

Parsed<void> set_others(core::ProbeSpec& spec, std::string_view rest, const Scheme& scheme,
                        bool slashes) {
  const Parts parts = parts_of(rest);
  if (!std::ranges::all_of(rest, text::is_visible) || rest.find('#') != std::string_view::npos)
    return expected_form(std::string(scheme.form) + " of printable ASCII without fragment");
  const bool icmp = spec.kind == ProbeKind::icmp;
  if (slashes) {
    if (auto set = set_authority(spec, parts.authority, scheme, !icmp); !set) return set;
  } else if (!parts.authority.empty()) {
    return expected_form(std::string(scheme.form));
  }
  if (auto set = set_path(spec, parts, scheme); !set) return set;
  spec.smtp.tls = spec.kind == ProbeKind::smtp && scheme.tls;
  if (icmp) spec.port = 0;
  return parts.has_query ? set_query(spec, parts.query, scheme) : Parsed<void>{};
}

}  // namespace

Parsed<core::ProbeSpec> parse_probe_url(std::string_view text) {
  constexpr std::string_view form =
      "a URL such as http://:8080/health, of http, https, tcp, tls, dns, smtp, smtps, icmp or exec";
  if (text.size() > max_probe_url)
    return expected_form("a URL such as http://:8080/health of at most 2300 bytes");
  const auto colon = text.find(':');
  const std::string name = lower(text.substr(0, std::min<std::size_t>(colon, 8)));
  const auto scheme = std::ranges::find(schemes, std::string_view{name}, &Scheme::name);
  if (colon == std::string_view::npos || scheme == schemes.end())
    return expected_form(std::string(form));
  std::string_view rest = text.substr(colon + 1);

  core::ProbeSpec spec;
  spec.kind = scheme->kind;
  spec.url = std::string(text);
  if (spec.kind == ProbeKind::exec) {
    spec.port = 0;
    if (!std::ranges::all_of(rest, [](char c) { return c == ' ' || text::is_visible(c); }))
      return expected_form(std::string(scheme->form));
    if (!text::trim(rest).empty()) {
      if (auto set = set_probe_option(spec, "command", rest, {}); !set)
        return std::unexpected(std::move(set.error()));
    }
    return spec;
  }
  const bool slashes = rest.starts_with("//");
  if (!slashes && spec.kind != ProbeKind::icmp) return expected_form(std::string(scheme->form));
  if (slashes) rest.remove_prefix(2);
  auto set = spec.kind == ProbeKind::http ? set_http(spec, rest, *scheme)
                                          : set_others(spec, rest, *scheme, slashes);
  if (!set) return std::unexpected(std::move(set.error()));
  return spec;
}

Parsed<void> set_probe_url(core::ProbeSpec& spec, std::string_view text) {
  auto parsed = parse_probe_url(text);
  if (!parsed) return std::unexpected(std::move(parsed.error()));
  parsed->name = std::move(spec.name);
  parsed->interval = spec.interval;
  parsed->fast_interval = spec.fast_interval;
  parsed->timeout = spec.timeout;
  parsed->slow = spec.slow;
  parsed->fall = spec.fall;
  parsed->fall_of = spec.fall_of;
  parsed->rise = spec.rise;
  parsed->rise_of = spec.rise_of;
  spec = std::move(*parsed);
  return {};
}

}  // namespace sentinel::protocol
