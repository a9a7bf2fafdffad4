#pragma once

// What log and Prometheus hear of incidents and alerts. Nothing is decided here.

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/alert_core.hpp"
#include "observe/distribution.hpp"
#include "observe/metrics.hpp"
#include "observe/observer.hpp"

namespace sentinel::observe {

/// The line of a notice; those that only repeat what another line says are at debug level.
Line line_of(const core::AlertNotice& notice);

inline constexpr std::array notification_bounds{0.05, 0.1,  0.25, 0.5,  1.0,   2.5,
                                                5.0,  10.0, 30.0, 60.0, 300.0, 3600.0};

/// Figures that are read at a scrape.
struct AlertFigures {
  std::vector<core::ReceiverView> receivers;
  std::size_t open_incidents = 0;
  std::size_t silences = 0;
  core::AlertCounters refused;
};

class AlertCounts {
 public:
  /// Names and words of the configuration (`slack`, `email`, ...); receivers that are not listed
  /// are forgotten.
  void configure(const std::vector<std::pair<std::string, std::string>>& integrations);
  void on(const core::AlertNotice& notice);

  std::vector<Sample> samples(const AlertFigures& figures) const;
  std::vector<HistogramSample> histograms() const;

 private:
  struct Receiver {
    std::string integration;
    std::uint64_t accepted = 0;
    std::uint64_t dead = 0;
    std::uint64_t requests = 0;
    std::uint64_t failed_requests = 0;
    std::map<std::string, std::uint64_t, std::less<>> suppressed;  // by reason
  };
  std::map<std::string, Receiver, std::less<>> receivers_;
  std::uint64_t incidents_ = 0;
  Distribution latency_{notification_bounds};
};

}  // namespace sentinel::observe
