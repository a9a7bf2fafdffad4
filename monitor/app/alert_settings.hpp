#pragma once

// Who is told of incidents, and how: `alerts:` of the file. What each key means: docs/alerts.md.

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "core/alert_model.hpp"
#include "core/time.hpp"
#include "io/receivers.hpp"

namespace sentinel::app {

/// A request at a steady pace, whose absence tells somebody else that we are gone.
struct HeartbeatSettings {
  io::ReceiverSpec request;  // without URL: none
  core::Duration interval = std::chrono::minutes{1};
};

struct AlertSettings {
  core::AlertConfig core;
  std::vector<io::ReceiverSpec> receivers;  // of the same names as core.receivers
  HeartbeatSettings heartbeat;
};

/// Failover beside a monitor: it is told of everything over its socket, and tells people.
AlertSettings alerts_through_monitor(const std::string& socket);
inline constexpr std::string_view default_monitor_socket = "/run/sentinel/monitor.sock";

/// Without a file: nobody is told. The host is this machine's name.
AlertSettings default_alerts();

}  // namespace sentinel::app
