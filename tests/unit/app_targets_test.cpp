#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <cstdio>
#include <fstream>
#include <map>
#include <string>

#include "app/config.hpp"
#include "config_texts.hpp"
#include "core/types.hpp"

using namespace sentinel;
using namespace sentinel::app;
using namespace std::chrono_literals;

namespace {

Environment environment(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const std::string& name) -> std::optional<std::string> {
    const auto it = values.find(name);
    if (it == values.end()) return std::nullopt;
    return it->second;
  };
}

struct File {
  explicit File(const std::string& text) { std::ofstream{path} << text; }
  ~File() { std::remove(path.c_str()); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  std::string path = "/tmp/sentinel-secret-" + std::to_string(::getpid());
};

}  // namespace

TEST_CASE("targets with probes of every kind") {
  const auto config = config_of(R"(
targets:
  shop:
    group: web
    probe.https: https://shop.example.org/health
    probe.https.header.Accept: application/json
    probe.https.headers:
      X-One: a, b
    probe.https.expect.status: [200-299, 401]
    probe.https.expect.json:
      - /status = "ok"
      - /queue < 100
    probe.https.tls.ca: /etc/ssl/shop.pem
    probe.https.fall: 3/5
  ns:
    probe.dns: dns://192.0.2.53/example.org?type=MX
    probe.dns.expect: ["10 mail.example.org"]
    probe.tcp.expect: +PONG
    probe.tcp: tcp://cache.example.org:6379
    probe.tcp.send: PING\r\n
    probe.mail: smtp://mail.example.org
    probe.ping: icmp://192.0.2.1
)");
  REQUIRE(config.targets.size() == 2);
  const auto& shop = config.targets[0];
  CHECK(shop.key == core::ServiceKey{"web", "shop", 1});
  CHECK(shop.settings.enabled);
  CHECK(shop.settings.ladder.empty());
  REQUIRE(shop.settings.probes.size() == 1);
  const auto& https = shop.settings.probes[0];
  CHECK(https.http.status.size() == 2);
  CHECK(https.http.json.size() == 2);
  CHECK(https.fall_of == 5);
  CHECK(https.tls.ca_file == "/etc/ssl/shop.pem");
  CHECK(config.targets[1].key == core::ServiceKey{"targets", "ns", 1});
  REQUIRE(config.targets[1].settings.probes.size() == 4);
  CHECK(config.targets[1].settings.probes[3].tcp.send == "PING\r\n");
}

TEST_CASE("errors of probes and targets name their place and what was expected") {
  struct Case {
    const char* text;
    const char* error;
  };
  const auto [text, error] = GENERATE(
      Case{"targets:\n  a:\n    probe.x: http://h/\n    probe.x.intervall: 5s\n",
           "f.yaml:4:5: targets.a.probe.x.intervall: unknown key; did you mean 'interval'?"},
      Case{"targets:\n  a:\n    probe.x: http://h/\n    probe.x.starttls: required\n",
           "f.yaml:4:5: targets.a.probe.x.starttls: expected an option of http probes: this one "
           "belongs to smtp"},
      Case{"targets:\n  a:\n    probe.x: http://h/\n    probe.x.expect.regex: '('\n",
           "f.yaml:4:27: targets.a.probe.x.expect.regex: expected a regular expression of RE2, at "
           "most 1024 bytes and not too large, got '('"},
      Case{"targets:\n  a:\n    probe.x: http://h/\n    probe.x.slow: 3s\n",
           "f.yaml:4:19: targets.a.probe.x: slow: expected less than the timeout, 2s"},
      Case{"targets:\n  a:\n    probe.x: http://:80/\n",
           "f.yaml:3:14: targets.a.probe.x: expected a URL with a host: a target has no address of "
           "its own"},
      Case{"targets:\n  a:\n    probe.x: exec:ls\n",
           "f.yaml:3:14: targets.a.probe.x: expected a probe over the network: exec runs in a "
           "container, and a target is none"},
      Case{"targets:\n  a:\n    group: g\n",
           "f.yaml:2:3: targets.a: expected at least one probe.NAME with a URL"},
      Case{"targets:\n  a:\n    heal: restart\n    probe.x: tcp://h:1\n",
           "f.yaml:3:5: targets.a.heal: expected in services only: a target is watched and never "
           "healed"},
      Case{"targets:\n  a:\n    gruop: g\n    probe.x: tcp://h:1\n",
           "f.yaml:3:5: targets.a.gruop: unknown key; did you mean 'group'?"},
      Case{"targets:\n  a/b: {}\n",
           "f.yaml:2:3: targets.a/b: expected a name of 1 to 128 visible ASCII characters without "
           "/ \" or \\"},
      Case{"targets: [a]\n", "f.yaml:1:10: targets: expected a mapping of keys to values"},
      Case{"targets:\n  a: {}\n  a: {}\n",
           "f.yaml:2:3: targets.a: expected at least one probe.NAME with a URL"},
      Case{"targts: {}\n", "f.yaml:1:1: targts: unknown key; did you mean 'targets'?"},
      Case{"targets:\n  a:\n    probe.x: [tcp://h:1, b]\n",
           "f.yaml:3:14: targets.a.probe.x: expected a URL such as tcp://:5432 with a port from 1 "
           "to 65535, got 'tcp://h:1,b'"},
      Case{"targets:\n  a:\n    probe.x: tcp://h:1\n    probe.x.timeout: [1s]\n",
           "f.yaml:4:22: targets.a.probe.x.timeout: expected a single value, not a list"},
      Case{"maintenance: {}\n", "f.yaml:1:14: maintenance: expected a list"},
      Case{"maintenance:\n  - services: a\n    start: '25:00'\n    duration: 1h\n",
           "f.yaml:3:12: maintenance[0].start: expected a time of day such as 02:00, got '25:00'"},
      Case{"maintenance:\n  - services: a\n    start: '02:00'\n",
           "f.yaml:2:5: maintenance[0].duration: expected this key in a window"},
      Case{"maintenance:\n  - services: a\n    strat: '02:00'\n    duration: 1h\n",
           "f.yaml:3:5: maintenance[0].strat: unknown key; did you mean 'start'?"},
      Case{"maintenance:\n  - services: a\n    start: '02:00'\n    duration: 8d\n",
           "f.yaml:4:15: maintenance[0].duration: expected a duration such as 90s, 1m30s or 500ms "
           "between 1m and 7d, got '8d'"},
      Case{"engine: ${NO_SUCH}\n",
           "f.yaml:1:9: engine: expected the variable NO_SUCH to be set, or ${NO_SUCH:-default}"});
  const auto errors = errors_of(text);
  INFO(text);
  REQUIRE_FALSE(errors.empty());
  CHECK(errors.front().to_string() == error);
}

TEST_CASE("a probe whose URL is bad is complained about once") {
  const auto errors = errors_of(
      "targets:\n  a:\n    probe.x: nonsense\n    probe.x.timeout: 1s\n    probe.x.fall: 2\n");
  CHECK(errors.size() == 1);
}

TEST_CASE("variables stand in values, not in keys") {
  const auto variables = environment({{"HOST", "h.example.org"}, {"EMPTY", ""}, {"MANY", "a,b"}});
  auto config = config_of(
      "targets:\n"
      "  a:\n"
      "    probe.x: http://${HOST}:${PORT:-81}/${EMPTY:-x}\n"
      "    probe.x.expect.body: $$5 and $HOST${EMPTY}\n"
      "hosts: ${MANY}\n",
      variables);
  const auto& probe = config.targets[0].settings.probes[0];
  CHECK(probe.host == "h.example.org");
  CHECK(probe.port == 81);
  CHECK(probe.http.target == "/x");
  CHECK(probe.http.body_contains == "$5 and $HOST");
  CHECK(config.hosts.size() == 2);
  // A comma inside an item of a list would make two of one.
  CHECK(errors_of("hosts: [\"${MANY}\"]\n", variables).size() == 1);
  CHECK(errors_of("${HOST}: 1\n", variables).front().to_string().find("unknown key") !=
        std::string::npos);
  // What a variable holds is not looked into again.
  CHECK(*interpolate("${A}", environment({{"A", "${B}"}})) == "${B}");
  for (const char* bad : {"${", "${}", "${A", "${1}", "${A-b}", "${A B}", "${\xC3\xA9}"}) {
    INFO(bad);
    CHECK_FALSE(interpolate(bad, environment({{"A", "x"}})));
  }
  CHECK(*interpolate("a$", {}) == "a$");
  CHECK(*interpolate("^x$|$y", {}) == "^x$|$y");
  const std::string large(max_interpolated_bytes / 2 + 1, 'x');
  CHECK_FALSE(interpolate("${A}${A}", environment({{"A", large}})));
}

TEST_CASE("an error shows the value as written, not what a variable holds") {
  const auto errors = errors_of("targets: {a: {probe.x: 'http://${SECRET}/'}}\n",
                                environment({{"SECRET", "hunter2:hunter2"}}));
  REQUIRE(errors.size() == 1);
  const std::string text = errors[0].to_string();
  CHECK(text.ends_with("got 'http://${SECRET}/'"));
  CHECK(text.find("hunter2") == std::string::npos);
}

TEST_CASE("secrets come from files and are never shown") {
  const File file{"Bearer hunter2\n"};
  const std::string start = "targets:\n  a:\n    probe.x: https://h/\n";
  const auto config = config_of(start + "    probe.x.header.Authorization_file: " + file.path +
                                    "\n    probe.x.body-file: ${WHERE}\n",
                                environment({{"WHERE", file.path}}));
  const auto& http = config.targets[0].settings.probes[0].http;
  REQUIRE(http.headers.size() == 1);
  CHECK(http.headers[0].second == "Bearer hunter2");
  CHECK(http.body == "Bearer hunter2");

  const File bad{"hunter2\nhunter3\n"};
  for (const std::string& line :
       {"header.Authorization_file: " + bad.path,
        std::string("header.Authorization: \"hunter2\\x01\""), std::string("headers: [hunter2]"),
        std::string("headers: {A: \"hunter2\\x01\"}")}) {
    const auto errors = errors_of(start + "    probe.x." + line + "\n");
    INFO(line);
    REQUIRE(errors.size() == 1);
    CHECK(errors[0].to_string().find("hunter") == std::string::npos);
  }
  for (const std::string& line :
       {std::string("header.A_file: /nonexistent/x"), std::string("header.A_file: relative"),
        std::string("body_file: /dev/zero"), std::string("body_file: /dev/null"),
        std::string("timeout_file: /etc/hostname"),
        std::string("expect.body_file: /etc/hostname")}) {
    INFO(line);
    CHECK(errors_of(start + "    probe.x." + line + "\n").size() == 1);
  }
}

TEST_CASE("a pipe holds no secret, and nobody waits for it") {
  const std::string pipe = "/tmp/sentinel-secret-pipe-" + std::to_string(::getpid());
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  const auto refused = [&] {
    const auto errors =
        errors_of("targets:\n  a:\n    probe.x: https://h/\n    probe.x.body_file: " + pipe + "\n");
    return errors.size() == 1 && errors[0].to_string().find("regular file") != std::string::npos;
  };
  CHECK(refused());
  // One who could write, and has nothing to say yet.
  const int writer = ::open(pipe.c_str(), O_RDWR | O_CLOEXEC);
  CHECK(refused());
  ::close(writer);
  std::remove(pipe.c_str());
}

TEST_CASE("ten thousand targets are read, one more is refused") {
  std::string text = "targets:\n";
  for (int i = 0; i < 10'000; ++i) {
    const std::string n = std::to_string(i);
    text += "  t" + n + ":\n    group: g" + std::to_string(i % 10) +
            "\n    probe.http: http://10.0." + std::to_string(i / 250) + "." +
            std::to_string(i % 250) +
            ":8080/health\n    probe.http.interval: 1s\n    probe.http.expect.status: 200-299\n";
  }
  CHECK(config_of(text).targets.size() == 10'000);
  text += "  more: {probe.x: tcp://h:1}\n";
  const auto errors = errors_of(text);
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].to_string() == "f.yaml:2:3: targets: expected at most 10000 targets, got 10001");
}

TEST_CASE("maintenance windows of the file") {
  const auto config = config_of(R"(
maintenance:
  - name: nightly backup
    services: [shop/*, db]
    days: [mon-fri, sun]
    start: "02:00"
    duration: 1h30m
    timezone: local
  - services: "*"
    start: 23:30
    duration: 2h
)");
  REQUIRE(config.maintenance.size() == 2);
  const MaintenanceRule& first = config.maintenance[0];
  CHECK(first.name == "nightly backup");
  CHECK(first.services == std::vector<std::string>{"shop/*", "db"});
  CHECK(first.days == 0b1011111);
  CHECK(first.start == 120);
  CHECK(first.duration == 90min);
  CHECK(first.local);
  CHECK(config.maintenance[1].days == 0x7F);
  CHECK_FALSE(config.maintenance[1].local);
}

TEST_CASE("days and times of day") {
  CHECK(parse_days("mon") == 1);
  CHECK(parse_days("Sat-Mon") == 0b1100001);
  CHECK(parse_days("mon-sun") == 0x7F);
  for (const char* bad : {"", "mo", "monday", "mon-", "-mon", "mon,,tue", "1-5", "mon tue"}) {
    INFO(bad);
    CHECK_FALSE(parse_days(bad));
  }
  CHECK(parse_time_of_day("00:00") == 0U);
  CHECK(parse_time_of_day("23:59") == 1439U);
  for (const char* bad : {"", "2:00", "24:00", "02:60", "02-00", "02:0x", " 2:00", "02:000"}) {
    INFO(bad);
    CHECK_FALSE(parse_time_of_day(bad));
  }
}

TEST_CASE("which windows are open") {
  // 2026-11-25 is a Wednesday.
  constexpr std::int64_t midnight = 1'795'564'800;
  MaintenanceRule rule{.name = "n",
                       .services = {"a"},
                       .days = 0b0000100,
                       .start = 23 * 60,
                       .duration = 2h,
                       .local = false};
  auto now = windows_at({rule}, midnight);
  CHECK(now.open.empty());
  CHECK(now.next_change == midnight + 23 * 3600);
  now = windows_at({rule}, midnight + 23 * 3600);
  REQUIRE(now.open.size() == 1);
  CHECK(now.open[0].left == 2h);
  CHECK(now.next_change == midnight + 25 * 3600);
  // It reaches into Thursday, which is not one of its days.
  now = windows_at({rule}, midnight + 25 * 3600 - 1);
  REQUIRE(now.open.size() == 1);
  CHECK(now.open[0].left == 1s);
  now = windows_at({rule}, midnight + 25 * 3600);
  CHECK(now.open.empty());
  CHECK(now.next_change == midnight + (7 * 24 + 23) * 3600);
  // Openings that touch or overlap are one.
  rule.days = 0x7F;
  rule.duration = 7 * 24h;
  now = windows_at({rule}, midnight);
  REQUIRE(now.open.size() == 1);
  CHECK(now.open[0].left == 7 * 24h - 1h);
  CHECK_FALSE(windows_at({}, midnight).next_change);
}

TEST_CASE("what only a restart changes stays, and is named") {
  MonitorConfig running;
  MonitorConfig fresh;
  CHECK(keep_until_restart(fresh, running).empty());
  fresh.engine.clear();
  fresh.data_dir = "/other";
  fresh.log_level = observe::LogLevel::debug;
  CHECK(keep_until_restart(fresh, running) == "engine, data-dir");
  CHECK(fresh.engine == running.engine);
  CHECK(fresh.data_dir == running.data_dir);
  CHECK(fresh.log_level == observe::LogLevel::debug);
}

TEST_CASE("a monitor without an Engine") {
  CHECK_FALSE(config_of("engine: none\n").has_engine());
  CHECK(config_of("").has_engine());
}
