#pragma once

// The core's only source of chance: seeded, the same on every platform.

#include <cstdint>

#include "core/time.hpp"

namespace sentinel::core {

/// SplitMix64 (Steele, Lea, Flood 2014): one word of state, passes BigCrush, enough for jitter.
class Rng {
 public:
  explicit Rng(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31U);
  }

  /// Uniform in [0, limit); zero when limit <= 0. The modulo's bias is irrelevant for spreading.
  Duration below(Duration limit) {
    if (limit <= Duration{}) return Duration{};
    return Duration{static_cast<Duration::rep>(next() % static_cast<std::uint64_t>(limit.count()))};
  }

 private:
  std::uint64_t state_;
};

}  // namespace sentinel::core
