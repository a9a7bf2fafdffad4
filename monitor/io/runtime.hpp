#pragma once

// The shell's own means: the clock, signals, and the one timer that is armed from the core's
// next_deadline().

#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <thread>

#include "core/time.hpp"
#include "io/error.hpp"

namespace boost::asio {
class io_context;
}

namespace sentinel::io {

/// CLOCK_MONOTONIC. It stands still while the machine is suspended.
core::Time now();

/// A thread that takes no signals: they belong to the loop's thread.
std::expected<std::thread, Error> start_thread(std::function<void()> body);

/// SIGTERM and SIGINT ask to stop, SIGHUP to reload; SIGPIPE and SIGXFSZ are ignored from here on,
/// for ever.
class Signals {
 public:
  Signals(boost::asio::io_context& context, std::function<void(int signal)> on_stop,
          std::function<void()> on_reload);
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

/// One timer, armed anew as often as wanted.
class Alarm {
 public:
  Alarm(boost::asio::io_context& context, std::function<void()> on_due);
  ~Alarm();
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

  /// Calls on_due once at `when` or soon after, never from inside this call. Replaces the earlier
  /// time; nullopt or core::never: not at all. Arming for the time already set costs nothing.
  void set(std::optional<core::Time> when);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sentinel::io
