#include <catch2/catch_test_macros.hpp>
#include <set>

#include "unit/failover_bed.hpp"

using namespace sentinel::core;
using namespace sentinel::sim;

TEST_CASE("servers that answer get their connections, after one check") {
  Bed bed;
  bed.down("10.8.0.3");
  bed.start(mirrored(3));
  bed.run(1s);
  CHECK(bed.slots("web", "10.8.0.1") == 154);
  CHECK(bed.slots("web", "10.8.0.2") == 153);
  CHECK(bed.slots("web", "10.8.0.3") == 0);
  CHECK(bed.pool_state("web") == PoolState::degraded);
  CHECK(bed.kernel == bed.core.wanted());
  CHECK(bed.kernel == bed.core.table());
  CHECK(bed.core.state().adopted);
  bed.up("10.8.0.3");
  REQUIRE(bed.state("web", "h3", ServerState::up));
  CHECK(bed.slots("web", "10.8.0.3") == 102);
  CHECK(bed.pool_state("web") == PoolState::up);
}

TEST_CASE("a server that fails leaves at once, its connections end, all is told") {
  Bed bed;
  bed.start(mirrored(3));
  bed.run(10s);
  const Mark block = bed.server("web", "h2").block.value;
  bed.flows[block] = 12;
  bed.transitions.clear();
  bed.down("10.8.0.2", PoolWorld::fail(ProbeReason::status, "expected 2xx, got 503"));
  const Time broken = bed.now;
  REQUIRE(bed.state("web", "h2", ServerState::failed));
  // The rest of an interval, then two fast ones.
  CHECK(bed.now - broken <= 2s + 2 * 500ms + 10ms);
  CHECK(bed.slots("web", "10.8.0.2") == 0);
  CHECK(bed.flows[block] == 0);
  REQUIRE(bed.transitions.size() == 1);
  const ServerTransition& t = bed.transitions[0];
  CHECK(t.pool == "web");
  CHECK(t.server == "h2");
  CHECK(t.from == ServerState::up);
  CHECK(t.to == ServerState::failed);
  CHECK(t.reason == "http: expected 2xx, got 503");
  CHECK(t.probe_reason == ProbeReason::status);
  CHECK(t.done == "2 of 3 servers get connections, 12 connections ended");
  CHECK(t.flows == 12);
  CHECK(t.last_good < broken);
  CHECK(broken < t.first_failed);
  CHECK(t.detected - t.first_failed == 1s);
  CHECK(t.confirmed == t.detected);
  CHECK(t.flushed == t.confirmed);
  CHECK_FALSE(t.kept);
  CHECK(t.applied);
  REQUIRE(bed.batches.size() >= 2);
  CHECK(bed.batches.back().changes.size() == 102);  // its slots and nothing else
  CHECK(bed.batches.back().reason == "web/h2 failed");
  bed.up("10.8.0.2");
  REQUIRE(bed.state("web", "h2", ServerState::up));
  CHECK(bed.slots("web", "10.8.0.2") == 102);
  REQUIRE(bed.transitions.size() == 2);
  CHECK(bed.transitions[1].to == ServerState::up);
}

TEST_CASE("eject: service takes out one pool's server, eject: host all of a host, in one batch") {
  for (const Eject eject : {Eject::service, Eject::host}) {
    Bed bed;
    auto config = mirrored(2, {"dns", "mail", "web"});
    for (auto& [name, pool] : config.pools) {
      pool.checks = {probe(name)};
      pool.eject = eject;
    }
    bed.start(config);
    bed.run(5s);
    const auto before = bed.batches.size();
    bed.down("10.8.0.1");
    bed.sick.only["10.8.0.1"] = "mail";
    REQUIRE(bed.state("mail", "h1", ServerState::failed));
    const bool host = eject == Eject::host;
    CHECK(bed.slots("mail", "10.8.0.1") == 0);
    CHECK(bed.slots("web", "10.8.0.1") == (host ? 0 : 154));
    CHECK(bed.slots("dns", "10.8.0.1") == (host ? 0 : 154));
    CHECK(bed.batches.size() == before + 1);
    if (host) CHECK(bed.server("web", "h1").reason == "mail mail: connection refused");
    bed.up("10.8.0.1");
    REQUIRE(bed.state("mail", "h1", ServerState::up));
    CHECK(bed.slots("web", "10.8.0.1") == 154);
  }
}

TEST_CASE("a check of the host takes it out of every pool") {
  Bed bed;
  auto config = mirrored(2, {"dns", "web"});
  config.hosts["h1"].checks = {probe("ping")};
  bed.start(config);
  bed.run(5s);
  bed.down("10.8.0.1");
  bed.sick.only["10.8.0.1"] = "ping";
  REQUIRE(bed.state("web", "h1", ServerState::failed));
  CHECK(bed.slots("web", "10.8.0.1") == 0);
  CHECK(bed.slots("dns", "10.8.0.1") == 0);
}

TEST_CASE("no server left: refused, to the backups, or to those that answered last") {
  Bed bed;
  auto config = mirrored(3);
  auto& pool = config.pools.at("web");
  pool.servers[2].role = Role::backup;
  const AllDown policy = AllDown::backup;
  pool.all_down = policy;
  bed.start(config);
  bed.run(5s);
  CHECK(bed.slots("web", "10.8.0.3") == 0);
  bed.down("10.8.0.1");
  bed.down("10.8.0.2");
  REQUIRE(bed.run_until([&] { return bed.pool_state("web") == PoolState::backup; }, 10s));
  CHECK(bed.slots("web", "10.8.0.3") == 307);
  CHECK(bed.noticed(PoolNoticeKind::on_backup));
  bed.down("10.8.0.3");
  REQUIRE(bed.run_until([&] { return bed.pool_state("web") == PoolState::down; }, 10s));
  CHECK(bed.kernel.services.at(bed.config().pools.at("web").listeners[0]).slots.empty());
  bed.up("10.8.0.1");
  REQUIRE(bed.state("web", "h1", ServerState::up));
  CHECK(bed.slots("web", "10.8.0.1") == 307);
  CHECK(bed.noticed(PoolNoticeKind::pool_up));

  Bed last;
  config = mirrored(3);
  config.pools.at("web").all_down = AllDown::last_known;
  last.start(config);
  last.run(5s);
  last.down("10.8.0.1");
  REQUIRE(last.state("web", "h1", ServerState::failed));
  last.down("10.8.0.2");
  last.down("10.8.0.3");
  REQUIRE(last.run_until([&] { return last.pool_state("web") == PoolState::last_known; }, 10s));
  // One of the two was the last; it keeps everything, and its connections.
  CHECK(last.slots("web", "10.8.0.1") == 0);
  CHECK(last.slots("web", "10.8.0.2") + last.slots("web", "10.8.0.3") == 307);
}

TEST_CASE("the cap keeps servers in that fail") {
  Bed bed;
  auto config = mirrored(4);
  config.pools.at("web").max_ejected = 50;
  bed.start(config);
  bed.run(5s);
  for (const char* address : {"10.8.0.1", "10.8.0.2", "10.8.0.3", "10.8.0.4"}) bed.down(address);
  bed.run(10s);
  int in = 0;
  int kept = 0;
  for (const char* name : {"h1", "h2", "h3", "h4"}) {
    in += bed.server("web", name).in_use ? 1 : 0;
    kept += bed.server("web", name).kept ? 1 : 0;
  }
  CHECK(in == 2);
  CHECK(kept == 2);
  CHECK(bed.flushed.size() == 2);
}

TEST_CASE("a server that returns gets its share slowly, one that fails often waits longer") {
  Bed bed;
  auto config = mirrored(2);
  config.pools.at("web").slow_start = 10s;
  config.pools.at("web").hold_down = {10s, 1min};
  bed.start(config);
  bed.run(5s);
  CHECK(bed.slots("web", "10.8.0.1") == 154);
  bed.down("10.8.0.1");
  REQUIRE(bed.state("web", "h1", ServerState::failed));
  bed.up("10.8.0.1");
  REQUIRE(bed.state("web", "h1", ServerState::up));
  const int first = bed.slots("web", "10.8.0.1");
  CHECK(first > 10);
  CHECK(first < 40);
  bed.run(5s);
  CHECK(bed.slots("web", "10.8.0.1") > 2 * first);
  bed.run(6s);
  CHECK(bed.slots("web", "10.8.0.1") == 154);
  Duration waited{};
  for (int round = 0; round < 6; ++round) {
    bed.down("10.8.0.1");
    REQUIRE(bed.state("web", "h1", ServerState::failed));
    bed.up("10.8.0.1");
    REQUIRE(bed.state("web", "h1", ServerState::waiting));
    const Time from = bed.now;
    REQUIRE(bed.state("web", "h1", ServerState::up, 2min));
    CHECK(bed.now - from >= waited);
    CHECK(bed.now - from <= 1min);
    waited = bed.now - from;
  }
  CHECK(waited == 1min);
}

TEST_CASE("a drained server keeps its connections until the last, and returns") {
  Bed bed;
  bed.start(mirrored(2));
  bed.run(5s);
  const Mark block = bed.server("web", "h1").block.value;
  bed.flows[block] = 3;
  bed.send(DrainServer{"web", "h1", "ann", {}, {}});
  CHECK(bed.slots("web", "10.8.0.1") == 0);
  CHECK(bed.server("web", "h1").state == ServerState::draining);
  REQUIRE(bed.stored.size() == 1);
  CHECK(bed.stored[0].by == "ann");
  bed.run(30s);
  CHECK(bed.flows[block] == 3);
  CHECK(bed.server("web", "h1").flows == 3);
  CHECK(bed.noticed(PoolNoticeKind::drain_progress));
  CHECK(bed.core.drain_problem("web", "h2", false));
  CHECK_FALSE(bed.core.drain_problem("web", "h2", true));
  bed.flows[block] = 0;
  REQUIRE(bed.state("web", "h1", ServerState::drained, 5s));
  CHECK(bed.flushed.empty());
  bed.send(ReadyServer{"web", "h1", "bob"});
  CHECK(bed.slots("web", "10.8.0.1") == 154);
  CHECK(bed.stored.empty());
  CHECK(bed.transitions.back().by == "bob");
}

TEST_CASE("a drain's deadline ends the connections, its length ends the drain") {
  Bed bed;
  bed.start(mirrored(2));
  bed.run(5s);
  const Mark block = bed.server("web", "h1").block.value;
  bed.flows[block] = 3;
  bed.send(DrainServer{"web", "h1", "ann", 60s, 20s});
  bed.run(19s);
  CHECK(bed.flows[block] == 3);
  bed.run(2s);
  CHECK(bed.flows[block] == 0);
  CHECK(bed.server("web", "h1").state == ServerState::drained);
  bed.run(38s);
  CHECK(bed.server("web", "h1").state == ServerState::drained);
  bed.run(2s);
  CHECK(bed.server("web", "h1").state == ServerState::up);
  CHECK(bed.slots("web", "10.8.0.1") == 154);
}

TEST_CASE("a restart adopts what the kernel holds, drains included, and changes nothing") {
  Bed before;
  before.start(mirrored(3));
  before.run(5s);
  before.send(DrainServer{"web", "h3", "ann", {}, {}});
  before.run(2s);

  Bed bed;
  bed.kernel = before.kernel;
  bed.configure(mirrored(3));
  bed.send(DrainsRestored{before.stored});
  bed.send(NatRead{bed.kernel});
  bed.run(5s);
  CHECK(bed.batches.empty());
  CHECK(bed.kernel == before.kernel);
  CHECK(bed.server("web", "h1").state == ServerState::up);
  CHECK(bed.server("web", "h3").state == ServerState::drained);
  CHECK(bed.server("web", "h3").drain->by == "ann");
  // One that died meanwhile is found as soon as any other.
  Bed late;
  late.kernel = before.kernel;
  late.down("10.8.0.1");
  late.start(mirrored(3));
  CHECK(late.slots("web", "10.8.0.1") == 154);
  REQUIRE(late.state("web", "h1", ServerState::failed, 3s));
  CHECK(late.slots("web", "10.8.0.1") == 0);
}

TEST_CASE("a reload changes only what changed, a server that is gone says goodbye") {
  Bed bed;
  auto config = mirrored(3);
  bed.start(config);
  bed.run(5s);
  const auto before = bed.batches.size();
  const auto checks = bed.checks_run;
  for (int i = 0; i < 100; ++i) bed.configure(config);
  CHECK(bed.batches.size() == before);
  CHECK(bed.checks_run == checks);
  const Mark gone = bed.server("web", "h3").block.value;
  bed.flows[gone] = 5;
  auto smaller = mirrored(2);
  bed.configure(smaller);
  CHECK(bed.slots("web", "10.8.0.1") == 154);
  CHECK(bed.kernel.servers.contains(gone));
  bed.run(60s);
  CHECK(bed.kernel.servers.contains(gone));
  bed.flows[gone] = 0;
  bed.run(60s);
  CHECK_FALSE(bed.kernel.servers.contains(gone));
  CHECK(bed.kernel == bed.core.wanted());
  // And it comes back under the marks it had.
  bed.configure(config);
  CHECK(bed.server("web", "h3").block.value == gone);
  bed.run(5s);
  CHECK(bed.slots("web", "10.8.0.3") == 102);
}

TEST_CASE("what the kernel refuses is told, read again and tried again, and given up some day") {
  Bed bed;
  bed.start(mirrored(2, {"mail", "web"}));
  bed.run(5s);
  bed.refuse = 1;
  bed.damage_on_refusal = true;
  bed.down("10.8.0.1");
  bed.run(10s);
  CHECK(bed.noticed(PoolNoticeKind::kernel_refused));
  CHECK(bed.kernel == bed.core.wanted());
  CHECK_FALSE(bed.core.state().refused);
  bed.refuse = 1'000'000;
  bed.damage_on_refusal = false;
  bed.up("10.8.0.1");
  bed.run(1h);
  CHECK(bed.core.state().refused);
  CHECK(bed.core.state().refusals == 10);
  const auto tries = bed.batches.size();
  bed.run(1h);
  CHECK(bed.batches.size() == tries);
  bed.refuse = 0;
  bed.configure(bed.config());
  CHECK(bed.kernel == bed.core.wanted());
  CHECK_FALSE(bed.core.state().refused);
  CHECK(bed.noticed(PoolNoticeKind::kernel_accepted));
}

TEST_CASE("one family's and one port's servers: targets by listener") {
  Bed bed;
  FailoverConfig config;
  config.hosts["h1"].addresses = {ip("10.8.0.1"), ip("2001:db8::1")};
  PoolConfig pool;
  pool.listeners = {{ip("203.0.113.10"), L4::tcp, 80},
                    {ip("203.0.113.10"), L4::tcp, 443},
                    {ip("203.0.113.10"), L4::udp, 443},
                    {ip("2001:db8:f::10"), L4::tcp, 443}};
  std::ranges::sort(pool.listeners);
  PoolServer one;
  one.host = "h1";
  pool.servers = {one};
  pool.checks = {probe("http")};
  config.pools.emplace("web", pool);
  bed.start(config);
  bed.run(1s);
  std::set<std::pair<std::string, unsigned>> reached;
  for (const auto& [key, service] : bed.kernel.services) {
    REQUIRE(service.slots.size() == 61);
    const NatServer& server = bed.kernel.servers.at(service.slots[0]);
    CHECK(server.address.family == key.address.family);
    CHECK(server.port == key.port);
  }
  // The two families are asked apart, and one that fails is enough.
  bed.down("2001:db8::1");
  REQUIRE(bed.state("web", "h1", ServerState::failed));
  CHECK(bed.server("web", "h1").reason == "http (IPv6): connection refused");
}
