#pragma once

// Calls of another process of this host over its Unix socket, one at a time, each on a connection
// of its own: GET, or POST with JSON. Never blocks the loop. local_client.hpp is for the command
// line.

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>

#include "core/time.hpp"
#include "io/error.hpp"

namespace boost::asio {
class io_context;
}

namespace sentinel::io {

struct LocalCallerOptions {
  std::string path;                                  // of the socket
  std::string peer;                                  // how sentences call it: "the failover"
  core::Duration timeout = std::chrono::seconds{5};  // of a whole call, connecting included
  std::uint64_t max_body = std::uint64_t{1} << 20U;
};

class LocalCaller {
 public:
  struct Answer {
    unsigned status = 0;  // 200..599
    std::string body;
  };
  /// An error is a sentence in one line; its code is ENOENT when there is no socket.
  using Result = std::expected<Answer, Error>;
  using Done = std::function<void(Result)>;

  LocalCaller(boost::asio::io_context& context, LocalCallerOptions options);
  ~LocalCaller();
  LocalCaller(const LocalCaller&) = delete;
  LocalCaller& operator=(const LocalCaller&) = delete;

  /// False, and nothing is done, while a call is under way and after stop(). `done` is called once,
  /// from the io_context, never from inside, unless stop() comes first; it may begin the next call.
  /// A body is sent with POST; without one it is a GET.
  bool call(std::string target, std::string body, Done done);
  bool busy() const;
  void stop();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sentinel::io
