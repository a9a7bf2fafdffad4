#pragma once

// `sentinel monitor`: one loop that carries events into the core and its actions out into the
// world.
//
//   events (Engine client, prober, store, timer, API) -> queue -> core.on() -> actions
//   actions for the Engine and the store are performed first, then what is to be known goes to log,
//   metrics and journal
//
// SIGHUP loads the configuration anew; SIGTERM and SIGINT end the process in less than two seconds:
// nothing new is begun, an operation under way stays noted in the store and is taken up at the next
// start.

#include "app/config.hpp"

namespace sentinel::app {

/// Runs until a signal; the exit status. `sources` are read again on SIGHUP.
int run_monitor(MonitorConfig config, ConfigSources sources);

}  // namespace sentinel::app
