#pragma once

// Where a redirect leads, and whether a probe goes there: to the same host only, and never from
// https back to http.

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace sentinel::io {

struct HttpPlace {
  bool tls = false;
  std::string host;  // a name, or an address without brackets
  std::uint16_t port = 80;
  std::string target;  // path and query
  bool operator==(const HttpPlace&) const = default;
};

/// Whether it can be sent as it is: begins with a slash, no spaces, no controls.
bool http_target_valid(std::string_view target);

/// RFC 3986, 5.2, for http and https. The error is a sentence for people, escaped.
std::expected<HttpPlace, std::string> follow_redirect(const HttpPlace& from,
                                                      std::string_view location);

}  // namespace sentinel::io
