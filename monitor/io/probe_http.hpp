#pragma once

// HTTP and HTTPS probes.

#include <memory>

#include "io/probe_means.hpp"
#include "io/probe_run.hpp"

namespace sentinel::io {

std::unique_ptr<ProbeRun> make_http_run(std::shared_ptr<const ProbeMeans> means);

}  // namespace sentinel::io
