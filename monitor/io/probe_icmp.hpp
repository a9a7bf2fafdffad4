#pragma once

// ICMP echo probes, v4 and v6.
//
// All runs of a prober share one socket per family. A ping socket of each run's own would cost two
// more system calls a run and a descriptor; raw sockets of their own would each be given a copy of
// every reply to all the others. Replies find their run by sequence number and must repeat its
// token, its target and our id.
//
// Ping sockets (net.ipv4.ping_group_range) are tried first, raw ones (CAP_NET_RAW) after them; with
// neither, the outcome is `internal` and says what to do. Errors from routers come from the ping
// socket's error queue, or to the raw socket.
//
// A packet without a reply when the timeout is over is lost; so is one that the network refused.
// The round trip's average is the outcome's `processing`. Packets that do not leave before the
// timeout do not count.

#include <functional>
#include <memory>

#include "io/probe_run.hpp"

namespace sentinel::io {

struct ProbeMeans;

/// Makes the runs of one prober.
std::function<std::unique_ptr<ProbeRun>()> icmp_runs(std::shared_ptr<ProbeMeans> means);

}  // namespace sentinel::io
