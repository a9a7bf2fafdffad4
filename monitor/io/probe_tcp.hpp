#pragma once

// TCP probes (connect, send, expect) and TLS probes (handshake and certificate).

#include <memory>

#include "io/probe_means.hpp"
#include "io/probe_run.hpp"

namespace sentinel::io {

/// Serves both kinds.
std::unique_ptr<ProbeRun> make_tcp_run(std::shared_ptr<ProbeMeans> means);

}  // namespace sentinel::io
