#pragma once

#include <catch2/catch_test_macros.hpp>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "io/store.hpp"
#include "io_loop.hpp"

namespace sentinel::test {

inline core::ServiceKey key(std::string service, unsigned replica = 1) {
  return {.project = "shop", .service = std::move(service), .replica = replica};
}

inline core::ServiceRecord spent(std::string service, std::int64_t nanoseconds = 5) {
  return {.key = key(std::move(service)),
          .budget_left = {core::Duration{nanoseconds}, core::Duration{nanoseconds + 1}}};
}

inline core::StoreIntent intent(core::OperationId op, std::string service = "web") {
  return {.intent = {.op = op,
                     .key = key(service),
                     .container = *core::ContainerId::parse(std::string(63, 'b') + "1"),
                     .started_at = 1'700'000'000'123'456'789,
                     .rung = core::Rung::stop,
                     .trial = true},
          .service = spent(service)};
}

class Stored {
 public:
  explicit Stored(const std::string& path) {
    loop_.call([&] {
      auto opened = io::Store::open(
          loop_.context(), path,
          [this](core::IntentStored stored) {
            const std::lock_guard lock(mutex_);
            answers_[stored.op] = stored.durable;
            changed_.notify_all();
          },
          [this](io::StoreReport report) {
            const std::lock_guard lock(mutex_);
            reports_.push_back(std::move(report));
            changed_.notify_all();
          });
      if (opened) store_ = std::move(*opened);
    });
    REQUIRE(store_ != nullptr);
  }
  ~Stored() { close(); }
  Stored(const Stored&) = delete;
  Stored& operator=(const Stored&) = delete;

  void close() {
    loop_.call([this] { store_.reset(); });
  }
  template <typename Action>
  void perform(const Action& action) {
    loop_.call([&] { store_->perform(action); });
  }
  /// Stores and waits for the answer.
  bool durable(const core::StoreIntent& action) {
    perform(action);
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, patience, [&] { return answers_.contains(action.intent.op); }));
    return answers_.at(action.intent.op);
  }
  bool wait_answers(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience, [&] { return answers_.size() >= count; });
  }
  std::vector<io::StoreReport> reports(std::size_t at_least) {
    std::unique_lock lock(mutex_);
    CHECK(changed_.wait_for(lock, patience, [&] { return reports_.size() >= at_least; }));
    return reports_;
  }
  std::size_t report_count() {
    const std::lock_guard lock(mutex_);
    return reports_.size();
  }
  core::Restored load() { return store_->load(); }
  io::StoreStats stats() { return store_->stats(); }
  bool idle() {
    return eventually([this] { return stats().queued == 0; });
  }

 private:
  Loop loop_;
  std::unique_ptr<io::Store> store_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<core::OperationId, bool> answers_;
  std::vector<io::StoreReport> reports_;
};

}  // namespace sentinel::test
