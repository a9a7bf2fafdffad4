#include "app/alerts_values.hpp"

#include <algorithm>
#include <utility>

#include "protocol/hosts.hpp"
#include "protocol/settings.hpp"
#include "protocol/settings_text.hpp"

namespace sentinel::app::alerts_values {

namespace {

using protocol::text::expected_form;

constexpr std::size_t max_url_bytes = 2000;
constexpr std::size_t max_headers = 16;
constexpr std::size_t max_recipients = 50;

}  // namespace

std::optional<ReceiverUrl> split_url(std::string_view text) {
  ReceiverUrl url;
  const auto scheme = text.find("://");
  if (scheme == std::string_view::npos || text.size() > max_url_bytes ||
      !std::ranges::all_of(text, protocol::text::is_visible))
    return std::nullopt;
  url.scheme = protocol::text::lower(text.substr(0, scheme));
  auto authority = text.substr(scheme + 3);
  const auto path = std::min(authority.find_first_of("/?#"), authority.size());
  url.rest = authority.substr(path);
  authority = authority.substr(0, path);
  const bool bracketed = authority.starts_with('[');
  const auto close = bracketed ? authority.find(']') : authority.find(':');
  if (bracketed && close == std::string_view::npos) return std::nullopt;
  url.host = bracketed ? authority.substr(1, close - 1) : authority.substr(0, close);
  auto port = authority.substr(std::min(bracketed ? close + 1 : close, authority.size()));
  const bool good_port =
      port.empty() || (port.starts_with(':') && protocol::parse_count(port.substr(1), 1, 65535));
  const bool good = (url.scheme == "http" || url.scheme == "https") && !url.host.empty() &&
                    protocol::good_host(url.host, bracketed) && good_port &&
                    url.rest.find('#') == std::string::npos;
  return good ? std::optional(std::move(url)) : std::nullopt;
}

Result set_secret(std::string_view text, io::Secret& target) {
  if (text.empty() || text.size() > max_secret_bytes ||
      !std::ranges::all_of(text, [](char c) { return c == ' ' || protocol::text::is_visible(c); }))
    return expected_form("1 to 4096 characters of ASCII in one line");
  target = io::Secret{std::string{text}};
  return {};
}

Result set_bool(std::string_view text, bool& target) {
  const auto value = protocol::parse_bool(text);
  if (!value) return std::unexpected(value.error());
  target = *value;
  return {};
}

Result set_headers(std::string_view text, io::ReceiverSpec& spec) {
  constexpr std::string_view form = "a mapping of at most 16 header names to values";
  const auto is_name = [](char c) {
    return protocol::text::is_alpha(c) || protocol::text::is_digit(c) || c == '-' || c == '_';
  };
  for (const auto line : protocol::text::split(text, '\n', max_headers + 1)) {
    const auto colon = line.find(": ");
    io::Secret value;
    if (colon == 0 || colon == std::string_view::npos || spec.headers.size() == max_headers ||
        !std::ranges::all_of(line.substr(0, colon), is_name) ||
        !set_secret(line.substr(colon + 2), value))
      return expected_form(std::string{form});
    spec.headers.emplace_back(line.substr(0, colon), std::move(value));
  }
  return {};
}

Result set_proxy(std::string_view text, io::ReceiverSpec& spec, bool& given) {
  given = true;
  if (text == "none") return {};
  const std::string whole = text.find("://") == std::string_view::npos
                                ? "http://" + std::string{text}
                                : std::string{text};
  // A proxy's address may hold user and password.
  const auto scheme = whole.find("://") + 3;
  const auto end = std::min(whole.find('/', scheme), whole.size());
  const auto user = whole.rfind('@', end);
  const auto bare = user == std::string::npos || user < scheme
                        ? whole
                        : whole.substr(0, scheme) + whole.substr(user + 1);
  if (!split_url(bare)) return expected_form("none or a URL such as http://proxy.example.org:3128");
  spec.proxy = io::Secret{whole};
  return {};
}

Result set_mail_host(std::string_view text, std::string& target) {
  const bool v6 = text.find(':') != std::string_view::npos;
  if (text.empty() || !protocol::good_host(text, v6))
    return expected_form("a host name or an address");
  target = text;
  return {};
}

Result set_recipients(std::string_view text, protocol::MailEnvelope& envelope) {
  const auto parts = protocol::text::split(text, ',', max_recipients + 1);
  if (parts.size() > max_recipients) return expected_form("at most 50 addresses");
  for (const auto part : parts) {
    auto address = protocol::parse_mail_address(part);
    if (!address) return std::unexpected(address.error());
    envelope.to.push_back(std::move(*address));
  }
  return {};
}

}  // namespace sentinel::app::alerts_values
