#pragma once

#include "options.hpp"

namespace sentinel::demo {

/// Runs the service until it is told to stop and returns the process's exit status: 0, what
/// /simulate/exit asked for, or 1 when it cannot listen.
[[nodiscard]] int run_service(const Options& options);

}  // namespace sentinel::demo
