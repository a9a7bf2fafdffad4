#pragma once

// The rules that read the NAT table's maps: nf_tables objects of our own table, in both families.
// They are made once; afterwards only elements change (io/nat_elements).
//
//   vip       address . protocol . port : kind         what to do with a new connection
//   kind      kind : goto one of the chains below       constant
//   slot61, slot307, slot1009
//             address . protocol . port . slot : mark   the slots of services of each class
//   be        mark : address . port                     servers; an element counts its connections
//   live      mark                                      servers that sticky clients may keep
//   sticky    client . address . protocol . port : mark forgotten after the sticky timeout
//   nets      address . prefix length                   the hairpin prefixes as given
//   hairpin   intervals                                 the same, merged: what the rule asks
//   traffic   mark                                      counts bytes and packets, when wanted
//   layout…   nothing; its name tells the version and the options by which the rules were made
//
//   pre, out  nat hooks at -105, before Docker's at -100: `vip` tells ours, then goto pick
//   pick      by kind: rr… (numgen), sh… (jhash of the client), st… (sticky), reject. TCP packets
//             of connections that are under way but unknown are reset where counting would give
//             them to any server; a hash leads them back to theirs
//   send      dnat to what `be` says of the mark
//   miss      counted and dropped. A connection to a virtual address never passes unsent: kernels
//             before the fixes of 2025 may miss an element while a transaction is committed
//   post      nat hook at 95: masquerades by bit 23 of the mark, and for hairpin clients

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/nat.hpp"
#include "io/netlink.hpp"

namespace sentinel::io {

struct NatOptions {
  std::string table = "sentinel";  // of families ip and ip6; at most 64 letters, digits and _
  bool ipv6 = true;
  /// Count bytes and packets of each server: a look-up for each packet of our connections.
  bool count_traffic = true;
  /// Bits set in the packet mark of what we forward, for firewalls that accept by it (Docker's
  /// nftables backend: --bridge-accept-fwmark). 0: none.
  std::uint32_t forward_mark = 0;
};

/// How `vip` names what happens to a connection: a spread within a slot class, or reject.
std::uint32_t nat_kind(const core::SetSpread::How& how);
/// nullopt: no kind of ours.
std::optional<core::SetSpread::How> nat_how(std::uint32_t kind);

std::string_view slot_map(core::SlotClass slot_class);
inline constexpr std::array all_slot_classes = {core::SlotClass::small, core::SlotClass::medium,
                                                core::SlotClass::large};

/// The families of the options, as AF_INET and AF_INET6.
std::vector<std::uint8_t> nat_families(const NatOptions& options);
/// The name of the layout set.
std::string nat_layout(const NatOptions& options);

/// Deletes the tables of both families, whether or not they are there.
void write_nat_removal(NetlinkWriter& writer, const NatOptions& options);
/// Tables, sets, chains and rules without any element but those of `kind`.
void write_nat_rules(NetlinkWriter& writer, const NatOptions& options,
                     core::Duration sticky_timeout);

/// What a complete table has, to tell whether one found in the kernel is complete.
struct NatShape {
  std::vector<std::pair<std::string, std::size_t>> chains;  // name and number of rules, sorted
  std::vector<std::string> sets;                            // sorted
  bool operator==(const NatShape&) const = default;
};
NatShape nat_shape(const NatOptions& options);

}  // namespace sentinel::io
