#pragma once

// A pool world whose servers are sick on demand.

#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "sim/pool_world.hpp"

namespace sentinel::sim {

/// Servers that are down, by address, and how they fail.
struct Sick {
  std::map<std::string, ProbeOutcome> how;
  std::map<std::string, std::string> only;  // address: the check's name
  ProbeOutcome operator()(const StartProbe& p) const {
    const auto it = how.find(p.address);
    const auto one = only.find(p.address);
    if (it == how.end() || (one != only.end() && one->second != p.spec->name))
      return PoolWorld::pass();
    return it->second;
  }
};

struct Bed : PoolWorld {
  Sick sick;
  Bed() {
    answer = [this](const StartProbe& p) { return sick(p); };
  }
  void down(const std::string& address, ProbeOutcome how = fail()) {
    sick.how.insert_or_assign(address, std::move(how));
  }
  void up(const std::string& address) { sick.how.erase(address); }
  bool state(std::string_view pool, std::string_view name, ServerState wanted,
             Duration limit = 30s) {
    return run_until([&] { return server(pool, name).state == wanted; }, limit);
  }
};

}  // namespace sentinel::sim
