#include "demo-service/faults.hpp"

#include <catch2/catch_test_macros.hpp>

namespace {

using namespace std::chrono_literals;
using sentinel::demo::Fault;
using sentinel::demo::Faults;
using sentinel::demo::Health;

const Faults::TimePoint start{1000s};

TEST_CASE("demo faults: the worst one is the health", "[demo]") {
  Faults faults;
  CHECK(faults.health(start) == Health::pass);
  CHECK(faults.describe(start) == "none");
  faults.start(Fault::degraded, start, std::nullopt);
  CHECK(faults.health(start) == Health::warn);
  faults.start(Fault::unhealthy, start, std::nullopt);
  CHECK(faults.health(start) == Health::fail);
  CHECK(faults.describe(start) == "unhealthy, degraded");
  faults.recover();
  CHECK(faults.health(start) == Health::pass);
}

TEST_CASE("demo faults: a fault ends when its time is over, to the millisecond", "[demo]") {
  Faults faults;
  faults.start(Fault::unhealthy, start, 500ms);
  faults.start(Fault::leak, start, 2s);
  faults.start(Fault::hang, start, std::nullopt);
  REQUIRE(faults.next_expiry() == start + 500ms);
  CHECK(faults.health(start + 499ms) == Health::fail);
  CHECK(faults.health(start + 500ms) == Health::warn);
  CHECK(faults.expire(start + 499ms).empty());
  CHECK(faults.expire(start + 500ms) == std::vector{Fault::unhealthy});
  REQUIRE(faults.next_expiry() == start + 2s);
  CHECK(faults.expire(start + 1h) == std::vector{Fault::leak});
  CHECK_FALSE(faults.next_expiry());
  CHECK(faults.end_of(Fault::hang, start + 1h) == Faults::TimePoint::max());
}

TEST_CASE("demo faults: starting a fault again replaces its figures", "[demo]") {
  Faults faults;
  faults.start(Fault::slow, start, 1s, 300ms);
  CHECK(faults.delay(start) == 300ms);
  CHECK(faults.health(start) == Health::warn);
  faults.start(Fault::slow, start + 500ms, 1s, 20ms);
  CHECK(faults.delay(start + 1400ms) == 20ms);
  CHECK(faults.delay(start + 1500ms) == 0ms);
}

TEST_CASE("demo faults: flapping begins with failure and changes each half period", "[demo]") {
  Faults faults;
  faults.start(Fault::flap, start, std::nullopt, 10s);
  CHECK(faults.health(start) == Health::fail);
  CHECK(faults.health(start + 4999ms) == Health::fail);
  CHECK(faults.health(start + 5s) == Health::pass);
  CHECK(faults.health(start + 9999ms) == Health::pass);
  CHECK(faults.health(start + 10s) == Health::fail);
  faults.start(Fault::degraded, start, std::nullopt);
  CHECK(faults.health(start + 5s) == Health::warn);
}

}  // namespace
