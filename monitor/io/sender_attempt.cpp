#include "io/sender_attempt.hpp"

#include <netdb.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <ctime>
#include <format>
#include <utility>

#include "io/sender.hpp"
#include "io/socket_address.hpp"
#include "io/tls_client.hpp"
#include "protocol/alert_slack.hpp"
#include "protocol/alert_webhook.hpp"
#include "protocol/escape.hpp"
#include "protocol/hosts.hpp"
#include "protocol/relay.hpp"
#include "protocol/settings_text.hpp"

namespace sentinel::io {

using core::SendResult;
using core::Sent;

namespace {

constexpr std::size_t max_detail = 400;

core::WallTime wall_now() {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

std::string hmac_sha256(const std::string& key, const std::string& text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(), &size);
  std::string out;
  for (unsigned i = 0; i < size; ++i) out += std::format("{:02x}", digest[i]);
  return out;
}

std::expected<protocol::AlertRequest, std::string> render(const core::Delivery& delivery,
                                                          const ReceiverSpec& receiver) {
  switch (receiver.kind) {
    case ReceiverKind::slack: return protocol::slack_request(delivery);
    case ReceiverKind::alertmanager: return protocol::alertmanager_request(delivery, wall_now());
    case ReceiverKind::templated: {
      if (!receiver.body) return std::unexpected("the receiver has no template");
      auto request = receiver.body->render(delivery);
      if (!request) return std::unexpected(request.error().message);
      return *std::move(request);
    }
    case ReceiverKind::relay: return protocol::relay_request(delivery);
    default: return protocol::webhook_request(delivery);
  }
}

/// The URL with `path` before its query.
std::string extended(const std::string& url, const std::string& path) {
  const auto query = std::min(url.find_first_of("?#"), url.size());
  auto base = url.substr(0, query);
  if (!path.empty())
    while (base.ends_with('/')) base.pop_back();
  return base + path + url.substr(query);
}

/// What there is no memory for is left out.
void append(std::unique_ptr<curl_slist, CurlFree>& list, const std::string& line) {
  auto* const head = list.release();
  auto* const longer = curl_slist_append(head, line.c_str());
  list.reset(longer != nullptr ? longer : head);
}

std::string shown_host(const std::string& host) {
  return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

/// What comes after a colon in our sentences begins small.
std::string sentence_case(std::string text) {
  if (text.size() > 1 && text[0] >= 'A' && text[0] <= 'Z' && !(text[1] >= 'A' && text[1] <= 'Z'))
    text[0] = static_cast<char>(text[0] - 'A' + 'a');
  return text;
}

}  // namespace

std::string shown_address(const ReceiverSpec& receiver) {
  if (receiver.kind == ReceiverKind::email)
    return std::format("{}://{}:{}", receiver.mail.security == MailSecurity::tls ? "smtps" : "smtp",
                       protocol::one_line(shown_host(receiver.mail.host)), receiver.mail.port);
  if (!receiver.unix_socket.empty()) return "unix://" + protocol::one_line(receiver.unix_socket);
  const std::string_view url = receiver.url.reveal();
  const auto origin = url.substr(0, url.size() - path_of(url).size());
  const auto user = origin.rfind('@');
  if (user == std::string_view::npos) return protocol::one_line(origin);
  return protocol::one_line(std::string{origin.substr(0, origin.find("://") + 3)} +
                            std::string{origin.substr(user + 1)});
}

std::expected<std::unique_ptr<SendAttempt>, std::string> SendAttempt::prepare(
    const core::Delivery& delivery, std::shared_ptr<const ReceiverSpec> receiver) {
  std::unique_ptr<SendAttempt> attempt(new SendAttempt(std::move(receiver)));
  if (attempt->handle_ == nullptr) return std::unexpected("libcurl has no memory");
  const auto& spec = attempt->receiver();
  attempt->set_common();
  if (spec.kind == ReceiverKind::email) {
    const auto& mail = spec.mail;
    if (!mail.user.empty() && mail.security == MailSecurity::none)
      return std::unexpected("a password is not sent without TLS");
    attempt->upload_ = protocol::mail_message(delivery, mail.envelope, wall_now());
    attempt->set_mail();
  } else {
    auto request = render(delivery, spec);
    if (!request) return std::unexpected(request.error());
    attempt->upload_ = std::move(request->body);
    attempt->set_http(*request);
  }
  attempt->answer_.emplace(spec, attempt->url_);
  return attempt;
}

void SendAttempt::set_common() {
  CURL* h = handle_.get();
  const auto& spec = *receiver_;
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(spec.timeout).count();
  curl_easy_setopt(h, CURLOPT_ERRORBUFFER, error_);
  curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, static_cast<long>(ms));
  curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(h, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
  curl_easy_setopt(h, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, spec.verify ? 1L : 0L);
  curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, spec.verify ? 2L : 0L);
  const auto authorities = spec.ca_file.empty() ? system_authorities() : spec.ca_file;
  if (!authorities.empty()) {
    curl_easy_setopt(h, CURLOPT_CAINFO, authorities.c_str());
    curl_easy_setopt(h, CURLOPT_PROXY_CAINFO, authorities.c_str());
  }
  curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, &SendAttempt::on_body);
  curl_easy_setopt(h, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, &SendAttempt::on_header);
  curl_easy_setopt(h, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(h, CURLOPT_OPENSOCKETFUNCTION, &SendAttempt::on_socket);
  curl_easy_setopt(h, CURLOPT_OPENSOCKETDATA, this);
}

void SendAttempt::set_http(const protocol::AlertRequest& request) {
  CURL* h = handle_.get();
  const auto& spec = *receiver_;
  url_ = extended(spec.url.reveal(), request.path);
  curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(h, CURLOPT_URL, url_.c_str());
  curl_easy_setopt(h, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  if (!spec.unix_socket.empty())
    curl_easy_setopt(h, CURLOPT_UNIX_SOCKET_PATH, spec.unix_socket.c_str());
  // An empty proxy is none, whatever the environment of the process says.
  curl_easy_setopt(h, CURLOPT_PROXY, spec.proxy.reveal().c_str());
  curl_easy_setopt(h, CURLOPT_NOPROXY, spec.no_proxy.c_str());
  curl_easy_setopt(h, CURLOPT_POST, 1L);
  curl_easy_setopt(h, CURLOPT_POSTFIELDS, upload_.data());
  curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(upload_.size()));
  curl_easy_setopt(h, CURLOPT_MAXAGE_CONN, 30L);
  add_header("User-Agent: Sentinel");
  add_header("Expect:");  // nobody needs to be asked before 512 KiB
  for (const auto& [name, value] : request.headers) add_header(name + ": " + value);
  for (const auto& [name, value] : spec.headers) add_header(name + ": " + value.reveal());
  if (!spec.signing_key.empty()) add_signature();
  curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers_.get());
}

void SendAttempt::add_signature() {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(
                           std::chrono::system_clock::now().time_since_epoch())
                           .count();
  add_header(std::format(
      "X-Sentinel-Signature: t={},v1={}", seconds,
      hmac_sha256(receiver_->signing_key.reveal(), protocol::signed_text(seconds, upload_))));
}

void SendAttempt::add_header(const std::string& line) { append(headers_, line); }

void SendAttempt::set_mail() {
  CURL* h = handle_.get();
  const auto& mail = receiver_->mail;
  url_ = std::format("{}://{}:{}/{}", mail.security == MailSecurity::tls ? "smtps" : "smtp",
                     shown_host(mail.host), mail.port, mail.helo);
  curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
  curl_easy_setopt(h, CURLOPT_URL, url_.c_str());
  curl_easy_setopt(h, CURLOPT_PROXY, "");
  curl_easy_setopt(
      h, CURLOPT_USE_SSL,
      static_cast<long>(mail.security == MailSecurity::none ? CURLUSESSL_NONE : CURLUSESSL_ALL));
  if (!mail.user.empty()) {
    curl_easy_setopt(h, CURLOPT_USERNAME, mail.user.c_str());
    curl_easy_setopt(h, CURLOPT_PASSWORD, mail.password.reveal().c_str());
    curl_easy_setopt(h, CURLOPT_SASL_IR, 1L);
  }
  const auto from = "<" + mail.envelope.from.address + ">";
  curl_easy_setopt(h, CURLOPT_MAIL_FROM, from.c_str());
  for (const auto& to : mail.envelope.to) append(recipients_, "<" + to.address + ">");
  curl_easy_setopt(h, CURLOPT_MAIL_RCPT, recipients_.get());
  // One address that is gone must not silence the others.
  curl_easy_setopt(h, CURLOPT_MAIL_RCPT_ALLOWFAILS, 1L);
  curl_easy_setopt(h, CURLOPT_UPLOAD, 1L);
  curl_easy_setopt(h, CURLOPT_READFUNCTION, &SendAttempt::on_read);
  curl_easy_setopt(h, CURLOPT_READDATA, this);
  curl_easy_setopt(h, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(upload_.size()));
  curl_easy_setopt(h, CURLOPT_FORBID_REUSE, 1L);
  curl_easy_setopt(h, CURLOPT_FRESH_CONNECT, 1L);
}

std::size_t SendAttempt::on_body(char* bytes, std::size_t size, std::size_t count, void* self) {
  auto& attempt = *static_cast<SendAttempt*>(self);
  const auto n = size * count;
  return attempt.answer_->on_body({bytes, n}) ? n : 0;
}

std::size_t SendAttempt::on_header(char* bytes, std::size_t size, std::size_t count, void* self) {
  auto& attempt = *static_cast<SendAttempt*>(self);
  const auto n = size * count;
  const std::string_view line(bytes, n);
  if (attempt.receiver_->kind != ReceiverKind::email)
    return attempt.answer_->on_header(line) ? n : 0;
  // The message is accepted: libcurl's QUIT, which waits for its answer and holds up every other
  // transfer of the thread meanwhile, need not.
  if (attempt.read_ == attempt.upload_.size() && line.starts_with('2'))
    curl_easy_setopt(attempt.handle_.get(), CURLOPT_SERVER_RESPONSE_TIMEOUT_MS, 1L);
  return attempt.answer_->on_reply(line) ? n : 0;
}

std::size_t SendAttempt::on_read(char* bytes, std::size_t size, std::size_t count, void* self) {
  auto& attempt = *static_cast<SendAttempt*>(self);
  const auto n = std::min(size * count, attempt.upload_.size() - attempt.read_);
  std::copy_n(attempt.upload_.data() + attempt.read_, n, bytes);
  attempt.read_ += n;
  return n;
}

curl_socket_t SendAttempt::on_socket(void* self, curlsocktype, curl_sockaddr* address) {
  auto& attempt = *static_cast<SendAttempt*>(self);
  if (!attempt.receiver_->allow_link_local && attempt.receiver_->unix_socket.empty()) {
    sockaddr_storage storage{};
    const auto* raw = reinterpret_cast<const unsigned char*>(&address->addr);
    std::copy_n(raw, std::min<std::size_t>(address->addrlen, sizeof storage),
                reinterpret_cast<unsigned char*>(&storage));
    const auto ip = ip_address(storage);
    if (!ip || protocol::forbidden_host(ip->to_string())) {
      attempt.refused_ = ip ? ip->to_string() : "an address of another family";
      return CURL_SOCKET_BAD;
    }
  }
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

Sent SendAttempt::network_failure(CURLcode code) const {
  Sent sent;
  sent.result = SendResult::retry;
  if (!refused_.empty()) {
    sent.detail = refused_ + " is a link-local or metadata address, which is refused";
  } else if (code == CURLE_WRITE_ERROR) {
    sent.detail = "the answer is larger than 64 KiB";
  } else if (code == CURLE_USE_SSL_FAILED) {
    sent.detail = "the server does not offer STARTTLS, which is required";
  } else {
    sent.detail =
        sentence_case(answer_->shown(error_[0] != '\0' ? error_ : curl_easy_strerror(code)));
    if (!receiver_->unix_socket.empty()) sent.detail = receiver_->unix_socket + ": " + sent.detail;
  }
  return sent;
}

Sent SendAttempt::judge(CURLcode code) const {
  long status = 0;
  curl_easy_getinfo(handle_.get(), CURLINFO_RESPONSE_CODE, &status);
  Sent sent;
  if (receiver_->kind != ReceiverKind::email) {
    // What was answered counts, whatever became of the rest of the answer.
    sent = status >= 200 ? answer_->judge_http(status) : network_failure(code);
  } else if (code == CURLE_OK) {
    sent.result = SendResult::accepted;
  } else {
    // Without the STARTTLS we asked for, what was answered says nothing.
    const auto said = code == CURLE_USE_SSL_FAILED ? std::nullopt : answer_->judge_smtp(status);
    sent = said ? *said : network_failure(code);
  }
  sent.detail = protocol::one_line(sent.detail, max_detail);
  return sent;
}

}  // namespace sentinel::io
