#pragma once

// The failover beside the monitor, as the API needs it: what is known of it, and the way to it. All
// functions are called on the server's thread.

#include <expected>
#include <functional>
#include <string>

#include "web/known_pools.hpp"

namespace sentinel::web {

struct FailoverAnswer {
  unsigned status = 0;
  std::string body;  // as it came
};

/// Without `state` no failover is looked for.
struct FailoverBackend {
  std::function<const FailoverState&()> state;
  /// Somebody looks at it: it is asked more often for a while.
  std::function<void()> on_interest;
  /// Calls `done`, at once or later, when what is known is some seconds old at most, or it is known
  /// that nothing newer is to be had.
  std::function<void(std::function<void()> done)> refresh;
  /// Posts a change; false: another one is under way. The error is a sentence.
  using Done = std::function<void(std::expected<FailoverAnswer, std::string>)>;
  std::function<bool(std::string target, std::string body, Done done)> change;

  bool any() const { return static_cast<bool>(state); }
};

}  // namespace sentinel::web
