#pragma once

// Virtual time: what happens next, ordered by time and, at the same time, by the order of asking.

#include <cstdint>
#include <queue>
#include <vector>

#include "core/time.hpp"

namespace sentinel::sim {

enum class What : std::uint8_t {
  // inside the Engine model: `subject` is a container, `stamp` its life (items of an older life are
  // void)
  app_changes,
  health_check,
  process_exits,
  policy_restart,
  task_starts,  // `subject` is a task
  // the world
  request_arrives,  // our operation reaches the Engine; `subject` is a request
  request_times_out,
  inspect_taken,  // the Engine takes the snapshot an inspect will answer with; `subject` is a
                  // parcel
  list_taken,
  store_applied,  // `subject` is a store job
  deliver,        // `subject` is a parcel for the core
  tick,
  relist,
  operator_acts,
  operator_step,  // `subject` is an errand
  engine_fault,
  engine_back,
  process_fault,
  process_back,
};

struct Item {
  core::Time at{};
  std::uint64_t order = 0;
  std::uint64_t stamp = 0;
  std::uint32_t subject = 0;
  std::uint32_t detail = 0;
  What what = What::tick;
};

class Schedule {
 public:
  void at(core::Time when, What what, std::uint32_t subject = 0, std::uint64_t stamp = 0,
          std::uint32_t detail = 0) {
    queue_.push({when, ++order_, stamp, subject, detail, what});
  }
  bool empty() const { return queue_.empty(); }
  core::Time next() const { return queue_.top().at; }
  Item pop() {
    const Item item = queue_.top();
    queue_.pop();
    return item;
  }

 private:
  struct Later {
    bool operator()(const Item& a, const Item& b) const {
      return a.at != b.at ? a.at > b.at : a.order > b.order;
    }
  };
  std::priority_queue<Item, std::vector<Item>, Later> queue_;
  std::uint64_t order_ = 0;
};

}  // namespace sentinel::sim
