// The NAT table in a kernel: what is written is what is read, a refused change is none.
#include "io/nat_kernel.hpp"

#include <boost/asio/io_context.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <cerrno>
#include <chrono>

#include "nat_fixture.hpp"
#include "netns.hpp"

namespace {

using namespace sentinel;
using namespace std::chrono_literals;
using io::NatKernel;
using test::ip;
using test::net;
using test::service;
using test::shell;

std::unique_ptr<NatKernel> opened(io::NatOptions options = {}) {
  auto made = NatKernel::open(std::move(options));
  REQUIRE(made.has_value());
  return *std::move(made);
}

template <typename T>
T done(std::expected<T, io::Error> result) {
  if (!result) FAIL(result.error().text);
  return *std::move(result);
}

const core::VipKey web{ip("203.0.113.10"), core::L4::tcp, 443};
const core::VipKey web6{ip("2001:db8::10"), core::L4::tcp, 443};
const core::VipKey dns{ip("203.0.113.10"), core::L4::udp, 53};
constexpr core::Mark one = core::mark_base + 1;
constexpr core::Mark two = core::mark_base + 2;
constexpr core::Mark three = core::mark_base + 3;

core::NatTable small_table() {
  core::NatTable table;
  table.servers = {{one, {ip("10.8.0.11"), 8443}},
                   {two, {ip("10.8.0.12"), 8443}},
                   {three, {ip("fd00::13"), 8443}}};
  table.services = {{web, service({one, two})},
                    {web6, service({three}, core::Spread::sticky)},
                    {dns, service({two}, core::Spread::source_hash, core::SlotClass::medium)}};
  table.live = {one, two, three};
  table.hairpin = {net("10.8.0.0/24"), net("10.8.0.0/16"), net("fd00::/8")};
  return table;
}

}  // namespace

TEST_CASE("a NAT table that was made is read back, also by another process") {
  const test::Namespace where;
  const test::Namespace::Inside inside{where};
  const auto kernel = opened();
  CHECK(done(kernel->load()) == std::nullopt);
  const core::NatTable table = small_table();
  const io::NatTransaction made = done(kernel->create(table));
  CHECK(made.messages > 10);
  CHECK(made.took > 0ns);
  CHECK(done(kernel->load()) == table);
  CHECK(done(opened()->load()) == table);

  SECTION("a second create replaces it") {
    core::NatTable other = table;
    other.services.erase(dns);
    other.sticky_timeout = 90s;
    done(kernel->create(other));
    CHECK(done(kernel->load()) == other);
  }
  SECTION("other options are another layout") {
    CHECK(done(opened({.count_traffic = false})->load()) == std::nullopt);
    CHECK(done(opened({.forward_mark = 16})->load()) == std::nullopt);
    const auto marking = opened({.forward_mark = 16});
    done(marking->create(table));
    CHECK(done(marking->load()) == table);
  }
  SECTION("tables of other names do not meet") {
    const auto other = opened({.table = "sentinel_test"});
    CHECK(done(other->load()) == std::nullopt);
    done(other->create({}));
    CHECK(done(kernel->load()) == table);
    done(other->remove());
    CHECK(done(kernel->load()) == table);
  }
  SECTION("remove leaves nothing, and may be repeated") {
    done(kernel->remove());
    CHECK(shell("nft list tables").empty());
    done(kernel->remove());
    CHECK(done(kernel->load()) == std::nullopt);
  }
  SECTION("a damaged table is not adopted") {
    shell(GENERATE("nft flush chain ip sentinel send", "nft delete chain ip6 sentinel pre",
                   "nft add chain ip sentinel extra { type filter hook input priority 0\\; } && "
                   "nft add rule ip sentinel extra drop",
                   "nft add element ip sentinel vip { 203.0.113.77 . tcp . 1 : 0x99 }",
                   "nft delete element ip sentinel traffic { 0x5e000001 }",
                   "nft add table ip sentinel { flags dormant\\; }",
                   "nft delete table ip6 sentinel"));
    CHECK(done(kernel->load()) == std::nullopt);
    done(kernel->create(table));
    CHECK(done(kernel->load()) == table);
  }
  SECTION("nft can list it") {
    const std::string listed = shell("nft list ruleset");
    CHECK(listed.contains("203.0.113.10 . tcp . 443"));
    CHECK(listed.contains("10.8.0.11 . 8443"));
    CHECK(listed.contains("numgen inc mod 61"));
    CHECK(listed.contains("0x5e000001 counter packets 0 bytes 0 : 10.8.0.11 . 8443"));
  }
}

TEST_CASE("without IPv6 there is no IPv6 table, and no IPv6 service") {
  const test::Namespace where;
  const test::Namespace::Inside inside{where};
  const auto kernel = opened({.ipv6 = false});
  core::NatTable table = small_table();
  CHECK(kernel->create(table).error().code == EAFNOSUPPORT);
  table.services.erase(web6);
  table.servers.erase(three);
  table.live.erase(three);
  table.hairpin.erase(net("fd00::/8"));
  done(kernel->create(table));
  CHECK(done(kernel->load()) == table);
  CHECK(shell("nft list tables") == "table ip sentinel\n");
}

TEST_CASE("the difference of random tables leads the kernel from one to the other") {
  const test::Namespace where;
  const test::Namespace::Inside inside{where};
  const auto kernel = opened();
  const std::uint32_t seed = std::random_device{}();
  CAPTURE(seed);
  test::RandomTables random{seed};
  core::NatTable table = random.table();
  done(kernel->create(table));
  CHECK(done(kernel->load()) == table);
  for (int step = 0; step < 25; ++step) {
    CAPTURE(step);
    core::NatTable next = random.table();
    next.sticky_timeout = table.sticky_timeout;
    done(kernel->apply(core::difference(table, next)));
    REQUIRE(done(kernel->load()) == next);
    table = std::move(next);
  }
}

TEST_CASE("a refused transaction changes nothing and says what was refused") {
  const test::Namespace where;
  const test::Namespace::Inside inside{where};
  const auto kernel = opened();
  CHECK(kernel->apply({core::SetLive{one, true}}).error().code == ENOENT);
  const core::NatTable table = small_table();
  done(kernel->create(table));

  const core::SetServer good{core::mark_base + 9, std::nullopt,
                             core::NatServer{ip("10.8.0.19"), 80}};
  SECTION("an element that is there already") {
    const auto refused = kernel->apply({good, core::SetServer{one, std::nullopt, good.to}});
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == EEXIST);
    CHECK(refused.error().text.contains("'be' of table ip sentinel"));
  }
  SECTION("an element that is not there") {
    const auto refused =
        kernel->apply({good, core::SetSlot{web, core::SlotClass::large, 5, one, two}});
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == ENOENT);
    CHECK(refused.error().text.contains("'slot1009' of table ip sentinel"));
  }
  SECTION("no table") {
    done(opened()->remove());
    CHECK(kernel->apply({good}).error().code == ENOENT);
    CHECK(done(kernel->load()) == std::nullopt);
    return;
  }
  SECTION("very many refusals") {
    std::vector<core::NatChange> many;
    for (std::uint16_t port = 1; port < 20'000; ++port) {
      many.emplace_back(
          core::SetSlot{{web.address, core::L4::tcp, port},
                        port % 2 == 0 ? core::SlotClass::small : core::SlotClass::large,
                        1,
                        one,
                        two});
    }
    CHECK(kernel->apply(many).error().code == ENOENT);
  }
  CHECK(done(kernel->load()) == table);
  done(kernel->apply({good}));
}

TEST_CASE("two thousand services fit one transaction") {
  const test::Namespace where;
  const test::Namespace::Inside inside{where};
  core::NatTable table;
  for (std::uint32_t i = 0; i < 2000; ++i) {
    const core::Mark first = core::mark_base + 2 * i;
    const auto low = static_cast<std::uint8_t>(i % 250);
    const core::IpAddress address =
        ip("10.9." + std::to_string(i / 250) + "." + std::to_string(low));
    table.servers[first] = {address, 80};
    table.servers[first + 1] = {address, 81};
    table.services[{address, core::L4::tcp, 80}] = service({first, first + 1});
  }
  const auto kernel = opened();
  // The kernel rebuilds its hash tables while they are listed: seen by one list of ten.
  for (int round = 0; round < 5; ++round) {
    done(kernel->create(table));
    const bool all = done(kernel->load()) == table;  // thousands of lines, if printed
    REQUIRE(all);
  }

  core::NatTable next = table;
  next.services.begin()->second = service({core::mark_base});
  done(kernel->apply(core::difference(table, next)));
  CHECK(done(kernel->load()) == next);
}
