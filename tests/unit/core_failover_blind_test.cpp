// Is it the servers, or is it our own network?

#include <catch2/catch_test_macros.hpp>

#include "unit/failover_bed.hpp"

using namespace sentinel::core;
using namespace sentinel::sim;

TEST_CASE("all unreachable at once: our own network, nothing is taken out, and it ends") {
  Bed bed;
  bed.start(mirrored(3, {"mail", "web"}));
  bed.run(5s);
  const auto cut = PoolWorld::fail(ProbeReason::unreachable, "no route to host");
  for (const char* address : {"10.8.0.1", "10.8.0.2", "10.8.0.3"}) bed.down(address, cut);
  bed.run(10s);
  CHECK(bed.core.state().blind);
  for (const char* name : {"h1", "h2", "h3"}) {
    CHECK(bed.server("web", name).in_use);
    CHECK(bed.server("web", name).kept);
  }
  bed.up("10.8.0.1");
  bed.run(5s);
  CHECK_FALSE(bed.core.state().blind);
  CHECK(bed.server("web", "h1").state == ServerState::up);
  CHECK_FALSE(bed.server("web", "h2").in_use);
  CHECK_FALSE(bed.server("mail", "h3").in_use);
  CHECK(bed.noticed(PoolNoticeKind::sighted));
}

TEST_CASE("all refuse at once: that is no blindness") {
  Bed bed;
  bed.start(mirrored(2));
  bed.run(5s);
  bed.down("10.8.0.1");
  bed.down("10.8.0.2");
  bed.run(10s);
  CHECK_FALSE(bed.core.state().blind);
  CHECK(bed.pool_state("web") == PoolState::down);
}

TEST_CASE("a gateway tells whose fault it is") {
  Bed bed;
  auto config = mirrored(2);
  ProbeSpec gateway = probe("gateway");
  gateway.host = "192.0.2.1";
  config.gateways = {gateway};
  bool gateway_answers = true;
  bed.answer = [&](const StartProbe& p) {
    if (p.spec->name == "gateway")
      return gateway_answers ? PoolWorld::pass() : PoolWorld::fail(ProbeReason::timeout);
    return bed.sick(p);
  };
  bed.start(config);
  bed.run(5s);
  const Time broken = bed.now;
  bed.down("10.8.0.1");
  REQUIRE(bed.run_until([&] { return !bed.server("web", "h1").in_use; }, 10s));
  CHECK(bed.now - broken <= 2s + 2 * 500ms + 20ms);  // the gateway was asked meanwhile
  gateway_answers = false;
  bed.down("10.8.0.2", PoolWorld::fail(ProbeReason::timeout, "no answer within 1 s"));
  bed.run(15s);
  CHECK(bed.server("web", "h2").state == ServerState::failed);
  CHECK(bed.server("web", "h2").in_use);
  CHECK(bed.core.state().blind);
  gateway_answers = true;
  bed.run(10s);
  CHECK_FALSE(bed.server("web", "h2").in_use);
  CHECK_FALSE(bed.core.state().blind);
}

TEST_CASE("servers that failed while we were blind stay in use while they come back") {
  Bed bed;
  auto config = mirrored(2);
  ProbeSpec gateway = probe("gateway");
  gateway.host = "192.0.2.1";
  config.gateways = {gateway};
  bool cut = false;
  bed.answer = [&](const StartProbe& p) {
    return cut ? PoolWorld::fail(ProbeReason::timeout) : bed.sick(p);
  };
  bed.start(config);
  bed.run(5s);
  for (int round = 0; round < 20; ++round) {
    cut = true;
    REQUIRE(bed.run_until([&] { return bed.core.state().blind; }, 20s));
    bed.run(3s + round * 37ms);
    cut = false;
    const Time end = bed.now + 15s;
    while (bed.now < end) {
      bed.run(10ms);
      REQUIRE(bed.server("web", "h1").in_use);
      REQUIRE(bed.server("web", "h2").in_use);
    }
    CHECK(bed.server("web", "h1").state == ServerState::up);
    CHECK_FALSE(bed.core.state().blind);
  }
}

TEST_CASE("without gateways too, servers that failed while we were blind stay in use") {
  Bed bed;
  bed.start(mirrored(3));
  bed.run(5s);
  const auto cut = PoolWorld::fail(ProbeReason::unreachable, "no route to host");
  for (int round = 0; round < 5; ++round) {
    for (const char* address : {"10.8.0.1", "10.8.0.2", "10.8.0.3"}) bed.down(address, cut);
    REQUIRE(bed.run_until([&] { return bed.core.state().blind; }, 20s));
    bed.run(1s + round * 37ms);
    for (const char* address : {"10.8.0.1", "10.8.0.2", "10.8.0.3"}) bed.up(address);
    const Time end = bed.now + 15s;
    while (bed.now < end) {
      bed.run(10ms);
      for (const char* name : {"h1", "h2", "h3"}) REQUIRE(bed.server("web", name).in_use);
    }
    CHECK(bed.server("web", "h1").state == ServerState::up);
  }
}

TEST_CASE(
    "a server that stays down after a blindness leaves, and one pass does not bring it back") {
  Bed bed;
  auto config = mirrored(2);
  ProbeSpec gateway = probe("gateway");
  gateway.host = "192.0.2.1";
  config.gateways = {gateway};
  bool cut = false;
  bed.answer = [&](const StartProbe& p) {
    return cut ? PoolWorld::fail(ProbeReason::timeout) : bed.sick(p);
  };
  bed.start(config);
  bed.run(5s);
  cut = true;
  REQUIRE(bed.run_until([&] { return bed.core.state().blind; }, 20s));
  bed.down("10.8.0.2");
  cut = false;
  REQUIRE(bed.run_until([&] { return !bed.server("web", "h2").in_use; }, 10s));
  bed.run(5s);
  bed.up("10.8.0.2");
  while (bed.server("web", "h2").state != ServerState::up) {
    REQUIRE_FALSE(bed.server("web", "h2").in_use);
    bed.run(10ms);
  }
}
