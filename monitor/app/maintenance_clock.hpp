#pragma once

// Tells which maintenance windows of the file are open: at once, and whenever that changes.

#include <cstdint>
#include <functional>
#include <vector>

#include "app/maintenance_rules.hpp"
#include "core/event.hpp"
#include "io/runtime.hpp"

namespace sentinel::app {

class MaintenanceClock {
 public:
  MaintenanceClock(boost::asio::io_context& context, std::function<void(core::SetWindows)> tell);

  /// Tells at once, also when there are none any more.
  void set_rules(std::vector<MaintenanceRule> rules);
  void stop() { alarm_.set(std::nullopt); }

 private:
  void look();

  std::vector<MaintenanceRule> rules_;
  std::function<void(core::SetWindows)> tell_;
  io::Alarm alarm_;
};

}  // namespace sentinel::app
