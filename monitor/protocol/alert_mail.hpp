#pragma once

// Incidents by e-mail: one message as it travels in SMTP's DATA, before dots are doubled. All of
// it is 7-bit ASCII in lines of at most 78 bytes, ended by CR LF (RFC 5322; identities, which
// cannot be folded, may have 200); nothing from outside can begin a header or another part.

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "core/alert_model.hpp"
#include "protocol/error.hpp"

namespace sentinel::protocol {

struct MailAddress {
  std::string name;     // for people, UTF-8; empty: none
  std::string address;  // local@domain
  bool operator==(const MailAddress&) const = default;
};

/// `ops@example.org` or `Operators <ops@example.org>`. ASCII addresses without quotes, comments
/// and white space, at most 254 bytes, and of those what an SMTP command can carry.
std::expected<MailAddress, Error> parse_mail_address(std::string_view text);

struct MailEnvelope {
  MailAddress from;
  std::vector<MailAddress> to;
  bool operator==(const MailEnvelope&) const = default;
};

/// Subject, Date (`now`), From, To; Message-Id `<incident.sequence@host>`, the same at each
/// attempt; References `<incident@host>`, so that all of an incident is one thread; Auto-Submitted
/// and Precedence, so that nobody's absence answers. Plain text and HTML; at most max_alert_body.
std::string mail_message(const core::Delivery& delivery, const MailEnvelope& envelope,
                         core::WallTime now);

/// RFC 2047 words where the text needs them, folded so that no line of the header is longer than 78
/// bytes; `used` are taken by its name already.
std::string encoded_header(std::string_view text, std::size_t used);

/// RFC 2045, lines of at most 76 bytes ended by CR LF; every line feed is a line's end.
std::string quoted_printable(std::string_view text);

/// For the content of an HTML element and of a quoted attribute.
std::string html_escape(std::string_view text);

}  // namespace sentinel::protocol
