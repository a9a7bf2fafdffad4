#pragma once

#include "app.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace sentinel::demo {

/// What the service counts about itself, prefix `demo_`, and the usual `process_` metrics. The
/// set of series is fixed: routes come from App, status codes from this program.
class Metrics {
 public:
  Metrics(std::string_view version, std::string_view revision);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  /// One answered request and the time from its last byte to the answer, delays included.
  void request(std::string_view route, unsigned status, std::chrono::duration<double> time);

  /// A connection that was closed at once because the limit had been reached.
  void connection_over_limit();

  /// All metrics in Prometheus' text format 0.0.4.
  [[nodiscard]] std::string text(const App& app, const Facts& facts, Instant now);

 private:
  struct Registry;
  std::unique_ptr<Registry> registry_;
};

}  // namespace sentinel::demo
