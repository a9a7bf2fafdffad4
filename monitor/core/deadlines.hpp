#pragma once

// Who is due when. Ordered by (time, handle), so that equal times are served in the same order
// everywhere.

#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "core/time.hpp"

namespace sentinel::core {

template <typename Handle>
class Deadlines {
 public:
  /// `never` removes.
  void set(const Handle& handle, Time due) {
    const auto known = due_.find(handle);
    if (known != due_.end()) {
      if (known->second == due) return;
      order_.erase({known->second, handle});
      if (due == never) {
        due_.erase(known);
        return;
      }
      known->second = due;
    } else {
      if (due == never) return;
      due_.emplace(handle, due);
    }
    order_.emplace(due, handle);
  }

  void erase(const Handle& handle) { set(handle, never); }

  std::optional<Time> next() const {
    return order_.empty() ? std::nullopt : std::optional{order_.begin()->first};
  }

  /// Removes and returns one handle that is due.
  std::optional<Handle> pop(Time now) {
    if (order_.empty() || order_.begin()->first > now) return std::nullopt;
    const Handle handle = order_.begin()->second;
    order_.erase(order_.begin());
    due_.erase(handle);
    return handle;
  }

 private:
  std::set<std::pair<Time, Handle>> order_;
  std::unordered_map<Handle, Time> due_;
};

}  // namespace sentinel::core
