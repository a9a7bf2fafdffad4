#include <algorithm>
#include <catch2/catch_test_macros.hpp>

#include "app/failover_preflight.hpp"

using namespace sentinel;
using namespace sentinel::app;

namespace {

FailoverSettings settings() {
  FailoverSettings made;
  made.core.hosts["alpha"].addresses = {*core::IpAddress::parse("10.8.0.11"),
                                        *core::IpAddress::parse("2001:db8::11")};
  core::PoolConfig pool;
  pool.listeners = {{*core::IpAddress::parse("203.0.113.10"), core::L4::tcp, 80}};
  pool.servers = {{.host = "alpha"}};
  made.core.pools["web"] = pool;
  return made;
}

PreflightFacts good_machine() {
  PreflightFacts facts;
  facts.net_admin = true;
  facts.ping = true;
  facts.flows = io::TableUse{10, 1000};
  facts.forward_v4 = true;
  facts.forward_v6 = false;
  return facts;
}

io::FirewallChain base(std::string table, std::string name, std::string type, std::uint32_t hook,
                       int priority, bool drops) {
  io::FirewallChain chain;
  chain.table = std::move(table);
  chain.name = std::move(name);
  chain.type = std::move(type);
  chain.hook = hook;
  chain.priority = priority;
  chain.drops = drops;
  return chain;
}

constexpr std::uint32_t prerouting = 0;
constexpr std::uint32_t forward = 2;

const PreflightFinding* about(const std::vector<PreflightFinding>& all, std::string_view what) {
  const auto found = std::ranges::find(all, what, &PreflightFinding::about);
  return found == all.end() ? nullptr : &*found;
}

}  // namespace

TEST_CASE("a machine with nothing against it has only good findings") {
  for (const auto& found : preflight_findings(good_machine(), settings()))
    CHECK(found.level == PreflightLevel::good);
}

TEST_CASE("forwarding is asked of the families in use") {
  PreflightFacts facts = good_machine();
  facts.forward_v4 = false;
  auto all = preflight_findings(facts, settings());
  const auto* found = about(all, "ip-forward");
  REQUIRE(found != nullptr);
  CHECK(found->level == PreflightLevel::problem);
  CHECK(found->text.contains("net.ipv4.ip_forward is off"));
  CHECK(found->remedy.contains("sysctl -w net.ipv4.ip_forward=1"));
  // IPv6 is off as well, which concerns nobody until a pool listens there.
  CHECK(std::ranges::count(all, "ip-forward", &PreflightFinding::about) == 1);
  FailoverSettings both = settings();
  both.core.pools["web"].listeners.push_back(
      {*core::IpAddress::parse("2001:db8:f::10"), core::L4::tcp, 80});
  all = preflight_findings(facts, both);
  CHECK(std::ranges::count(all, "ip-forward", &PreflightFinding::about) == 2);
}

TEST_CASE("privileges and the kernel") {
  PreflightFacts facts;
  facts.kernel_problem = "Operation not permitted";
  facts.flows_problem = "Operation not permitted";
  facts.forward_v4 = true;
  const auto all = preflight_findings(facts, settings());
  CHECK(std::ranges::count(all, PreflightLevel::problem, &PreflightFinding::level) == 4);
  REQUIRE(about(all, "kernel") != nullptr);
  CHECK(about(all, "kernel")->text.contains("Operation not permitted"));
}

TEST_CASE("Docker's policy of DROP comes with the rules that allow the servers") {
  PreflightFacts facts = good_machine();
  facts.chains = {base("ip filter", "FORWARD", "filter", forward, 0, true),
                  base("ip filter", "DOCKER-USER", "", 0, 0, false),
                  base("ip6 filter", "FORWARD", "filter", forward, 0, true)};
  facts.chains.back().family = core::Family::v6;
  const auto all = preflight_findings(facts, settings());
  const auto* found = about(all, "docker");
  REQUIRE(found != nullptr);
  CHECK(found->level == PreflightLevel::warning);
  CHECK(found->text.contains("ip filter FORWARD"));
  CHECK(found->remedy.contains("iptables -I DOCKER-USER -d 10.8.0.11 -j ACCEPT"));
  CHECK(found->remedy.contains("iptables -I DOCKER-USER -s 10.8.0.11 -j ACCEPT"));
  CHECK_FALSE(found->remedy.contains("2001:db8::11"));
  CHECK(about(all, "forward-policy") == nullptr);
}

TEST_CASE("a policy of DROP without Docker, and one that is not about forwarding") {
  PreflightFacts facts = good_machine();
  facts.chains = {base("inet site", "f", "filter", forward, 10, true),
                  base("inet site", "in", "filter", 1, 10, true)};
  const auto all = preflight_findings(facts, settings());
  CHECK(std::ranges::count(all, "forward-policy", &PreflightFinding::about) == 1);
}

TEST_CASE("NAT rules of others that come first") {
  PreflightFacts facts = good_machine();
  facts.chains = {base("ip nat", "PREROUTING", "nat", prerouting, -100, false),
                  base("ip sentinel", "pre", "nat", prerouting, -105, false),
                  base("ip other\n", "first", "nat", prerouting, -200, false)};
  const auto all = preflight_findings(facts, settings());
  const auto* found = about(all, "earlier-nat");
  REQUIRE(found != nullptr);
  CHECK(found->text == "other NAT rules come before ours: ip other first");
}

TEST_CASE("notes: bridges, addresses of other machines, a connection table that is nearly full") {
  PreflightFacts facts = good_machine();
  facts.bridge_v4 = true;
  facts.elsewhere = {*core::IpAddress::parse("203.0.113.10")};
  facts.flows = io::TableUse{900, 1000};
  const auto all = preflight_findings(facts, settings());
  REQUIRE(about(all, "bridge") != nullptr);
  CHECK(about(all, "bridge")->level == PreflightLevel::note);
  REQUIRE(about(all, "virtual-address") != nullptr);
  CHECK(about(all, "virtual-address")->text.starts_with("203.0.113.10 is no address"));
  REQUIRE(about(all, "connections") != nullptr);
  CHECK(about(all, "connections")->remedy.ends_with("nf_conntrack_max=2000"));
}
