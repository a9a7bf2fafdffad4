#pragma once

// One run of one probe, whatever its kind. The prober owns the scheduling, the limits and the
// timer; a run owns its sockets and says what it found, in a reason of the fixed set and a sentence
// for people.

#include <functional>
#include <memory>
#include <string>

#include "core/probe_spec.hpp"
#include "core/types.hpp"

namespace sentinel::io {

struct ProbeTask {
  std::shared_ptr<const core::ProbeSpec> spec;  // never null
  std::string address;          // used when spec->host is empty; may be empty as well
  core::ContainerId container;  // exec only
};

class ProbeRun {
 public:
  using Done = std::function<void(core::ProbeOutcome)>;

  ProbeRun() = default;
  virtual ~ProbeRun() = default;
  ProbeRun(const ProbeRun&) = delete;
  ProbeRun& operator=(const ProbeRun&) = delete;

  /// Calls `done` exactly once, never from inside this call, unless abandoned or timed out first.
  /// `took` of the outcome is filled in by the prober. May be called again after the end of a run.
  virtual void begin(ProbeTask task, Done done) = 0;
  /// The timeout is over: drops everything and says how far it came ("no answer within 2 s").
  virtual core::ProbeOutcome timed_out() = 0;
  /// Drops everything, reports nothing.
  virtual void abandon() = 0;
};

}  // namespace sentinel::io
