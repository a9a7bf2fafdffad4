#pragma once

// What of this machine's firewall concerns connections that we forward: for the preflight, never
// for the daemon at work. Chains' names and policies are read, no rules and no sets.

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "core/ip.hpp"
#include "io/error.hpp"

namespace sentinel::io {

struct FirewallChain {
  core::Family family = core::Family::v4;  // of table inet: one entry for each
  std::string table;                       // as people name it: "ip filter"; text from outside
  std::string name;
  bool legacy = false;  // of the iptables that is not nf_tables
  // Of base chains; others have no type.
  std::string type;  // filter, nat, route
  std::uint32_t hook = 0;
  int priority = 0;
  bool drops = false;  // what no rule decides
};

/// Chains of families ip, ip6 and inet, and of the legacy iptables' filter table. Needs
/// CAP_NET_ADMIN; legacy tables need CAP_NET_RAW too and are left out without it.
std::expected<std::vector<FirewallChain>, Error> firewall_chains();

}  // namespace sentinel::io
