// An Engine with many containers that are nowhere but here, for benches of what no real Engine
// holds on a small machine: bench-fleet-engine CONTAINERS HEAL, where HEAL is their label
// sentinel.heal.
//
// Standard output: the endpoint, then `told NUMBER NANOSECONDS` when a container's failure was
// written to the event stream and `asked NUMBER NANOSECONDS` when its restart was asked for;
// CLOCK_MONOTONIC. Standard input: `ill NUMBER` lets one fail; its end ends the program. A restart
// makes the container healthy at once.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <format>
#include <iostream>
#include <mutex>
#include <string>

#include "support/scripted_engine.hpp"

namespace {

using sentinel::test::ScriptedEngine;

std::int64_t monotonic_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::chrono::system_clock::time_point now() { return std::chrono::system_clock::now(); }

std::string id_of(unsigned number) { return std::format("{:064x}", number + 0xa0000000U); }

std::string event_of(unsigned number, const char* action) {
  return std::format(
      R"({{"Type":"container","Action":"{}","Actor":{{"ID":"{}","Attributes":{{}}}},"timeNano":{}}})",
      action, id_of(number),
      std::chrono::duration_cast<std::chrono::nanoseconds>(now().time_since_epoch()).count());
}

class Fleet {
 public:
  Fleet(unsigned count, std::string heal) : count_{count}, heal_{std::move(heal)} {
    engine_.set_version("1.24", "1.45");
    std::string list;
    for (unsigned i = 0; i < count; ++i) {
      list += std::format(
          R"({}{{"Id":"{}","State":"running","Status":"Up 1 hour (healthy\u0029","Labels":{}}})",
          i == 0 ? "[" : ",", id_of(i), labels(i));
      tell_state(i, "healthy", "2026-01-01T00:00:01Z");
    }
    engine_.set_list(list + "]");
    engine_.on("POST /containers/",
               [this](ScriptedEngine::Exchange& exchange) { restart(exchange); });
  }

  std::string endpoint() const { return engine_.endpoint(); }

  bool ill(unsigned number) {
    if (number >= count_) return false;
    tell_state(number, "unhealthy", "2026-01-01T00:00:01Z");
    // Before it is written: what comes out late is not the monitor's to answer for, but it never
    // looks quicker.
    const auto at = monotonic_ns();
    engine_.event(event_of(number, "health_status: unhealthy"));
    print("told", number, at);
    return true;
  }

 private:
  std::string labels(unsigned number) const {
    return std::format(
        R"({{"com.docker.compose.project":"shop-{}","com.docker.compose.service":"web-{}","com.docker.compose.container-number":"1","sentinel.enable":"true","sentinel.heal":"{}"}})",
        number / 40, number, heal_);
  }

  void tell_state(unsigned number, const char* health, const std::string& started) {
    engine_.set_inspect(
        id_of(number),
        std::format(
            R"({{"Id":"{}","Name":"/web-{}","Created":"2026-01-01T00:00:00Z","State":{{"Status":"running","StartedAt":"{}","Health":{{"Status":"{}","FailingStreak":{},"Log":[]}}}},"HostConfig":{{"NetworkMode":"x"}},"Config":{{"Image":"i","Labels":{}}},"NetworkSettings":{{"Networks":{{}}}}}})",
            id_of(number), number, started, health, health[0] == 'u' ? 3 : 0, labels(number)));
  }

  void restart(ScriptedEngine::Exchange& exchange) {
    const auto at = monotonic_ns();
    constexpr std::size_t prefix = sizeof("/containers/") - 1;
    const std::string id = exchange.target.substr(prefix, 64);
    const auto number = static_cast<unsigned>(std::stoul(id.substr(48), nullptr, 16) - 0xa0000000U);
    if (number >= count_) {
      exchange.reply(404, R"({"message":"No such container"})");
      return;
    }
    print("asked", number, at);
    tell_state(number, "healthy",
               std::format("{:%FT%TZ}", std::chrono::floor<std::chrono::milliseconds>(now())));
    for (const char* action : {"kill", "die", "start", "restart", "health_status: healthy"})
      engine_.event(event_of(number, action));
    exchange.reply(204, "");
  }

  void print(const char* what, unsigned number, std::int64_t at) {
    const std::lock_guard lock{output_};
    std::printf("%s %u %lld\n", what, number, static_cast<long long>(at));
    std::fflush(stdout);
  }

  const unsigned count_;
  const std::string heal_;
  std::mutex output_;
  ScriptedEngine engine_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: bench-fleet-engine CONTAINERS HEAL\n", stderr);
    return 2;
  }
  Fleet fleet{static_cast<unsigned>(std::stoul(argv[1])), argv[2]};
  std::printf("%s\n", fleet.endpoint().c_str());
  std::fflush(stdout);
  std::string word;
  unsigned number = 0;
  while (std::cin >> word >> number) {
    if (word != "ill" || !fleet.ill(number)) return 2;
  }
  return 0;
}
