#include "io/http_redirect.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "core/ip.hpp"
#include "io/http_server_parse.hpp"
#include "protocol/escape.hpp"

namespace sentinel::io {

namespace {

constexpr std::size_t shown_limit = 100;

bool same_host(std::string_view a, std::string_view b) {
  if (same_word(a, b)) return true;
  const auto x = core::IpAddress::parse(a);
  const auto y = core::IpAddress::parse(b);
  return x && y && *x == *y;
}

/// Takes `scheme:` off the front, when there is one.
std::optional<std::string_view> take_scheme(std::string_view& text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || text.find_first_of("/?#") < colon) return std::nullopt;
  const auto scheme = text.substr(0, colon);
  text.remove_prefix(colon + 1);
  return scheme;
}

/// `HOST[:PORT]`, without user information.
bool read_authority(std::string_view text, HttpPlace& place) {
  place.port = place.tls ? 443 : 80;
  std::string_view port;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == std::string_view::npos) return false;
    place.host = std::string{text.substr(1, end - 1)};
    text.remove_prefix(end + 1);
    if (!text.empty() && !text.starts_with(':')) return false;
    port = text.empty() ? text : text.substr(1);
  } else {
    const auto colon = text.find(':');
    place.host = std::string{text.substr(0, colon)};
    if (colon != std::string_view::npos) port = text.substr(colon + 1);
  }
  if (place.host.empty()) return false;
  if (port.empty()) return true;
  unsigned number = 0;
  const auto [stop, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc{} || stop != port.data() + port.size() || number == 0 || number > 65'535)
    return false;
  place.port = static_cast<std::uint16_t>(number);
  return true;
}

/// RFC 3986, 5.2.4.
std::string without_dots(std::string_view path) {
  std::string result;
  while (!path.empty()) {
    const auto end = std::min(path.find('/', 1), path.size());
    const auto segment = path.substr(0, end);
    path.remove_prefix(end);
    const bool last = path.empty();
    if (segment == "/.") {
      if (last) result += '/';
    } else if (segment == "/..") {
      result.erase(std::min(result.rfind('/'), result.size()));
      if (last) result += '/';
    } else {
      result += segment;
    }
  }
  return result.empty() ? "/" : result;
}

}  // namespace

bool http_target_valid(std::string_view target) {
  return target.starts_with('/') && target.size() <= 4096 &&
         std::ranges::all_of(target, [](char c) { return c > 0x20 && c < 0x7f; });
}

std::expected<HttpPlace, std::string> follow_redirect(const HttpPlace& from,
                                                      std::string_view location) {
  const auto shown = [location] { return protocol::one_line(location, shown_limit); };
  const auto bad = [&] {
    return std::unexpected("the redirect leads to something that is no URL: " + shown());
  };
  auto rest = location.substr(0, location.find('#'));
  HttpPlace to = from;
  if (const auto scheme = take_scheme(rest)) {
    if (!same_word(*scheme, "http") && !same_word(*scheme, "https"))
      return std::unexpected("the redirect leads to another protocol: " + shown());
    to.tls = same_word(*scheme, "https");
    if (!rest.starts_with("//")) return bad();
  }
  if (from.tls && !to.tls)
    return std::unexpected("the redirect leads from https to http: " + shown());
  std::string path = from.target.substr(0, from.target.find('?'));
  if (rest.starts_with("//")) {
    rest.remove_prefix(2);
    const auto end = std::min(rest.find_first_of("/?"), rest.size());
    if (!read_authority(rest.substr(0, end), to)) return bad();
    if (!same_host(to.host, from.host))
      return std::unexpected("the redirect leads to another host: " + shown());
    to.host = from.host;
    rest.remove_prefix(end);
    path = "/";
  }
  const auto query = std::min(rest.find('?'), rest.size());
  const auto given = rest.substr(0, query);
  if (given.starts_with('/')) {
    path = given;
  } else if (!given.empty()) {
    path.erase(path.rfind('/') + 1);
    path += given;
  }
  to.target = without_dots(path) + std::string{rest.substr(query)};
  if (!http_target_valid(to.target)) return bad();
  return to;
}

}  // namespace sentinel::io
