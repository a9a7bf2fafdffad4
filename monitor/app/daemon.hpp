#pragma once

// What both daemons, monitor and failover, do in the same way.

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/config.hpp"
#include "core/alert_model.hpp"
#include "io/http_server.hpp"
#include "io/prober.hpp"
#include "observe/log.hpp"

namespace sentinel::app {

/// The wall clock.
std::int64_t unix_ns();
std::int64_t unix_ms();
core::WallTime wall_now();

/// Jitter that differs between processes; the core itself draws from this seed only.
std::uint64_t random_seed();

/// Creates the last part of the path when it is missing. Tells no failure: whoever uses the
/// directory next says what is wrong with it.
void make_directory(const std::string& path, ::mode_t mode);

/// Without a format: the one that suits the output.
observe::LogOptions log_options(observe::LogLevel level, std::optional<observe::LogFormat> format);

io::ProberOptions prober_options();

/// Listens on the socket, whose directory is made, and on `address` unless that is empty. False,
/// with a line that names the option to change: one of them cannot be had.
bool listen_on(io::HttpServer& http, observe::Log& log, const std::string& run_dir,
               const std::string& socket_path, const std::string& address);

/// The lines about a file that was not loaded by a reload.
void tell_rejected(observe::Log& log, const std::vector<Diagnostic>& errors);
/// The line about keys that a reload cannot change; none when there are none.
void tell_restart_needed(observe::Log& log, const std::string& keys);

}  // namespace sentinel::app
