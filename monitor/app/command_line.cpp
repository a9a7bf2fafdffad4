#include "app/command_line.hpp"

#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <exception>
#include <map>
#include <string>

#include "app/client_commands.hpp"
#include "app/config.hpp"
#include "app/monitor.hpp"
#include "app/probe_command.hpp"
#include "app/version.hpp"
#include "protocol/settings.hpp"

namespace sentinel::app {

namespace {

void print(std::FILE* file, const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), file);
}

int report(const Diagnostics& errors) {
  std::string text;
  for (const Diagnostic& error : errors) text += error.to_string() + "\n";
  text += std::to_string(errors.size()) + (errors.size() == 1 ? " error\n" : " errors\n");
  print(stderr, text);
  return exit_usage;
}

int check_config(const std::string& path) {
  const auto config = check_config_file(path);
  if (!config) return report(config.error());
  print(stdout, path + ": good\n");
  return exit_done;
}

int monitor(std::map<std::string, std::string, std::less<>> flags) {
  ConfigSources sources{std::move(flags), process_environment()};
  auto config = load_config(sources);
  if (!config) return report(config.error());
  return run_monitor(std::move(*config), std::move(sources));
}

/// Where the monitor of this machine listens. Its file may be broken or unreadable to us: then
/// flag, variable and default decide.
std::string socket_path(const std::map<std::string, std::string, std::less<>>& flags) {
  const ConfigSources sources{flags, process_environment()};
  if (const auto config = load_config(sources)) return config->socket_path();
  MonitorConfig fallback;
  if (const auto dir = sources.environment("SENTINEL_RUN_DIR"); dir && !dir->empty())
    fallback.run_dir = *dir;
  if (const auto flag = flags.find("run-dir"); flag != flags.end()) fallback.run_dir = flag->second;
  return fallback.socket_path();
}

int not_supported(const std::string& what) {
  print(stderr, "sentinel " + what + ": not supported yet in this version\n");
  return exit_usage;
}

struct Options {
  std::map<std::string, std::string, std::less<>> flags;
  std::string file;
  std::string service;
  std::string length;
  ProbeRequest probe;
  bool json = false;
  bool end = false;
};

void add_flag(CLI::App& app, Options& options, const std::string& name, const std::string& meaning,
              const std::string& type) {
  app.add_option_function<std::string>(
         "--" + name, [&options, name](const std::string& value) { options.flags[name] = value; },
         meaning)
      ->type_name(type)
      ->take_last();
}

void add_client_flags(CLI::App& app, Options& options) {
  add_flag(app, options, "run-dir", "where the monitor keeps its socket (SENTINEL_RUN_DIR)", "DIR");
  add_flag(app, options, "config", "its configuration file (SENTINEL_CONFIG)", "FILE");
}

int run(int argc, const char* const* argv) {
  Options options;
  CLI::App app{"Sentinel watches containers, heals those that fail and tells what it did.",
               "sentinel"};
  std::string text{version()};
  const std::string_view source = revision();
  if (!source.empty()) text += " (" + std::string{source} + ")";
  app.set_version_flag("--version", "sentinel " + text);
  app.require_subcommand(1);

  CLI::App* watch = app.add_subcommand("monitor", "watch and heal the containers of an Engine");
  add_flag(*watch, options, "config",
           "configuration file (SENTINEL_CONFIG, else /etc/sentinel/sentinel.yaml)", "FILE");
  add_flag(*watch, options, "listen", "address of the HTTP server, or none (SENTINEL_LISTEN)",
           "ADDR:PORT");
  add_flag(*watch, options, "engine", "unix:///path or tcp://host:port (SENTINEL_ENGINE)",
           "ENDPOINT");
  add_flag(*watch, options, "data-dir", "what must survive a restart (SENTINEL_DATA_DIR)", "DIR");
  add_flag(*watch, options, "run-dir", "the Unix socket (SENTINEL_RUN_DIR)", "DIR");
  add_flag(*watch, options, "log-format", "text or json (SENTINEL_LOG_FORMAT)", "FORMAT");
  add_flag(*watch, options, "log-level", "debug, info, warning or error (SENTINEL_LOG_LEVEL)",
           "LEVEL");

  CLI::App* health = app.add_subcommand("healthcheck", "whether the monitor of this machine works");
  add_client_flags(*health, options);

  CLI::App* config = app.add_subcommand("config", "configuration files");
  config->require_subcommand(1);
  CLI::App* check = config->add_subcommand("check", "list every error of a file");
  check->add_option("FILE", options.file, "the file")->required();

  CLI::App* status = app.add_subcommand("status", "all services and what is done about them");
  add_client_flags(*status, options);
  status->add_flag("--json", options.json, "as JSON");

  CLI::App* explain =
      app.add_subcommand("explain", "one service: its state, what is decided and why");
  add_client_flags(*explain, options);
  explain->add_flag("--json", options.json, "as JSON");
  explain->add_option("SERVICE", options.service, "project/service[/replica], shorter where unique")
      ->required();

  CLI::App* maintenance =
      app.add_subcommand("maintenance", "suspend healing of a service for a while");
  add_client_flags(*maintenance, options);
  maintenance
      ->add_option("SERVICE", options.service, "project/service[/replica], shorter where unique")
      ->required();
  CLI::Option* length =
      maintenance->add_option("--for", options.length, "how long, such as 30m; at most 30d");
  CLI::Option* end = maintenance->add_flag("--end", options.end, "end it now");
  length->excludes(end);

  CLI::App* probe = app.add_subcommand("probe", "run one probe and say what it found");
  probe
      ->add_option("URL", options.probe.url,
                   "http(s)://, tcp://, tls://, dns://, smtp(s)://, icmp:")
      ->required();
  probe
      ->add_option("-o,--option", options.probe.options,
                   "an option of the probe, such as timeout=5s")
      ->type_name("OPTION=VALUE")
      ->allow_extra_args(false);
  probe->add_option("--address", options.probe.address, "where a URL without a host leads")
      ->type_name("IP");
  probe->add_flag("--json", options.probe.json, "as JSON");

  // Known names of later versions: a clear answer instead of "unknown argument".
  constexpr std::array later{"failover", "alert", "drain", "ready"};
  for (const char* name : later) {
    app.add_subcommand(name, "not supported yet")->group("")->allow_extras()->prefix_command();
  }

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? exit_done : exit_usage;
  }
  for (const char* name : later) {
    if (app.got_subcommand(name)) return not_supported(name);
  }
  if (watch->parsed()) return monitor(std::move(options.flags));
  if (check->parsed()) return check_config(options.file);
  if (probe->parsed()) return command_probe(options.probe);
  const std::string socket = socket_path(options.flags);
  if (health->parsed()) return command_healthcheck(socket);
  if (status->parsed()) return command_status(socket, options.json);
  if (explain->parsed()) return command_explain(socket, options.service, options.json);
  if (options.end == !options.length.empty()) {
    print(stderr, "sentinel maintenance: expected either --for DURATION or --end\n");
    return exit_usage;
  }
  if (!options.end) {
    const auto parsed =
        protocol::parse_duration(options.length, {std::chrono::seconds{1}, std::chrono::days{30}});
    if (!parsed) {
      print(stderr, "sentinel maintenance: --for: " + parsed.error().message + "\n");
      return exit_usage;
    }
  }
  return command_maintenance(socket, options.service, options.end ? std::string{} : options.length);
}

}  // namespace

int run_command_line(int argc, const char* const* argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& e) {
    print(stderr, std::string{"sentinel: "} + e.what() + "\n");
    return exit_failed;
  }
}

}  // namespace sentinel::app
