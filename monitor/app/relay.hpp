#pragma once

// What `sentinel failover` beside us has to tell, so that one of the two sends and never both: its
// alerts come to our Unix socket in the shape of the generic webhook (docs/alerts.md), durable and
// repeated on its side, and become facts here.

#include <cstddef>
#include <expected>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "core/alert_facts.hpp"
#include "core/time.hpp"

namespace sentinel::app {

class Relay {
 public:
  /// It says that it lives at this pace, alerts or not; see failover.alerts.
  static constexpr core::Duration heartbeat = std::chrono::seconds{30};
  static constexpr core::Duration silence = std::chrono::minutes{2};
  static constexpr std::size_t max_incidents = 1000;

  /// The facts of one message; an error says what is wrong with it, and nothing was taken over.
  std::expected<core::AlertEvents, std::string> on(std::string_view body, core::Time now);
  /// Facts about its silence, at or after next_deadline().
  core::AlertEvents on_tick(core::Time now);
  std::optional<core::Time> next_deadline() const { return deadline_; }

 private:
  struct Told {
    core::Subject subject;
    std::set<std::string> actions;
  };
  std::map<std::string, Told, std::less<>> told_;  // open ones, by id of the incident
  std::optional<core::Time> deadline_;             // none: never heard, or silent already
  bool silent_ = false;
};

}  // namespace sentinel::app
