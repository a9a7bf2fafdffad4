#pragma once

// What the failover core makes known, as log lines. One line for a transition, when all that it led
// to is done; a check that passes is debug.

#include <functional>
#include <optional>
#include <string>

#include "core/pool_event.hpp"
#include "observe/log.hpp"
#include "observe/observer.hpp"

namespace sentinel::observe {

class FailoverObserver {
 public:
  /// `wall`: RFC 3339 of a time of the core.
  FailoverObserver(Log& log, std::function<std::string(core::Time)> wall)
      : log_{log}, wall_{std::move(wall)} {}

  void on(const core::PoolAction& action);
  /// None for actions that are performed.
  std::optional<Line> line_of(const core::PoolAction& action) const;

 private:
  Line line_of(const core::ServerTransition& transition) const;
  static Line line_of(const core::PoolNotice& notice);
  static Line line_of(const core::CheckReport& report);

  Log& log_;
  std::function<std::string(core::Time)> wall_;
};

/// "web/alpha failed: https: connection refused; 1 of 2 servers get connections".
std::string sentence(const core::ServerTransition& transition);

}  // namespace sentinel::observe
