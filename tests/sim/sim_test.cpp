// The short set: whole fleets with faults, for every build. Longer runs: sim_long.

#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <string>

#include "sim/world.hpp"

namespace {

// Sanitizers slow a world down tenfold; what they look for needs fewer of them.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

using sentinel::sim::Outcome;
using sentinel::sim::World;
using sentinel::sim::WorldOptions;

Outcome simulate(std::uint64_t seed, unsigned containers, std::chrono::hours faulty) {
  WorldOptions options;
  options.seed = seed;
  options.containers = containers;
  options.faulty = faulty;
  return World{options}.run();
}

void check_seeds(std::uint64_t from, std::uint64_t count, unsigned containers,
                 std::chrono::hours faulty) {
  for (std::uint64_t seed = from; seed < from + count; ++seed) {
    const Outcome outcome = simulate(seed, containers, faulty);
    INFO("replay: sim_long --seed " << seed << " --containers " << containers << " --hours "
                                    << faulty.count());
    INFO(outcome.failure);
    REQUIRE(outcome.failure.empty());
    CHECK(outcome.core_events > 0);
  }
}

}  // namespace

TEST_CASE("small fleets keep every promise", "[sim]") {
  check_seeds(1, sanitized ? 16 : 40, 12, std::chrono::hours{24});
}

TEST_CASE("fleets of fifty keep every promise", "[sim]") {
  check_seeds(1000, sanitized ? 4 : 10, 50, std::chrono::hours{12});
}

TEST_CASE("fleets of hundreds keep every promise", "[sim]") {
  check_seeds(2000, sanitized ? 1 : 3, 300, std::chrono::hours{4});
}

TEST_CASE("a seed always gives the same world", "[sim]") {
  const Outcome one = simulate(7, 40, std::chrono::hours{6});
  const Outcome other = simulate(7, 40, std::chrono::hours{6});
  CHECK(one.core_events == other.core_events);
  CHECK(one.items == other.items);
  CHECK(one.ended == other.ended);
  CHECK(one.counters.operations == other.counters.operations);
  CHECK(one.counters.transitions == other.counters.transitions);
}

TEST_CASE("the worlds are rough enough to mean something", "[sim]") {
  std::uint64_t operations = 0;
  std::uint64_t healed = 0;
  std::uint64_t quarantined = 0;
  std::uint64_t trials = 0;
  std::uint64_t storms = 0;
  std::uint64_t not_durable = 0;
  for (std::uint64_t seed = 3004; seed < 3010; ++seed) {
    const auto counters = simulate(seed, 60, std::chrono::hours{12}).counters;
    operations += counters.operations;
    healed += counters.healed;
    quarantined += counters.quarantined;
    trials += counters.trials;
    storms += counters.storms;
    not_durable += counters.not_durable;
  }
  CHECK(operations > 600);
  CHECK(healed > 200);
  CHECK(quarantined > 20);
  CHECK(trials > 20);
  CHECK(storms > 0);
  CHECK(not_durable > 0);
}
