#pragma once

// What Prometheus sees of the failover: counted from the core's actions, gauges read from its views
// at a scrape. Names, labels and meaning: docs/failover.md.

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/failover.hpp"
#include "observe/metrics.hpp"

namespace sentinel::observe {

/// Connections and traffic through a server, as the kernel counts them.
struct ServerTraffic {
  std::uint64_t connections = 0;
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
};
using PoolServerName = std::pair<std::string, std::string>;

struct FailoverFigures {
  std::vector<core::PoolView> pools;
  core::FailoverView state;
  std::map<PoolServerName, ServerTraffic> traffic;
  std::uint64_t misses = 0;    // connections to a virtual address that found no server
  std::uint64_t restored = 0;  // times somebody else's change was undone
};

class FailoverCounts {
 public:
  void on(const core::PoolAction& action);
  /// The kernel's part of one transaction that was accepted, or the refusal.
  void applied(core::Duration took, std::size_t changes, bool ok);
  void flushed(std::uint64_t flows, core::Duration took);

  /// Forgets servers that are configured no more, so that reloads do not pile up series.
  void keep_only(const std::vector<core::PoolView>& pools);

  std::vector<Sample> samples(const FailoverFigures& figures) const;
  std::vector<HistogramSample> histograms() const;

 private:
  struct Times {
    std::vector<std::uint64_t> buckets;
    double sum = 0;
  };
  static void observe(Times& times, std::span<const double> bounds, double seconds);

  std::map<std::pair<PoolServerName, std::string>, std::uint64_t> transitions_;  // by state
  std::map<std::pair<PoolServerName, std::string>, std::pair<std::uint64_t, std::uint64_t>>
      checks_;  // by check: runs, failures
  std::map<PoolServerName, std::uint64_t> flows_;
  std::uint64_t batches_ = 0;
  std::uint64_t refused_ = 0;
  std::uint64_t changes_ = 0;
  Times detection_;
  Times swap_;
  Times flush_;
};

}  // namespace sentinel::observe
