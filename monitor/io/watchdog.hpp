#pragma once

// Aborts a process whose loop has stalled, so that its restart policy brings it back. A thread
// looks every few seconds at when the loop last ticked. When the thread finds that it was itself
// held up for long (SIGSTOP, a suspended or starved machine), the stall proves nothing and the loop
// gets the whole limit again.

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "core/time.hpp"

namespace boost::asio {
class io_context;
}

namespace sentinel::io {

struct WatchdogOptions {
  core::Duration limit = std::chrono::seconds{30};
  core::Duration interval =
      std::chrono::seconds{5};       // between looks, and between the loop's own ticks
  std::function<void()> on_stall{};  // empty: one line to stderr, then abort()
};

class Watchdog {
 public:
  /// Ticks from a timer on `context` and watches from now on. The context must outlive this. Throws
  /// std::runtime_error when there can be no thread: a matter of start-up.
  Watchdog(boost::asio::io_context& context, WatchdogOptions options);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// Since the loop last ticked; about `interval` at most in a sound process. Any thread.
  core::Duration age() const;
  /// Ends timer and thread. On the loop's thread or after the loop; safe to call twice.
  void stop();

 private:
  class Beat;
  void watch();
  void look(core::Time now, core::Time previous);

  WatchdogOptions options_;
  std::shared_ptr<Beat> beat_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  core::Time fresh_{};  // no verdict about anything before this
  std::thread thread_;
};

}  // namespace sentinel::io
