#pragma once

// The only source of chance in a simulation: xoshiro256** seeded by splitmix64 (both public domain
// algorithms by Blackman and Vigna), integers only, so that a seed means the same on every machine
// and compiler.

#include <array>
#include <bit>
#include <cstdint>

#include "core/time.hpp"

namespace sentinel::sim {

class Prng {
 public:
  explicit Prng(std::uint64_t seed) {
    for (auto& word : words_) {
      seed += 0x9E3779B97F4A7C15U;
      std::uint64_t z = seed;
      z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
      z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
      word = z ^ (z >> 31U);
    }
  }

  std::uint64_t next() {
    const std::uint64_t result = std::rotl(words_[1] * 5, 7) * 9;
    const std::uint64_t shifted = words_[1] << 17U;
    words_[2] ^= words_[0];
    words_[3] ^= words_[1];
    words_[1] ^= words_[2];
    words_[0] ^= words_[3];
    words_[2] ^= shifted;
    words_[3] = std::rotl(words_[3], 45);
    return result;
  }

  /// 0 .. n-1; 0 when n is 0. The bias of the multiplication is below 2^-32 for our small ranges.
  std::uint32_t below(std::uint32_t n) {
    return static_cast<std::uint32_t>(((next() >> 32U) * n) >> 32U);
  }

  /// True in `per_million` of a million cases.
  bool chance(std::uint32_t per_million) { return below(1'000'000) < per_million; }

  /// low .. high, both included.
  core::Duration between(core::Duration low, core::Duration high) {
    if (high <= low) return low;
    const auto span = static_cast<std::uint64_t>((high - low).count()) + 1;
    return low + core::Duration{static_cast<std::int64_t>(next() % span)};
  }

  /// Roughly exponential with the given mean: -log2 by leading zeros and a linear mantissa, no
  /// floating point.
  core::Duration around(core::Duration mean) {
    const std::uint64_t bits = next() | 1U;
    const auto zeros = static_cast<std::int64_t>(std::countl_zero(bits));
    const auto rest =
        static_cast<std::int64_t>(((~bits << zeros) >> 44U) & 0x7FFFFU);  // 0 .. 2^19-1
    const std::int64_t log2_fixed = (zeros << 19U) + rest;                // in 1/2^19
    const std::int64_t scaled =
        (mean.count() >> 10U) * 710 / 1024;  // ln 2, mean/1024 to stay in range
    return core::Duration{((scaled * log2_fixed) >> 19U) << 10U};
  }

 private:
  std::array<std::uint64_t, 4> words_{};
};

}  // namespace sentinel::sim
