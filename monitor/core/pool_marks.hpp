#pragma once

// Which marks are whose. A server of a pool has one aligned block of a power of two; the place of
// the block follows from the server's name, so that two firewalls with one configuration agree
// about the marks of the connections they hand to each other, and a restart finds its own.

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>

#include "core/nat.hpp"

namespace sentinel::core {

class MarkBlocks {
 public:
  /// A free block of at least `marks` (1..max_pool_listeners) marks: at the place that `identity`
  /// names, or the next free one. nullopt: all are taken.
  std::optional<MarkBlock> take(std::string_view identity, std::size_t marks, bool masquerade);
  /// Takes this very block; false when it overlaps another.
  bool take(const MarkBlock& block);
  void give_back(const MarkBlock& block);

 private:
  bool free(Mark first, Mark size) const;
  std::map<Mark, Mark> taken_;  // first -> size, without base and masquerade bit
};

/// Of these blocks, which are no longer than a mark, does this mark belong to one.
constexpr bool in_block(Mark mark, const MarkBlock& block) {
  return (mark & block.mask) == block.value;
}

}  // namespace sentinel::core
