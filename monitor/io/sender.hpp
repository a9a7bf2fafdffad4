#pragma once

// Performs core::Send: renders a delivery for its receiver and hands it over, by libcurl on a
// thread of its own. Never blocks the io_context's thread, and no receiver waits for another.
//
//   attempt    waiting ─► running ─► accepted | retry | permanent
//                 │ no turn within 4 s ─► retry
//
// - Each attempt resolves the name anew, and connects to the address found: link-local and metadata
//   addresses are refused there, whatever the name said. Redirects are not followed.
// - Of an answer 64 KiB are read; the end of the status and the first words of the body go into
//   Sent::detail, made safe, and without any of the receiver's secrets.
// - 2xx is accepted; network errors, a refused address, a certificate that is not good, 408, 425,
//   429 and 5xx are retried (429 and 503 after their Retry-After, at most an hour); other answers
//   are permanent. Of SMTP, 4xx is retried and 5xx permanent; what is said before the STARTTLS we
//   require, or instead of it, is retried: somebody in between may have said it.
// - At most 4 attempts run per receiver and 1000 wait in all; more are answered `retry` at once.

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/alert_core.hpp"
#include "io/error.hpp"
#include "io/receivers.hpp"

namespace boost::asio {
class io_context;
}

namespace sentinel::io {

struct SenderStats {
  std::size_t waiting = 0;
  std::size_t running = 0;
};

class Sender {
 public:
  using Sink = std::function<void(core::Sent)>;  // on the io_context's thread, never from perform()

  static constexpr std::size_t max_waiting = 1000;
  static constexpr std::size_t max_running_per_receiver = 4;
  static constexpr core::Duration longest_wait = std::chrono::seconds{4};
  static constexpr core::Duration longest_retry_after = std::chrono::hours{1};

  /// An error means there is no thread or no libcurl.
  static std::expected<std::unique_ptr<Sender>, Error> start(boost::asio::io_context& context,
                                                             Sink sink);
  ~Sender();
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;

  /// Replaces the receivers; attempts under way go on as they began.
  void configure(std::vector<ReceiverSpec> receivers);

  /// One attempt. Answered once, within 15 s.
  void perform(const core::Send& action);

  /// Ends: what is under way is cut off, the sink is not called any more. Safe to call twice.
  void stop();

  SenderStats stats() const;

 private:
  class Impl;
  explicit Sender(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace sentinel::io
