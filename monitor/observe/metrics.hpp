#pragma once

// What Prometheus sees. Counters are derived from the core's actions; gauges are read from the core
// only while a scrape is being answered, so that nothing is spent between scrapes. Per-service
// counts are kept as plain numbers and become series one family at a time: hundreds of services
// cost kilobytes, not megabytes.
//
// Names, labels and meaning: docs/metrics.md.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/action.hpp"
#include "core/core.hpp"

namespace sentinel::observe {

/// Beyond these, services and probes are only counted: sentinel_services_without_series,
/// sentinel_probes_without_series. Those without histograms share one, service="(other)".
struct SeriesLimits {
  std::size_t services = 2000;
  std::size_t probes = 4000;
  std::size_t service_histograms = 100;
  std::size_t probe_histograms = 200;
};

struct MetricsOptions {
  std::string version;
  std::string revision;
  SeriesLimits limits{};
};

/// A number that somebody else counts, such as the Engine client or the HTTP server.
struct Sample {
  enum class Kind : std::uint8_t { counter, gauge } kind = Kind::counter;
  std::string name;  // complete; samples of one name follow each other
  std::string help;
  std::vector<std::pair<std::string, std::string>> labels;
  double value = 0;
};

/// A histogram that somebody else keeps; the last of `buckets` has no upper bound. Not cumulative.
struct HistogramSample {
  std::string name;
  std::string help;
  std::vector<double> bounds;
  std::vector<std::uint64_t> buckets;  // bounds.size() + 1
  double sum = 0;
};

struct Scrape {
  const std::vector<core::ServiceView>& services;
  core::Time now;
  std::int64_t unix_ns = 0;         // wall clock of the same moment
  std::optional<bool> engine_up{};  // none: there is no Engine
  std::string engine = "default";
  std::vector<Sample> samples{};
  std::vector<HistogramSample> histograms{};
};

class Metrics {
 public:
  explicit Metrics(MetricsOptions options);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  void on(const core::Action& action, core::Time now, std::int64_t unix_ns);
  void config_loaded(bool successful, std::int64_t unix_ns);
  /// From a hint of the Engine to the request that answers it, without the time others took: the
  /// Engine and the disk.
  void own_share(core::Duration took);

  /// Prometheus text format 0.0.4. Services that are not in the scrape are forgotten.
  std::string render(const Scrape& scrape);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

inline constexpr std::string_view metrics_content_type = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace sentinel::observe
