#pragma once

// `exec` probes: a command in the container, through the Engine. Exit code 0 passes.
//
// create, start, read the output, ask for the exit code: each on a connection of its own, so that
// what heals never waits behind a command that hangs. At most `concurrency` commands run at once;
// one more waits its turn inside its own timeout. The Engine cannot end a command. One that
// outlives its timeout is remembered, and the probe fails without starting another until it has
// ended, so that hung commands do not pile up in a container.

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "io/probe_run.hpp"

namespace boost::asio {
class io_context;
}

namespace sentinel::io {

struct ExecProbeOptions {
  std::string endpoint;  // of the Engine, see parse_engine_endpoint()
  /// The version agreed with the Engine, `1.41`; empty: the Engine is lost.
  std::function<std::string()> api_version;
  unsigned concurrency = 32;
  std::size_t output_bytes = 4096;                   // kept; its first line goes into the sentence
  std::size_t output_limit = std::size_t{1} << 20U;  // read; a command that writes more fails
};

/// Makes the runs of one prober; they share the limit and the memory of hung commands.
std::function<std::unique_ptr<ProbeRun>()> exec_runs(boost::asio::io_context& context,
                                                     ExecProbeOptions options);

}  // namespace sentinel::io
