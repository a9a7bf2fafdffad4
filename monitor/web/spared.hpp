#pragma once

// Answers that are costly to make, given again for twenty times as long as they took to make, a
// second at most: a crowd has each made in a twentieth of the loop's time, as long as that is less
// than 50 ms a piece. Where it is cheap it is always a fresh one, and none is kept.

#include <time.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/http_server.hpp"

namespace sentinel::web {

class Spared {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr int times = 20;
  using Cost = std::chrono::nanoseconds;
  static constexpr Cost usually_dear = std::chrono::milliseconds{1};
  static constexpr std::size_t most = 2;  // kept at once; they may be megabytes
  static constexpr std::chrono::milliseconds longest{1000};

  /// `dear`: what costs less is always made anew. `spent`: what this thread has computed so far;
  /// unlike time, others on the machine do not add to it.
  explicit Spared(Cost dear, std::function<Clock::time_point()> clock = Clock::now,
                  std::function<Cost()> spent = thread_time)
      : dear_{dear}, clock_{std::move(clock)}, spent_{std::move(spent)} {}

  /// `of`: what it is made of, the request's query say. What `make` throws passes through.
  io::HttpResponse get(std::string_view of, const std::function<io::HttpResponse()>& make) {
    std::erase_if(kept_, [now = clock_()](const Kept& one) { return one.until <= now; });
    const auto found = std::ranges::find(kept_, of, &Kept::of);
    if (found != kept_.end()) return found->response;
    const auto before = spent_();
    io::HttpResponse made = make();
    if (const auto took = spent_() - before; took >= dear_) {
      if (kept_.size() >= most) kept_.erase(kept_.begin());
      kept_.push_back(
          {std::string{of}, made, clock_() + std::min<Clock::duration>(took * times, longest)});
    }
    return made;
  }
  /// The next ones are made anew.
  void forget() { kept_.clear(); }

 private:
  struct Kept {
    std::string of;
    io::HttpResponse response;
    Clock::time_point until;
  };

  static Cost thread_time() {
    timespec t{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return std::chrono::seconds{t.tv_sec} + std::chrono::nanoseconds{t.tv_nsec};
  }

  const Cost dear_;
  const std::function<Clock::time_point()> clock_;
  const std::function<Cost()> spent_;
  std::vector<Kept> kept_;  // oldest first
};

}  // namespace sentinel::web
