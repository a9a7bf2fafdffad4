#pragma once

namespace sentinel::app {

/// The whole program. Exit status: 0 done, 1 failed, 2 usage or configuration error (nothing was
/// started).
int run_command_line(int argc, const char* const* argv);

inline constexpr int exit_done = 0;
inline constexpr int exit_failed = 1;
inline constexpr int exit_usage = 2;

}  // namespace sentinel::app
