#pragma once

// The subcommands that ask a running failover over its Unix socket.

#include <expected>
#include <string>

namespace sentinel::app {

struct DrainRequest {
  std::string server;    // POOL/SERVER, or SERVER for all of its pools
  std::string length;    // --for; empty: until it is made ready
  std::string deadline;  // empty: the pool's; 0: never
  bool force = false;
};

int command_drain(const std::string& socket, const DrainRequest& request);
int command_ready(const std::string& socket, const std::string& server);
int command_failover_status(const std::string& socket);
/// `"failover":{...,"pools":[...]}` for the status of both processes.
std::expected<std::string, std::string> failover_status_json(const std::string& socket);
/// `ready`: not only alive, but the kernel holds what is wanted; for keepalived's track script.
int command_failover_healthcheck(const std::string& socket, bool ready);

}  // namespace sentinel::app
