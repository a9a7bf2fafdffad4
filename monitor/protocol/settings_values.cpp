#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>

#include "protocol/settings.hpp"

namespace sentinel::protocol {
namespace {

std::unexpected<Error> expected_form(std::string what) {
  return std::unexpected(Error{"expected " + std::move(what)});
}

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// Digits only; no more than 18 of them, so that the value fits.
std::optional<std::int64_t> take_digits(std::string_view& text) {
  std::size_t n = 0;
  while (n < text.size() && is_digit(text[n])) ++n;
  if (n == 0 || n > 18) return std::nullopt;
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + n, value);
  text.remove_prefix(n);
  return value;
}

struct Unit {
  std::string_view suffix;
  std::int64_t nanoseconds;
};
// Largest first; `ms` before `m` so that the longer suffix is tried first.
constexpr std::array<Unit, 5> units{{{"d", 86'400'000'000'000},
                                     {"h", 3'600'000'000'000},
                                     {"m", 60'000'000'000},
                                     {"s", 1'000'000'000},
                                     {"ms", 1'000'000}}};

std::optional<Duration> scan_duration(std::string_view text) {
  if (text == "0") return Duration{};
  if (text.empty() || text.size() > 40) return std::nullopt;
  std::int64_t total = 0;
  std::size_t next_unit = 0;  // units must get smaller
  while (!text.empty()) {
    const auto whole = take_digits(text);
    if (!whole) return std::nullopt;
    std::int64_t fraction = 0;  // in units of 1e-3
    bool fractional = false;
    if (text.starts_with('.')) {
      text.remove_prefix(1);
      std::size_t n = 0;
      std::int64_t scale = 100;
      while (n < text.size() && is_digit(text[n])) {
        fraction += (text[n] - '0') * scale;
        scale /= 10;
        ++n;
      }
      if (n == 0 || n > 3) return std::nullopt;
      text.remove_prefix(n);
      fractional = true;
    }
    std::size_t unit = units.size();
    if (text.starts_with("ms")) {
      unit = 4;
    } else {
      for (std::size_t i = 0; i < 4; ++i) {
        if (text.starts_with(units[i].suffix)) unit = i;
      }
    }
    if (unit == units.size() || unit < next_unit) return std::nullopt;
    text.remove_prefix(units[unit].suffix.size());
    if (fractional && !text.empty()) return std::nullopt;
    next_unit = unit + 1;
    const std::int64_t size = units[unit].nanoseconds;
    constexpr std::int64_t limit = std::int64_t{366} * 86'400'000'000'000;
    if (*whole > limit / size) return std::nullopt;
    total += *whole * size + fraction * (size / 1000);
    if (total > limit) return std::nullopt;
  }
  return Duration{total};
}

std::vector<std::string_view> split(std::string_view text, char separator, std::size_t most) {
  std::vector<std::string_view> parts;
  while (parts.size() < most) {
    const auto at = text.find(separator);
    parts.push_back(trim(text.substr(0, at)));
    if (at == std::string_view::npos) break;
    text.remove_prefix(at + 1);
  }
  return parts;
}

std::string between(DurationRange range) {
  return " between " + format_duration(range.min) + " and " + format_duration(range.max);
}

std::optional<std::array<unsigned, 4>> dotted_ipv4(std::string_view text) {
  std::array<unsigned, 4> octets{};
  for (std::size_t i = 0; i < 4; ++i) {
    std::size_t n = 0;
    unsigned value = 0;
    while (n < text.size() && n < 3 && is_digit(text[n]))
      value = value * 10 + static_cast<unsigned>(text[n++] - '0');
    if (n == 0 || value > 255 || (n > 1 && text[0] == '0')) return std::nullopt;
    octets[i] = value;
    text.remove_prefix(n);
    if (i < 3) {
      if (!text.starts_with('.')) return std::nullopt;
      text.remove_prefix(1);
    }
  }
  return text.empty() ? std::optional(octets) : std::nullopt;
}

bool forbidden_ipv4(const std::array<unsigned, 4>& a) {
  return (a[0] == 169 && a[1] == 254) || a[0] == 0 ||
         a[0] >= 224 ||  // link-local, this network, multicast and above
         (a[0] == 100 && a[1] == 100 && a[2] == 100 &&
          a[3] == 200);  // metadata service of a large cloud
}

/// The eight groups of an IPv6 address; a dotted tail is allowed. No zone.
std::optional<std::array<unsigned, 8>> ipv6_groups(std::string_view text) {
  std::array<unsigned, 8> groups{};
  std::size_t count = 0;
  std::optional<std::size_t> gap;
  if (text.starts_with("::")) {
    gap = 0;
    text.remove_prefix(2);
  }
  while (!text.empty()) {
    if (count == 8) return std::nullopt;
    if (text.find(':') == std::string_view::npos && text.find('.') != std::string_view::npos) {
      const auto tail = dotted_ipv4(text);
      if (!tail || count > 6) return std::nullopt;
      groups[count++] = (*tail)[0] * 256 + (*tail)[1];
      groups[count++] = (*tail)[2] * 256 + (*tail)[3];
      text = {};
      break;
    }
    unsigned value = 0;
    const auto end = text.data() + std::min<std::size_t>(text.size(), 4);
    const auto [stop, error] = std::from_chars(text.data(), end, value, 16);
    if (error != std::errc{}) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
    groups[count++] = value;
    if (text.empty()) break;
    if (!text.starts_with(':')) return std::nullopt;
    text.remove_prefix(1);
    if (text.starts_with(':')) {
      if (gap) return std::nullopt;
      gap = count;
      text.remove_prefix(1);
    } else if (text.empty()) {
      return std::nullopt;
    }
  }
  if (!gap) return count == 8 ? std::optional(groups) : std::nullopt;
  if (count == 8) return std::nullopt;
  const auto from = groups.begin() + static_cast<std::ptrdiff_t>(*gap);
  std::rotate(from, groups.begin() + static_cast<std::ptrdiff_t>(count), groups.end());
  return groups;
}

bool good_host(std::string_view host, bool bracketed) {
  if (host.size() > 253) return false;
  if (bracketed) return ipv6_groups(host).has_value();
  if (host.starts_with('.') || host.starts_with('-')) return false;
  return std::ranges::all_of(
      host, [](char c) { return is_digit(c) || is_alpha(c) || c == '-' || c == '.' || c == '_'; });
}

/// Printable ASCII without what would end the request line or start a fragment.
bool good_target(std::string_view target) {
  return target.size() <= 2048 && std::ranges::all_of(target, [](char c) {
           return c > ' ' && c < 0x7F && c != '#' && c != '"' && c != '<' && c != '>' && c != '\\';
         });
}

}  // namespace

Parsed<Duration> parse_duration(std::string_view text, DurationRange range) {
  const auto value = scan_duration(trim(text));
  if (!value || *value < range.min || *value > range.max) {
    return expected_form("a duration such as 90s, 1m30s or 500ms" + between(range));
  }
  return *value;
}

std::string format_duration(Duration duration) {
  auto left = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  if (left <= 0) return "0s";
  std::string out;
  for (const Unit& unit : units) {
    const auto size = unit.nanoseconds / 1'000'000;
    // Days only when nothing is left over: people read 36h more easily than 1d12h.
    if (unit.suffix == "d" && left % size != 0) continue;
    if (left < size) continue;
    out += std::to_string(left / size);
    out += unit.suffix;
    left %= size;
  }
  return out;
}

Parsed<unsigned> parse_count(std::string_view text, unsigned min, unsigned max) {
  text = trim(text);
  const auto value = text.size() <= 18 ? take_digits(text) : std::nullopt;
  if (!value || !text.empty() || *value < min || *value > max) {
    return expected_form("a number from " + std::to_string(min) + " to " + std::to_string(max));
  }
  return static_cast<unsigned>(*value);
}

Parsed<bool> parse_bool(std::string_view text) {
  const std::string word = lower(trim(text).substr(0, 8));
  if (word == "true" || word == "yes" || word == "on" || word == "1") return true;
  if (word == "false" || word == "no" || word == "off" || word == "0") return false;
  return expected_form("true or false");
}

Parsed<core::Budget> parse_budget(std::string_view text, BudgetRange range) {
  const auto parts = split(text, '/', 3);
  if (parts.size() == 2) {
    const auto restarts = parse_count(parts[0], 1, range.max_restarts);
    const auto window = parse_duration(parts[1], {range.min_window, range.max_window});
    if (restarts && window) return core::Budget{*restarts, *window};
  }
  return expected_form(
      "restarts per healthy time such as 5/15m, from 1/" + format_duration(range.min_window) +
      " to " + std::to_string(range.max_restarts) + "/" + format_duration(range.max_window));
}

std::string format_budget(const core::Budget& budget) {
  return std::to_string(budget.restarts) + "/" + format_duration(budget.window);
}

Parsed<core::Backoff> parse_backoff(std::string_view text, DurationRange range) {
  const auto dots = text.find("..");
  const auto first = parse_duration(text.substr(0, dots), range);
  const auto last =
      dots == std::string_view::npos ? first : parse_duration(text.substr(dots + 2), range);
  if (!first || !last || *first > *last) {
    return expected_form("a delay and the longest it grows to, such as 1s..5m," + between(range));
  }
  return core::Backoff{*first, *last};
}

std::string format_backoff(const core::Backoff& backoff) {
  return format_duration(backoff.min) + ".." + format_duration(backoff.max);
}

Parsed<std::vector<core::Rung>> parse_ladder(std::string_view text) {
  constexpr std::string_view form =
      "none, or a list of restart, kill and stop in the order to try, stop last";
  constexpr std::size_t most = 8;
  std::vector<core::Rung> ladder;
  if (trim(text) == "none") return ladder;
  const auto words = split(text, ',', most + 1);
  if (words.size() > most) return expected_form(std::string(form) + ", at most 8");
  for (const auto word : words) {
    if (!ladder.empty() && ladder.back() == core::Rung::stop)
      return expected_form(std::string(form));
    if (word == "restart") {
      ladder.push_back(core::Rung::restart);
    } else if (word == "kill") {
      ladder.push_back(core::Rung::kill);
    } else if (word == "stop") {
      ladder.push_back(core::Rung::stop);
    } else if (word == "recreate") {
      return expected_form(std::string(form) + " (recreate is not supported yet)");
    } else {
      return expected_form(std::string(form));
    }
  }
  return ladder;
}

std::string format_ladder(const std::vector<core::Rung>& ladder) {
  std::string out;
  for (const core::Rung rung : ladder) {
    if (!out.empty()) out += ',';
    out += to_string(rung);
  }
  return out.empty() ? "none" : out;
}

Parsed<core::FailureSet> parse_failure_set(std::string_view text) {
  constexpr std::string_view form = "a list of unhealthy, probe and exited";
  core::FailureSet set{.unhealthy = false, .probe = false, .exited = false};
  for (const auto word : split(text, ',', 8)) {
    if (word == "unhealthy") {
      set.unhealthy = true;
    } else if (word == "probe") {
      set.probe = true;
    } else if (word == "exited") {
      set.exited = true;
    } else if (word == "oom") {
      return expected_form(std::string(form) + " (oom is not supported yet)");
    } else {
      return expected_form(std::string(form));
    }
  }
  return set;
}

std::string format_failure_set(const core::FailureSet& set) {
  std::string out;
  const auto add = [&out](bool on, std::string_view word) {
    if (!on) return;
    if (!out.empty()) out += ',';
    out += word;
  };
  add(set.unhealthy, "unhealthy");
  add(set.probe, "probe");
  add(set.exited, "exited");
  return out;
}

Parsed<std::string> parse_probe_name(std::string_view text) {
  const bool good = !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
    return is_digit(c) || is_alpha(c) || c == '-' || c == '_';
  });
  if (!good) return expected_form("a probe name of 1 to 64 letters, digits, - or _");
  return std::string(text);
}

Parsed<std::string> parse_service_name(std::string_view text) {
  const bool good = !text.empty() && text.size() <= 128 && std::ranges::all_of(text, [](char c) {
    return c > ' ' && c < 0x7F && c != '/' && c != '"' && c != '\\';
  });
  if (!good) return expected_form("a name of 1 to 128 visible ASCII characters without / \" or \\");
  return std::string(text);
}

bool forbidden_host(std::string_view host) {
  std::string name = lower(host);
  while (name.ends_with('.')) name.pop_back();
  if (const auto v4 = dotted_ipv4(name)) return forbidden_ipv4(*v4);
  if (name.find(':') != std::string::npos) {
    const auto groups = ipv6_groups(name);
    if (!groups) return true;
    const auto& g = *groups;
    if ((g[0] & 0xFFC0U) == 0xFE80 || (g[0] & 0xFF00U) == 0xFF00)
      return true;                                                        // link-local, multicast
    if (g[0] == 0xFD00 && g[1] == 0x0EC2 && g[7] == 0x0254) return true;  // metadata service
    const bool embedded = (g[0] | g[1] | g[2] | g[3] | g[4]) == 0 &&
                          (g[5] == 0xFFFF || g[5] == 0);  // mapped, compatible
    const bool nat64 = g[0] == 0x64 && g[1] == 0xFF9B;
    if ((embedded && (g[6] | (g[7] & 0xFFFEU)) != 0) || nat64) {
      return forbidden_ipv4({g[6] >> 8U, g[6] & 0xFFU, g[7] >> 8U, g[7] & 0xFFU});
    }
    return false;
  }
  if (name == "metadata" || name == "instance-data" || name.starts_with("metadata.google.") ||
      name == "metadata.goog" || name.ends_with(".metadata.google.internal")) {
    return true;
  }
  // What inet_aton() would take for an address: a last part that is a number (0x7f.1, 2130706433,
  // 0177.0.0.1).
  const auto dot = name.rfind('.');
  const std::string_view last =
      dot == std::string::npos ? std::string_view(name) : std::string_view(name).substr(dot + 1);
  return !last.empty() && (std::ranges::all_of(last, is_digit) || last.starts_with("0x"));
}

Parsed<core::ProbeSpec> parse_probe_url(std::string_view text) {
  constexpr std::string_view form = "a URL such as http://:8080/health";
  constexpr std::array<std::string_view, 6> later{
      "https:", "tcp:", "tls:", "dns:", "smtp:", "icmp:"};
  constexpr std::string_view scheme = "http://";
  if (text.size() > 2300) return expected_form(std::string(form) + " of at most 2300 bytes");
  const std::string head = lower(text.substr(0, scheme.size()));
  for (const auto kind : later) {
    if (head.starts_with(kind)) {
      return expected_form(std::string(form) + " (" + std::string(kind.substr(0, kind.size() - 1)) +
                           " probes are not supported yet)");
    }
  }
  if (head != scheme) return expected_form(std::string(form));
  std::string_view rest = text.substr(scheme.size());
  const auto end = std::min(rest.find_first_of("/?#"), rest.size());
  std::string_view authority = rest.substr(0, end);
  const std::string_view target = rest.substr(end);

  core::ProbeSpec spec;
  spec.url = std::string(text);
  if (authority.find('@') != std::string_view::npos)
    return expected_form(std::string(form) + " without user or password");
  std::string_view host;
  const bool bracketed = authority.starts_with('[');
  if (bracketed) {
    const auto close = authority.find(']');
    if (close == std::string_view::npos) return expected_form(std::string(form));
    host = authority.substr(1, close - 1);
    authority.remove_prefix(close + 1);
    if (!authority.empty() && !authority.starts_with(':')) return expected_form(std::string(form));
  } else {
    host = authority.substr(0, authority.find(':'));
    authority.remove_prefix(host.size());
  }
  if (!authority.empty()) {
    const auto port = parse_count(authority.substr(1), 1, 65535);
    if (!port || !is_digit(authority[authority.size() - 1]) || !is_digit(authority[1])) {
      return expected_form(std::string(form) + " with a port from 1 to 65535");
    }
    spec.port = static_cast<std::uint16_t>(*port);
  }
  if (!good_host(host, bracketed) || (bracketed && host.empty()))
    return expected_form(std::string(form) + " with a valid host");
  spec.host = lower(host);
  if (!host.empty() && forbidden_host(spec.host)) {
    return expected_form(std::string(form) +
                         " whose host is not a link-local, metadata or numeric-only address");
  }
  if (!good_target(target))
    return expected_form(std::string(form) +
                         " whose path and query are printable ASCII without fragment");
  spec.http.target = target.empty() ? "/" : std::string(target);
  if (spec.http.target.front() == '?') spec.http.target.insert(0, "/");
  return spec;
}

}  // namespace sentinel::protocol
