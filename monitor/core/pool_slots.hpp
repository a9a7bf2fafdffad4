#pragma once

// Which server each slot of a pool belongs to.
//
// Computed from the servers alone, never from the table that was: two firewalls with one
// configuration have one table, and a server that returns gets its own slots back. Every slot has
// an owner among all servers, whether they work or not. A slot whose owner works is the owner's;
// the others are spread over those that work, so that the loss of a server moves its own slots
// only.
//
// Owners follow each other in turn (round robin), or stand where Maglev's permutations put them
// (Eisenbud et al., NSDI 2016), so that a server more or less in the configuration moves few slots.

#include <cstdint>
#include <string_view>
#include <vector>

namespace sentinel::core {

struct SlotServer {
  std::uint64_t identity = 0;  // of the server, the same on every machine: identity_hash
  unsigned weight = 1;         // 1..max_weight
  /// Of its weight, in thousandths; 0: does not work. Between, while it starts slowly.
  unsigned share = 1000;
};

inline constexpr std::uint16_t no_server = 0xffff;

enum class SlotOrder : std::uint8_t { in_turn, maglev };

/// An index into `servers` for each of `slots` slots; all no_server when no server has a share.
/// Counts are in proportion to weight x share: the difference is below one slot, or below two where
/// owners keep what they have.
std::vector<std::uint16_t> fill_slots(const std::vector<SlotServer>& servers, std::size_t slots,
                                      SlotOrder order);

/// FNV-1a: small, and the same everywhere. Not for keys that an attacker chooses.
std::uint64_t identity_hash(std::string_view text);

}  // namespace sentinel::core
