#pragma once

// Active HTTP probes: one GET on a new connection each, judged by status and, for health documents,
// by body.
//
// perform() never blocks and never calls the sink itself. At most `concurrency` probes run at once,
// further ones wait in order; a probe's timeout begins when it is started, and how long it had to
// wait is measured (schedule lag).
//
// Verdicts: 2xx passes; a body of application/health+json, or a JSON object with a "status" of
// those words, may turn that into warn or fail (draft-inadarei-api-health-check). Everything else
// fails; redirects are not followed. A peer can make us read `header_limit` + 2 x `body_limit`
// bytes at most, chunk framing and trailers included; what it sends beyond `body_limit` of body is
// not waited for.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "core/action.hpp"
#include "core/event.hpp"
#include "core/time.hpp"

namespace boost::asio {
class io_context;
}

namespace sentinel::io {

struct ProberOptions {
  std::string user_agent = "Sentinel";  // e.g. Sentinel/0.1.0
  unsigned concurrency = 256;
  std::size_t queue_limit =
      20'000;  // waiting probes; one more is answered with ProbeReason::internal
  std::size_t header_limit = 16 * 1024;
  std::size_t body_limit = 64 * 1024;  // kept for judging
};

/// Upper bounds of the schedule-lag histogram in seconds; the last bucket has none.
inline constexpr std::array probe_lag_bounds{0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0};

struct ProberStats {
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

  Prober(boost::asio::io_context& context, ProberOptions options, Sink sink);
  ~Prober();
  Prober(const Prober&) = delete;
  Prober& operator=(const Prober&) = delete;

  /// Exactly one ProbeFinished follows, unless stop() comes first. An empty address with no host in
  /// the probe's settings fails with ProbeReason::no_address.
  void perform(const core::StartProbe& probe);
  /// Cancels what runs, forgets what waits; the sink is not called any more. Safe to call twice.
  void stop();

  ProberStats stats() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sentinel::io
