#pragma once

// Shares the loop between clients over TCP and everything else that lives on it, healing first of
// all: after each piece of work for them the loop is left to others for three times as long, so
// that no crowd gets more than a quarter of it. First come, first served. For http_server.cpp only.

#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <functional>
#include <memory>

#include "core/time.hpp"

namespace sentinel::io {

class HttpTurns : public std::enable_shared_from_this<HttpTurns> {
 public:
  using Work = std::move_only_function<void()>;

  explicit HttpTurns(boost::asio::io_context& context) : timer_{context} {}

  /// Calls `work` once, before this returns when it is its turn already. At most one piece for each
  /// connection may wait.
  void take(Work work);
  /// What waits is dropped.
  void stop();

  static constexpr core::Duration burst = std::chrono::milliseconds{1};
  static constexpr int others = 3;

 private:
  bool open() const;
  void run(Work work);
  void wait();
  void go_on();

  boost::asio::steady_timer timer_;
  std::deque<Work> waiting_;
  core::Time free_at_{};  // what was used is given back by then
  bool armed_ = false;
};

}  // namespace sentinel::io
