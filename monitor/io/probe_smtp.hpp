#pragma once

// SMTP probes: protocol::SmtpClient over a connection, with TLS from the first byte (smtps), after
// STARTTLS, or none. A banner without end costs the memory of one line.

#include <memory>

#include "io/probe_run.hpp"

namespace sentinel::io {

struct ProbeMeans;

std::unique_ptr<ProbeRun> make_smtp_run(std::shared_ptr<ProbeMeans> means);

}  // namespace sentinel::io
