#include "ballast.hpp"

#include <sys/mman.h>

namespace sentinel::demo {
namespace {

constexpr std::size_t block_bytes = std::size_t{1024} * 1024;

}  // namespace

void Ballast::Unmap::operator()(void* block) const { munmap(block, block_bytes); }

bool Ballast::grow(std::size_t mib) {
  for (; mib > 0; --mib) {
    // Populated at once, so that the pages count as used; mapped, so that release gives them
    // back at once and no allocator keeps them.
    void* const block = mmap(nullptr, block_bytes, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (block == MAP_FAILED) {
      return false;
    }
    blocks_.emplace_back(block);
  }
  return true;
}

void Ballast::release() { blocks_.clear(); }

}  // namespace sentinel::demo
