#pragma once

// What the server decides from text alone, without sockets: targets, hosts, encodings.

#include <cstddef>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sentinel::io {

struct HttpTarget {
  std::string path;
  std::string query;
  std::string authority;  // of an absolute-form target, else empty
};

/// origin-form or absolute-form (RFC 9112, 3.2). The error is a sentence for the client.
std::expected<HttpTarget, std::string> parse_target(std::string_view target);

/// %XX decoded; nullopt when badly encoded.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space);

/// Without regard to ASCII case, as field names and host names are compared.
bool same_word(std::string_view a, std::string_view b);

/// Whether `HOST[:PORT]` is well formed: a name, an IPv4 address or a bracketed IPv6 address.
bool valid_host(std::string_view host);
/// Whether a valid Host names us: localhost and names below it, any IP address, one of `names`. A
/// page that has a name of its own resolve to our address (DNS rebinding) fails here.
bool host_allowed(std::string_view host, const std::vector<std::string>& names);

/// Whether an Accept-Encoding value takes gzip (RFC 9110, 12.5.3; q=0 means no).
bool accepts_gzip(std::string_view accept_encoding);

/// The length of a header block at the front of `data`, its empty line included; 0: not complete
/// yet.
std::size_t header_length(std::string_view data);
/// What a lenient parser would let through: folded lines, bare CR or LF, NUL and other control
/// characters but tab.
bool header_suspect(std::string_view header);

/// Whether a Content-Length is one plain number; lists such as `2, 2` are not, though RFC 9110 lets
/// them pass.
bool plain_length(std::string_view value);

/// The phrase of RFC 9110 for a status, "Unknown" when it has none.
std::string_view reason_phrase(unsigned status);

}  // namespace sentinel::io
