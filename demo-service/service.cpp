#include "service.hpp"

#include "server.hpp"
#include "version.hpp"

#include <format>

namespace sentinel::demo {

int run_service(const Options& options) {
  start_log(options.log_format, options.debug);
  App app{{.name = options.name,
           .version = std::string{version()},
           .leak_cap_mib = options.leak_cap_mib,
           .unhealthy_for = options.start_unhealthy},
          Instant::current()};
  Metrics metrics{version(), revision()};
  Server server{app, metrics, options.listen};
  server.handle_signals(options.ignore_sigterm);
  const auto port = server.open();
  if (!port) {
    log_line(LogLevel::error, "demo.listen.failed", port.error());
    return 1;
  }
  log_line(LogLevel::info, "demo.started",
           std::format("{} started on {} port {}", options.name, options.listen.host, *port),
           {{"service.version", version()}, {"server.port", std::int64_t{*port}}});
  const auto status = server.run();
  log_line(LogLevel::info, "demo.stopped", std::format("{} stopped", options.name),
           {{"process.exit_code", std::int64_t{status}}});
  return status;
}

}  // namespace sentinel::demo
