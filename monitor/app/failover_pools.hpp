#pragma once

// The parts of `failover:` that speak of hosts, pools and checks. Private to app/failover_*.cpp.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "app/config_reader.hpp"
#include "core/pool_config.hpp"

namespace sentinel::app {

/// `203.0.113.10:80`, `203.0.113.10:80,443/tcp`, `[2001:db8::10]:8000-8010/tcp+udp`: all that it
/// stands for.
std::expected<std::vector<core::VipKey>, protocol::Error> parse_listener(std::string_view text);

/// Where pools, hosts and listeners stood, for what only shows when all is read.
class PoolReader {
 public:
  PoolReader(FileReader& reader, std::string file, Diagnostics& errors, Environment environment)
      : reader_{reader},
        file_{std::move(file)},
        errors_{errors},
        environment_{std::move(environment)} {}

  /// Options of every check that it does not set itself.
  void check_defaults(const YamlNode& node);
  /// Keys of a pool that stand in `failover:` itself, for all pools.
  std::vector<Key> pool_keys(core::PoolConfig& pool);
  void gateways(const YamlNode& node, std::vector<core::ProbeSpec>& out);
  void hosts(const YamlNode& node, core::FailoverConfig& config);
  /// After hosts. Each pool begins as `defaults`.
  void pools(const YamlNode& node, const core::PoolConfig& defaults, core::FailoverConfig& config);

 private:
  struct PoolKeysGiven {
    bool slots = false;
    bool all_down = false;
  };
  void checks(const YamlNode& node, const std::string& prefix, std::vector<core::ProbeSpec>& out);
  void pool(const YamlNode& key, const YamlNode& node, const core::PoolConfig& defaults,
            core::FailoverConfig& config);
  void listeners(const YamlNode& node, const std::string& prefix, const std::string& pool,
                 core::PoolConfig& out);
  void servers(const YamlNode& node, const std::string& prefix, const core::FailoverConfig& config,
               core::PoolConfig& out);
  void server(const YamlNode& key, const YamlNode& node, const std::string& prefix,
              const core::FailoverConfig& config, core::PoolConfig& out);
  void together(const YamlNode& key, const std::string& prefix, const core::FailoverConfig& config,
                core::PoolConfig& pool);

  FileReader& reader_;
  std::string file_;
  Diagnostics& errors_;
  Environment environment_;
  const YamlNode* check_defaults_ = nullptr;
  std::map<core::VipKey, std::pair<std::string, std::size_t>> taken_;  // by pool, in line
  std::map<std::string, Position> servers_at_;                         // of the pool being read
  PoolKeysGiven given_;
};

}  // namespace sentinel::app
