#pragma once

// DNS probes: one question to one server, over UDP from a port that the kernel draws at random, or
// over TCP when asked for or when the answer is truncated.
//
// The UDP socket is connected, so that the kernel drops what comes from elsewhere. What does not
// belong to the question is ignored and the wait goes on, for 64 datagrams at most. The question is
// not sent twice: a lost datagram is a failed run, and the judgement has a fall for that.

#include <memory>

#include "io/probe_run.hpp"

namespace sentinel::io {

struct ProbeMeans;

std::unique_ptr<ProbeRun> make_dns_run(std::shared_ptr<ProbeMeans> means);

}  // namespace sentinel::io
