#pragma once

// NAT tables for tests.

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "core/ip.hpp"
#include "core/nat.hpp"

namespace sentinel::test {

inline core::IpAddress ip(const std::string& text) { return core::IpAddress::parse(text).value(); }
inline core::IpPrefix net(const std::string& text) { return core::IpPrefix::parse(text).value(); }

/// `marks` in turn over the slots.
inline core::NatService service(std::vector<core::Mark> marks,
                                core::Spread spread = core::Spread::round_robin,
                                core::SlotClass slot_class = core::SlotClass::small) {
  core::NatService made{slot_class, spread, {}};
  if (marks.empty()) return {};
  for (std::size_t slot = 0; slot < static_cast<std::size_t>(slot_class); ++slot) {
    made.slots.push_back(marks[slot % marks.size()]);
  }
  return made;
}

class RandomTables {
 public:
  explicit RandomTables(std::uint32_t seed) : random_(seed) {}

  std::size_t below(std::size_t end) {
    return std::uniform_int_distribution<std::size_t>{0, end - 1}(random_);
  }
  core::IpAddress address(core::Family family) {
    core::IpAddress made{.family = family};
    const std::size_t size = family == core::Family::v4 ? 4 : 16;
    for (std::size_t i = 0; i < size; ++i) made.bytes.at(i) = static_cast<std::uint8_t>(below(256));
    return made;
  }
  core::NatTable table() {
    core::NatTable made;
    made.sticky_timeout = std::chrono::seconds{1 + below(3600)};
    // Few keys, so that two tables have many in common.
    for (const auto family : {core::Family::v4, core::Family::v6}) {
      const core::Mark base = core::mark_base + (family == core::Family::v4 ? 0x100 : 0x200);
      for (core::Mark mark = base; mark < base + 12; ++mark) {
        if (below(3) == 0) continue;
        core::IpAddress where{.family = family};
        where.bytes[0] = 10;
        where.bytes[3] = static_cast<std::uint8_t>(below(3));
        made.servers[mark] = {where, static_cast<std::uint16_t>(1 + below(3))};
        if (below(2) == 0) made.live.insert(mark);
      }
      std::vector<core::Mark> marks;
      for (const auto& [mark, server] : made.servers) {
        if (server.address.family == family) marks.push_back(mark);
      }
      for (std::uint16_t port = 1; port < 8; ++port) {
        if (below(3) == 0) continue;
        core::VipKey key{{.family = family}, below(2) == 0 ? core::L4::tcp : core::L4::udp, port};
        key.address.bytes[0] = 203;
        core::NatService one;
        if (!marks.empty() && below(5) != 0) {
          one.slot_class = below(8) == 0   ? core::SlotClass::large
                           : below(4) == 0 ? core::SlotClass::medium
                                           : core::SlotClass::small;
          one.spread = static_cast<core::Spread>(below(3));
          for (std::size_t slot = 0; slot < static_cast<std::size_t>(one.slot_class); ++slot) {
            one.slots.push_back(marks[below(marks.size())]);
          }
        }
        made.services[key] = std::move(one);
      }
      for (int i = 0; i < 6; ++i) {
        core::IpPrefix prefix{address(family), static_cast<std::uint8_t>(
                                                   below(family == core::Family::v4 ? 33 : 129))};
        prefix.address.bytes[0] = static_cast<std::uint8_t>(below(2));
        for (std::size_t bit = prefix.length; bit < 128; ++bit) {
          prefix.address.bytes.at(bit / 8) &= static_cast<std::uint8_t>(~(0x80U >> (bit % 8)));
        }
        made.hairpin.insert(prefix);
      }
    }
    return made;
  }

 private:
  std::mt19937 random_;
};

}  // namespace sentinel::test
