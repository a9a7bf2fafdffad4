#pragma once

// The failover's decisions: which servers of which pools get new connections, and when that
// changes. Pure: events in, actions out, no clock.
//
// A server of a pool is, as far as checks go,
//
//   unknown --each check passes once--> up         unknown --a check fails (its fall)--> failed
//   up --a check fails (its fall)--> failed        failed --all checks pass (their rise)--> up,
//                                                  or waiting when it failed too often
//   waiting --hold-down over--> up                 waiting --a check fails--> failed
//
// Its checks are those of the pool, those of its host, and the failing ones of its host's other
// pools that eject the host. A server found in the kernel's table at the start is up until judged.
// A person's drain lies above all that: draining until no connection is left, then drained.
//
// Up and not drained servers get connections. A failed one still does (it is kept)
//   - while our own network seems to be down (blind): no gateway answers any more; or, without
//     gateways, all servers became unreachable within blind_window and none answers anything;
//   - when more servers than the pool's cap would be out.
// When none is left the pool's policy decides. Backups take part in nothing else.
//
// All that changes at one event goes to the kernel in one transaction, one at a time. Refused ones
// change nothing: the kernel is read again, and the rest is tried again, each pool by itself, at
// growing intervals and so many times. When the kernel has confirmed it, the connections of failed
// servers are ended and the transition is told with all its times.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/pool_event.hpp"

namespace sentinel::core {

class FailoverCore {
 public:
  FailoverCore();
  ~FailoverCore();
  FailoverCore(const FailoverCore&) = delete;
  FailoverCore& operator=(const FailoverCore&) = delete;

  /// Appends to `out`. Time never goes back.
  void on(const PoolEvent& event, Time now, PoolActions& out);
  /// When a Tick is due at the latest.
  std::optional<Time> next_deadline() const;

  FailoverView state() const;
  std::vector<PoolView> pools() const;
  std::vector<DrainRecord> drains() const;
  /// What the kernel holds, as far as it has confirmed; to restore it.
  const NatTable& table() const;
  /// What it should hold.
  NatTable wanted() const;
  /// What speaks against a drain: no such server, or it is the last one that works (which `force`
  /// overrides). A sentence.
  std::optional<std::string> drain_problem(std::string_view pool, std::string_view server,
                                           bool force) const;
  std::optional<std::string> ready_problem(std::string_view pool, std::string_view server) const;

  class Impl;  // core/failover*.cpp

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace sentinel::core
