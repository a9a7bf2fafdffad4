// What services need, as the core resolves it from labels, Compose and the network.

#include <catch2/catch_test_macros.hpp>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/core.hpp"

using namespace sentinel::core;

namespace {

ContainerId id_of(char digit) { return *ContainerId::parse(std::string(64, digit)); }

struct Bed {
  Core core{Config{}};
  Actions actions;
  Time now{};
  std::vector<std::pair<ContainerId, ContainerFacts>> containers;

  ContainerInfo& add(char digit, ServiceKey key) {
    auto info = std::make_shared<ContainerInfo>();
    info->id = id_of(digit);
    info->name = key.service;
    info->key = std::move(key);
    info->settings.enabled = true;
    ContainerFacts facts;
    facts.status.run = RunState::running;
    facts.info = info;
    containers.emplace_back(info->id, facts);
    return *info;
  }
  void run() {
    core.on(EngineConnected{"1.41", "20.10"}, now, actions);
    Listed list;
    for (const auto& [id, facts] : containers) list.containers.push_back({id, RunState::running});
    core.on(list, now, actions);
    for (std::size_t i = 0; i < actions.size(); ++i) {
      if (!std::holds_alternative<Inspect>(actions[i])) continue;
      const Inspect inspect = std::get<Inspect>(actions[i]);  // what is answered appends to them
      for (const auto& [id, facts] : containers) {
        if (id == inspect.id)
          core.on(Inspected{.id = id,
                            .token = inspect.token,
                            .outcome = Inspected::Outcome::found,
                            .facts = facts,
                            .error = {}},
                  now, actions);
      }
    }
  }
  std::vector<ServiceKey> needs(const ServiceKey& key) const {
    for (const ServiceNeeds& one : core.needs())
      if (one.key == key) return one.needs;
    FAIL("not watched: " << key.to_string());
    return {};
  }
};

}  // namespace

TEST_CASE(
    "needs: Compose's graph reaches all replicas, the network its owner, a label replaces both") {
  Bed bed;
  const ServiceKey web{"shop", "web", 1};
  const ServiceKey db1{"shop", "db", 1};
  const ServiceKey db2{"shop", "db", 2};
  const ServiceKey other_db{"blog", "db", 1};
  const ServiceKey vpn{"", "vpn", 1};
  const ServiceKey cache{"shop", "cache", 1};
  bed.add('1', db1);
  bed.add('2', db2);
  bed.add('3', other_db);
  bed.add('4', vpn);
  auto& web_info = bed.add('5', web);
  web_info.depends_on = {"db", "web", "gone"};
  web_info.network_of = id_of('4');
  auto& cache_info = bed.add('6', cache);
  cache_info.depends_on = {"db"};
  cache_info.network_of = id_of('4');
  cache_info.settings.depends_on = {"blog/db", "web"};
  bed.run();
  CHECK(bed.needs(web) == std::vector{vpn, db1, db2});
  CHECK(bed.needs(cache) == std::vector{other_db, web});
  CHECK(bed.needs(db1).empty());
}
