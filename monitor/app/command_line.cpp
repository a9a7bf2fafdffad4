#include "app/command_line.hpp"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <map>
#include <string>

#include "app/alert_commands.hpp"
#include "app/client_commands.hpp"
#include "app/config.hpp"
#include "app/failover.hpp"
#include "app/failover_commands.hpp"
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

/// The keys of both processes: one file may serve both.
int check_config(const std::string& path) {
  Diagnostics errors;
  if (const auto config = check_config_file(path); !config) errors = config.error();
  for (const Diagnostic& error : check_failover_file(path)) {
    const std::string text = error.to_string();
    const bool told = std::ranges::any_of(
        errors, [&](const Diagnostic& other) { return other.to_string() == text; });
    if (!told) errors.push_back(error);
  }
  if (!errors.empty()) return report(errors);
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

int failover(std::map<std::string, std::string, std::less<>> flags, bool preflight, bool json) {
  ConfigSources sources{std::move(flags), process_environment()};
  auto settings = load_failover_config(sources);
  if (!settings) return report(settings.error());
  if (preflight) return run_preflight(*settings, json);
  return run_failover(std::move(*settings), std::move(sources));
}

bool there(const std::string& socket) { return ::access(socket.c_str(), F_OK) == 0; }

/// What was asked for, else whatever runs here.
int healthcheck(const std::string& monitor, const std::string& failover, const std::string& which,
                bool ready) {
  if (which == "failover" || (which.empty() && there(failover))) {
    const int result = command_failover_healthcheck(failover, ready);
    if (result != exit_done || which == "failover" || !there(monitor)) return result;
  }
  return command_healthcheck(monitor);
}

/// Of both processes, as far as they run here.
int status(const std::string& monitor, const std::string& failover, bool json) {
  const bool both = there(monitor) && there(failover);
  if (!there(failover)) return command_status(monitor, json);
  if (json) {
    const auto text = failover_status_json(failover);
    if (!text) {
      print(stderr, "sentinel: " + text.error() + "\n");
      return exit_failed;
    }
    if (both) return command_status(monitor, true, *text);
    print(stdout, "{" + *text + "}\n");
    return exit_done;
  }
  if (both) {
    const int result = command_status(monitor, false);
    print(stdout, "\n");
    if (result != exit_done) return result;
  }
  return command_failover_status(failover);
}

struct Options {
  std::map<std::string, std::string, std::less<>> flags;
  std::string file;
  std::string service;
  std::string length;
  std::string reason;
  ProbeRequest probe;
  DrainRequest drain;
  SilenceRequest silence;
  std::string process;
  bool json = false;
  bool end = false;
  bool ready = false;
  bool preflight = false;
  bool all = false;
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
  add_flag(*watch, options, "failover-socket",
           "of the failover on this host, or none (SENTINEL_FAILOVER_SOCKET)", "PATH");
  add_flag(*watch, options, "log-format", "text or json (SENTINEL_LOG_FORMAT)", "FORMAT");
  add_flag(*watch, options, "log-level", "debug, info, warning or error (SENTINEL_LOG_LEVEL)",
           "LEVEL");

  CLI::App* nat = app.add_subcommand("failover", "send connections to the servers that answer");
  add_flag(*nat, options, "config",
           "configuration file (SENTINEL_CONFIG, else /etc/sentinel/sentinel.yaml)", "FILE");
  add_flag(*nat, options, "listen", "address of the HTTP server, or none (SENTINEL_LISTEN)",
           "ADDR:PORT");
  add_flag(*nat, options, "data-dir", "what must survive a restart (SENTINEL_DATA_DIR)", "DIR");
  add_flag(*nat, options, "run-dir", "the Unix socket (SENTINEL_RUN_DIR)", "DIR");
  add_flag(*nat, options, "log-format", "text or json (SENTINEL_LOG_FORMAT)", "FORMAT");
  add_flag(*nat, options, "log-level", "debug, info, warning or error (SENTINEL_LOG_LEVEL)",
           "LEVEL");
  nat->add_flag("--preflight", options.preflight,
                "say what of this machine speaks against it, and what to do; then end");
  nat->add_flag("--json", options.json, "the preflight's findings as JSON");

  CLI::App* health =
      app.add_subcommand("healthcheck", "whether the processes of this machine work");
  add_client_flags(*health, options);
  health->add_option("PROCESS", options.process, "monitor or failover; else whatever runs")
      ->check(CLI::IsMember({"monitor", "failover"}));
  health->add_flag("--ready", options.ready,
                   "of failover: the kernel holds what is wanted, too (for a track script)");

  CLI::App* config = app.add_subcommand("config", "configuration files");
  config->require_subcommand(1);
  CLI::App* check = config->add_subcommand("check", "list every error of a file");
  check->add_option("FILE", options.file, "the file")->required();

  CLI::App* show =
      app.add_subcommand("status", "all services and pools, and what is done about them");
  add_client_flags(*show, options);
  show->add_flag("--json", options.json, "as JSON");

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

  CLI::App* drain = app.add_subcommand("drain", "take a server out; its connections go on");
  add_client_flags(*drain, options);
  drain->add_option("SERVER", options.drain.server, "POOL/SERVER, or SERVER in all its pools")
      ->required();
  drain->add_option("--for", options.drain.length, "how long, such as 30m; at most 30d");
  drain->add_option("--deadline", options.drain.deadline,
                    "when connections that are left are ended, such as 10m; 0 for never");
  drain->add_flag("--force", options.drain.force, "even the last server of a pool");

  CLI::App* ready = app.add_subcommand("ready", "end a drain");
  add_client_flags(*ready, options);
  ready->add_option("SERVER", options.drain.server, "POOL/SERVER, or SERVER in all its pools")
      ->required();

  CLI::App* incidents =
      app.add_subcommand("incidents", "what fails, since when, and what was done");
  add_client_flags(*incidents, options);
  incidents->add_flag("--all", options.all, "those that have ended, too");
  incidents->add_flag("--json", options.json, "as JSON");

  CLI::App* alerts = app.add_subcommand("alerts", "who is told of incidents, and silences");
  add_client_flags(*alerts, options);
  alerts->add_flag("--json", options.json, "as JSON");

  CLI::App* alert = app.add_subcommand("alert", "messages to receivers");
  alert->require_subcommand(1);
  CLI::App* test = alert->add_subcommand("test", "send one message to one receiver");
  add_client_flags(*test, options);
  test->add_option("RECEIVER", options.service, "its name")->required();

  CLI::App* silence = app.add_subcommand("silence", "tell nobody of some incidents for a while");
  add_client_flags(*silence, options);
  CLI::Option* match = silence->add_option("MATCHER", options.silence.match,
                                           "LABEL=VALUE, !=, ~ or !~ with * and ?; all must match");
  CLI::Option* quiet =
      silence->add_option("--for", options.silence.length, "how long, such as 2h; at most 30d");
  silence->add_option("--comment", options.silence.comment, "why");
  CLI::Option* over = silence->add_option("--end", options.silence.end, "end this one now");
  over->type_name("ID")->excludes(match)->excludes(quiet);

  const auto person = [&](const std::string& name, const std::string& meaning) {
    CLI::App* command = app.add_subcommand(name, meaning);
    add_client_flags(*command, options);
    command
        ->add_option("SERVICE", options.service, "project/service[/replica], shorter where unique")
        ->required();
    command->add_option("--reason", options.reason, "why, for log and history");
    return command;
  };
  const CLI::App* restart = person("restart", "restart a service's container now, once");
  const CLI::App* release = person("release", "let a service out of quarantine");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? exit_done : exit_usage;
  }
  if (watch->parsed()) return monitor(std::move(options.flags));
  if (check->parsed()) return check_config(options.file);
  if (probe->parsed()) return command_probe(options.probe);
  if (nat->parsed()) return failover(std::move(options.flags), options.preflight, options.json);
  const std::string nat_socket = failover_socket_path({options.flags, process_environment()});
  if (drain->parsed()) return command_drain(nat_socket, options.drain);
  if (ready->parsed()) return command_ready(nat_socket, options.drain.server);
  const std::string socket = socket_path(options.flags);
  if (health->parsed()) return healthcheck(socket, nat_socket, options.process, options.ready);
  if (show->parsed()) return status(socket, nat_socket, options.json);
  if (incidents->parsed()) return command_incidents(socket, options.all, options.json);
  if (alerts->parsed()) return command_alerts(socket, options.json);
  if (test->parsed()) return command_alert_test(socket, options.service);
  if (restart->parsed()) return command_restart(socket, options.service, options.reason);
  if (release->parsed()) return command_release(socket, options.service, options.reason);
  if (silence->parsed()) {
    if (options.silence.end.empty() &&
        (options.silence.match.empty() || options.silence.length.empty())) {
      print(stderr, "sentinel silence: expected MATCHER and --for, or --end ID\n");
      return exit_usage;
    }
    return command_silence(socket, options.silence);
  }
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
