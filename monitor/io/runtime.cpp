#include "io/runtime.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <csignal>
#include <string>
#include <system_error>
#include <utility>

namespace sentinel::io {

namespace asio = boost::asio;

core::Time now() {
  // libstdc++'s steady_clock is CLOCK_MONOTONIC, and asio's steady_timer counts by it.
  return core::Time{std::chrono::duration_cast<core::Duration>(
      std::chrono::steady_clock::now().time_since_epoch())};
}

std::expected<std::thread, Error> start_thread(std::function<void()> body) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::expected<std::thread, Error> result;
  try {
    result = std::thread(std::move(body));
  } catch (const std::system_error& error) {
    result = std::unexpected(
        Error{std::string{"cannot start a thread: "} + error.what(), error.code().value()});
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return result;
}

class Signals::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& context, std::function<void(int)> on_stop, std::function<void()> on_reload)
      : set_(context, SIGTERM, SIGINT, SIGHUP),
        on_stop_(std::move(on_stop)),
        on_reload_(std::move(on_reload)) {}

  void wait() {
    set_.async_wait(
        [self = shared_from_this()](const boost::system::error_code& error, int signal) {
          if (error || self->closed_) return;
          self->wait();
          if (signal == SIGHUP) {
            self->on_reload_();
          } else {
            self->on_stop_(signal);
          }
        });
  }

  void close() {
    closed_ = true;
    boost::system::error_code ignored;
    set_.cancel(ignored);
  }

 private:
  asio::signal_set set_;
  std::function<void(int)> on_stop_;
  std::function<void()> on_reload_;
  bool closed_ = false;
};

Signals::Signals(asio::io_context& context, std::function<void(int)> on_stop,
                 std::function<void()> on_reload)
    : impl_(std::make_shared<Impl>(context, std::move(on_stop), std::move(on_reload))) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  impl_->wait();
}

Signals::~Signals() { impl_->close(); }

class Alarm::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& context, std::function<void()> on_due)
      : timer_(context), on_due_(std::move(on_due)) {}

  void set(std::optional<core::Time> when) {
    const auto wanted = when.value_or(core::never);
    if (wanted == armed_ || closed_) return;
    armed_ = wanted;
    if (wanted == core::never) {
      timer_.cancel();
      return;
    }
    timer_.expires_at(std::chrono::steady_clock::time_point{
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(
            wanted.time_since_epoch())});
    // A wait that had already expired when it was replaced still runs its handler: `wanted` tells
    // it apart.
    timer_.async_wait([self = shared_from_this(), wanted](const boost::system::error_code& error) {
      if (error || self->closed_ || self->armed_ != wanted) return;
      self->armed_ = core::never;
      self->on_due_();
    });
  }

  void close() {
    closed_ = true;
    timer_.cancel();
  }

 private:
  asio::steady_timer timer_;
  std::function<void()> on_due_;
  core::Time armed_ = core::never;
  bool closed_ = false;
};

Alarm::Alarm(asio::io_context& context, std::function<void()> on_due)
    : impl_(std::make_shared<Impl>(context, std::move(on_due))) {}

Alarm::~Alarm() { impl_->close(); }

void Alarm::set(std::optional<core::Time> when) { impl_->set(when); }

}  // namespace sentinel::io
