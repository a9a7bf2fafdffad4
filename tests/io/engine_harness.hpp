#pragma once

// A client and a scripted Engine, with all that the client says.

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "core/action.hpp"
#include "io/engine_client.hpp"
#include "support/scripted_engine.hpp"

namespace sentinel::test {

inline std::string hex_id(char digit) { return std::string(64, digit); }
inline core::ContainerId container(char digit) { return *core::ContainerId::parse(hex_id(digit)); }

inline std::string inspect_json(const std::string& id, const std::string& health = "healthy",
                                const std::string& networks = "{}") {
  return R"({"Id":")" + id + R"(","Name":"/c-)" + id.substr(0, 4) +
         R"(","Created":"2026-01-01T00:00:00Z","State":{"Status":"running","StartedAt":"2026-01-01T00:00:01Z","Health":{"Status":")" +
         health +
         R"(","FailingStreak":0,"Log":[]}},"HostConfig":{"NetworkMode":"x"},"Config":{"Image":"i","Labels":{"sentinel.enable":"true"}},
         "NetworkSettings":{"Networks":)" +
         networks + "}}";
}

inline std::string event_json(const std::string& id, const std::string& action,
                              std::int64_t time_ns) {
  return R"({"Type":"container","Action":")" + action + R"(","Actor":{"ID":")" + id +
         R"(","Attributes":{}},"timeNano":)" + std::to_string(time_ns) + "}";
}

inline std::int64_t wall_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

inline std::string row_json(const std::string& id) {
  return R"({"Id":")" + id + R"(","State":"running","Status":"Up 1 hour (healthy\u0029"})";
}

struct Harness {
  ScriptedEngine& engine;
  boost::asio::io_context context{1};
  std::vector<core::Event> events;
  std::optional<io::EngineClient> client;

  explicit Harness(ScriptedEngine& scripted, io::EngineOptions options = {}) : engine(scripted) {
    options.endpoint = engine.endpoint();
    client.emplace(context, std::move(options),
                   [this](core::Event event) { events.push_back(std::move(event)); });
  }
  ~Harness() {
    client.reset();
    context.restart();
    context.poll();  // what was cancelled must be harmless
  }
  Harness(const Harness&) = delete;
  Harness& operator=(const Harness&) = delete;

  /// Runs the loop until `done`, for ten seconds at most.
  template <class Done>
  bool run_until(Done done, std::chrono::seconds most = std::chrono::seconds(20)) {
    const auto end = std::chrono::steady_clock::now() + most;
    while (!done()) {
      if (std::chrono::steady_clock::now() >= end) return false;
      context.restart();
      context.run_one_for(std::chrono::milliseconds(10));
    }
    return true;
  }

  template <class T>
  std::size_t count() const {
    return static_cast<std::size_t>(std::ranges::count_if(
        events, [](const core::Event& e) { return std::holds_alternative<T>(e); }));
  }
  template <class T>
  const T& last() const {
    const auto at = std::find_if(events.rbegin(), events.rend(),
                                 [](const core::Event& e) { return std::holds_alternative<T>(e); });
    REQUIRE(at != events.rend());
    return std::get<T>(*at);
  }
  template <class T>
  bool run_until_count(std::size_t wanted, std::chrono::seconds most = std::chrono::seconds(20)) {
    return run_until([this, wanted] { return count<T>() >= wanted; }, most);
  }
  void connect() {
    client->start();
    REQUIRE(run_until_count<core::Listed>(1));
    events.clear();
  }
  core::Inspected inspect(char digit) {
    const auto before = count<core::Inspected>();
    client->perform(core::Inspect{container(digit), 77});
    REQUIRE(run_until_count<core::Inspected>(before + 1));
    return last<core::Inspected>();
  }
  core::OperationDone operate(core::Operate action) {
    const auto before = count<core::OperationDone>();
    client->perform(action);
    REQUIRE(run_until_count<core::OperationDone>(before + 1));
    return last<core::OperationDone>();
  }
  std::uint64_t requests(std::string_view operation, std::string_view code) const {
    for (const auto& request : client->stats().requests) {
      if (request.operation == operation && request.code == code) return request.count;
    }
    return 0;
  }
};

}  // namespace sentinel::test
