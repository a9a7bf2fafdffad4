#pragma once

// Flapping: many changes in a short time, told as one fact instead of a stream of messages.
//
//   steady --6 changes within 10 min--> flapping --fewer than 3 left in that window--> steady
//
// Counted are changes of what was judged (healthy, degraded, unhealthy), not of what is shown:
// while flapping, a change for the better is shown only after it has lasted for hold(): 1 min at
// the first such change, doubled at each further one, 5 min at most. A change for the worse is
// shown at once. So at most 14 changes are shown in any 10 minutes (11 of a service that is never
// degraded), and of a flapping that goes on at most two for the better, from the fourth of them on.

#include <algorithm>
#include <cstddef>
#include <deque>
#include <optional>

#include "core/time.hpp"

namespace sentinel::core {

class Flap {
 public:
  static constexpr Duration window = 10min;
  static constexpr std::size_t set_at = 6;
  static constexpr std::size_t clear_below = 3;
  static constexpr Duration first_hold = 1min;
  static constexpr Duration longest_hold = 5min;

  /// What was judged has changed.
  void add(Time now) {
    changes_.push_back(now);
    if (changes_.size() > set_at) changes_.pop_front();
    ++count_;
  }

  /// Returns true when the overlay changed.
  bool settle(Time now) {
    while (!changes_.empty() && now - changes_.front() >= window) changes_.pop_front();
    const bool before = active_;
    active_ = active_ ? changes_.size() >= clear_below : changes_.size() >= set_at;
    if (active_ && !before) {
      since_ = changes_.front();
      count_ = changes_.size();
      hold_ = first_hold;
    }
    return active_ != before;
  }

  bool active() const { return active_; }

  /// How long a change for the better has to last before it is shown; zero when not flapping.
  Duration hold() const { return active_ ? hold_ : Duration{}; }
  /// One was shown.
  void released() { hold_ = std::min(hold_ * 2, longest_hold); }

  /// Of the latest flapping: its first change, and how many there were since.
  Time since() const { return since_; }
  std::size_t count() const { return count_; }

  /// When settle() is worth a call; nullopt: nothing to wait for.
  std::optional<Time> due() const {
    if (!active_ || changes_.size() < clear_below) return std::nullopt;
    return after(changes_[changes_.size() - clear_below], window);
  }

 private:
  std::deque<Time> changes_;
  bool active_ = false;
  Duration hold_ = first_hold;
  Time since_{};
  std::size_t count_ = 0;
};

}  // namespace sentinel::core
