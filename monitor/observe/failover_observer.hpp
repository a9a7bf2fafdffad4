#pragma once

// What the failover core makes known, as log lines. One line for a transition, when all that it led
// to is done; a check that passes is debug.

#include <functional>
#include <string>

#include "core/pool_event.hpp"
#include "observe/log.hpp"

namespace sentinel::observe {

class FailoverObserver {
 public:
  /// `wall`: RFC 3339 of a time of the core.
  FailoverObserver(Log& log, std::function<std::string(core::Time)> wall)
      : log_{log}, wall_{std::move(wall)} {}

  void on(const core::PoolAction& action);

 private:
  void on(const core::ServerTransition& transition);
  void on(const core::PoolNotice& notice);
  void on(const core::CheckReport& report);

  Log& log_;
  std::function<std::string(core::Time)> wall_;
};

/// "web/alpha failed: https: connection refused; 1 of 2 servers get connections".
std::string sentence(const core::ServerTransition& transition);

}  // namespace sentinel::observe
