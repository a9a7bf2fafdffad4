#pragma once

// `sentinel failover`: one loop that carries events into the failover core and its actions out into
// the world: checks, the kernel's NAT table, its connections, and the small file of who is drained.
//
// SIGHUP loads the configuration anew, without a connection noticing; SIGTERM and SIGINT end the
// process, and the rules stay or go as configured.

#include "app/failover_config.hpp"

namespace sentinel::app {

/// Runs until a signal; the exit status. `sources` are read again on SIGHUP.
int run_failover(FailoverSettings settings, ConfigSources sources);

/// Prints what was found and what to do about it; 1 when something speaks against running.
int run_preflight(const FailoverSettings& settings, bool json);

}  // namespace sentinel::app
