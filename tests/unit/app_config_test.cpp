#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <cstdio>
#include <fstream>
#include <map>
#include <string>

#include "app/config.hpp"
#include "config_texts.hpp"

using namespace sentinel;
using namespace sentinel::app;
using namespace std::chrono_literals;

namespace {

struct File {
  explicit File(const std::string& text) { std::ofstream{path} << text; }
  ~File() { std::remove(path.c_str()); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  std::string path = "/tmp/sentinel-config-" + std::to_string(::getpid()) + ".yaml";
};

Environment environment(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const std::string& name) -> std::optional<std::string> {
    const auto it = values.find(name);
    if (it == values.end()) return std::nullopt;
    return it->second;
  };
}

}  // namespace

TEST_CASE("a whole file is read") {
  const auto config = config_of(R"(
engine: tcp://proxy:2375
listen: 0.0.0.0:8090
hosts: [monitor, status.example.org]
token-file: /run/secrets/token
data-dir: /data/
run-dir: /run/s
watch: all
log: {level: debug, format: text}
heal:
  max-concurrent: 7
  storm-hold: 0s
  storm-window: 20s
  storm-min: 3
  storm-fraction: 25%
limits:
  max-probes: 2
  min-probe-interval: 500ms
  max-restarts: 10
  probe-hosts: [db.example.org]
defaults:
  heal: [restart, kill]
  heal.on: unhealthy,exited
  heal.budget: 3/10m
services:
  shop/web:
    heal: none
    probe.http.interval: 2s
    probe.http: http://:8080/health
  db:
    heal.trial: 0
)");
  CHECK(config.engine == "tcp://proxy:2375");
  CHECK(config.listen == "0.0.0.0:8090");
  CHECK(config.hosts == std::vector<std::string>{"monitor", "status.example.org"});
  CHECK(config.data_dir == "/data");
  CHECK(config.socket_path() == "/run/s/monitor.sock");
  CHECK(config.log_level == observe::LogLevel::debug);
  CHECK(config.log_format == observe::LogFormat::text);
  CHECK(config.core.max_concurrent == 7);
  CHECK(config.core.storm_hold == 0s);
  CHECK(config.core.storm_window == 20s);
  CHECK(config.core.storm_min == 3);
  CHECK(config.core.storm_fraction == 0.25);
  CHECK(config.labels.watch_all);
  CHECK(config.labels.limits.max_probes == 2);
  CHECK(config.labels.limits.probe_hosts.contains("db.example.org"));
  CHECK(config.labels.defaults.ladder == std::vector{core::Rung::restart, core::Rung::kill});
  CHECK(config.labels.defaults.heal_on ==
        core::FailureSet{.unhealthy = true, .probe = false, .exited = true});
  const auto& web = config.labels.for_service("shop", "web");
  CHECK(web.ladder.empty());
  CHECK(web.budget == core::Budget{3, 10min});
  REQUIRE(web.probes.size() == 1);
  CHECK(web.probes[0].port == 8080);
  CHECK(web.probes[0].interval == 2s);
  CHECK(config.labels.for_service("other", "db").trial == 0s);
  CHECK(config.labels.for_service("other", "else").trial == 1h);
}

TEST_CASE("each error names line, column, key and what was expected") {
  struct Case {
    const char* text;
    const char* error;
  };
  const auto [text, error] = GENERATE(
      Case{"lisen: 1\n", "f.yaml:1:1: lisen: unknown key; did you mean 'listen'?"},
      Case{"engine: unix:///a\nengine: unix:///b\n",
           "f.yaml:2:1: engine: expected each key once; it is already in line 1"},
      Case{"engine: ssh://host\n",
           "f.yaml:1:9: engine: expected unix:///path/to/docker.sock, tcp://HOST:PORT or none, got "
           "'ssh://host'"},
      Case{"listen: localhost:80\n",
           "f.yaml:1:9: listen: expected ADDRESS:PORT with an IP address, such as 127.0.0.1:8090, "
           "[::1]:8090 or :8090, or "
           "'none', got 'localhost:80'"},
      Case{"data-dir: relative\n",
           "f.yaml:1:11: data-dir: expected an absolute path of at most 90 bytes, got 'relative'"},
      Case{"log:\n  level: loud\n",
           "f.yaml:2:10: log.level: expected debug, info, warning or error, got 'loud'"},
      Case{"log:\n  levle: info\n", "f.yaml:2:3: log.levle: unknown key; did you mean 'level'?"},
      Case{"heal: {max-concurrent: many}\n",
           "f.yaml:1:24: heal.max-concurrent: expected a number from 1 to 1000, got 'many'"},
      Case{"heal: {max-concurrent: 99999999999999999999}\n",
           "f.yaml:1:24: heal.max-concurrent: expected a number from 1 to 1000, got "
           "'99999999999999999999'"},
      Case{"heal: {storm-fraction: .nan}\n",
           "f.yaml:1:24: heal.storm-fraction: expected a percentage from 1% to 100%, got '.nan'"},
      Case{"heal: {storm-hold: 1h}\n",
           "f.yaml:1:20: heal.storm-hold: expected a duration such as 90s, 1m30s or 500ms between "
           "0s and 10m, got '1h'"},
      Case{"heal: restart\n", "f.yaml:1:7: heal: expected a mapping of keys to values"},
      Case{"engine: [a, {b: c}]\n", "f.yaml:1:13: engine: expected a list of plain words"},
      Case{"engine:\n", "f.yaml:1:1: engine: expected a value"},
      Case{"defaults:\n  heal.budget: lots\n",
           "f.yaml:2:16: defaults.heal.budget: expected restarts per healthy time such as 5/15m, "
           "from 1/1s to 100/30d, got 'lots'"},
      Case{"defaults:\n  heal.budgte: 5/15m\n",
           "f.yaml:2:3: defaults.heal.budgte: unknown key; did you mean 'heal.budget'?"},
      Case{"defaults:\n  probe.http.interval: 5s\n",
           "f.yaml:2:3: defaults.probe.http.interval: expected a probe of that name: probe.NAME "
           "with a URL"},
      Case{"services:\n  a/b/c: {}\n",
           "f.yaml:2:3: services.a/b/c: expected a service or project/service"},
      Case{"services:\n  web:\n    heal: recreate\n",
           "f.yaml:3:11: services.web.heal: expected none, or a list of restart, kill and stop in "
           "the order to try, stop last "
           "(recreate is not supported yet), got 'recreate'"},
      Case{"limits:\n  max-restarts: 3\n",
           "f.yaml:2:3: limits.max-restarts: expected at least the restarts of "
           "defaults.heal.budget, which is 5/15m"},
      Case{"a: *x\n", "f.yaml:1:4: the referenced anchor is not defined: x"},
      Case{"- 1\n", "f.yaml:1:1: expected a mapping of keys to values"});
  const auto errors = errors_of(text);
  INFO(text);
  REQUIRE_FALSE(errors.empty());
  CHECK(errors.front().to_string() == error);
}

TEST_CASE("all errors are listed at once, and the text of none can forge a line") {
  const auto errors =
      errors_of("engine: 1\nlisten: 2\n\"bad\\nkey\": 3\nlog: {level: \"x\\ny\"}\n");
  REQUIRE(errors.size() == 4);
  for (const Diagnostic& error : errors) CHECK(error.to_string().find('\n') == std::string::npos);
}

TEST_CASE("limits of the file hold for the file as well") {
  const auto errors = errors_of(
      "limits: {max-probes: 1, max-restarts: 5, min-probe-interval: 5s}\n"
      "services:\n"
      "  web:\n"
      "    probe.a: http://:1/\n"
      "    probe.b: http://:2/\n"
      "    probe.a.interval: 1s\n"
      "    heal.budget: 6/15m\n");
  CHECK(errors.size() == 3);
}

TEST_CASE("flag before environment before file before default") {
  const File file{"listen: 127.0.0.1:1\nlog: {level: error}\ndata-dir: /from/file\n"};
  ConfigSources sources;
  sources.flags["config"] = file.path;
  sources.environment = environment({});
  CHECK(load_config(sources)->listen == "127.0.0.1:1");
  sources.environment =
      environment({{"SENTINEL_LISTEN", "127.0.0.1:2"}, {"SENTINEL_LOG_LEVEL", ""}});
  CHECK(load_config(sources)->listen == "127.0.0.1:2");
  CHECK(load_config(sources)->log_level ==
        observe::LogLevel::error);  // an empty variable is no variable
  sources.flags["listen"] = "127.0.0.1:3";
  CHECK(load_config(sources)->listen == "127.0.0.1:3");
  CHECK(load_config(sources)->data_dir == "/from/file");
  CHECK(load_config(sources)->run_dir == "/run/sentinel");
  CHECK(load_config(sources)->config_file == file.path);
}

TEST_CASE(
    "the failover's socket: the default may be missing, one that is named ought to be there") {
  CHECK(config_of("").failover ==
        FailoverSocket{.path = "/run/sentinel/failover.sock", .expected = false});
  CHECK(config_of("failover-socket: /run/f.sock").failover ==
        FailoverSocket{.path = "/run/f.sock", .expected = true});
  CHECK(config_of("failover-socket: none").failover ==
        FailoverSocket{.path = "", .expected = false});
  REQUIRE(errors_of("failover-socket: f.sock").size() == 1);
  const auto config =
      load_config({.flags = {{"failover-socket", "none"}},
                   .environment = environment({{"SENTINEL_FAILOVER_SOCKET", "/run/f.sock"}})});
  REQUIRE(config);
  CHECK(config->failover.path.empty());
  MonitorConfig fresh = config_of("failover-socket: /run/f.sock");
  CHECK(keep_until_restart(fresh, config_of("")) == "failover-socket");
  CHECK_FALSE(fresh.failover.expected);
}

TEST_CASE("errors of all sources are told together") {
  const File file{"listen: nowhere\n"};
  ConfigSources sources;
  sources.flags = {{"config", file.path}, {"log-level", "loud"}};
  sources.environment = environment({{"SENTINEL_ENGINE", "ftp://x"}});
  const auto config = load_config(sources);
  REQUIRE_FALSE(config);
  REQUIRE(config.error().size() == 3);
  CHECK(config.error()[0].to_string().starts_with(file.path + ":1:9: listen: "));
  CHECK(config.error()[1].to_string().starts_with("SENTINEL_ENGINE: expected "));
  CHECK(config.error()[2].to_string() ==
        "--log-level: expected debug, info, warning or error, got 'loud'");
}

TEST_CASE("the Engine's own variable is the default") {
  ConfigSources sources;
  sources.environment = environment({{"DOCKER_HOST", "unix:///somewhere/docker.sock"}});
  CHECK(load_config(sources)->engine == "unix:///somewhere/docker.sock");
  sources.environment = environment({{"DOCKER_HOST", "ssh://host"}});
  CHECK_FALSE(load_config(sources));
  sources.flags["engine"] = "/var/run/docker.sock";
  CHECK(load_config(sources)->engine == "unix:///var/run/docker.sock");
}

TEST_CASE("a file that was named must be there and be a file") {
  CHECK(check_config_file("/nonexistent/sentinel.yaml")
            .error()[0]
            .to_string()
            .find("cannot be read") != std::string::npos);
  CHECK(check_config_file("/tmp").error()[0].to_string().find("regular file") != std::string::npos);
  CHECK(check_config_file("/dev/zero").error()[0].to_string().find("regular file") !=
        std::string::npos);
  const std::string pipe = "/tmp/sentinel-config-pipe-" + std::to_string(::getpid());
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  CHECK(check_config_file(pipe).error()[0].to_string().find("regular file") != std::string::npos);
  std::remove(pipe.c_str());
}

TEST_CASE("a label stands above the file, the file above the default, limits above labels") {
  const auto config = config_of(
      "limits: {max-restarts: 10}\n"
      "defaults: {heal.budget: 3/10m, heal.delay: 4s}\n"
      "services: {web: {heal.delay: 5s}}\n");
  const auto& start = config.labels.for_service("shop", "web");
  auto applied =
      protocol::apply_labels({{"sentinel.enable", "true"}, {"sentinel.heal.budget", "7/1h"}}, start,
                             config.labels.limits, "c");
  CHECK(applied.settings.budget == core::Budget{7, 1h});
  CHECK(applied.settings.delay == 5s);
  CHECK(applied.warnings.empty());
  applied = protocol::apply_labels({{"sentinel.enable", "true"}, {"sentinel.heal.budget", "11/1h"}},
                                   start, config.labels.limits, "c");
  CHECK(applied.settings.budget == core::Budget{3, 10min});
  CHECK(applied.warnings.size() == 1);
}
