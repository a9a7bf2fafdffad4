#pragma once

// What the monitor's core makes known: facts to incidents and alerts, lines to the log, counts to
// the metrics, entries to the journals.

#include <cstdint>

#include "app/alerting.hpp"
#include "core/alert_facts.hpp"
#include "core/core.hpp"
#include "observe/metrics.hpp"
#include "observe/observer.hpp"
#include "web/journal.hpp"
#include "web/live.hpp"

namespace sentinel::app {

class MonitorTeller {
 public:
  /// All must outlive this.
  struct Parts {
    const core::Core& core;
    Alerting& alerting;
    observe::Log& log;
    observe::Metrics& metrics;
    web::Journal& decisions;
    web::Live& live;
  };
  explicit MonitorTeller(Parts parts) : parts_{parts}, observer_{parts.log}, facts_{parts.core} {}

  /// `at`: when the core decided it.
  void on(const core::Action& action, core::Time at);
  /// After a batch of actions.
  void settle();

 private:
  void sample(const core::ProbeReport& report, std::int64_t wall_ms);

  Parts parts_;
  observe::Observer observer_;
  core::MonitorFacts facts_;
};

}  // namespace sentinel::app
