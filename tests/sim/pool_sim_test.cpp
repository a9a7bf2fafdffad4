// Pools in virtual time, driven by chance: checks that fail and pass, drains, reloads, refusals of
// the kernel and restarts; and what must hold whatever happens. That each batch is the difference
// between the tables is seen to by PoolWorld.

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/pool_world.hpp"
#include "sim/prng.hpp"

namespace {

using namespace sentinel::sim;
using sentinel::sim::Prng;

constexpr std::array reasons{ProbeReason::refused, ProbeReason::timeout, ProbeReason::unreachable,
                             ProbeReason::status};

template <typename T>
T one_of(Prng& chance, std::initializer_list<T> values) {
  return *(values.begin() + chance.below(static_cast<std::uint32_t>(values.size())));
}

/// A host's address in one family, from its name "h3".
IpAddress address_of(const std::string& host, Family family) {
  return ip((family == Family::v4 ? "10.8.0." : "2001:db8::") + host.substr(1));
}

PoolConfig any_pool(Prng& chance, const std::map<std::string, HostConfig>& hosts,
                    std::uint16_t port) {
  PoolConfig pool;
  const unsigned listeners = 1 + chance.below(3);
  for (unsigned i = 0; i < listeners; ++i)
    pool.listeners.push_back({ip(chance.below(2) == 0 ? "203.0.113.10" : "2001:db8:ff::10"),
                              chance.below(3) == 0 ? L4::udp : L4::tcp,
                              static_cast<std::uint16_t>(port + i)});
  std::ranges::sort(pool.listeners);
  bool backups = false;
  for (const auto& [name, host] : hosts) {
    if (!pool.servers.empty() && chance.below(4) == 0) continue;
    PoolServer server;
    server.host = name;
    server.port = one_of<std::uint16_t>(chance, {0, 8080});
    server.weight = 1 + chance.below(4);
    server.role = !pool.servers.empty() && chance.below(4) == 0 ? Role::backup : Role::active;
    backups = backups || server.role == Role::backup;
    pool.servers.push_back(std::move(server));
  }
  pool.checks = {probe("http")};
  pool.schedule = one_of(
      chance, {Schedule::round_robin, Schedule::weighted, Schedule::source_hash, Schedule::sticky});
  pool.eject = one_of(chance, {Eject::service, Eject::host});
  pool.all_down =
      backups ? AllDown::backup : one_of(chance, {AllDown::reject, AllDown::last_known});
  pool.masquerade = chance.below(4) == 0;
  pool.max_ejected = one_of(chance, {100U, 100U, 50U, 0U});
  pool.slots = chance.below(4) == 0 ? suitable_slots(pool.servers) : SlotClass::small;
  pool.slow_start = one_of<Duration>(chance, {0s, 0s, 20s});
  pool.hold_down = {1s, 10s};
  pool.drain_deadline = one_of<Duration>(chance, {0s, 5s, 1h});
  return pool;
}

FailoverConfig any_config(Prng& chance) {
  FailoverConfig config;
  const unsigned hosts = 2 + chance.below(4);
  for (unsigned i = 1; i <= hosts; ++i) {
    const std::string name = "h" + std::to_string(i);
    auto& host = config.hosts[name];
    host.addresses = {address_of(name, Family::v4), address_of(name, Family::v6)};
    if (chance.below(4) == 0) host.checks = {probe("ping")};
  }
  const unsigned pools = 1 + chance.below(3);
  for (unsigned i = 0; i < pools; ++i)
    config.pools.emplace(
        "p" + std::to_string(i),
        any_pool(chance, config.hosts, static_cast<std::uint16_t>(1000 * (i + 1))));
  if (chance.below(2) == 0) {
    config.gateways = {probe("router")};
    config.gateways.front().host = "192.0.2.1";
  }
  return config;
}

class Pools {
 public:
  explicit Pools(std::uint64_t seed) : chance_{seed} {
    begin(std::make_unique<PoolWorld>());
    world_->start(any_config(chance_));
  }

  void run(unsigned steps) {
    for (unsigned i = 0; i < steps; ++i) {
      step();
      look();
    }
    recover();
  }

 private:
  void begin(std::unique_ptr<PoolWorld> world) {
    world->answer = [this](const StartProbe& start) {
      const auto found = sick_.find(start.spec->host.empty() ? start.address : start.spec->host);
      return found == sick_.end() ? PoolWorld::pass() : PoolWorld::fail(found->second, "failed");
    };
    world->check = [this] { sound(); };
    world_ = std::move(world);
  }

  void step() {
    switch (chance_.below(12)) {
      case 0:
      case 1: fail(); break;
      case 2:
      case 3: heal(); break;
      case 4: drain(); break;
      case 5: ready(); break;
      case 6: reload(); break;
      case 7: world_->refuse = 1 + chance_.below(2); break;
      case 8: restart(); break;
      default: break;
    }
    world_->run(one_of<Duration>(chance_, {0s, 100ms, 3s, 7s, 40s}));
  }

  std::string any_host() {
    auto host = world_->config().hosts.begin();
    std::advance(host, chance_.below(static_cast<std::uint32_t>(world_->config().hosts.size())));
    return host->first;
  }

  void fail() {
    // Clients of those that work: they are what a failure must end.
    for (const PoolView& pool : world_->core.pools())
      for (const ServerView& server : pool.servers)
        if (server.in_use) world_->flows[server.block.value] = 1 + chance_.below(50);
    if (!world_->config().gateways.empty() && chance_.below(6) == 0)
      sick_["192.0.2.1"] = ProbeReason::timeout;
    const auto reason = reasons.at(chance_.below(reasons.size()));
    const std::string host = any_host();
    const unsigned families = chance_.below(3);
    if (families != 1) sick_[address_of(host, Family::v4).to_string()] = reason;
    if (families != 0) sick_[address_of(host, Family::v6).to_string()] = reason;
  }

  void heal() {
    if (sick_.empty()) return;
    auto one = sick_.begin();
    std::advance(one, chance_.below(static_cast<std::uint32_t>(sick_.size())));
    sick_.erase(one);
  }

  void drain() {
    DrainServer order;
    order.server = any_host();
    order.by = "somebody";
    order.length = one_of<Duration>(chance_, {0s, 10s});
    if (chance_.below(2) == 0) order.deadline = one_of<Duration>(chance_, {0s, 2s});
    world_->send(order);
  }
  void ready() { world_->send(ReadyServer{"", any_host(), "somebody"}); }

  bool all_well() const {
    const auto pools = world_->core.pools();
    return !world_->core.state().refused && world_->refuse == 0 && !world_->core.state().blind &&
           std::ranges::all_of(pools, [](const PoolView& pool) {
             return std::ranges::all_of(pool.servers, [](const ServerView& server) {
               return server.state == ServerState::up &&
                      (server.role == Role::backup || server.share == 1000);
             });
           });
  }

  /// Other pools, or others of their keys; what is as before is not touched where all is well.
  void reload() {
    const bool calm = all_well();
    const FailoverConfig before = world_->config();
    FailoverConfig fresh = any_config(chance_);
    for (const auto& [name, pool] : before.pools) {
      if (chance_.below(3) != 0 || !fresh.pools.contains(name)) continue;
      const bool possible = std::ranges::all_of(pool.servers, [&](const PoolServer& server) {
        return fresh.hosts.contains(server.host);
      });
      if (possible) fresh.pools[name] = pool;
    }
    const NatTable kernel = world_->kernel;
    world_->configure(fresh);
    for (const auto& [name, pool] : fresh.pools) {
      const auto old = before.pools.find(name);
      const bool same = old != before.pools.end() && old->second == pool;
      if (!same) homes_.erase(name);
      if (!same || !calm) continue;
      for (const VipKey& vip : pool.listeners)
        CHECK(kernel.services.at(vip) == world_->kernel.services.at(vip));
    }
    std::erase_if(homes_, [&](const auto& home) { return !fresh.pools.contains(home.first); });
  }

  void restart() {
    const bool calm = all_well();
    auto next = std::make_unique<PoolWorld>();
    next->kernel = world_->kernel;
    next->flows = world_->flows;
    next->stored = world_->stored;
    next->now = world_->now;
    FailoverConfig config = world_->config();
    begin(std::move(next));
    world_->configure(std::move(config));
    world_->send(DrainsRestored{world_->stored});
    world_->send(NatRead{world_->kernel});
    if (!calm) return;
    // Clients do not notice. Marks of servers that are not in use may move.
    for (const ApplyNat& batch : world_->batches)
      CHECK(std::ranges::none_of(batch.changes, [](const NatChange& change) {
        return std::holds_alternative<SetSlot>(change) || std::holds_alternative<SetSpread>(change);
      }));
  }

  /// At every moment; nothing changes but by a batch.
  void sound() {
    if (std::exchange(seen_, world_->batches.size()) == world_->batches.size()) return;
    bool dangling = false;
    for (const auto& [vip, service] : world_->kernel.services) {
      dangling = dangling || (!service.slots.empty() &&
                              service.slots.size() != static_cast<std::size_t>(service.slot_class));
      for (const Mark mark : service.slots)
        dangling = dangling || !world_->kernel.servers.contains(mark);
    }
    if (dangling) FAIL("a slot without a server");
  }

  /// Whenever nothing is on its way to the kernel.
  void look() {
    if (world_->core.state().refused) return;
    NatTable wanted = world_->core.wanted();
    CHECK(difference(world_->kernel, wanted).empty());
    for (const PoolView& pool : world_->core.pools())
      for (const VipKey& vip : pool.listeners) look(pool, vip);
  }

  static bool may_serve(const PoolView& pool, const ServerView& server) {
    if (server.drain || (server.state != ServerState::up && !server.kept)) return false;
    if (pool.state == PoolState::last_known) return true;
    return (server.role == Role::backup) == (pool.state == PoolState::backup);
  }

  void look(const PoolView& pool, const VipKey& vip) {
    const auto& service = world_->kernel.services.at(vip);
    std::vector<const ServerView*> owners;
    for (const Mark mark : service.slots) {
      const auto owner = std::ranges::find_if(pool.servers, [&](const ServerView& server) {
        return (mark & server.block.mask) == server.block.value;
      });
      REQUIRE(owner != pool.servers.end());
      owners.push_back(&*owner);
      const NatServer& target = world_->kernel.servers.at(mark);
      if (target.address != address_of(owner->server, vip.address.family) ||
          target.port != (owner->port == 0 ? vip.port : owner->port))
        FAIL("connections to " << pool.name << "/" << owner->server << " go elsewhere");
    }
    const auto weight = [&](const ServerView& server) {
      if (!may_serve(pool, server)) return 0.0;
      return (pool.schedule == Schedule::round_robin ? 1.0 : server.weight) * server.share;
    };
    double sum = 0;
    for (const ServerView& server : pool.servers) sum += weight(server);
    CHECK(owners.empty() == (sum == 0));
    for (const ServerView& server : pool.servers) {
      INFO(pool.name << "/" << server.server << " " << to_string(server.state) << ", pool "
                     << to_string(pool.state));
      const auto has = static_cast<double>(std::ranges::count(owners, &server));
      if (weight(server) == 0) CHECK(has == 0);
      if (weight(server) > 0)
        CHECK(std::abs(has - static_cast<double>(owners.size()) * weight(server) / sum) < 2);
      // Its connections have ended, since no new ones come: also those of a time when it was kept.
      if (server.state == ServerState::failed && !server.in_use) {
        const auto flows = world_->flows.find(server.block.value);
        CHECK((flows == world_->flows.end() || flows->second == 0));
      }
    }
    move_little(pool, vip, owners);
  }

  /// A slot whose own server works is never another's, whoever else comes and goes.
  void move_little(const PoolView& pool, const VipKey& vip,
                   const std::vector<const ServerView*>& owners) {
    if (pool.state != PoolState::up && pool.state != PoolState::degraded) return;
    auto& home = homes_[pool.name][vip];
    const bool whole = std::ranges::all_of(pool.servers, [&](const ServerView& server) {
      return server.role == Role::backup || (may_serve(pool, server) && server.share == 1000);
    });
    if (home.empty() && !whole) return;
    if (home.empty())
      for (const ServerView* owner : owners) home.push_back(owner->server);
    REQUIRE(home.size() == owners.size());
    for (std::size_t slot = 0; slot < owners.size(); ++slot) {
      const auto owner = std::ranges::find(pool.servers, home[slot], &ServerView::server);
      REQUIRE(owner != pool.servers.end());
      if (may_serve(pool, *owner) && owner->share == 1000 && owners[slot] != &*owner)
        FAIL("a slot of " << pool.name << "/" << home[slot] << " moved");
    }
  }

  /// When all is well again, all of it is used.
  void recover() {
    sick_.clear();
    world_->refuse = 0;
    for (const auto& [name, host] : world_->config().hosts)
      world_->send(ReadyServer{"", name, "somebody"});
    world_->run(5min);
    look();
    CHECK(all_well());
    for (const PoolView& pool : world_->core.pools()) CHECK(pool.state == PoolState::up);
  }

  Prng chance_;
  std::size_t seen_ = 0;  // batches
  std::unique_ptr<PoolWorld> world_;
  std::map<std::string, ProbeReason> sick_;  // by address
  std::map<std::string, std::map<VipKey, std::vector<std::string>>> homes_;
};

}  // namespace

TEST_CASE("pools: whatever happens, allowed servers, right weights, little movement") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    INFO("seed " << seed);
    Pools{seed}.run(60);
  }
}
