#pragma once

// What waits for, and what was counted about, the calls of the Engine client.

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/types.hpp"
#include "io/engine_client.hpp"

namespace sentinel::io {

/// An inspect that was not sent yet, and who wants its answer.
struct WaitingInspect {
  core::ContainerId id;
  std::vector<std::uint64_t> tokens;
};

/// First in, first out. A container that waits already is not asked for twice: one answer is fresh
/// enough for both.
class InspectQueue {
 public:
  explicit InspectQueue(std::size_t limit) : limit_(limit) {}

  /// False: full.
  bool push(const core::ContainerId& id, std::uint64_t token);
  std::optional<WaitingInspect> pop();
  std::size_t size() const { return waiting_.size(); }

 private:
  static constexpr std::size_t tokens_per_answer = 16;

  std::size_t limit_;
  std::deque<WaitingInspect> waiting_;
  std::unordered_map<core::ContainerId, WaitingInspect*> latest_;
};

/// Requests by operation and outcome.
class RequestCounters {
 public:
  void answered(std::string_view operation, unsigned status) { ++counts_[{operation, status}]; }
  void timed_out(std::string_view operation) { ++counts_[{operation, code_timeout}]; }
  void failed(std::string_view operation) { ++counts_[{operation, code_error}]; }
  std::vector<EngineStats::Requests> all() const;

 private:
  // Beside the status codes, which start at 200.
  static constexpr unsigned code_error = 0;
  static constexpr unsigned code_timeout = 1;
  std::map<std::pair<std::string_view, unsigned>, std::uint64_t> counts_;
};

}  // namespace sentinel::io
