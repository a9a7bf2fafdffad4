#pragma once

// Histograms as plain numbers.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace sentinel::observe {

// Upper bounds in seconds.
inline constexpr std::array probe_bounds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                         0.25,  0.5,    1.0,   2.5,  5.0,   10.0};
inline constexpr std::array recovery_bounds{1.0,  2.5,   5.0,   10.0,  20.0,  30.0,
                                            60.0, 120.0, 300.0, 600.0, 1800.0};
inline constexpr std::array own_share_bounds{0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005,
                                             0.001,   0.0025,   0.005,   0.01,   0.1};

/// A histogram with fixed bounds, which must outlive it; it costs nothing until it is used.
class Distribution {
 public:
  explicit Distribution(std::span<const double> bounds) : bounds_{bounds} {}
  void observe(double value) {
    if (buckets_.empty()) buckets_.resize(bounds_.size());
    const auto at = std::ranges::lower_bound(bounds_, value);
    if (at != bounds_.end()) ++buckets_[static_cast<std::size_t>(at - bounds_.begin())];
    ++count_;
    sum_ += value;
  }
  std::span<const double> bounds() const { return bounds_; }
  /// Not cumulative.
  std::uint64_t bucket(std::size_t i) const { return buckets_.empty() ? 0 : buckets_[i]; }
  std::uint64_t count() const { return count_; }
  double sum() const { return sum_; }

 private:
  std::span<const double> bounds_;
  std::vector<std::uint32_t> buckets_;
  std::uint64_t count_ = 0;
  double sum_ = 0;
};

}  // namespace sentinel::observe
