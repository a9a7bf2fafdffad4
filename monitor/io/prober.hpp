#pragma once

// Runs probes of every kind, thousands at once, on the loop's thread.
//
// perform() never blocks and never calls the sink itself. What there is no place for waits in
// order; a run's timeout begins when it is started. How late it was started (late already when
// perform() was called, and waiting here) is measured as schedule lag.
//
// Places come from the process's limit on open files: its soft limit is raised to what is wanted if
// the hard limit allows that, a reserve is left to the rest of the process, and a run is counted as
// two descriptors. A run that is slow holds its place and nothing else.
//
// Each run has a deadline of its own; all of them share one timer, so that a probe that is answered
// in time costs no system call for its timer. Runs are used again, per kind.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "core/action.hpp"
#include "core/event.hpp"
#include "core/time.hpp"
#include "io/probe_run.hpp"

namespace boost::asio {
class io_context;
}

namespace sentinel::io {

struct ProberOptions {
  std::string user_agent = "Sentinel";  // e.g. Sentinel/0.1.0
  unsigned concurrency = 16'384;        // runs at once, if the limit on open files allows
  unsigned reserve = 256;               // descriptors left to the rest of the process
  std::size_t queue_limit =
      20'000;  // waiting probes; one more is answered with ProbeReason::internal
  std::size_t header_limit = 16 * 1024;
  std::size_t body_limit = 64 * 1024;  // kept for judging
};

/// Upper bounds of the schedule-lag histogram in seconds; the last bucket has none.
inline constexpr std::array probe_lag_bounds{0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0};

struct ProberStats {
  unsigned limit = 0;  // of runs at once
  unsigned running = 0;
  std::size_t waiting = 0;
  std::uint64_t finished = 0;
  std::uint64_t overflowed = 0;
  std::array<std::uint64_t, probe_lag_bounds.size() + 1> lag_buckets{};  // not cumulative
  core::Duration lag_sum{};
  core::Duration lag_max{};
};

class Prober {
 public:
  using Sink = std::function<void(core::ProbeFinished)>;  // on the io_context's thread
  using Factory = std::function<std::unique_ptr<ProbeRun>()>;

  Prober(boost::asio::io_context& context, ProberOptions options, Sink sink);
  ~Prober();
  Prober(const Prober&) = delete;
  Prober& operator=(const Prober&) = delete;

  /// How runs of a kind are made; replaces what is known for it. A kind without one is answered
  /// with ProbeReason::internal. Before the first perform().
  void set_kind(core::ProbeKind kind, Factory factory);

  /// Exactly one ProbeFinished follows, unless stop() comes first.
  void perform(const core::StartProbe& probe);
  /// Cancels what runs, forgets what waits; the sink is not called any more. Safe to call twice.
  void stop();

  ProberStats stats() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sentinel::io
