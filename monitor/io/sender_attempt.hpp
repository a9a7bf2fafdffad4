#pragma once

// One attempt of io/sender.hpp as a libcurl transfer: what is set before, what is heard meanwhile,
// what it means in the end. Private to this folder.

#include <curl/curl.h>

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/alert_core.hpp"
#include "io/receivers.hpp"
#include "io/sender_answer.hpp"
#include "protocol/alert_request.hpp"

namespace sentinel::io {

struct CurlFree {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

class SendAttempt {
 public:
  /// The error is a Sent::detail: what cannot be sent at all.
  static std::expected<std::unique_ptr<SendAttempt>, std::string> prepare(
      const core::Delivery& delivery, std::shared_ptr<const ReceiverSpec> receiver);
  ~SendAttempt() = default;
  SendAttempt(const SendAttempt&) = delete;
  SendAttempt& operator=(const SendAttempt&) = delete;

  CURL* handle() const { return handle_.get(); }
  const ReceiverSpec& receiver() const { return *receiver_; }

  /// After the transfer. `id` and `took` are left to the caller.
  core::Sent judge(CURLcode code) const;

 private:
  explicit SendAttempt(std::shared_ptr<const ReceiverSpec> receiver)
      : receiver_(std::move(receiver)), handle_(curl_easy_init()) {}

  void set_common();
  void set_http(const protocol::AlertRequest& request);
  void set_mail();
  void add_header(const std::string& line);
  void add_signature();

  core::Sent network_failure(CURLcode code) const;

  static std::size_t on_body(char* bytes, std::size_t size, std::size_t count, void* self);
  static std::size_t on_header(char* bytes, std::size_t size, std::size_t count, void* self);
  static std::size_t on_read(char* bytes, std::size_t size, std::size_t count, void* self);
  static curl_socket_t on_socket(void* self, curlsocktype purpose, curl_sockaddr* address);

  const std::shared_ptr<const ReceiverSpec> receiver_;
  std::unique_ptr<CURL, CurlFree> handle_;
  std::unique_ptr<curl_slist, CurlFree> headers_;
  std::unique_ptr<curl_slist, CurlFree> recipients_;
  std::string url_;
  std::string upload_;  // body or mail
  std::size_t read_ = 0;
  std::optional<SenderAnswer> answer_;
  std::string refused_;  // address we would not connect to
  char error_[CURL_ERROR_SIZE] = {};
};

}  // namespace sentinel::io
