#include "app/failover_preflight.hpp"

#include <linux/capability.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "app/client_tools.hpp"
#include "app/command_line.hpp"
#include "app/failover.hpp"
#include "io/nat_kernel.hpp"
#include "io/socket_address.hpp"
#include "protocol/escape.hpp"
#include "web/views.hpp"

namespace sentinel::app {

namespace {

using core::Family;
using Level = PreflightLevel;

constexpr int our_priority = -105;
constexpr std::string_view forward_v4_file = "/proc/sys/net/ipv4/ip_forward";
constexpr std::string_view forward_v6_file = "/proc/sys/net/ipv6/conf/all/forwarding";
// Linux's numbers of netfilter hooks: uapi/linux/netfilter.h.
constexpr std::uint32_t hook_prerouting = 0;
constexpr std::uint32_t hook_forward = 2;
constexpr std::uint32_t hook_output = 3;
constexpr std::size_t max_chains_told = 5;

std::optional<bool> setting(std::string_view path) {
  std::ifstream file{std::string{path}};
  int value = 0;
  if (!(file >> value)) return std::nullopt;
  return value != 0;
}

bool capable(unsigned capability) {
  std::ifstream file{"/proc/self/status"};
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("CapEff:")) continue;
    return (std::strtoull(line.c_str() + 7, nullptr, 16) >> capability & 1U) != 0;
  }
  return false;
}

bool may_ping() {
  if (capable(CAP_NET_RAW)) return true;
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP);
  if (fd >= 0) ::close(fd);
  return fd >= 0;
}

/// Whether somebody here can have the address.
bool is_here(const core::IpAddress& address) {
  const io::SocketAddress any_port = io::socket_address(address, 0);
  const int fd =
      ::socket(address.family == Family::v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return true;
  const bool bound = ::bind(fd, any_port.get(), any_port.size) == 0 || errno != EADDRNOTAVAIL;
  ::close(fd);
  return bound;
}

bool uses(const FailoverSettings& settings, Family family) {
  return std::ranges::any_of(settings.core.pools, [&](const auto& pool) {
    return std::ranges::any_of(pool.second.listeners, [&](const core::VipKey& key) {
      return key.address.family == family;
    });
  });
}

bool pings(const FailoverSettings& settings) {
  const auto any = [](const std::vector<core::ProbeSpec>& checks) {
    return std::ranges::any_of(
        checks, [](const core::ProbeSpec& c) { return c.kind == core::ProbeKind::icmp; });
  };
  return any(settings.core.gateways) ||
         std::ranges::any_of(settings.core.hosts,
                             [&](const auto& host) { return any(host.second.checks); }) ||
         std::ranges::any_of(settings.core.pools,
                             [&](const auto& pool) { return any(pool.second.checks); });
}

std::string_view name_of(Family family) { return family == Family::v4 ? "IPv4" : "IPv6"; }

std::string shown(const io::FirewallChain& chain) {
  return protocol::one_line(chain.table, 100) + " " + protocol::one_line(chain.name, 100);
}

void forwarding(const std::optional<bool>& on, Family family, std::vector<PreflightFinding>& out) {
  const std::string sysctl =
      family == Family::v4 ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding";
  if (on.value_or(false)) {
    out.push_back({Level::good, "ip-forward", sysctl + " is on", {}});
    return;
  }
  out.push_back({Level::problem, "ip-forward",
                 sysctl + " is off: this machine forwards no " + std::string{name_of(family)} +
                     " packets of others",
                 "sysctl -w " + sysctl + "=1, and the same in /etc/sysctl.d; or preflight: {fix: " +
                     "[ip-forward]} in the file"});
}

/// Rules that accept what goes to the servers and comes from them.
std::string docker_user_rules(const FailoverSettings& settings, Family family) {
  const std::string tool = family == Family::v4 ? "iptables" : "ip6tables";
  std::string out;
  for (const auto& [name, host] : settings.core.hosts) {
    for (const core::IpAddress& address : host.addresses) {
      if (address.family != family) continue;
      for (const char* direction : {"-d", "-s"})
        out += (out.empty() ? "" : "\n") + tool + " -I DOCKER-USER " + direction + " " +
               address.to_string() + " -j ACCEPT";
    }
  }
  return out;
}

void dropping(const PreflightFacts& facts, const FailoverSettings& settings, Family family,
              std::vector<PreflightFinding>& out) {
  const auto of_family = [&](const io::FirewallChain& c) { return c.family == family; };
  const bool docker = std::ranges::any_of(facts.chains, [&](const io::FirewallChain& c) {
    return of_family(c) && c.name == "DOCKER-USER";
  });
  for (const io::FirewallChain& chain : facts.chains) {
    if (!of_family(chain) || !chain.drops || chain.hook != hook_forward || chain.type != "filter")
      continue;
    std::string remedy = "accept there what goes to the servers and comes from them";
    if (docker && chain.name == "FORWARD")
      remedy =
          "Docker leaves the chain DOCKER-USER to people; unless its rules accept it already "
          "(published ports of containers):\n" +
          docker_user_rules(settings, family);
    else if (chain.table == "ip docker-bridges" || chain.table == "ip6 docker-bridges")
      remedy =
          "start dockerd with --bridge-accept-fwmark and set failover: {forward-mark: } to "
          "the same number";
    out.push_back({Level::warning, docker ? "docker" : "forward-policy",
                   "the policy of " + shown(chain) + " drops " + std::string{name_of(family)} +
                       " packets that are forwarded and that no rule accepts",
                   std::move(remedy)});
  }
}

void earlier(const PreflightFacts& facts, const std::string& table,
             std::vector<PreflightFinding>& out) {
  std::string names;
  std::size_t count = 0;
  for (const io::FirewallChain& chain : facts.chains) {
    const bool ours = chain.table == "ip " + table || chain.table == "ip6 " + table;
    if (ours || chain.type != "nat" || chain.priority > our_priority ||
        (chain.hook != hook_prerouting && chain.hook != hook_output))
      continue;
    if (++count <= max_chains_told) names += (names.empty() ? "" : ", ") + shown(chain);
  }
  if (count > max_chains_told) names += " and " + std::to_string(count - max_chains_told) + " more";
  if (count > 0)
    out.push_back({Level::warning, "earlier-nat", "other NAT rules come before ours: " + names,
                   "see to it that they leave the virtual addresses alone, or give their chains a "
                   "priority above " +
                       std::to_string(our_priority)});
}

void rules(const PreflightFacts& facts, const FailoverSettings& settings,
           std::vector<PreflightFinding>& out) {
  if (!facts.chains_problem.empty()) {
    out.push_back({Level::warning,
                   "firewall",
                   "the firewall's chains cannot be read: " + facts.chains_problem,
                   {}});
    return;
  }
  const std::size_t before = out.size();
  for (const Family family : {Family::v4, Family::v6})
    if (uses(settings, family)) dropping(facts, settings, family, out);
  earlier(facts, settings.table, out);
  if (out.size() == before)
    out.push_back({Level::good,
                   "firewall",
                   "no policy drops what is forwarded, and no other NAT rules come first",
                   {}});
}

}  // namespace

std::string_view to_string(PreflightLevel level) {
  switch (level) {
    case Level::good: return "good";
    case Level::note: return "note";
    case Level::warning: return "warning";
    case Level::problem: return "problem";
  }
  return "problem";
}

PreflightFacts preflight_facts(const FailoverSettings& settings) {
  PreflightFacts facts;
  facts.net_admin = capable(CAP_NET_ADMIN);
  facts.ping = !pings(settings) || may_ping();
  io::NatOptions options;
  options.table = settings.table + "_preflight";
  options.count_traffic = settings.count_traffic;
  options.forward_mark = settings.forward_mark;
  if (auto kernel = io::NatKernel::open(options); !kernel) {
    facts.kernel_problem = kernel.error().text;
  } else if (const auto made = (*kernel)->create({}); !made) {
    facts.kernel_problem = made.error().text;
  } else if (const auto gone = (*kernel)->remove(); !gone) {
    facts.kernel_problem = gone.error().text;
  }
  if (auto flows = io::Conntrack::open(); !flows) {
    facts.flows_problem = flows.error().text;
  } else if (const auto use = flows->use(); !use) {
    facts.flows_problem = use.error().text;
  } else {
    facts.flows = *use;
  }
  facts.forward_v4 = setting(forward_v4_file);
  facts.forward_v6 = setting(forward_v6_file);
  facts.bridge_v4 = setting("/proc/sys/net/bridge/bridge-nf-call-iptables");
  facts.bridge_v6 = setting("/proc/sys/net/bridge/bridge-nf-call-ip6tables");
  if (auto chains = io::firewall_chains(); chains)
    facts.chains = std::move(*chains);
  else
    facts.chains_problem = chains.error().text;
  std::set<core::IpAddress> asked;
  for (const auto& [name, pool] : settings.core.pools)
    for (const core::VipKey& key : pool.listeners)
      if (asked.insert(key.address).second && !is_here(key.address))
        facts.elsewhere.push_back(key.address);
  return facts;
}

std::vector<PreflightFinding> preflight_findings(const PreflightFacts& facts,
                                                 const FailoverSettings& settings) {
  std::vector<PreflightFinding> out;
  if (!facts.net_admin)
    out.push_back({Level::problem, "privileges", "this process has no CAP_NET_ADMIN",
                   "run it as root, in a container with cap_add: [NET_ADMIN, NET_RAW]"});
  if (!facts.ping)
    out.push_back({Level::problem, "privileges",
                   "this process can send no pings, and checks need them",
                   "give it CAP_NET_RAW, or its group a place in net.ipv4.ping_group_range"});
  if (facts.kernel_problem.empty())
    out.push_back({Level::good, "kernel", "the kernel takes our rules", {}});
  else
    out.push_back(
        {Level::problem, "kernel", "the kernel does not take our rules: " + facts.kernel_problem,
         facts.net_admin ? "a kernel from 5.10 with nf_tables, nft_nat, nft_numgen, "
                           "nft_hash, nft_ct, nft_masq, nft_redir and nft_reject (modprobe)"
                         : "the privileges first"});
  if (!facts.flows_problem.empty())
    out.push_back({Level::problem, "connections",
                   "connections cannot be followed: " + facts.flows_problem,
                   "modprobe nf_conntrack_netlink, and the privileges"});
  else if (facts.flows && facts.flows->maximum > 0 &&
           facts.flows->used > facts.flows->maximum / 5 * 4)
    out.push_back({Level::warning, "connections",
                   std::to_string(facts.flows->used) + " of " +
                       std::to_string(facts.flows->maximum) +
                       " connections are in use; beyond that new ones are dropped",
                   "sysctl -w net.netfilter.nf_conntrack_max=" +
                       std::to_string(std::uint64_t{facts.flows->maximum} * 2)});
  if (uses(settings, Family::v4)) forwarding(facts.forward_v4, Family::v4, out);
  if (uses(settings, Family::v6)) forwarding(facts.forward_v6, Family::v6, out);
  rules(facts, settings, out);
  if (facts.bridge_v4.value_or(false) || facts.bridge_v6.value_or(false))
    out.push_back(
        {Level::note, "bridge",
         "net.bridge.bridge-nf-call-iptables is on: packets between two ports of a bridge "
         "pass the firewall's rules too, and a server that reaches itself by the virtual "
         "address needs its port of the bridge to send packets back",
         "ip link set dev PORT type bridge_slave hairpin on, where a server is its own "
         "client"});
  for (const core::IpAddress& address : facts.elsewhere)
    out.push_back({Level::note, "virtual-address",
                   address.to_string() + " is no address of this machine: it must be routed here",
                   "ip address add " + address.to_string() +
                       (address.family == Family::v4 ? "/32" : "/128") +
                       " dev lo, unless a router or keepalived sees to it"});
  return out;
}

std::vector<PreflightFinding> preflight_fix(const FailoverSettings& settings) {
  std::vector<PreflightFinding> out;
  if (!settings.fix.contains("ip-forward")) return out;
  for (const auto& [family, path] :
       {std::pair{Family::v4, forward_v4_file}, std::pair{Family::v6, forward_v6_file}}) {
    if (!uses(settings, family) || setting(path).value_or(true)) continue;
    std::ofstream file{std::string{path}};
    file << "1\n" << std::flush;
    const bool done = setting(path).value_or(false);
    out.push_back({done ? Level::note : Level::problem,
                   "ip-forward",
                   std::string{name_of(family)} + (done ? " forwarding was switched on"
                                                        : " forwarding cannot be switched on here"),
                   {}});
  }
  return out;
}

int run_preflight(const FailoverSettings& settings, bool json) {
  std::vector<PreflightFinding> all = preflight_fix(settings);
  std::ranges::move(preflight_findings(preflight_facts(settings), settings),
                    std::back_inserter(all));
  const bool bad =
      std::ranges::any_of(all, [](const PreflightFinding& f) { return f.level == Level::problem; });
  if (json) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const PreflightFinding& f : all)
      list.push_back({{"level", to_string(f.level)},
                      {"about", f.about},
                      {"text", f.text},
                      {"remedy", f.remedy}});
    print_line(web::dump({{"good", !bad}, {"findings", std::move(list)}}));
    return bad ? exit_failed : exit_done;
  }
  for (const PreflightFinding& f : all) {
    std::string line{to_string(f.level)};
    line.append(9 - line.size(), ' ');
    print_line(line + f.text);
    std::string_view remedy = f.remedy;
    while (!remedy.empty()) {
      const auto end = std::min(remedy.find('\n'), remedy.size());
      print_line("         > " + std::string{remedy.substr(0, end)});
      remedy.remove_prefix(std::min(end + 1, remedy.size()));
    }
  }
  return bad ? exit_failed : exit_done;
}

}  // namespace sentinel::app
