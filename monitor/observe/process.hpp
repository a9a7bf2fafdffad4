#pragma once

// This process as the kernel sees it; read when asked, never in between.

#include <cstdint>

namespace sentinel::observe {

struct ProcessFigures {
  double cpu_seconds = 0;         // user + system
  double start_time_seconds = 0;  // since 1970
  std::uint64_t resident_bytes = 0;
  std::uint64_t virtual_bytes = 0;
  std::uint64_t open_fds = 0;
  std::uint64_t max_fds = 0;  // 0: no limit
  std::uint64_t threads = 0;
};

/// Figures that cannot be read are 0.
ProcessFigures process_figures();

}  // namespace sentinel::observe
