#pragma once

// The subcommands about incidents and alerts; they ask a running monitor over its Unix socket, see
// client_commands.hpp.

#include <string>
#include <vector>

namespace sentinel::app {

/// The newest ones; `all`: those that have ended as well.
int command_incidents(const std::string& socket, bool all, bool json);
/// Receivers, what is on its way or was given up, and silences.
int command_alerts(const std::string& socket, bool json);
int command_alert_test(const std::string& socket, const std::string& receiver);

struct SilenceRequest {
  std::vector<std::string> match;  // as protocol/matchers.hpp reads them
  std::string length;
  std::string comment;
  std::string end;  // an id: ends that one, and nothing else counts
};
int command_silence(const std::string& socket, const SilenceRequest& request);

}  // namespace sentinel::app
