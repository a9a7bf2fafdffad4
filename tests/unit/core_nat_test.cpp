#include <rapidcheck.h>
#include <algorithm>
#include <catch2/catch_test_macros.hpp>

#include "core/nat.hpp"

using namespace sentinel::core;

namespace {

VipKey vip(unsigned last, std::uint16_t port) {
  return {IpAddress::parse("203.0.113." + std::to_string(last)).value(), L4::tcp, port};
}

NatServer server(unsigned last) {
  return {IpAddress::parse("10.8.0." + std::to_string(last)).value(), 8080};
}

NatService service(Mark a, Mark b) {
  NatService out;
  for (unsigned i = 0; i < 61; ++i) out.slots.push_back(i % 2 == 0 ? a : b);
  return out;
}

/// A table of few distinct parts, so that two of them have much in common. Gaps only in those that
/// stand for one read from the kernel.
NatTable any_table(bool gaps) {
  NatTable table;
  for (unsigned v = 0; v < 3; ++v) {
    if (*rc::gen::inRange(0, 3) == 0) continue;
    NatService one;
    if (*rc::gen::inRange(0, 4) != 0) {
      one.slot_class = *rc::gen::element(SlotClass::small, SlotClass::medium);
      one.spread = *rc::gen::element(Spread::round_robin, Spread::source_hash, Spread::sticky);
      const auto few = *rc::gen::inRange(1, 4);
      const auto step = *rc::gen::inRange(1, 5);
      for (unsigned i = 0; i < static_cast<unsigned>(one.slot_class); ++i)
        one.slots.push_back(mark_base + static_cast<Mark>((i * static_cast<unsigned>(step)) %
                                                          static_cast<unsigned>(few)));
      if (gaps) one.slots[*rc::gen::inRange<std::size_t>(0, one.slots.size())] = 0;
    }
    table.services.emplace(vip(v, 443), one);
  }
  for (unsigned m = 0; m < 4; ++m) {
    if (*rc::gen::arbitrary<bool>())
      table.servers.emplace(mark_base + m, server(static_cast<unsigned>(*rc::gen::inRange(1, 4))));
    if (*rc::gen::arbitrary<bool>()) table.live.insert(mark_base + m);
  }
  if (*rc::gen::arbitrary<bool>()) table.hairpin.insert(IpPrefix::parse("10.8.0.0/24").value());
  if (*rc::gen::arbitrary<bool>()) table.hairpin.insert(IpPrefix::parse("10.9.0.0/24").value());
  return table;
}

/// Elements the kernel would hold, counted independently of difference().
std::size_t elements_that_differ(const NatTable& a, const NatTable& b) {
  std::size_t count = 0;
  const auto slot = [](const NatTable& t, const VipKey& key, SlotClass c, std::size_t i) -> Mark {
    const auto it = t.services.find(key);
    if (it == t.services.end() || it->second.slots.empty() || it->second.slot_class != c) return 0;
    return it->second.slots[i];
  };
  const auto spread = [](const NatTable& t, const VipKey& key) -> int {
    const auto it = t.services.find(key);
    if (it == t.services.end()) return -1;
    if (it->second.slots.empty()) return -2;
    return (static_cast<int>(it->second.slot_class) * 8) + static_cast<int>(it->second.spread);
  };
  for (unsigned v = 0; v < 3; ++v) {
    for (const auto c : {SlotClass::small, SlotClass::medium})
      for (std::size_t i = 0; i < static_cast<std::size_t>(c); ++i)
        count += slot(a, vip(v, 443), c, i) != slot(b, vip(v, 443), c, i) ? 1U : 0U;
    count += spread(a, vip(v, 443)) != spread(b, vip(v, 443)) ? 1U : 0U;
  }
  for (Mark m = mark_base; m < mark_base + 4; ++m) {
    const auto x = a.servers.find(m);
    const auto y = b.servers.find(m);
    const bool same = (x == a.servers.end()) == (y == b.servers.end()) &&
                      (x == a.servers.end() || x->second == y->second);
    count += (same ? 0U : 1U) + (a.live.contains(m) != b.live.contains(m) ? 1U : 0U);
  }
  for (const char* net : {"10.8.0.0/24", "10.9.0.0/24"}) {
    const auto prefix = IpPrefix::parse(net).value();
    count += a.hairpin.contains(prefix) != b.hairpin.contains(prefix) ? 1U : 0U;
  }
  return count;
}

}  // namespace

TEST_CASE("a server that leaves costs its own slots and nothing else") {
  NatTable from;
  from.servers = {{mark_base + 1, server(1)}, {mark_base + 2, server(2)}};
  from.services = {{vip(1, 443), service(mark_base + 1, mark_base + 2)},
                   {vip(2, 443), service(mark_base + 1, mark_base + 1)}};
  NatTable to = from;
  std::ranges::replace(to.services.at(vip(1, 443)).slots, mark_base + 2, mark_base + 1);
  to.servers.erase(mark_base + 2);
  const auto changes = difference(from, to);
  REQUIRE(changes.size() == 31);
  CHECK(changes.front() ==
        NatChange{SetSlot{vip(1, 443), SlotClass::small, 1, mark_base + 2, mark_base + 1}});
  CHECK(changes.back() == NatChange{SetServer{mark_base + 2, server(2), std::nullopt}});
}

TEST_CASE("a service without servers is rejected, and comes back") {
  NatTable well;
  well.servers = {{mark_base + 1, server(1)}};
  well.services = {{vip(1, 443), service(mark_base + 1, mark_base + 1)}};
  NatTable down = well;
  down.services.at(vip(1, 443)) = {};
  using How = SetSpread::How;
  const auto out = difference(well, down);
  REQUIRE(out.size() == 62);
  CHECK(out.back() == NatChange{SetSpread{vip(1, 443), How{SlotClass::small, How::As::round_robin},
                                          How{SlotClass::small, How::As::reject}}});
  auto table = well;
  apply(table, out);
  CHECK(table == down);
  apply(table, difference(down, well));
  CHECK(table == well);
}

TEST_CASE("the changes lead from any table to any other, and are the fewest") {
  CHECK(rc::check([] {
    const NatTable from = any_table(true);
    const NatTable to = any_table(false);
    const auto changes = difference(from, to);
    NatTable reached = from;
    apply(reached, changes);
    RC_ASSERT(reached == to);
    RC_ASSERT(changes.size() == elements_that_differ(from, to));
    RC_ASSERT(difference(to, to).empty());
  }));
}

TEST_CASE("at no point of a batch does a slot name a server that is not there") {
  CHECK(rc::check([] {
    NatTable from = any_table(false);
    NatTable to = any_table(false);
    for (NatTable* table : {&from, &to})
      for (const auto& [key, one] : table->services)
        for (const Mark mark : one.slots) table->servers.try_emplace(mark, server(1));
    NatTable table = from;
    for (const NatChange& change : difference(from, to)) {
      apply(table, {change});
      if (const auto* slot = std::get_if<SetSlot>(&change); slot != nullptr && slot->to)
        RC_ASSERT(table.servers.contains(*slot->to));
      const auto* gone = std::get_if<SetServer>(&change);
      if (gone == nullptr || gone->to) continue;
      for (const auto& [key, one] : table.services)
        RC_ASSERT(std::ranges::find(one.slots, gone->mark) == one.slots.end());
    }
  }));
}
