#include "io/http_server_parse.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <format>
#include <utility>

#include "io/http_server.hpp"
#include "protocol/json.hpp"

namespace sentinel::io {

namespace {

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

constexpr int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  const char l = lower(c);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

std::string_view trim(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

/// Takes what comes before the next `separator` off the front of `rest`.
std::string_view next_part(std::string_view& rest, char separator) {
  const auto end = rest.find(separator);
  const auto part = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
  return part;
}

struct HostPort {
  std::string_view host;
  std::string_view port;
  bool bracketed = false;
  bool port_given = false;
};

std::optional<HostPort> split_host(std::string_view text) {
  HostPort result;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    result.host = text.substr(1, end - 1);
    result.bracketed = true;
    text.remove_prefix(end + 1);
  } else {
    const auto end = std::min(text.find(':'), text.size());
    result.host = text.substr(0, end);
    text.remove_prefix(end);
  }
  if (text.empty()) return result;
  if (text.front() != ':') return std::nullopt;
  result.port = text.substr(1);
  result.port_given = true;
  return result;
}

bool is_ipv4(std::string_view text) {
  in_addr address{};
  return ::inet_pton(AF_INET, std::string(text).c_str(), &address) == 1;
}

bool is_ipv6(std::string_view text) {
  in6_addr address{};
  return ::inet_pton(AF_INET6, std::string(text).c_str(), &address) == 1;
}

/// The weight of one Accept-Encoding element; anything unreadable counts as a refusal.
bool positive_weight(std::string_view parameters) {
  while (!parameters.empty()) {
    const auto parameter = trim(next_part(parameters, ';'));
    if (parameter.size() < 2 || lower(parameter[0]) != 'q' || parameter[1] != '=') continue;
    const auto value = parameter.substr(2);
    if (value.empty() || value.size() > 5) return false;
    return std::ranges::any_of(value, [](char c) { return c >= '1' && c <= '9'; });
  }
  return true;
}

}  // namespace

std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (text.size() - i < 3) return std::nullopt;
      const int high = hex_value(text[i + 1]);
      const int low = hex_value(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      result.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    } else {
      result.push_back(plus_is_space && text[i] == '+' ? ' ' : text[i]);
    }
  }
  return result;
}

std::expected<HttpTarget, std::string> parse_target(std::string_view target) {
  HttpTarget result;
  if (target.size() > 7 && same_word(target.substr(0, 7), "http://")) {
    target.remove_prefix(7);
    const auto end = std::min(target.find_first_of("/?"), target.size());
    result.authority = target.substr(0, end);
    target.remove_prefix(end);
    if (!valid_host(result.authority))
      return std::unexpected("the host in the request target is not valid");
  }
  if (target.empty() || target.front() == '?') {
    if (result.authority.empty()) return std::unexpected("the request target is empty");
  } else if (target.front() != '/') {
    return std::unexpected("the request target must begin with '/'");
  }
  const auto question = std::min(target.find('?'), target.size());
  if (question < target.size()) result.query = target.substr(question + 1);
  if (target.contains('#')) return std::unexpected("the request target must not hold a fragment");

  const auto decoded = percent_decode(target.substr(0, question), false);
  if (!decoded) return std::unexpected("the path is not percent-encoded properly");
  if (std::ranges::any_of(*decoded, is_control))
    return std::unexpected("the path holds control characters");

  std::string_view rest = *decoded;
  const bool directory = rest.ends_with('/') || rest.ends_with("/.");
  while (!rest.empty()) {
    const auto segment = next_part(rest, '/');
    if (segment.empty() || segment == ".") continue;
    if (segment == "..") return std::unexpected("the path must not climb");
    result.path.push_back('/');
    result.path.append(segment);
  }
  if (directory || result.path.empty()) result.path.push_back('/');
  return result;
}

bool same_word(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

bool valid_host(std::string_view text) {
  if (text.size() > 255 + 6) return false;
  const auto parts = split_host(text);
  if (!parts) return false;
  if (parts->port_given) {
    // An empty port is allowed by RFC 3986.
    if (parts->port.size() > 5 || !std::ranges::all_of(parts->port, is_digit)) return false;
  }
  if (parts->bracketed) return is_ipv6(parts->host);
  if (parts->host.empty()) return false;
  return std::ranges::all_of(parts->host, [](char c) {
    return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || c == '-' || c == '.' || c == '_';
  });
}

bool host_allowed(std::string_view text, const std::vector<std::string>& names) {
  const auto parts = split_host(text);
  if (!parts) return false;
  if (parts->bracketed) return is_ipv6(parts->host);
  auto host = parts->host;
  if (host.ends_with('.')) host.remove_suffix(1);
  if (is_ipv4(host) || same_word(host, "localhost")) return true;
  constexpr std::string_view below = ".localhost";
  if (host.size() > below.size() && same_word(host.substr(host.size() - below.size()), below))
    return true;
  return std::ranges::any_of(names,
                             [host](const std::string& name) { return same_word(host, name); });
}

bool accepts_gzip(std::string_view accept_encoding) {
  std::optional<bool> any;
  while (!accept_encoding.empty()) {
    auto element = next_part(accept_encoding, ',');
    const auto coding = trim(next_part(element, ';'));
    const bool wanted = positive_weight(element);
    if (same_word(coding, "gzip") || same_word(coding, "x-gzip")) return wanted;
    if (coding == "*") any = wanted;
  }
  return any.value_or(false);
}

std::size_t header_length(std::string_view data) {
  const auto end = data.find("\r\n\r\n");
  return end == std::string_view::npos ? 0 : end + 4;
}

bool header_suspect(std::string_view header) {
  for (std::size_t i = 0; i < header.size(); ++i) {
    const char c = header[i];
    if (c == '\r') {
      if (i + 1 >= header.size() || header[i + 1] != '\n') return true;
      ++i;
      if (i + 1 < header.size() && (header[i + 1] == ' ' || header[i + 1] == '\t')) return true;
    } else if (c != '\t' && is_control(c)) {
      return true;
    }
  }
  return false;
}

bool plain_length(std::string_view value) {
  return !value.empty() && value.size() <= 18 && std::ranges::all_of(value, is_digit);
}

std::string_view reason_phrase(unsigned status) {
  static constexpr std::array<std::pair<unsigned, std::string_view>, 32> phrases{{
      {200, "OK"},
      {201, "Created"},
      {202, "Accepted"},
      {204, "No Content"},
      {301, "Moved Permanently"},
      {302, "Found"},
      {303, "See Other"},
      {304, "Not Modified"},
      {307, "Temporary Redirect"},
      {308, "Permanent Redirect"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {406, "Not Acceptable"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {411, "Length Required"},
      {412, "Precondition Failed"},
      {413, "Content Too Large"},
      {415, "Unsupported Media Type"},
      {417, "Expectation Failed"},
      {421, "Misdirected Request"},
      {422, "Unprocessable Content"},
      {429, "Too Many Requests"},
      {431, "Request Header Fields Too Large"},
      {500, "Internal Server Error"},
      {501, "Not Implemented"},
      {503, "Service Unavailable"},
      {504, "Gateway Timeout"},
      {505, "HTTP Version Not Supported"},
  }};
  const auto* found =
      std::ranges::lower_bound(phrases, status, {}, &std::pair<unsigned, std::string_view>::first);
  return found != phrases.end() && found->first == status ? found->second : "Unknown";
}

std::string_view HttpRequest::field(std::string_view name) const {
  const auto found = std::ranges::find_if(
      fields, [name](const auto& entry) { return same_word(entry.first, name); });
  return found == fields.end() ? std::string_view{} : std::string_view{found->second};
}

std::optional<std::string> HttpRequest::parameter(std::string_view name) const {
  std::string_view rest = query;
  while (!rest.empty()) {
    auto value = next_part(rest, '&');
    const auto key = percent_decode(next_part(value, '='), true);
    if (key && *key == name) return percent_decode(value, true);
  }
  return std::nullopt;
}

HttpResponse http_problem(unsigned status, std::string_view detail) {
  return {.status = status,
          .content_type = "application/problem+json",
          .body = std::format(
              "{{\"type\":\"about:blank\",\"title\":\"{}\",\"status\":{},\"detail\":{}}}\n",
              reason_phrase(status), status, protocol::json::quote(detail)),
          .compressible = false};
}

}  // namespace sentinel::io
