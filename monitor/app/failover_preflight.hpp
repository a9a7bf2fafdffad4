#pragma once

// What of this machine speaks against forwarding connections, and what to do about it.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/failover_config.hpp"
#include "io/conntrack.hpp"
#include "io/firewall.hpp"

namespace sentinel::app {

/// A problem: some connections will not be forwarded. A warning: perhaps, which only people can
/// tell. A note: nothing to do in most places.
enum class PreflightLevel : std::uint8_t { good, note, warning, problem };
std::string_view to_string(PreflightLevel);

struct PreflightFinding {
  PreflightLevel level = PreflightLevel::good;
  std::string about;   // "ip-forward", "docker", ...
  std::string text;    // a sentence
  std::string remedy;  // empty: none needed; may be several lines
};

/// As it is now; nullopt: there is no such thing here.
struct PreflightFacts {
  bool net_admin = false;
  bool ping = false;           // an ICMP socket can be opened
  std::string kernel_problem;  // what the kernel says to a table like ours; empty: it takes it
  std::string flows_problem;
  std::optional<io::TableUse> flows;
  std::optional<bool> forward_v4, forward_v6;
  std::optional<bool> bridge_v4, bridge_v6;  // net.bridge.bridge-nf-call-*
  std::string chains_problem;
  std::vector<io::FirewallChain> chains;
  std::vector<core::IpAddress> elsewhere;  // virtual addresses that are none of this machine's
};

/// Asks the kernel, and has it take and drop a table of its own, empty and with another name.
PreflightFacts preflight_facts(const FailoverSettings& settings);
std::vector<PreflightFinding> preflight_findings(const PreflightFacts& facts,
                                                 const FailoverSettings& settings);
/// Does what `preflight: fix:` allows, where it is needed; tells each change, or why it failed.
std::vector<PreflightFinding> preflight_fix(const FailoverSettings& settings);

}  // namespace sentinel::app
