#pragma once

// What is wanted of the failover: pools, the hosts their servers run on, and how to tell whether
// they answer. Plain data; who reads it from a file (app/failover_config) checks it with the
// invariants named here, and the core may rely on them.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/nat.hpp"
#include "core/probe_spec.hpp"
#include "core/types.hpp"

namespace sentinel::core {

enum class Schedule : std::uint8_t { round_robin, weighted, source_hash, sticky };
/// What happens to connections when no active server is left: refused; sent to the backup servers
/// that answer, refused when none does; sent to the servers that answered last.
enum class AllDown : std::uint8_t { reject, backup, last_known };
/// What a failing check of a pool takes out: the server of that pool, or its host from every pool.
enum class Eject : std::uint8_t { service, host };
enum class Role : std::uint8_t { active, backup };

std::string_view to_string(Schedule);
std::string_view to_string(AllDown);
std::string_view to_string(Eject);
std::string_view to_string(Role);

inline constexpr unsigned max_weight = 100;
inline constexpr std::size_t max_pool_servers = 64;
inline constexpr std::size_t max_pool_listeners = 1024;

/// A machine: what pools mean by a server's name.
struct HostConfig {
  std::vector<IpAddress> addresses;  // one, or one of each family; never empty
  std::vector<ProbeSpec> checks;     // take it out of every pool; names unique within the host
  bool operator==(const HostConfig&) const = default;
};

struct PoolServer {
  std::string host;        // a key of FailoverConfig::hosts
  std::uint16_t port = 0;  // 0: that of the virtual service
  unsigned weight = 1;     // 1..max_weight
  Role role = Role::active;
  bool operator==(const PoolServer&) const = default;
};

struct PoolConfig {
  std::vector<VipKey> listeners;    // sorted, unique over all pools, 1..max_pool_listeners
  std::vector<PoolServer> servers;  // sorted by host, unique, 1..max_pool_servers; their hosts have
                                    // an address of each family of the listeners
  std::vector<ProbeSpec> checks;    // of each server; an empty host means the server's addresses
  Schedule schedule = Schedule::round_robin;
  Eject eject = Eject::service;
  AllDown all_down = AllDown::reject;
  bool masquerade = false;     // servers see our address instead of the client's
  unsigned max_ejected = 100;  // percent of the active servers that checks may take out, 0..100
  SlotClass slots = SlotClass::small;
  Duration slow_start{};         // on return, the share grows over this time; 0: at once
  Backoff hold_down{5s, 5min};   // a server that failed again waits so long after it passes
  Duration drain_deadline = 1h;  // when a drain is given none; 0: never ends connections
  bool operator==(const PoolConfig&) const = default;
};

struct FailoverConfig {
  std::map<std::string, HostConfig> hosts;
  std::map<std::string, PoolConfig> pools;
  std::vector<ProbeSpec> gateways;  // targets beyond our own network: while none of them answers,
                                    // no server is taken out
  Duration blind_window = 15s;      // failures that began within it, of all hosts, are our own
  std::vector<IpPrefix> hairpin;    // besides the servers' own addresses
  Duration sticky_timeout = 30min;
  std::uint64_t seed = 1;  // of the checks' spread over time
  bool operator==(const FailoverConfig&) const = default;
};

/// The class that spreads connections evenly enough: each server's share of slots within 1 % of
/// what it should be (2 % when weights differ), the largest class when none does.
SlotClass suitable_slots(const std::vector<PoolServer>& servers);

}  // namespace sentinel::core
