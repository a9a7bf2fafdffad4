#pragma once

// HTTP and HTTPS probes.

#include <functional>
#include <memory>

#include "io/probe_means.hpp"
#include "io/probe_run.hpp"

namespace sentinel::io {

/// Makes runs that share the connections they keep alive.
std::function<std::unique_ptr<ProbeRun>()> http_runs(std::shared_ptr<ProbeMeans> means);

}  // namespace sentinel::io
