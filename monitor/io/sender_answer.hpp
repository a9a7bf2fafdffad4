#pragma once

// What a receiver says to one attempt of io/sender.hpp, and what it means. Private to this folder.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/alert_core.hpp"
#include "io/receivers.hpp"

namespace sentinel::io {

class SenderAnswer {
 public:
  static constexpr std::size_t max_bytes = std::size_t{64} * 1024;

  /// `url`: what is asked for; a secret.
  SenderAnswer(const ReceiverSpec& receiver, std::string_view url);

  /// False: more than max_bytes were said by now.
  bool on_header(std::string_view line);  // of HTTP, as it came; the first is the status line
  bool on_reply(std::string_view line);   // of SMTP
  bool on_body(std::string_view bytes);

  /// A final status of HTTP.
  core::Sent judge_http(long status) const;
  /// A transfer that failed, and the last status of SMTP; nullopt: it was not for what was said.
  std::optional<core::Sent> judge_smtp(long status) const;

  /// Words of a peer or of libcurl: in one line of at most 200 bytes, without the receiver's
  /// secrets, as they are and as they travel.
  std::string shown(std::string text) const;

 private:
  void add_secret(std::string_view secret);
  void add_encoded(std::string_view secret);
  bool count(std::size_t bytes) { return (received_ += bytes) <= max_bytes; }

  std::vector<std::string> secrets_;
  bool starttls_ = false;
  std::size_t received_ = 0;
  std::string body_;           // its beginning
  std::string retry_after_;    // of HTTP
  std::string last_reply_;     // of SMTP
  std::string refused_reply_;  // its first 4xx or 5xx
  bool try_again_ = false;     // one of them was a 4xx
  unsigned ready_ = 0;         // replies 220: the greeting, and "go ahead" of STARTTLS
};

/// Path and parameters of a URL, which are credentials more often than not.
std::string_view path_of(std::string_view url);

}  // namespace sentinel::io
