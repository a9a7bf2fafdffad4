#pragma once

// How long healing waits for us: from the Engine's "unhealthy" to our request, less the time that
// others take in between (the inspect's answer, the durable intent). Each stretch begins when an
// event is handed to us and ends when the actions it led to have been performed.

#include <optional>
#include <unordered_map>

#include "core/action.hpp"
#include "core/event.hpp"

namespace sentinel::app {

class OwnShare {
 public:
  /// What an event is about; pass it to spent() afterwards.
  std::optional<core::ContainerId> begin(const core::Event& event);
  void performed(const core::Action& action);
  /// An event about `container` took us this long. Gives the whole share when it ended with a
  /// request to the Engine.
  std::optional<core::Duration> spent(const std::optional<core::ContainerId>& container,
                                      core::Duration took);

 private:
  static constexpr std::size_t max_tracked = 1024;  // then all are forgotten
  std::unordered_map<core::ContainerId, core::Duration> shares_;
  std::unordered_map<core::OperationId, core::ContainerId> operations_;
  std::optional<core::ContainerId> sent_;
};

}  // namespace sentinel::app
