#pragma once

#include <catch2/catch_test_macros.hpp>
#include <condition_variable>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "io/journal.hpp"
#include "io_loop.hpp"

namespace sentinel::test {

using namespace std::chrono_literals;

inline core::WallTime wall(std::int64_t ms) {
  return core::WallTime{std::chrono::milliseconds{ms}};
}
inline core::WallTime wall_now() {
  return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

/// Ids that order by number, as long as a ULID.
inline std::string ulid(unsigned number) {
  auto digits = std::to_string(number);
  return "01" + std::string(24 - digits.size(), '0') + digits;
}

inline core::Subject web(std::string name = "web") {
  return {
      .kind = core::SubjectKind::service, .group = "shop", .name = std::move(name), .replica = 1};
}

inline core::Incident incident(unsigned number, bool closed = false) {
  core::Incident out;
  out.id = ulid(number);
  out.root = web();
  out.title = "web";
  out.cause = "unhealthy";
  out.text = "web is unhealthy: connection refused";
  out.container = std::string(64, 'a');
  out.began = wall_now() - 1h;
  out.sequence = number;
  out.members = {{.subject = web("api"),
                  .title = "api",
                  .text = "it needs web",
                  .joined = wall_now(),
                  .recovered = wall_now()}};
  out.lines = {{.at = wall_now(), .text = "restarted, attempt 1 of 5", .result = "done"}};
  out.health_output = "connection refused\nexit 1";
  out.log_tail = "line 1\nline \x1b[31m2";
  out.told = {{.receiver = "team", .sequence = 1, .cause = "unhealthy", .at = wall_now()}};
  if (closed) {
    out.ended = wall_now() - 30min;
    out.closed = true;
    out.end_text = "web is healthy";
  }
  return out;
}

inline core::Delivery delivery(std::uint64_t id, std::string text = "web is unhealthy") {
  core::Delivery out;
  out.id = id;
  out.key = ulid(1) + ":" + std::to_string(id) + ":team";
  out.receiver = "team";
  out.message.host = "host-1";
  out.message.group = {{"project", "shop"}};
  out.message.items = {{.incident = incident(1),
                        .labels = {{"severity", "critical"}},
                        .link = "https://sentinel.example/incidents/1",
                        .runbook = ""}};
  out.message.items[0].incident.text = std::move(text);
  out.message.made = wall_now();
  out.covers = {{.incident = ulid(1), .told = incident(1).told[0]}};
  out.created = wall_now();
  out.changed = wall_now();
  return out;
}

inline core::Silence silence(unsigned number) {
  return {.id = ulid(number),
          .match = {{.label = "service", .op = core::Matcher::Op::like, .value = "we*"}},
          .by = "ann",
          .comment = "planned",
          .begins = wall_now(),
          .ends = wall_now() + 1h};
}

inline io::HistoryEntry entry(std::string text, std::string to = {}) {
  return {.at = wall_now(),
          .kind = to.empty() ? io::HistoryKind::notice : io::HistoryKind::transition,
          .event = "sentinel.service.transition",
          .subject = web().to_string(),
          .incident = ulid(1),
          .text = std::move(text),
          .from = to.empty() ? "" : "unknown",
          .to = std::move(to),
          .fields = R"({"reason":"refused"})"};
}

class Journaled {
 public:
  explicit Journaled(const std::string& path, io::JournalLimits limits = {}) {
    loop_.call([&] {
      auto opened = io::Journal::open(loop_.context(), path, limits,
                                      {.stored =
                                           [this](core::DeliveryStored stored) {
                                             const std::lock_guard lock(mutex_);
                                             answers_[stored.id] = stored.durable;
                                             changed_.notify_all();
                                           },
                                       .report =
                                           [this](io::StoreReport report) {
                                             const std::lock_guard lock(mutex_);
                                             reports_.push_back(std::move(report));
                                             changed_.notify_all();
                                           },
                                       .everything =
                                           [this] {
                                             const std::lock_guard lock(mutex_);
                                             ++asked_;
                                             return everything_;
                                           }});
      if (opened) journal_ = std::move(*opened);
    });
    REQUIRE(journal_ != nullptr);
  }
  ~Journaled() { close(); }
  Journaled(const Journaled&) = delete;
  Journaled& operator=(const Journaled&) = delete;

  void close() {
    loop_.call([this] { journal_.reset(); });
  }
  io::Journal& operator*() { return *journal_; }
  io::Journal* operator->() { return journal_.get(); }

  void perform(core::AlertActions actions) {
    loop_.call([&] { journal_->perform(std::move(actions)); });
  }
  /// Stores and waits for the answer.
  bool durable(core::Delivery stored) {
    const auto id = stored.id;
    {
      const std::lock_guard lock(mutex_);
      answers_.erase(id);
    }
    perform({core::StoreDelivery{std::move(stored)}});
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, patience, [&] { return answers_.contains(id); }));
    return answers_.at(id);
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
  /// What the core would say is true.
  void everything(core::AlertsRestored all) {
    const std::lock_guard lock(mutex_);
    everything_ = std::move(all);
  }
  unsigned asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  bool idle() {
    return eventually([this] { return journal_->stats().queued == 0; });
  }

  /// `start` is given a callback; gives its answer.
  template <typename T, typename Start>
  std::expected<T, io::Error> ask(Start start) {
    std::promise<std::expected<T, io::Error>> promise;
    auto future = promise.get_future();
    loop_.call([&] { start([&promise](auto answer) { promise.set_value(std::move(answer)); }); });
    REQUIRE(future.wait_for(patience) == std::future_status::ready);
    return future.get();
  }
  std::vector<io::HistoryEntry> history(io::HistoryQuery query) {
    auto answer = ask<std::vector<io::HistoryEntry>>(
        [&](auto done) { journal_->history(query, std::move(done)); });
    INFO((answer ? std::string{} : answer.error().text));
    REQUIRE(answer);
    return *std::move(answer);
  }
  io::IncidentPage incidents(io::IncidentQuery query) {
    auto answer =
        ask<io::IncidentPage>([&](auto done) { journal_->incidents(query, std::move(done)); });
    REQUIRE(answer);
    return *std::move(answer);
  }

 private:
  Loop loop_;
  std::unique_ptr<io::Journal> journal_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::uint64_t, bool> answers_;
  std::vector<io::StoreReport> reports_;
  core::AlertsRestored everything_;
  unsigned asked_ = 0;
};

}  // namespace sentinel::test
