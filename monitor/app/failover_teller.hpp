#pragma once

// What the failover core makes known: facts to incidents and alerts, lines to the log, counts to
// the metrics, entries to the journal.

#include <vector>

#include "app/alerting.hpp"
#include "core/alert_facts.hpp"
#include "core/pool_event.hpp"
#include "observe/failover_counts.hpp"
#include "observe/failover_observer.hpp"

namespace sentinel::app {

class FailoverTeller {
 public:
  /// All must outlive this.
  struct Parts {
    Alerting& alerting;
    observe::Log& log;
    observe::FailoverCounts& counts;
  };
  explicit FailoverTeller(Parts parts);

  void on(const core::PoolAction& action);
  /// After a reload: incidents of servers and pools that are no longer configured end.
  void keep_only(const std::vector<core::PoolView>& pools);

 private:
  void sample(const core::CheckReport& report);

  Parts parts_;
  observe::FailoverObserver observer_;
  core::FailoverFacts facts_;
};

}  // namespace sentinel::app
