#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <cstdio>
#include <fstream>
#include <map>
#include <string>

#include "app/failover_config.hpp"
#include "app/failover_pools.hpp"
#include "app/failover_state.hpp"

using namespace sentinel;
using namespace sentinel::app;
using namespace std::chrono_literals;

namespace {

Environment no_environment() {
  return [](const std::string&) -> std::optional<std::string> { return std::nullopt; };
}

Diagnostics errors_of(const std::string& text) {
  FailoverSettings settings;
  Diagnostics errors;
  read_failover_text(text, "f.yaml", no_environment(), true, settings, errors);
  return errors;
}

FailoverSettings settings_of(const std::string& text) {
  FailoverSettings settings;
  Diagnostics errors;
  read_failover_text(text, "f.yaml", no_environment(), true, settings, errors);
  for (const Diagnostic& error : errors) FAIL_CHECK(error.to_string());
  return settings;
}

constexpr const char* hosts = R"(failover:
  hosts:
    alpha: {address: [10.8.0.11, "2001:db8::11"], checks: {ping: "icmp:"}}
    beta: 10.8.0.12
  pools:
)";

}  // namespace

TEST_CASE("a whole file of pools is read") {
  const auto s = settings_of(R"(
listen: 0.0.0.0:8090
engine: none
data-dir: /data
log: {level: warning}
failover:
  listen: 127.0.0.1:8091
  on-exit: remove
  hairpin: [10.8.0.0/24]
  sticky-timeout: 10m
  schedule: weighted
  eject: host
  slow-start: 30s
  check-defaults: {interval: 1s, fall: 2}
  gateways: {router: "icmp://192.0.2.1"}
  preflight: {fix: [ip-forward]}
  hosts:
    alpha: {address: [10.8.0.11, "2001:db8::11"], checks: {ping: {url: "icmp:", timeout: 500ms}}}
    beta: {address: [10.8.0.12, "2001:db8::12"]}
  pools:
    web:
      listen: ["203.0.113.10:80,443/tcp", "[2001:db8:f::10]:443"]
      servers:
        alpha: {port: 8443, weight: 3}
        beta: {port: 8443}
      checks:
        https: {url: "https://:8443/health", interval: 2s}
      eject: service
      masquerade: yes
      max-ejected: 50%
      hold-down: 1s..1m
      drain-deadline: 0
    dns:
      listen: 203.0.113.10:53/tcp+udp
      servers: [alpha, beta]
      checks: {dns: "dns://:53/example.org"}
      schedule: source-hash
      all-down: last-known
      slots: 1009
)");
  CHECK(s.listen == "127.0.0.1:8091");
  CHECK(s.data_dir == "/data");
  CHECK(s.log_level == observe::LogLevel::warning);
  CHECK_FALSE(s.keep_rules);
  CHECK(s.fix.contains("ip-forward"));
  CHECK(s.core.sticky_timeout == 10min);
  CHECK(s.core.hairpin.size() == 1);
  REQUIRE(s.core.gateways.size() == 1);
  CHECK(s.core.gateways[0].host == "192.0.2.1");
  CHECK(s.core.gateways[0].fall == 2);
  const auto& alpha = s.core.hosts.at("alpha");
  CHECK(alpha.addresses.size() == 2);
  REQUIRE(alpha.checks.size() == 1);
  CHECK(alpha.checks[0].timeout == 500ms);
  CHECK(alpha.checks[0].interval == 1s);
  const auto& web = s.core.pools.at("web");
  CHECK(web.listeners.size() == 3);
  CHECK(web.schedule == core::Schedule::weighted);
  CHECK(web.eject == core::Eject::service);
  CHECK(web.masquerade);
  CHECK(web.max_ejected == 50);
  CHECK(web.slow_start == 30s);
  CHECK(web.hold_down == core::Backoff{1s, 1min});
  CHECK(web.drain_deadline == 0s);
  REQUIRE(web.servers.size() == 2);
  CHECK(web.servers[0] == core::PoolServer{"alpha", 8443, 3, core::Role::active});
  REQUIRE(web.checks.size() == 1);
  CHECK(web.checks[0].name == "https");
  CHECK(web.checks[0].interval == 2s);
  CHECK(web.checks[0].fall == 2);
  const auto& dns = s.core.pools.at("dns");
  CHECK(dns.eject == core::Eject::host);
  CHECK(dns.all_down == core::AllDown::last_known);
  CHECK(dns.slots == core::SlotClass::large);
  CHECK(dns.listeners.size() == 2);
}

TEST_CASE("addresses may come from variables") {
  FailoverSettings settings;
  Diagnostics errors;
  const auto environment = [](const std::string& name) -> std::optional<std::string> {
    if (name == "NET") return "10.8.0";
    return std::nullopt;
  };
  read_failover_text(R"(failover:
  hairpin: ${NET}.0/24
  hosts: {alpha: "${NET}.11"}
  pools:
    web: {listen: "${VIP:-203.0.113.10}:80", servers: [alpha], checks: {tcp: "tcp://:80"}}
    bad: {listen: "${NET}:81", servers: [alpha], checks: {tcp: "tcp://:80"}}
)",
                     "f.yaml", environment, true, settings, errors);
  CHECK(settings.core.hosts.at("alpha").addresses.front().to_string() == "10.8.0.11");
  CHECK(settings.core.hairpin.size() == 1);
  REQUIRE(settings.core.pools.at("web").listeners.size() == 1);
  CHECK(settings.core.pools.at("web").listeners.front().address.to_string() == "203.0.113.10");
  REQUIRE(errors.size() == 1);
  CHECK(errors.front().to_string().starts_with("f.yaml:6:19: failover.pools.bad.listen: expected"));
  CHECK(errors.front().to_string().ends_with("got '${NET}:81'"));
}

TEST_CASE("errors of pools have file, line, column, key and what was expected") {
  struct Case {
    const char* text;
    const char* error;
  };
  const Case c = GENERATE(
      Case{"    a: {listen: \"203.0.113.10:80\", servers: [gamma]}\n",
           "f.yaml:6:46: failover.pools.a.servers.gamma: expected a server of failover.hosts"},
      Case{"    a: {listen: \"203.0.113.10:80\", servers: {bete: {}}}\n",
           "f.yaml:6:46: failover.pools.a.servers.bete: expected a server of failover.hosts; did "
           "you mean 'beta'?"},
      Case{"    a: {listen: \"203.0.113.10:80\", servers: [alpha]}\n"
           "    b:\n"
           "      listen: [\"203.0.113.10:443\", \"203.0.113.10:79-81\"]\n"
           "      servers: [alpha]\n",
           "f.yaml:8:36: failover.pools.b.listen: 203.0.113.10:80/tcp is taken already: by pool a "
           "in line 6"},
      Case{"    a: {listen: \"[2001:db8::f]:80\", servers: [alpha, beta], checks: {p: "
           "\"tcp://:80\"}}\n",
           "f.yaml:6:54: failover.pools.a.servers.beta: expected a host with an IPv6 address, as "
           "the pool listens on one"},
      Case{"    a: {listen: \"203.0.113.10:80\", servers: [beta]}\n",
           "f.yaml:6:46: failover.pools.a.servers.beta: expected a check of the pool or of the "
           "host: without one nothing tells whether it answers"},
      Case{"    a: {listen: \"203.0.113.10\", servers: [alpha]}\n",
           "f.yaml:6:17: failover.pools.a.listen: expected an address and ports, such as "
           "203.0.113.10:443, 203.0.113.10:80,8000-8010/tcp or [2001:db8::10]:53/tcp+udp, got "
           "'203.0.113.10'"},
      Case{"    a: {listen: \"203.0.113.10:80\", servers: [alpha], all-down: backup}\n",
           "f.yaml:6:5: failover.pools.a.servers: expected a server of role backup, for all-down: "
           "backup"},
      Case{"    a: {listen: \"203.0.113.10:80\", servers: {alpha: {role: backup}}, all-down: "
           "reject}\n",
           "f.yaml:6:5: failover.pools.a.all-down: expected backup, since a server has that role"},
      Case{"    a: {listen: \"203.0.113.10:80\", servers: {alpha: {weight: 2}}}\n",
           "f.yaml:6:46: failover.pools.a.servers.alpha: weight is for schedule: weighted, "
           "source-hash or sticky"},
      Case{"    a: {listen: \"10.8.0.11:80\", servers: [alpha]}\n",
           "f.yaml:6:43: failover.pools.a.servers.alpha: expected a server other than the virtual "
           "service itself"},
      Case{"    a: {servers: [alpha]}\n",
           "f.yaml:6:5: failover.pools.a.listen: expected a virtual address and port"},
      Case{"    a: {listen: \"203.0.113.10:80\", servers: [alpha], scheduel: sticky}\n",
           "f.yaml:6:54: failover.pools.a.scheduel: unknown key; did you mean 'schedule'?"},
      Case{"    a: {listen: \"203.0.113.10:80\", servers: [alpha], schedule: fair}\n",
           "f.yaml:6:64: failover.pools.a.schedule: expected one of round-robin, weighted, "
           "source-hash, sticky, got 'fair'"},
      Case{"    a: {listen: \"203.0.113.10:80\", servers: [alpha], checks: {x: {interval: 1s}}}\n",
           "f.yaml:6:63: failover.pools.a.checks.x: expected a URL, or a mapping with url and "
           "options"},
      Case{"    a: {listen: \"203.0.113.10:80\", servers: [alpha], checks: {x: {url: \"tcp://:1\", "
           "fal: 1}}}\n",
           "f.yaml:6:84: failover.pools.a.checks.x.fal: unknown key; did you mean 'fall'?"},
      Case{"    a: {listen: \"203.0.113.10:80\", servers: [alpha], checks: {x: {url: \"tcp://:1\", "
           "fall: 0}}}\n",
           "f.yaml:6:90: failover.pools.a.checks.x.fall: expected "},
      Case{"    a: {listen: \"203.0.113.10:80\", servers: [alpha], checks: {x: "
           "\"exec:/bin/true\"}}\n",
           "f.yaml:6:63: failover.pools.a.checks.x: expected a check over the network: exec needs "
           "a container"});
  const auto errors = errors_of(std::string{hosts} + c.text);
  INFO(c.text);
  REQUIRE_FALSE(errors.empty());
  CHECK(errors.front().to_string().substr(0, std::string{c.error}.size()) == c.error);
}

TEST_CASE("what else of the file's failover part is refused") {
  struct Case {
    const char* text;
    const char* error;
  };
  const Case c = GENERATE(
      Case{"{}\n", "f.yaml:1:1: failover: expected pools and the hosts they name"},
      Case{"failvoer: {}\n", "f.yaml:1:1: failvoer: unknown key; did you mean 'failover'?"},
      Case{"failover: {on-exit: maybe}\n",
           "f.yaml:1:21: failover.on-exit: expected keep or remove, got 'maybe'"},
      Case{"failover: {hairpin: 10.8.0.1/24}\n",
           "f.yaml:1:21: failover.hairpin: expected a list of "},
      Case{"failover: {hosts: {a: 1.2.3}}\n",
           "f.yaml:1:23: failover.hosts.a: expected an IP address, or one of each family, got "
           "'1.2.3'"},
      Case{"failover: {hosts: {a: [1.2.3.4, 1.2.3.5]}}\n",
           "f.yaml:1:23: failover.hosts.a: expected "},
      Case{"failover: {hosts: {a/b: 1.2.3.4}}\n",
           "f.yaml:1:20: failover.hosts.a/b: expected a name of 1 to 64 letters, digits, - or _"},
      Case{"failover: {gateways: {g: \"icmp:\"}}\n",
           "f.yaml:1:22: failover.gateways.g: expected a URL that names a host"},
      Case{"failover: {preflight: {fix: [everything]}}\n",
           "f.yaml:1:29: failover.preflight.fix: expected a list of ip-forward"},
      Case{"failover: {check-defaults: {url: x}}\n",
           "f.yaml:1:29: failover.check-defaults.url: expected an option of every kind of check"});
  const auto errors = errors_of(c.text);
  INFO(c.text);
  REQUIRE_FALSE(errors.empty());
  CHECK(errors.front().to_string().substr(0, std::string{c.error}.size()) == c.error);
}

TEST_CASE("listeners: single, list and range, both transports, both families") {
  CHECK(parse_listener("203.0.113.10:80")->size() == 1);
  CHECK(parse_listener("203.0.113.10:80,443/tcp")->size() == 2);
  CHECK(parse_listener("203.0.113.10:8000-8009,9000/tcp+udp")->size() == 22);
  const auto v6 = parse_listener("[2001:db8::10]:53/udp");
  REQUIRE(v6);
  CHECK(v6->front().address.family == core::Family::v6);
  CHECK(v6->front().protocol == core::L4::udp);
  const auto* const text = GENERATE(
      "", ":80", "203.0.113.10:", "203.0.113.10:0", "203.0.113.10:65536", "203.0.113.10:90-80",
      "203.0.113.10:1-2000", "203.0.113.10:80/sctp", "203.0.113.10:80/", "2001:db8::10:80",
      "[203.0.113.10]:80", "0.0.0.0:80", "224.0.0.1:80", "255.255.255.255:80", "[::]:80",
      "[ff02::1]:80", "[::ffff:1.2.3.4]:80", "web.example.org:80", "203.0.113.10:80,,81",
      "203.0.113.10:80-", "203.0.113.10:-80", "203.0.113.10:80/tcp+");
  CAPTURE(text);
  CHECK_FALSE(parse_listener(text));
}

TEST_CASE("each command reads its own keys of one file, the check reads all") {
  const std::string text = std::string{hosts} +
                           "    web: {listen: \"203.0.113.10:80\", servers: [alpha]}\n"
                           "heal: {max-concurrent: 2}\n"
                           "services: {web: {heal: none}}\n";
  CHECK(settings_of(text).core.pools.size() == 1);
  MonitorConfig monitor;
  Diagnostics errors;
  read_config_text(text, "f.yaml", no_environment(), monitor, errors);
  CHECK(errors.empty());
  CHECK(monitor.core.max_concurrent == 2);
}

TEST_CASE("flag before environment before file, for the process") {
  const std::string path = "/tmp/sentinel-failover-" + std::to_string(::getpid()) + ".yaml";
  std::ofstream{path} << "run-dir: /from/file\n"
                      << hosts
                      << "    web: {listen: \"203.0.113.10:80\", servers: [alpha]}\n"
                         "  listen: 127.0.0.1:1\n";
  ConfigSources sources;
  sources.flags["config"] = path;
  sources.environment = no_environment();
  CHECK(load_failover_config(sources)->listen == "127.0.0.1:1");
  CHECK(failover_socket_path(sources) == "/from/file/failover.sock");
  sources.environment = [](const std::string& name) -> std::optional<std::string> {
    if (name == "SENTINEL_LISTEN") return "127.0.0.1:2";
    return std::nullopt;
  };
  CHECK(load_failover_config(sources)->listen == "127.0.0.1:2");
  sources.flags["listen"] = "none";
  CHECK(load_failover_config(sources)->listen.empty());
  sources.flags["config"] = "/nonexistent/file.yaml";
  CHECK_FALSE(load_failover_config(sources));
  std::remove(path.c_str());
}

TEST_CASE("who is drained is read back as it was written, by the wall clock") {
  const core::Time then = core::Time{} + 1000s;
  core::DrainRecord one{"web",       "alpha", "ann \"the\" admin", then - 60s, then + 30min,
                        core::never, true};
  core::DrainRecord two{"web", "beta", "", then, core::never, then + 1h, false};
  const std::string text = format_drains({one, two}, {then, 1'700'000'000'000});
  // Another boot: another origin of the core's time, ten minutes later.
  const core::Time now = core::Time{} + 5s;
  const auto read = parse_drains(text, {now, 1'700'000'600'000});
  REQUIRE(read);
  REQUIRE(read->size() == 2);
  const auto& first = read->front();
  CHECK(first.pool == "web");
  CHECK(first.by == one.by);
  CHECK(first.until == now + 20min);
  CHECK(first.deadline == core::never);
  CHECK(first.since == now - 11min);
  CHECK(first.finished);
  CHECK((*read)[1].deadline == now + 50min);
  CHECK((*read)[1].until == core::never);
  for (const char* bad : {"", "{", "[]", "{\"version\":2,\"drains\":[]}", "{\"drains\":[]}"})
    CHECK_FALSE(parse_drains(bad, {now, 0}));
}

TEST_CASE("the file of drains is replaced as a whole") {
  const std::string path = "/tmp/sentinel-drains-" + std::to_string(::getpid()) + ".json";
  const core::Time now = core::Time{} + 5s;
  CHECK(load_drains(path, {now, 0})->empty());
  core::DrainRecord one{"web", "alpha", "ann", now, core::never, core::never, false};
  REQUIRE(replace_file(path, format_drains({one}, {now, 0})));
  CHECK(load_drains(path, {now, 0})->size() == 1);
  REQUIRE(replace_file(path, format_drains({}, {now, 0})));
  CHECK(load_drains(path, {now, 0})->empty());
  CHECK(::access((path + ".new").c_str(), F_OK) != 0);
  CHECK_FALSE(replace_file("/nonexistent/file.json", "x"));
  std::remove(path.c_str());
}

TEST_CASE("alerts lead to people, or to the monitor beside it, never to both") {
  const std::string pools =
      std::string{hosts} +
      R"(    web: {listen: "203.0.113.10:80", servers: [alpha], checks: {http: "http://:80/"}}
)";
  const std::string own = R"(alerts:
  receivers: {team: {webhook: {url: "https://hooks.example.org/x"}}}
)";
  const auto self = settings_of(pools + own);
  CHECK_FALSE(self.through_monitor);
  REQUIRE(self.alerts.receivers.size() == 1);
  CHECK(self.alerts.receivers.front().name == "team");
  CHECK(self.alerts.heartbeat.request.url.empty());

  // One file for both daemons: `alerts:` are the monitor's, whose secrets we need not be able to
  // read.
  const std::string secret = R"(alerts:
  receivers: {team: {webhook: {url_file: /nowhere/at/all}}}
)";
  const auto relayed =
      settings_of(secret + pools + "  alerts: monitor\n  monitor-socket: /run/m.sock\n");
  CHECK(relayed.through_monitor);
  REQUIRE(relayed.alerts.receivers.size() == 1);
  const io::ReceiverSpec& spec = relayed.alerts.receivers.front();
  CHECK(spec.kind == io::ReceiverKind::relay);
  CHECK(spec.unix_socket == "/run/m.sock");
  CHECK(io::shown_address(spec) == "unix:///run/m.sock");
  REQUIRE(relayed.alerts.core.receivers.size() == 1);
  CHECK(relayed.alerts.core.receivers.front().name == spec.name);
  CHECK(relayed.alerts.core.receivers.front().stateful);
  REQUIRE(relayed.alerts.core.routes.size() == 1);
  CHECK(relayed.alerts.core.routes.front().match.empty());
  CHECK(relayed.alerts.core.routes.front().receivers == std::vector{spec.name});
  CHECK(relayed.alerts.heartbeat.request.unix_socket == "/run/m.sock");
  CHECK(settings_of(pools + "  alerts: monitor\n").monitor_socket == "/run/sentinel/monitor.sock");

  const auto errors = errors_of(pools + "  alerts: both\n  monitor-socket: run/m.sock\n");
  REQUIRE(errors.size() == 2);
  CHECK(errors[0].to_string() ==
        "f.yaml:7:11: failover.alerts: expected self or monitor, got 'both'");
  CHECK(errors[1].to_string() ==
        "f.yaml:8:19: failover.monitor-socket: expected an absolute path of at most 90 bytes, got "
        "'run/m.sock'");
}
