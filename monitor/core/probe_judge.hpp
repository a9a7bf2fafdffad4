#pragma once

// Turns single probe results into a verdict with memory.
//
//   unknown --rise x not-fail--> pass|warn     unknown --fall x fail--> fail
//   pass|warn --fall x fail--> fail            fail --rise x not-fail--> pass|warn
//
// Between pass and warn the latest result decides at once: both mean that the service answers.

#include <algorithm>
#include <optional>

#include "core/types.hpp"

namespace sentinel::core {

class ProbeJudge {
 public:
  /// Returns true when the verdict changed.
  bool add(Verdict result, unsigned fall, unsigned rise) {
    const auto before = verdict_;
    if (result == Verdict::fail) {
      passes_ = 0;
      fails_ = std::min(fails_ + 1, 1'000'000U);
      if (fails_ >= fall) verdict_ = Verdict::fail;
    } else {
      fails_ = 0;
      passes_ = std::min(passes_ + 1, 1'000'000U);
      if (passes_ >= rise || (verdict_ && *verdict_ != Verdict::fail)) verdict_ = result;
    }
    return verdict_ != before;
  }

  /// nullopt: not enough results yet.
  std::optional<Verdict> verdict() const { return verdict_; }

  /// A change is in the air: probe at the fast interval.
  bool pending() const {
    return !verdict_ || (*verdict_ == Verdict::fail ? passes_ > 0 : fails_ > 0);
  }

  void reset() { *this = {}; }

 private:
  std::optional<Verdict> verdict_;
  unsigned fails_ = 0;
  unsigned passes_ = 0;
};

}  // namespace sentinel::core
