#include "core/pool_marks.hpp"

#include <bit>

#include "core/pool_slots.hpp"

namespace sentinel::core {
namespace {

constexpr Mark all_marks = mark_id_mask + 1;

Mark first_of(const MarkBlock& block) { return block.value & mark_id_mask; }
Mark size_of(const MarkBlock& block) { return ~block.mask + 1; }

}  // namespace

bool MarkBlocks::free(Mark first, Mark size) const {
  auto next = taken_.lower_bound(first);
  if (next != taken_.end() && next->first < first + size) return false;
  if (next == taken_.begin()) return true;
  --next;
  return next->first + next->second <= first;
}

std::optional<MarkBlock> MarkBlocks::take(std::string_view identity, std::size_t marks,
                                          bool masquerade) {
  const Mark size = std::bit_ceil(static_cast<Mark>(marks));
  const Mark places = all_marks / size;
  const auto start = static_cast<Mark>(identity_hash(identity) % places);
  for (Mark i = 0; i < places; ++i) {
    const Mark first = (start + i) % places * size;
    if (!free(first, size)) continue;
    const MarkBlock block{mark_base | (masquerade ? mark_masquerade : 0) | first, ~(size - 1)};
    taken_.emplace(first, size);
    return block;
  }
  return std::nullopt;
}

bool MarkBlocks::take(const MarkBlock& block) {
  if (!free(first_of(block), size_of(block))) return false;
  taken_.emplace(first_of(block), size_of(block));
  return true;
}

void MarkBlocks::give_back(const MarkBlock& block) { taken_.erase(first_of(block)); }

}  // namespace sentinel::core
