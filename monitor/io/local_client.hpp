#pragma once

// A blocking HTTP client for the command line: one request per connection, to our own server only.

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>

#include "core/time.hpp"
#include "io/error.hpp"

namespace sentinel::io {

struct LocalReply {
  unsigned status = 0;  // 100..599
  std::string content_type;
  std::string body;
};

struct LocalClientOptions {
  core::Duration deadline = std::chrono::seconds{5};  // for a whole call
  std::size_t body_limit = 16 * 1024 * 1024;
  std::string token{};  // sent as `Authorization: Bearer` when not empty
};

class LocalClient {
 public:
  /// `/run/x.sock` or `unix:///run/x.sock`: a Unix socket; `127.0.0.1:8090` or `[::1]:8090`: TCP,
  /// IP addresses only.
  static std::expected<LocalClient, Error> to(std::string_view endpoint,
                                              LocalClientOptions options);
  static std::expected<LocalClient, Error> to(std::string_view endpoint) {
    return to(endpoint, {});
  }

  /// `target` is path and query, percent-encoded already. Errors: cannot connect, no whole answer
  /// within the deadline, an answer that is not HTTP or too long. Any status is a reply.
  std::expected<LocalReply, Error> get(std::string_view target) const;
  std::expected<LocalReply, Error> post(std::string_view target, std::string_view body,
                                        std::string_view content_type = "application/json") const;
  std::expected<LocalReply, Error> remove(std::string_view target) const;  // DELETE

 private:
  LocalClient(std::string unix_path, std::string address, LocalClientOptions options);
  std::expected<LocalReply, Error> call(std::string head, std::string_view body = {}) const;

  std::string unix_path_;
  std::string address_;  // a sockaddr's bytes
  LocalClientOptions options_;
};

}  // namespace sentinel::io
