#pragma once

// What was decided lately, per service: the sentences of transitions and notices, for `explain` and
// the API. Kept in memory, bounded per service and in all; the oldest go first.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "core/action.hpp"

namespace sentinel::web {

struct JournalEntry {
  std::uint64_t sequence = 0;  // counts all entries of this process
  std::int64_t unix_ms = 0;
  std::string event;    // as in the log
  std::string service;  // complete name, empty: the Engine as a whole
  std::string text;
};

class Journal {
 public:
  explicit Journal(std::size_t per_service = 20, std::size_t in_all = 4000)
      : per_service_{per_service}, in_all_{in_all} {}

  /// The entry that was made of it, if any.
  std::optional<JournalEntry> on(const core::Action& action, std::int64_t unix_ms);
  /// Oldest first. `service` 0: about the Engine as a whole.
  std::vector<JournalEntry> of(core::ServiceId service) const;
  /// Of all services, oldest first, the newest `limit`.
  std::vector<JournalEntry> newest(std::size_t limit) const;
  std::size_t size() const { return size_; }
  /// Of the newest entry; 0: there was none.
  std::uint64_t sequence() const { return sequence_; }

 private:
  using Own = std::deque<JournalEntry>;
  /// How much a service holds; of equals the one that was quiet for the longest time comes last.
  using Rank = std::tuple<std::size_t, std::uint64_t, core::ServiceId>;
  static Rank rank(core::ServiceId service, const Own& own);
  void forget(core::ServiceId service);

  std::size_t per_service_;
  std::size_t in_all_;
  std::size_t size_ = 0;
  std::uint64_t sequence_ = 0;
  std::unordered_map<core::ServiceId, Own> entries_;  // none is empty
  std::set<Rank> ranks_;                              // of each of them
};

}  // namespace sentinel::web
