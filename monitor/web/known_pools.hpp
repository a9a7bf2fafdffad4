#pragma once

// What the monitor knows of the failover beside it: whether there is one, whether it answers, and
// its pools as it told them last. Level-triggered: it is asked again and again, and what an answer
// changes is found by comparing. Decides also when it is asked next; asks nobody itself.
//
//   unknown ─► (no socket, none expected) not configured
//      │  ▲
//      ▼  │ as often as it changes; pools stay as they were told last
//      up ◄──► down
//
// Configured is one whose socket was named in the configuration, and one whose socket was there
// once since the start: a failover takes its socket away when it ends.

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "core/time.hpp"
#include "protocol/pools.hpp"

namespace sentinel::web {

/// Why the failover gave no answer.
struct FailoverSilence {
  std::string text;     // a sentence for people
  bool absent = false;  // there is no socket
};

struct FailoverState {
  bool configured = false;
  bool up = false;
  std::string reason{};                     // why not; one line
  std::optional<protocol::WallMs> as_of{};  // when the pools were told last
  std::vector<protocol::ReportedPool> pools{};
};

struct PoolChanges {
  bool failover = false;             // whether it is there, and answers
  std::vector<std::string> pools{};  // new, or other than before
  std::vector<std::string> gone{};
  bool any() const { return failover || !pools.empty() || !gone.empty(); }
};

class KnownPools {
 public:
  static constexpr core::Duration often = std::chrono::seconds{2};     // while somebody looks
  static constexpr core::Duration seldom = std::chrono::seconds{15};   // while nobody does
  static constexpr core::Duration interest = std::chrono::minutes{1};  // of who asked once

  using Answer = std::expected<std::vector<protocol::ReportedPool>, FailoverSilence>;

  /// `expected`: the configuration names its socket.
  explicit KnownPools(bool expected);

  const FailoverState& state() const { return state_; }

  /// What came of asking, and what is other than before.
  PoolChanges on(Answer answer, core::Time now, protocol::WallMs wall);
  /// Somebody wants to know: for a while it is asked more often.
  void on_interest(core::Time now) { wanted_ = now; }
  /// What is known is no older than what the often asked would be.
  bool fresh(core::Time now) const;
  /// When to ask next. `listened`: somebody hears of changes.
  core::Time next(bool listened) const;

 private:
  FailoverState state_;
  std::optional<core::Time> asked_;  // when the last answer came, or did not
  std::optional<core::Time> wanted_;
};

}  // namespace sentinel::web
