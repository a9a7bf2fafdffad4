#pragma once

// The restart budget of one service, and the back-off that goes with it.
//
//   charge ──► a mark ──(window of *healthy* time passes)──► forgiven
//
// Only healthy time forgives: a service that fails for ever, however slowly it is retried, always
// reaches its limit. (Where wall time refills a budget, back-offs that sum to more than the window
// mean it never trips.) The owner tells the ledger when healthy time begins and ends; marks are
// positions on that clock, which stands still otherwise.

#include <deque>
#include <optional>
#include <vector>

#include "core/rng.hpp"
#include "core/time.hpp"
#include "core/types.hpp"

namespace sentinel::core {

class Ledger {
 public:
  /// Healthy time begins (true) or ends (false); repeated calls with the same value change nothing.
  void run(bool healthy, Time now);

  /// Forgets marks whose window has passed; returns how many.
  unsigned settle(const Budget& budget, Time now);

  void charge(Time now);
  /// Takes back the latest charge, when nothing was asked of the Engine after all.
  void refund();

  unsigned used() const { return static_cast<unsigned>(marks_.size()); }
  unsigned remaining(const Budget& budget) const;

  /// When the next mark will be forgiven if the service stays healthy; nullopt: no mark, or the
  /// clock stands still.
  std::optional<Time> next_forgiveness(const Budget& budget, Time now) const;

  /// Healthy time still needed per mark, oldest first.
  std::vector<Duration> left(const Budget& budget, Time now) const;
  void restore(const std::vector<Duration>& left, const Budget& budget);

 private:
  Duration clock(Time now) const;

  Duration elapsed_{};          // healthy time of finished stretches
  std::optional<Time> since_;   // start of the current stretch
  std::deque<Duration> marks_;  // position on the healthy clock at which each restart was charged
};

/// Wait before attempt number `used` + 1: nothing for the first, then min x 2^(used-1) up to max,
/// +-25 % so that services which failed together do not return together. Never below min nor above
/// max.
Duration backoff_delay(const Backoff& backoff, unsigned used, Rng& rng);

}  // namespace sentinel::core
