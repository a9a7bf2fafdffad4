#include "io/watchdog.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <utility>

#include "io/runtime.hpp"

namespace sentinel::io {

namespace asio = boost::asio;

/// The loop's side: a timer that notes the time.
class Watchdog::Beat : public std::enable_shared_from_this<Beat> {
 public:
  Beat(asio::io_context& context, core::Duration interval) : timer_(context), interval_(interval) {
    tick();
  }

  void run() {
    timer_.expires_after(
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(interval_));
    timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (error || self->closed_) return;
      self->tick();
      self->run();
    });
  }

  void close() {
    closed_ = true;
    timer_.cancel();
  }

  core::Time last() const {
    return core::Time{core::Duration{last_.load(std::memory_order_relaxed)}};
  }

 private:
  void tick() { last_.store(now().time_since_epoch().count(), std::memory_order_relaxed); }

  asio::steady_timer timer_;
  core::Duration interval_;
  std::atomic<std::int64_t> last_{0};
  bool closed_ = false;
};

namespace {

void abort_stalled(core::Duration age) {
  std::array<char, 128> line{};
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(age).count();
  const int length =
      std::snprintf(line.data(), line.size(), "the main loop has not moved for %lld s: aborting\n",
                    static_cast<long long>(seconds));
  const auto size = std::min(line.size() - 1, static_cast<std::size_t>(std::max(length, 0)));
  // stderr may be a full pipe that nobody reads; the line is worth less than the restart.
  pollfd error_output{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
  if (::poll(&error_output, 1, 100) == 1 && ::write(STDERR_FILENO, line.data(), size) < 0)
    std::abort();
  std::abort();
}

}  // namespace

Watchdog::Watchdog(asio::io_context& context, WatchdogOptions options)
    : options_(std::move(options)),
      beat_(std::make_shared<Beat>(context, options_.interval)),
      fresh_(now()) {
  beat_->run();
  auto thread = start_thread([this] { watch(); });
  if (!thread) {
    beat_->close();
    throw std::runtime_error(thread.error().text);
  }
  thread_ = std::move(*thread);
}

Watchdog::~Watchdog() { stop(); }

core::Duration Watchdog::age() const { return now() - beat_->last(); }

void Watchdog::stop() {
  beat_->close();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Watchdog::watch() {
  auto previous = now();
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    wake_.wait_for(lock, options_.interval, [this] { return stopping_; });
    if (stopping_) return;
    const auto time = now();
    lock.unlock();
    look(time, previous);
    lock.lock();
    previous = time;
  }
}

void Watchdog::look(core::Time time, core::Time previous) {
  if (time - previous > options_.interval * 2) {
    fresh_ = time;
    return;
  }
  const auto stalled = time - std::max(beat_->last(), fresh_);
  if (stalled <= options_.limit) return;
  if (options_.on_stall) {
    options_.on_stall();
    fresh_ = time;
  } else {
    abort_stalled(stalled);
  }
}

}  // namespace sentinel::io
