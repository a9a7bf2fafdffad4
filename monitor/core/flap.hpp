#pragma once

// Flapping: many changes between well and unwell in a short time. An overlay, so that people see
// one fact instead of a stream of changes. Set at 6 changes within 10 minutes, cleared when fewer
// than 3 are left in that window.

#include <deque>
#include <optional>

#include "core/time.hpp"

namespace sentinel::core {

class Flap {
 public:
  static constexpr Duration window = 10min;
  static constexpr std::size_t set_at = 6;
  static constexpr std::size_t clear_below = 3;

  void add(Time now) {
    changes_.push_back(now);
    if (changes_.size() > set_at) changes_.pop_front();
  }

  /// Returns true when the overlay changed.
  bool settle(Time now) {
    while (!changes_.empty() && now - changes_.front() >= window) changes_.pop_front();
    const bool before = active_;
    active_ = active_ ? changes_.size() >= clear_below : changes_.size() >= set_at;
    return active_ != before;
  }

  bool active() const { return active_; }

  /// When settle() is worth a call; nullopt: nothing to wait for.
  std::optional<Time> due() const {
    if (!active_ || changes_.size() < clear_below) return std::nullopt;
    return after(changes_[changes_.size() - clear_below], window);
  }

 private:
  std::deque<Time> changes_;
  bool active_ = false;
};

}  // namespace sentinel::core
