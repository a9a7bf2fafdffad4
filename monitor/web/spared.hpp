#pragma once

// An answer that is costly to make, given again for twenty times as long as it took to make it, a
// second at most: a crowd has it made in a twentieth of the loop's time, as long as that is less
// than 50 ms a piece. Where it is cheap it is always a fresh one, and none is kept.

#include <time.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "io/http_server.hpp"

namespace sentinel::web {

class Spared {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr int times = 20;
  static constexpr std::chrono::milliseconds dear{5};  // what costs less is always made anew
  static constexpr std::chrono::milliseconds longest{1000};

  /// `spent`: what this thread has computed so far; unlike time, others on the machine do not add
  /// to it.
  explicit Spared(std::function<Clock::time_point()> clock = Clock::now,
                  std::function<std::chrono::nanoseconds()> spent = thread_time)
      : clock_{std::move(clock)}, spent_{std::move(spent)} {}

  /// `of`: what it is made of, the request's query say. What `make` throws passes through.
  io::HttpResponse get(std::string_view of, const std::function<io::HttpResponse()>& make) {
    if (clock_() < until_ && of == of_) return response_;
    forget();
    const auto before = spent_();
    io::HttpResponse made = make();
    if (const auto took = spent_() - before; took >= dear) {
      response_ = made;
      of_ = of;
      until_ = clock_() + std::min<Clock::duration>(took * times, longest);
    }
    return made;
  }
  /// The next one is made anew.
  void forget() {
    until_ = {};
    response_ = {};
  }

 private:
  static std::chrono::nanoseconds thread_time() {
    timespec t{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return std::chrono::seconds{t.tv_sec} + std::chrono::nanoseconds{t.tv_nsec};
  }

  const std::function<Clock::time_point()> clock_;
  const std::function<std::chrono::nanoseconds()> spent_;
  io::HttpResponse response_;
  std::string of_;
  Clock::time_point until_{};
};

}  // namespace sentinel::web
