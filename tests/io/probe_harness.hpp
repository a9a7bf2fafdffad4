#pragma once

// A prober on a loop that the test turns itself: peers are sockets in the same thread, or threads
// of their own.

#include <boost/asio/io_context.hpp>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <memory>
#include <ranges>
#include <string>
#include <utility>
#include <vector>

#include "core/action.hpp"
#include "io/prober.hpp"

namespace sentinel::test {

class ProbeHarness {
 public:
  ProbeHarness()
      : prober_(std::make_unique<io::Prober>(
            context_, io::ProberOptions{},
            [this](core::ProbeFinished finished) { finished_.push_back(std::move(finished)); })) {}
  ~ProbeHarness() {
    prober_.reset();
    context_.restart();
    context_.poll();  // what was cancelled must be harmless
  }
  ProbeHarness(const ProbeHarness&) = delete;
  ProbeHarness& operator=(const ProbeHarness&) = delete;

  boost::asio::io_context& context() { return context_; }
  io::Prober& prober() { return *prober_; }
  std::size_t finished() const { return finished_.size(); }

  /// The token's sequence tells runs apart.
  std::uint64_t start(core::ProbeSpec spec, std::string address = "127.0.0.1",
                      core::ContainerId container = {}) {
    return start(std::make_shared<const core::ProbeSpec>(std::move(spec)), std::move(address),
                 container);
  }
  std::uint64_t start(std::shared_ptr<const core::ProbeSpec> spec,
                      std::string address = "127.0.0.1", core::ContainerId container = {}) {
    core::StartProbe probe;
    probe.token.sequence = ++sequence_;
    probe.spec = std::move(spec);
    probe.address = std::move(address);
    probe.container = container;
    prober_->perform(probe);
    return sequence_;
  }

  template <class Done>
  bool run_until(Done done, std::chrono::seconds most = std::chrono::seconds(30)) {
    const auto end = std::chrono::steady_clock::now() + most;
    while (!done()) {
      if (std::chrono::steady_clock::now() >= end) return false;
      context_.restart();
      context_.run_one_for(std::chrono::milliseconds(10));
    }
    return true;
  }

  /// nullptr: the run has not ended.
  const core::ProbeOutcome* found(std::uint64_t sequence) const {
    for (const auto& finished : std::views::reverse(finished_))
      if (finished.token.sequence == sequence) return &finished.outcome;
    return nullptr;
  }

  /// The outcome of a run that was started.
  core::ProbeOutcome outcome(std::uint64_t sequence) {
    const bool ended = run_until([&] { return found(sequence) != nullptr; });
    REQUIRE(ended);
    return *found(sequence);
  }

  core::ProbeOutcome run(core::ProbeSpec spec, std::string address = "127.0.0.1",
                         core::ContainerId container = {}) {
    return outcome(start(std::move(spec), std::move(address), container));
  }

 private:
  boost::asio::io_context context_{1};
  std::uint64_t sequence_ = 0;
  std::vector<core::ProbeFinished> finished_;
  std::unique_ptr<io::Prober> prober_;
};

}  // namespace sentinel::test
