#pragma once

// Values of a receiver's keys (alerts_receivers.hpp). An error says what was expected and shows
// nothing of the value, which may be a secret. Private to the folder.

#include <cstddef>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "io/receivers.hpp"
#include "protocol/alert_mail.hpp"
#include "protocol/error.hpp"

namespace sentinel::app::alerts_values {

inline constexpr std::size_t max_secret_bytes = 4096;

using Result = std::expected<void, protocol::Error>;

struct ReceiverUrl {
  std::string scheme;
  std::string host;
  std::string rest;  // path and query
};

/// http or https, at most 2000 bytes, without user, password and fragment.
std::optional<ReceiverUrl> split_url(std::string_view text);

/// 1 to 4096 characters of visible ASCII and spaces.
Result set_secret(std::string_view text, io::Secret& target);
Result set_bool(std::string_view text, bool& target);
/// `Name: value` lines, at most 16.
Result set_headers(std::string_view text, io::ReceiverSpec& spec);
/// `none`, `host:port` or a URL, which may hold user and password.
Result set_proxy(std::string_view text, io::ReceiverSpec& spec, bool& given);
Result set_mail_host(std::string_view text, std::string& target);
/// Joined by commas, at most 50.
Result set_recipients(std::string_view text, protocol::MailEnvelope& envelope);

}  // namespace sentinel::app::alerts_values
