#include "app/daemon.hpp"

#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

#include "app/version.hpp"

namespace sentinel::app {

namespace {

constexpr unsigned socket_mode = 0660;

}  // namespace

std::int64_t unix_ns() {
  using namespace std::chrono;
  return duration_cast<nanoseconds>(system_clock::now().time_since_epoch()).count();
}

std::int64_t unix_ms() { return unix_ns() / 1'000'000; }

core::WallTime wall_now() { return core::WallTime{std::chrono::milliseconds{unix_ms()}}; }

std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  if (::getrandom(&seed, sizeof seed, 0) != static_cast<ssize_t>(sizeof seed)) {
    seed = static_cast<std::uint64_t>(unix_ns()) ^ static_cast<std::uint64_t>(::getpid());
  }
  return seed;
}

void make_directory(const std::string& path, ::mode_t mode) {
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) return;
}

observe::LogOptions log_options(observe::LogLevel level, std::optional<observe::LogFormat> format) {
  observe::LogOptions options;
  options.level = level;
  options.format = format.value_or(observe::default_log_format(options.fd));
  return options;
}

io::ProberOptions prober_options() {
  io::ProberOptions options;
  options.user_agent = "Sentinel/" + std::string{version()};
  return options;
}

bool listen_on(io::HttpServer& http, observe::Log& log, const std::string& run_dir,
               const std::string& socket_path, const std::string& address) {
  make_directory(run_dir, 0750);
  if (const auto bound = http.listen_unix(socket_path, socket_mode); !bound) {
    log.error("sentinel.listen", "cannot listen on " + socket_path + ": " + bound.error().text +
                                     "; --run-dir or SENTINEL_RUN_DIR names another directory");
    return false;
  }
  if (address.empty()) return true;
  const auto port = http.listen_tcp(address);
  if (!port) {
    log.error("sentinel.listen", "cannot listen on " + address + ": " + port.error().text +
                                     "; --listen or SENTINEL_LISTEN names another address");
    return false;
  }
  log.write({observe::LogLevel::debug,
             "sentinel.listen",
             "listening on port " + std::to_string(*port),
             {}});
  return true;
}

void tell_rejected(observe::Log& log, const std::vector<Diagnostic>& errors) {
  log.error("sentinel.config", "the configuration was not loaded, the old one stays: " +
                                   std::to_string(errors.size()) + " errors");
  for (const Diagnostic& error : errors) log.error("sentinel.config", error.to_string());
}

void tell_restart_needed(observe::Log& log, const std::string& keys) {
  if (!keys.empty())
    log.warning("sentinel.config", "these keys changed and take effect after a restart: " + keys);
}

}  // namespace sentinel::app
