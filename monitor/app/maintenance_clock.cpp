#include "app/maintenance_clock.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace sentinel::app {

MaintenanceClock::MaintenanceClock(boost::asio::io_context& context,
                                   std::function<void(core::SetWindows)> tell)
    : tell_{std::move(tell)}, alarm_{context, [this] { look(); }} {}

void MaintenanceClock::set_rules(std::vector<MaintenanceRule> rules) {
  const bool had = !rules_.empty();
  rules_ = std::move(rules);
  if (had || !rules_.empty()) look();
}

void MaintenanceClock::look() {
  using namespace std::chrono_literals;
  const auto wall = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  const std::int64_t seconds = wall.time_since_epoch().count();
  WindowsNow now = windows_at(rules_, seconds);
  if (now.next_change) {
    // The clock of the wall may be set, or the machine sleep: look again within a minute.
    const auto left = std::clamp<std::int64_t>(*now.next_change - seconds, 1, 60);
    alarm_.set(core::after(io::now(), std::chrono::seconds{left}));
  } else {
    alarm_.set(std::nullopt);
  }
  tell_({std::move(now.open)});
}

}  // namespace sentinel::app
