#pragma once

// Names that sort by the time they were given: ULID (github.com/ulid/spec), 48 bits of wall clock
// in milliseconds and 80 of chance, in Crockford's base 32.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/rng.hpp"

namespace sentinel::core {

class UlidMaker {
 public:
  static constexpr std::size_t length = 26;

  explicit UlidMaker(std::uint64_t seed) : rng_{seed} {}

  /// Greater than all before, also when the wall stands still or steps back.
  std::string next(std::int64_t wall_ms) {
    constexpr std::uint64_t time_mask = (std::uint64_t{1} << 48U) - 1;
    const std::uint64_t time = wall_ms < 0 ? 0 : static_cast<std::uint64_t>(wall_ms) & time_mask;
    if (time > time_) {
      time_ = time;
      high_ = rng_.next() & 0x7FFFU;  // its top bit stays free, so that counting on finds room
      low_ = rng_.next();
    } else {
      low_ += 1 + (rng_.next() & 0xFFFFU);
      if (low_ < 0x10000U) high_ = (high_ + 1) & 0xFFFFU;
    }
    return text();
  }

  /// What follows is greater than this one, which was given before a restart. Anything that is not
  /// an ULID changes nothing.
  void seen(std::string_view id) {
    if (id.size() != length || id <= text()) return;
    std::array<std::uint64_t, length> digits{};
    for (std::size_t i = 0; i < length; ++i) {
      digits[i] = alphabet.find(id[i]);
      if (digits[i] == std::string_view::npos) return;
    }
    time_ = 0;
    high_ = 0;
    low_ = 0;
    for (std::size_t i = 0; i < 10; ++i) time_ = time_ << 5U | digits[i];
    for (std::size_t i = 10; i < length; ++i) {
      high_ = (high_ << 5U | low_ >> 59U) & 0xFFFFU;
      low_ = low_ << 5U | digits[i];
    }
  }

 private:
  static constexpr std::string_view alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

  std::string text() const {
    std::string out(length, '0');
    std::uint64_t time = time_;
    for (std::size_t i = 10; i-- > 0; time >>= 5U) out[i] = alphabet[time & 31U];
    std::uint64_t high = high_;
    std::uint64_t low = low_;
    for (std::size_t i = length; i-- > 10;) {
      out[i] = alphabet[low & 31U];
      low = low >> 5U | (high & 31U) << 59U;
      high >>= 5U;
    }
    return out;
  }

  Rng rng_;
  std::uint64_t time_ = 0;
  std::uint64_t high_ = 0;  // the upper 16 of the 80 bits
  std::uint64_t low_ = 0;
};

}  // namespace sentinel::core
