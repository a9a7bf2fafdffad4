#pragma once

#include "address.hpp"
#include "log.hpp"

#include <chrono>
#include <cstddef>
#include <expected>
#include <optional>
#include <string>

namespace sentinel::demo {

/// Everything the command line and the environment decide; a flag wins over its variable.
struct Options {
  enum class Command { serve, healthcheck };

  Command command = Command::serve;
  Address listen;                  ///< --listen, DEMO_LISTEN
  std::string name;                ///< --name, DEMO_NAME, else the host's name
  std::size_t leak_cap_mib = 512;  ///< --leak-cap-mb, DEMO_LEAK_CAP_MB
  bool ignore_sigterm = false;     ///< --ignore-sigterm, SENTINEL_DEMO_IGNORE_SIGTERM
  /// --start-unhealthy[=DURATION], DEMO_START_UNHEALTHY; zero means until told to recover
  std::optional<std::chrono::milliseconds> start_unhealthy;
  LogFormat log_format = LogFormat::automatic;  ///< --log-format, SENTINEL_LOG_FORMAT
  bool debug = false;                           ///< --debug, DEMO_DEBUG
  HealthUrl url;                                ///< healthcheck --url
  std::chrono::milliseconds timeout{1000};      ///< healthcheck --timeout
};

/// Reads the command line. The error is the process's exit status after everything has been said:
/// 0 after --help or --version, 2 after a usage error.
[[nodiscard]] std::expected<Options, int> read_options(int argc, char** argv);

}  // namespace sentinel::demo
