// The short set: storms around the alert pipeline. Longer runs: alert_long.

#include <catch2/catch_test_macros.hpp>

#include "sim/alert_world.hpp"

using sentinel::sim::AlertOutcome;
using sentinel::sim::AlertWorld;
using sentinel::sim::AlertWorldOptions;

namespace {

AlertOutcome simulate(std::uint64_t seed, unsigned subjects, unsigned storms) {
  AlertWorldOptions options;
  options.seed = seed;
  options.subjects = subjects;
  options.storms = storms;
  const AlertOutcome outcome = AlertWorld{options}.run();
  INFO("replay: alert_long --seed " << seed << " --subjects " << subjects << " --storms "
                                    << storms);
  INFO(outcome.failure);
  REQUIRE(outcome.failure.empty());
  return outcome;
}

}  // namespace

TEST_CASE("alerts keep every promise through storms and restarts", "[sim]") {
  AlertOutcome sum;
  for (std::uint64_t seed = 1; seed <= 16; ++seed) {
    const AlertOutcome one = simulate(seed, 40, 2);
    sum.incidents += one.incidents;
    sum.joined += one.joined;
    sum.copies += one.copies;
    sum.digests += one.digests;
    sum.restarts += one.restarts;
    sum.dead += one.dead;
  }
  // Rough enough to mean something.
  CHECK(sum.incidents > 1000);
  CHECK(sum.joined > 100);
  CHECK(sum.copies > 10);
  CHECK(sum.digests > 10);
  CHECK(sum.restarts > 20);
  CHECK(sum.dead > 0);
}

TEST_CASE("a thousand that fail keep every promise", "[sim]") { simulate(100, 1000, 1); }

TEST_CASE("a seed always gives the same storms", "[sim]") {
  const AlertOutcome one = simulate(7, 30, 1);
  const AlertOutcome other = simulate(7, 30, 1);
  CHECK(one.events == other.events);
  CHECK(one.accepted == other.accepted);
  CHECK(one.restarts == other.restarts);
}
