#pragma once

#include "address.hpp"
#include "app.hpp"
#include "metrics.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>

namespace sentinel::demo {

struct ServerLimits {
  std::size_t connections = 256;          ///< open at once; further ones are closed unread
  std::uint32_t header_bytes = 8 * 1024;  ///< request line and fields
  std::size_t body_bytes = 1024;          ///< no route reads a body
  std::size_t requests_per_connection = 1000;
  std::chrono::milliseconds message{5000};    ///< for a request to arrive, an answer to leave
  std::chrono::milliseconds idle{60'000};     ///< between two requests
  std::chrono::milliseconds stop_grace{300};  ///< for answers on their way when told to stop
};

/// The HTTP/1.1 server around App, on one thread. Refused outright: any Transfer-Encoding, a body
/// on GET or HEAD, not exactly one Host field, and whatever exceeds the limits.
class Server {
 public:
  /// `app` and `metrics` must outlive the server and belong to its thread while `run` runs.
  Server(App& app, Metrics& metrics, Address address, ServerLimits limits = {});
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Starts to listen. Returns the port, or why that is impossible.
  [[nodiscard]] std::expected<std::uint16_t, std::string> open();

  /// Makes SIGINT, and SIGTERM unless it is to be ignored, end `run`. Process-wide.
  void handle_signals(bool ignore_sigterm);

  /// Serves until told to stop, and returns the status the process should exit with.
  int run();

  /// Ends `run` within `stop_grace` and a little; may be called from any thread.
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sentinel::demo
