#include "io/sender_answer.hpp"

#include <curl/curl.h>
#include <openssl/evp.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <ctime>
#include <format>

#include "io/sender.hpp"
#include "protocol/escape.hpp"
#include "protocol/settings_text.hpp"

namespace sentinel::io {

using core::SendResult;
using core::Sent;

namespace {

constexpr std::size_t max_said = 200;       // bytes of a peer's words in a detail
constexpr std::size_t shortest_secret = 4;  // what is shorter is no secret, and stands everywhere
constexpr long http_request_timeout = 408;
constexpr long http_too_early = 425;
constexpr long http_too_many = 429;
constexpr long http_unavailable = 503;

/// Seconds, or the moment of an HTTP date (RFC 9110, 10.2.3); nullopt: neither.
std::optional<core::Duration> parse_retry_after(std::string_view text) {
  text = protocol::text::trim(text);
  if (text.empty() || text.size() > 64) return std::nullopt;
  core::Duration wait{};
  if (std::ranges::all_of(text, protocol::text::is_digit)) {
    constexpr std::int64_t most = Sender::longest_retry_after / std::chrono::seconds{1};
    std::int64_t seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    wait = std::chrono::seconds{error == std::errc{} ? std::min(seconds, most) : most};
  } else {
    const std::time_t when = curl_getdate(std::string{text}.c_str(), nullptr);
    if (when == -1) return std::nullopt;
    const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    wait = std::chrono::seconds{std::clamp<std::int64_t>(when - now, 0, 3600)};
  }
  return std::min(wait, Sender::longest_retry_after);
}

std::string base64(std::string_view bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(std::max(size, 0)));
  while (out.ends_with('=')) out.pop_back();
  return out;
}

}  // namespace

std::string_view path_of(std::string_view url) {
  const auto scheme = url.find("://");
  const auto path = url.find_first_of("/?#", scheme == std::string_view::npos ? 0 : scheme + 3);
  return path == std::string_view::npos ? std::string_view{} : url.substr(path);
}

SenderAnswer::SenderAnswer(const ReceiverSpec& receiver, std::string_view url)
    : starttls_(receiver.mail.security == MailSecurity::starttls) {
  if (receiver.kind == ReceiverKind::email) {
    const auto& mail = receiver.mail;
    add_encoded(mail.password.reveal());
    if (!mail.password.empty()) {
      using namespace std::string_literals;
      add_secret(base64("\0"s + mail.user + "\0"s + mail.password.reveal()));  // AUTH PLAIN
    }
  } else {
    add_secret(url);
    add_secret(path_of(url));
    add_secret(path_of(receiver.url.reveal()));
    for (const auto& [name, value] : receiver.headers) {
      add_secret(value.reveal());
      // "Bearer x": the word that matters is the last.
      add_secret(std::string_view(value.reveal()).substr(value.reveal().rfind(' ') + 1));
    }
    add_secret(receiver.signing_key.reveal());
    const std::string_view proxy = receiver.proxy.reveal();
    add_secret(proxy);
    if (const auto at = proxy.rfind('@'); at != std::string_view::npos) {
      const auto scheme = proxy.find("://");
      const auto user =
          proxy.substr(0, at).substr(scheme == std::string_view::npos ? 0 : scheme + 3);
      add_encoded(user);
      add_secret(user.substr(user.find(':') + 1));
    }
  }
  // The longest first, for one may be a part of another.
  std::ranges::sort(secrets_, std::ranges::greater{}, &std::string::size);
}

void SenderAnswer::add_secret(std::string_view secret) {
  if (secret.size() >= shortest_secret) secrets_.emplace_back(secret);
}

void SenderAnswer::add_encoded(std::string_view secret) {
  add_secret(secret);
  add_secret(base64(secret));
}

std::string SenderAnswer::shown(std::string text) const {
  for (const std::string& secret : secrets_) {
    for (auto at = text.find(secret); at != std::string::npos; at = text.find(secret, at + 3))
      text.replace(at, secret.size(), "***");
    // What was cut off behind it may have been the rest.
    for (auto n = std::min(secret.size(), text.size()); n >= shortest_secret; --n) {
      if (!text.ends_with(std::string_view(secret).substr(0, n))) continue;
      text.resize(text.size() - n);
      text += "***";
      break;
    }
  }
  return protocol::one_line(text, max_said);
}

bool SenderAnswer::on_header(std::string_view line) {
  if (!count(line.size())) return false;
  if (line.starts_with("HTTP/")) retry_after_.clear();  // of a proxy's or an interim answer
  const auto colon = line.find(':');
  if (colon == std::string_view::npos ||
      protocol::text::lower(line.substr(0, colon)) != "retry-after")
    return true;
  auto value = line.substr(colon + 1);
  while (value.ends_with('\n') || value.ends_with('\r')) value.remove_suffix(1);
  retry_after_ = value.substr(0, max_said);
  return true;
}

bool SenderAnswer::on_reply(std::string_view line) {
  last_reply_ = line.substr(0, 2 * max_said);
  if (line.starts_with("220 ")) ++ready_;
  try_again_ = try_again_ || line.starts_with('4');
  if (refused_reply_.empty() && (line.starts_with('4') || line.starts_with('5')))
    refused_reply_ = last_reply_;
  return count(line.size());
}

bool SenderAnswer::on_body(std::string_view bytes) {
  constexpr std::size_t kept = 4 * max_said;
  body_.append(bytes.substr(0, kept - std::min(body_.size(), kept)));
  return count(bytes.size());
}

Sent SenderAnswer::judge_http(long status) const {
  Sent sent;
  sent.result = SendResult::accepted;
  if (status >= 200 && status < 300) return sent;
  const bool retry = status == http_request_timeout || status == http_too_early ||
                     status == http_too_many || status >= 500 || status < 200;
  sent.result = retry ? SendResult::retry : SendResult::permanent;
  if (status == http_too_many || status == http_unavailable)
    sent.retry_after = parse_retry_after(retry_after_);
  const auto words = shown(body_);
  sent.detail = std::format("answered {}{}{}", status, words.empty() ? "" : ": ", words);
  if (status >= 300 && status < 400) sent.detail += " (redirects are not followed)";
  return sent;
}

std::optional<Sent> SenderAnswer::judge_smtp(long status) const {
  const auto& reply = refused_reply_.empty() ? last_reply_ : refused_reply_;
  if (status < 400 || status >= 600 || reply.empty()) return std::nullopt;
  // What was said before the TLS that we require may have been said by somebody in between.
  const bool unsure = starttls_ && ready_ < 2;
  Sent sent;
  sent.result = status >= 500 && !try_again_ && !unsure ? SendResult::permanent : SendResult::retry;
  sent.detail = "answered " + shown(reply);
  return sent;
}

}  // namespace sentinel::io
