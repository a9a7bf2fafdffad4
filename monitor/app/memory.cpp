#include "app/memory.hpp"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace sentinel::app {

namespace {

/// For the segments of one program or library. Only those that were never writable: their pages are
/// the file's own, and what the kernel drops it reads back unchanged. (Relocated tables are in
/// writable segments, read-only later or not.)
int drop_segments(dl_phdr_info* info, std::size_t, void*) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& header = info->dlpi_phdr[i];
    if (header.p_type != PT_LOAD || (header.p_flags & PF_W) != 0) continue;
    const std::uintptr_t begin = (info->dlpi_addr + header.p_vaddr) / page * page;
    const std::uintptr_t end = info->dlpi_addr + header.p_vaddr + header.p_memsz;
    ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  }
  return 0;
}

bool has_text_relocations() {
  bool found = false;
  ::dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* result) {
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const auto& header = info->dlpi_phdr[i];
          if (header.p_type != PT_DYNAMIC) continue;
          const auto* entry = reinterpret_cast<const ElfW(Dyn)*>(info->dlpi_addr + header.p_vaddr);
          for (; entry->d_tag != DT_NULL; ++entry) {
            const bool flagged = entry->d_tag == DT_FLAGS && (entry->d_un.d_val & DF_TEXTREL) != 0;
            if (entry->d_tag == DT_TEXTREL || flagged) *static_cast<bool*>(result) = true;
          }
        }
        return 0;
      },
      &found);
  return found;
}

}  // namespace

void tune_allocator() {
  ::mallopt(M_ARENA_MAX, 1);
  ::mallopt(M_MMAP_THRESHOLD, 128 * 1024);
  ::mallopt(M_TRIM_THRESHOLD, 128 * 1024);
  ::mallopt(M_TOP_PAD, 64 * 1024);
}

void give_back_memory() {
  ::malloc_trim(0);
  if (!has_text_relocations()) ::dl_iterate_phdr(drop_segments, nullptr);
}

}  // namespace sentinel::app
