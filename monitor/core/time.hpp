#pragma once

// Time as the core sees it: a number handed in by the shell. Nothing here can read a clock.

#include <chrono>
#include <cstdint>
#include <limits>

namespace sentinel::core {

using Duration = std::chrono::nanoseconds;
using namespace std::chrono_literals;

/// Monotonic time since an origin the shell chooses; deliberately without now().
struct Monotonic {
  using rep = std::int64_t;
  using period = std::nano;
  using duration = Duration;
  using time_point = std::chrono::time_point<Monotonic>;
  static constexpr bool is_steady = true;
};
using Time = Monotonic::time_point;

/// For figures that are told in seconds: metrics and the API.
constexpr double in_seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

inline constexpr Time never = Time::max();

/// Adds without overflow: a deadline too far away is `never`.
constexpr Time after(Time t, Duration d) { return d >= never - t ? never : t + d; }

}  // namespace sentinel::core
