#pragma once

// The NAT table as a value: what the kernel's maps hold, and the difference between two of them.
// The rules that read these maps are fixed (io/nat); only elements change while servers come and
// go.
//
// A connection's first packet picks a slot of its virtual service, the slot gives a mark, the mark
// gives the server. The mark stays on the connection (ct mark), which is how flows of one server
// are counted and flushed exactly.

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <variant>
#include <vector>

#include "core/ip.hpp"
#include "core/time.hpp"

namespace sentinel::core {

enum class L4 : std::uint8_t { tcp = 6, udp = 17 };

/// One virtual address, protocol and port.
struct VipKey {
  IpAddress address;
  L4 protocol = L4::tcp;
  std::uint16_t port = 0;  // 1..65535
  auto operator<=>(const VipKey&) const = default;
};

/// `0x5e` in the upper 8 bits tells our connections from those of others; bit 23 asks for
/// masquerading; the lower 23 bits name (service port, server). The marks of one server in one pool
/// are one aligned block of a power of two, so that a mask matches all of them.
using Mark = std::uint32_t;
inline constexpr Mark mark_base = 0x5e000000;
inline constexpr Mark mark_base_mask = 0xff000000;
inline constexpr Mark mark_masquerade = 0x00800000;
inline constexpr Mark mark_id_mask = 0x007fffff;

struct MarkBlock {
  Mark value = 0;
  Mark mask = 0;  // a connection is of this block when (mark & mask) == value
  auto operator<=>(const MarkBlock&) const = default;
};

/// Slots of a service: a prime, since the round-robin counter is shared by all services of a class.
enum class SlotClass : std::uint16_t { small = 61, medium = 307, large = 1009 };

/// How a slot is picked. `sticky`: as round robin, and a client keeps its server for
/// NatTable::sticky_timeout after its last new connection, as long as that server is live.
enum class Spread : std::uint8_t { round_robin, source_hash, sticky };

struct NatService {
  SlotClass slot_class = SlotClass::small;
  Spread spread = Spread::round_robin;
  /// slot_class marks, 0 where the element is missing (only a table read from the kernel has such
  /// gaps); empty: new connections are rejected (TCP reset, ICMP unreachable), class and spread are
  /// without meaning and stay at their defaults.
  std::vector<Mark> slots;
  bool operator==(const NatService&) const = default;
};

struct NatServer {
  IpAddress address;  // of the service's family
  std::uint16_t port = 0;
  bool operator==(const NatServer&) const = default;
};

struct NatTable {
  std::map<VipKey, NatService> services;
  std::map<Mark, NatServer> servers;  // every mark in any slot, and those still draining
  std::set<Mark> live;                // marks that sticky clients may keep
  std::set<IpPrefix> hairpin;  // clients in these nets that reach a server in them are masqueraded
  Duration sticky_timeout = 30min;  // 1 s .. 24 h
  bool operator==(const NatTable&) const = default;
};

// One change of one element; a batch of them is one transaction of the kernel. Order within a batch
// is significant: servers are added before the slots that name them and removed after, and when a
// service changes its class the slots of the old one are removed before those of the new one come.

struct SetSlot {
  VipKey service;
  SlotClass slot_class = SlotClass::small;
  std::uint16_t slot = 0;
  std::optional<Mark> from;  // nullopt: was not there
  std::optional<Mark> to;    // nullopt: is removed
  bool operator==(const SetSlot&) const = default;
};
/// The set that makes the dispatch chain treat the service so; nullopt: in none.
struct SetSpread {
  enum class As : std::uint8_t { round_robin, source_hash, sticky, reject };
  VipKey service;
  struct How {
    using As = SetSpread::As;
    SlotClass slot_class = SlotClass::small;  // without meaning for reject: small
    As as = As::reject;
    bool operator==(const How&) const = default;
  };
  std::optional<How> from;
  std::optional<How> to;
  bool operator==(const SetSpread&) const = default;
};
struct SetServer {
  Mark mark = 0;
  std::optional<NatServer> from;
  std::optional<NatServer> to;
  bool operator==(const SetServer&) const = default;
};
struct SetLive {
  Mark mark = 0;
  bool live = false;
  bool operator==(const SetLive&) const = default;
};
struct SetHairpin {
  IpPrefix prefix;
  bool present = false;
  bool operator==(const SetHairpin&) const = default;
};
using NatChange = std::variant<SetServer, SetSlot, SetSpread, SetLive, SetHairpin>;

/// The least changes that lead from one table to the other; none when they are equal (the sticky
/// timeout apart: it is part of the rules, and a change of it rebuilds them).
std::vector<NatChange> difference(const NatTable& from, const NatTable& to);

/// `table` after the changes; for tests and for keeping a copy of what the kernel holds.
void apply(NatTable& table, const std::vector<NatChange>& changes);

}  // namespace sentinel::core
