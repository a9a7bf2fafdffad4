#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <numeric>

#include "core/pool_config.hpp"
#include "core/pool_marks.hpp"
#include "core/pool_slots.hpp"
#include "sim/prng.hpp"

using namespace sentinel::core;
using sentinel::sim::Prng;

namespace {

std::vector<SlotServer> servers(unsigned count) {
  std::vector<SlotServer> out;
  out.reserve(count);
  for (unsigned i = 0; i < count; ++i) out.push_back({identity_hash("s" + std::to_string(i))});
  return out;
}

std::vector<std::size_t> counts(const std::vector<std::uint16_t>& owners, std::size_t of) {
  std::vector<std::size_t> out(of);
  for (const auto owner : owners)
    if (owner != no_server) ++out.at(owner);
  return out;
}

std::size_t moved(const std::vector<std::uint16_t>& a, const std::vector<std::uint16_t>& b) {
  std::size_t out = 0;
  for (std::size_t i = 0; i < a.size(); ++i) out += a[i] != b[i] ? 1U : 0U;
  return out;
}

}  // namespace

TEST_CASE("round robin: one after the other") {
  const auto owners = fill_slots(servers(3), 307, SlotOrder::in_turn);
  for (std::size_t i = 0; i + 3 < owners.size(); ++i) {
    CHECK(owners[i] != owners[i + 1]);
    CHECK(owners[i] == owners[i + 3]);
  }
}

TEST_CASE("no server, no slot; one server, every slot") {
  auto three = servers(3);
  for (auto& server : three) server.share = 0;
  const auto order = GENERATE(SlotOrder::in_turn, SlotOrder::maglev);
  CHECK(std::ranges::count(fill_slots(three, 61, order), no_server) == 61);
  CHECK(std::ranges::count(fill_slots({}, 61, order), no_server) == 61);
  three[1].share = 100;
  CHECK(std::ranges::count(fill_slots(three, 61, order), 1) == 61);
}

TEST_CASE(
    "suitable classes: equal servers within 1 %, weights within 2 %, or the largest there is") {
  Prng chance{7};
  for (int round = 0; round < 300; ++round) {
    const unsigned count = 1 + chance.below(12);
    const bool weighted = chance.below(2) == 0;
    std::vector<PoolServer> pool(count);
    auto all = servers(count);
    for (unsigned i = 0; i < count; ++i)
      pool[i].weight = all[i].weight = weighted ? 1 + chance.below(9) : 1;
    const SlotClass slot_class = suitable_slots(pool);
    const auto slots = static_cast<std::size_t>(slot_class);
    const auto have = counts(fill_slots(all, slots, SlotOrder::in_turn), count);
    double sum = 0;
    for (const auto& server : pool) sum += server.weight;
    for (unsigned i = 0; i < count; ++i) {
      const double due = static_cast<double>(slots) * pool[i].weight / sum;
      CHECK(std::abs(static_cast<double>(have[i]) - due) < 1);
      if (slot_class != SlotClass::large)
        CHECK(std::abs(static_cast<double>(have[i]) - due) <= (weighted ? 0.02 : 0.01) * due);
    }
  }
  CHECK(suitable_slots(std::vector<PoolServer>(1)) == SlotClass::small);
  CHECK(suitable_slots(std::vector<PoolServer>(2)) == SlotClass::medium);
  CHECK(suitable_slots(std::vector<PoolServer>(3)) == SlotClass::medium);
  CHECK(suitable_slots(std::vector<PoolServer>(10)) == SlotClass::large);
}

TEST_CASE(
    "whoever is lost or slow: only allowed servers, right shares, and owners keep their own") {
  Prng chance{11};
  for (int round = 0; round < 2000; ++round) {
    const unsigned count = 2 + chance.below(9);
    const auto slots =
        static_cast<std::size_t>(chance.below(2) == 0 ? SlotClass::small : SlotClass::medium);
    const SlotOrder order = chance.below(2) == 0 ? SlotOrder::in_turn : SlotOrder::maglev;
    auto all = servers(count);
    for (auto& server : all) server.weight = 1 + chance.below(4);
    const auto home = fill_slots(all, slots, order);
    std::uint64_t parts = 0;
    for (auto& server : all) {
      const auto kind = chance.below(4);
      server.share = kind == 0 ? 0 : kind == 1 ? 100 * (1 + chance.below(9)) : 1000;
      parts += std::uint64_t{server.weight} * server.share;
    }
    if (parts == 0) continue;
    const auto owners = fill_slots(all, slots, order);
    const auto have = counts(owners, count);
    CHECK(std::accumulate(have.begin(), have.end(), std::size_t{0}) == slots);
    for (unsigned i = 0; i < count; ++i) {
      if (all[i].share == 0) CHECK(have[i] == 0);
      const double due = static_cast<double>(slots) * static_cast<double>(all[i].weight) *
                         all[i].share / static_cast<double>(parts);
      CHECK(std::abs(static_cast<double>(have[i]) - due) < 3);
    }
    for (std::size_t s = 0; s < slots; ++s)
      if (all[home[s]].share == 1000) CHECK(owners[s] == home[s]);
  }
}

TEST_CASE("the loss of one server moves its slots only, its return brings back the same") {
  const auto order = GENERATE(SlotOrder::in_turn, SlotOrder::maglev);
  auto five = servers(5);
  const auto before = fill_slots(five, 307, order);
  five[2].share = 0;
  const auto without = fill_slots(five, 307, order);
  CHECK(moved(before, without) == counts(before, 5)[2]);
  std::size_t last = 0;
  for (unsigned share = 100; share <= 1000; share += 100) {
    five[2].share = share;
    const auto growing = fill_slots(five, 307, order);
    CHECK(counts(growing, 5)[2] > last);
    last = counts(growing, 5)[2];
    for (std::size_t i = 0; i < growing.size(); ++i)
      if (growing[i] == 2) CHECK(before[i] == 2);
  }
  CHECK(fill_slots(five, 307, order) == before);
}

TEST_CASE("Maglev: a server more in the configuration moves little besides its own share") {
  for (unsigned count = 2; count <= 10; ++count) {
    const auto before = fill_slots(servers(count), 1009, SlotOrder::maglev);
    const auto then = fill_slots(servers(count + 1), 1009, SlotOrder::maglev);
    const auto own = counts(then, count + 1)[count];
    CHECK(moved(before, then) < own + 1009 / 8);
  }
}

TEST_CASE("mark blocks: aligned, apart from each other, the same on every machine") {
  Prng chance{3};
  MarkBlocks blocks;
  MarkBlocks twin;
  std::vector<MarkBlock> taken;
  for (int i = 0; i < 3000; ++i) {
    const std::size_t marks = 1 + chance.below(max_pool_listeners);
    const std::string name = "pool/" + std::to_string(i);
    const bool masquerade = i % 2 == 0;
    const auto block = blocks.take(name, marks, masquerade);
    REQUIRE(block);
    CHECK(twin.take(name, marks, masquerade) == block);
    const Mark size = ~block->mask + 1;
    CHECK(size >= marks);
    CHECK((block->value & (size - 1)) == 0);
    CHECK((block->value & mark_base_mask) == mark_base);
    CHECK(((block->value & mark_masquerade) != 0) == masquerade);
    taken.push_back(*block);
  }
  std::ranges::sort(taken, {}, [](const MarkBlock& b) { return b.value & mark_id_mask; });
  for (std::size_t i = 1; i < taken.size(); ++i) {
    CHECK((taken[i - 1].value & mark_id_mask) + (~taken[i - 1].mask + 1) <=
          (taken[i].value & mark_id_mask));
    CHECK_FALSE(blocks.take(taken[i]));
  }
  blocks.give_back(taken[7]);
  CHECK(blocks.take(taken[7]));
}
