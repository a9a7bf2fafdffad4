#include <algorithm>
#include <catch2/catch_test_macros.hpp>

#include "protocol/probe_settings.hpp"

using namespace sentinel::protocol;
namespace core = sentinel::core;

namespace {

AppliedLabels apply(Labels labels, const core::ServiceSettings& start = {},
                    const SettingsLimits& limits = {}) {
  labels.emplace_back("sentinel.enable", "true");
  return apply_labels(labels, start, limits, "web-1");
}

}  // namespace

TEST_CASE("all labels together") {
  const auto applied = apply({{"sentinel.name", "shop"},
                              {"sentinel.heal", "restart,kill,stop"},
                              {"sentinel.heal.on", "unhealthy,exited"},
                              {"sentinel.heal.stop-timeout", "3s"},
                              {"sentinel.heal.start-grace", "20s"},
                              {"sentinel.heal.delay", "1s"},
                              {"sentinel.heal.verify-timeout", "2m"},
                              {"sentinel.heal.budget", "3/10m"},
                              {"sentinel.heal.trial", "0"},
                              {"sentinel.heal.backoff", "2s..1m"},
                              {"sentinel.probe.api.fall", "5"},
                              {"sentinel.probe.api.interval", "500ms"},
                              {"sentinel.probe.api", "http://:8080/health"},
                              {"sentinel.probe.api.timeout", "1s"},
                              {"sentinel.probe.api.rise", "1"},
                              {"com.example.other", "x"}},
                             {}, [] {
                               SettingsLimits limits;
                               limits.interval.min = 100ms;
                               return limits;
                             }());
  CHECK(applied.warnings.empty());
  const auto& s = applied.settings;
  CHECK(s.enabled);
  CHECK(s.ladder.size() == 3);
  CHECK(s.heal_on == core::FailureSet{true, false, true});
  CHECK(s.stop_timeout == Duration{3s});
  CHECK(s.start_grace == Duration{20s});
  CHECK(s.delay == Duration{1s});
  CHECK(s.verify_timeout == Duration{2min});
  CHECK(s.budget == core::Budget{3, 10min});
  CHECK(s.trial == Duration{});
  CHECK(s.backoff == core::Backoff{2s, 1min});
  REQUIRE(s.probes.size() == 1);
  CHECK(s.probes[0].name == "api");
  CHECK(s.probes[0].port == 8080);
  CHECK(s.probes[0].fall == 5);
  CHECK(s.probes[0].rise == 1);
  CHECK(s.probes[0].interval == Duration{500ms});
  CHECK(s.probes[0].fast_interval == Duration{500ms});
  CHECK(s.probes[0].timeout == Duration{1s});
}

TEST_CASE("a bad value warns, names its form and keeps the default") {
  const auto applied = apply({{"sentinel.heal.budget", "lots"}});
  REQUIRE(applied.warnings.size() == 1);
  CHECK(applied.warnings[0] ==
        "container web-1: label sentinel.heal.budget=lots: expected restarts per healthy time such "
        "as 5/15m, from 1/1s to "
        "100/30d; 5/15m is used");
  CHECK(applied.settings.budget == core::Budget{});
}

TEST_CASE("every label has a defined answer to nonsense") {
  for (const char* label : {"sentinel.enable",
                            "sentinel.name",
                            "sentinel.heal",
                            "sentinel.heal.on",
                            "sentinel.heal.stop-timeout",
                            "sentinel.heal.start-grace",
                            "sentinel.heal.delay",
                            "sentinel.heal.verify-timeout",
                            "sentinel.heal.budget",
                            "sentinel.heal.trial",
                            "sentinel.heal.backoff",
                            "sentinel.probe.x",
                            "sentinel.probe.x.interval",
                            "sentinel.probe.x.expect.status",
                            "sentinel.depends-on",
                            "sentinel.failover.pool",
                            "sentinel.heal.budgets",
                            "sentinel.",
                            "sentinel.probe.",
                            "sentinel.probe..",
                            "sentinel.probe..interval"}) {
    INFO(label);
    core::ServiceSettings start;
    start.enabled = true;
    const auto applied = apply_labels({{label, "\x1b[31m\"non\nsense\xFF"}}, start, {}, "web-1\n");
    REQUIRE(applied.warnings.size() == 1);
    const std::string& warning = applied.warnings[0];
    CHECK(applied.settings == start);
    CHECK(std::ranges::none_of(warning, [](char c) { return c >= 0 && c < ' '; }));
    CHECK(warning.starts_with("container web-1: label sentinel."));
    CHECK(warning.size() < 600);
  }
}

TEST_CASE("misspelt labels get a suggestion") {
  const auto applied = apply({{"sentinel.heal.buget", "5/15m"},
                              {"sentinel.probe.api", "http://:80/"},
                              {"sentinel.probe.api.intervall", "5s"}});
  REQUIRE(applied.warnings.size() == 2);
  CHECK(applied.warnings[0].ends_with(
      "no such label; it is ignored; did you mean sentinel.heal.budget?"));
  CHECK(applied.warnings[1].ends_with("did you mean sentinel.probe.api.interval?"));
}

TEST_CASE("labels stay inside the limits") {
  SettingsLimits limits;
  limits.max_probes = 2;
  limits.max_stop_timeout = 1min;
  const auto applied = apply({{"sentinel.probe.a", "http://:1/"},
                              {"sentinel.probe.b", "http://:2/"},
                              {"sentinel.probe.c", "http://:3/"},
                              {"sentinel.probe.a.interval", "10ms"},
                              {"sentinel.heal.stop-timeout", "2m"},
                              {"sentinel.heal.trial", "1s"}},
                             {}, limits);
  CHECK(applied.settings.probes.size() == 2);
  CHECK(applied.settings.probes[0].interval == Duration{5s});
  CHECK_FALSE(applied.settings.stop_timeout);
  CHECK(applied.settings.trial == Duration{1h});
  CHECK(applied.warnings.size() == 4);
}

TEST_CASE("a probe of a label reaches its own container only") {
  CHECK(apply({{"sentinel.probe.a", "http://other:80/"}}).settings.probes.empty());
  CHECK(apply({{"sentinel.probe.a", "http://127.0.0.1:80/"}}).warnings.size() == 1);
  SettingsLimits limits;
  limits.probe_hosts = {"other"};
  CHECK(apply({{"sentinel.probe.a", "http://Other:80/"}}, {}, limits).settings.probes.size() == 1);
  CHECK(apply({{"sentinel.probe.a", "http://another:80/"}}, {}, limits).settings.probes.empty());
  limits.probe_hosts = {"*"};
  CHECK(apply({{"sentinel.probe.a", "http://another:80/"}}, {}, limits).settings.probes.size() ==
        1);
  CHECK(
      apply({{"sentinel.probe.a", "http://169.254.169.254/"}}, {}, limits).settings.probes.empty());
}

TEST_CASE("options of every kind work on labels") {
  const auto applied = apply({{"sentinel.probe.api", "https://:8443/health"},
                              {"sentinel.probe.api.header.Accept", "application/health+json"},
                              {"sentinel.probe.api.expect.status", "200,204"},
                              {"sentinel.probe.api.tls.verify", "false"},
                              {"sentinel.probe.api.fall", "3/5"},
                              {"sentinel.probe.check", "exec:/bin/check --quick"},
                              {"sentinel.probe.mail", "smtp://:25?starttls=required"},
                              {"sentinel.probe.name", "dns://:53/example.org"}});
  CHECK(applied.warnings.empty());
  REQUIRE(applied.settings.probes.size() == 4);
  const auto& api = applied.settings.probes[0];
  CHECK(api.http.tls);
  CHECK(api.http.headers.size() == 1);
  CHECK(api.http.status.size() == 2);
  CHECK_FALSE(api.tls.verify);
  CHECK(api.fall_of == 5);
  CHECK(applied.settings.probes[1].exec.command.size() == 2);
}

TEST_CASE("an option of another kind, and one for the file alone, is told and ignored") {
  const auto applied = apply({{"sentinel.probe.a", "https://:443/"},
                              {"sentinel.probe.a.tls.ca", "/etc/shadow"},
                              {"sentinel.probe.a.starttls", "required"},
                              {"sentinel.probe.a.header.Authorization_file", "/etc/shadow"},
                              {"sentinel.probe.a.body_file", "/etc/shadow"}});
  REQUIRE(applied.warnings.size() == 4);
  CHECK(applied.settings.probes[0].tls.ca_file.empty());
  CHECK(applied.settings.probes[0].http.headers.empty());
  CHECK(applied.settings.probes[0].http.body.empty());
  CHECK(applied.warnings[0].ends_with("no such label; it is ignored"));
  CHECK(applied.warnings[1].ends_with(
      "=...: expected the file of a value in the configuration file only; it is ignored"));
  CHECK(applied.warnings[2].ends_with(
      "expected an option of https probes: this one belongs to smtp; it is ignored"));
  CHECK(applied.warnings[3].ends_with("expected in the configuration file only; it is ignored"));
}

TEST_CASE("what a header, a body or bytes to send hold is not shown") {
  const auto applied = apply({{"sentinel.probe.a", "http://:80/"},
                              {"sentinel.probe.a.header.Authorization", "Bearer hunter2\x01"},
                              {"sentinel.probe.a.headers", "hunter2"},
                              {"sentinel.probe.b", "tcp://:80"},
                              {"sentinel.probe.b.send", "hunter2\\q"},
                              {"sentinel.probe.c.body", "hunter2"}});
  REQUIRE(applied.warnings.size() == 4);
  for (const auto& warning : applied.warnings) {
    INFO(warning);
    CHECK(warning.find("hunter2") == std::string::npos);
  }
}

TEST_CASE("labels cannot bend a probe that the file sends elsewhere, nor inherit its secrets") {
  core::ServiceSettings start;
  core::ProbeSpec& probe = start.probes.emplace_back();
  probe.name = "api";
  REQUIRE(set_probe_url(probe, "https://auth.example.org/check"));
  REQUIRE(set_probe_option(probe, "header.Authorization", "Bearer hunter2", {}));
  auto applied = apply({{"sentinel.probe.api.tls.verify", "false"},
                        {"sentinel.probe.api.redirects", "5"},
                        {"sentinel.probe.api.interval", "7s"}},
                       start);
  CHECK(applied.warnings.size() == 2);
  CHECK(applied.settings.probes[0].tls.verify);
  CHECK(applied.settings.probes[0].http.max_redirects == 0);
  CHECK(applied.settings.probes[0].interval == Duration{7s});
  applied = apply({{"sentinel.probe.api", "http://:80/"}}, start);
  CHECK(applied.warnings.empty());
  CHECK(applied.settings.probes[0].http.headers.empty());
}

TEST_CASE("options that do not go together are told, and the probe is good all the same") {
  const auto applied = apply({{"sentinel.probe.a", "http://:80/"},
                              {"sentinel.probe.a.fast-interval", "20s"},
                              {"sentinel.probe.a.slow", "2s"},
                              {"sentinel.probe.b", "exec:"}});
  REQUIRE(applied.warnings.size() == 3);
  CHECK(applied.warnings[0].ends_with(
      "fast-interval: expected at most the interval, 5s; 1s is used"));
  CHECK(applied.warnings[1].ends_with(
      "slow: expected less than the timeout, 2s; no latency is too long"));
  CHECK(applied.warnings[2].ends_with(
      "command: expected the program to run: exec:COMMAND, or the option command; the probe is "
      "left out"));
  REQUIRE(applied.settings.probes.size() == 1);
  CHECK(applied.settings.probes[0].fast_interval == Duration{1s});
}

TEST_CASE("labels override a probe of the defaults by name") {
  core::ServiceSettings start;
  core::ProbeSpec& probe = start.probes.emplace_back();
  probe.name = "api";
  probe.url = "http://:80/";
  probe.interval = 30s;
  const auto applied =
      apply({{"sentinel.probe.api.fall", "7"}, {"sentinel.probe.api", "http://:9000/up"}}, start);
  REQUIRE(applied.settings.probes.size() == 1);
  CHECK(applied.settings.probes[0].port == 9000);
  CHECK(applied.settings.probes[0].interval == Duration{30s});
  CHECK(applied.settings.probes[0].fall == 7);
}

TEST_CASE("who is not enabled is not judged") {
  const Labels labels{{"sentinel.heal.budget", "lots"}};
  CHECK_FALSE(apply_labels(labels, {}, {}, "x").settings.enabled);
  CHECK(apply_labels(labels, {}, {}, "x").warnings.empty());
  const auto bad = apply_labels({{"sentinel.enable", "maybe"}}, {}, {}, "x");
  CHECK_FALSE(bad.settings.enabled);
  REQUIRE(bad.warnings.size() == 1);
  CHECK(bad.warnings[0] ==
        "container x: label sentinel.enable=maybe: expected true or false; false is used");
  core::ServiceSettings all;
  all.enabled = true;
  CHECK_FALSE(apply_labels({{"sentinel.enable", "FALSE"}}, all, {}, "x").settings.enabled);
}

TEST_CASE("a flood of labels is cut off and counted") {
  Labels labels;
  for (int i = 0; i < 5000; ++i)
    labels.emplace_back("sentinel.junk" + std::to_string(i), std::string(5000, 'x'));
  const auto applied = apply(labels);
  REQUIRE(applied.warnings.size() == max_label_warnings + 1);
  for (const auto& warning : applied.warnings) CHECK(warning.size() < 600);
}

TEST_CASE("the order of labels does not matter") {
  Labels labels{{"sentinel.probe.b", "http://:2/"},
                {"sentinel.probe.a", "http://:1/"},
                {"sentinel.heal", "kill"}};
  const auto one = apply(labels);
  std::ranges::reverse(labels);
  CHECK(apply(labels).settings == one.settings);
}

TEST_CASE("settings of a service in the file") {
  LabelDefaults defaults;
  defaults.services["shop/web"].delay = 1s;
  defaults.services["web"].delay = 2s;
  CHECK(defaults.for_service("shop", "web").delay == Duration{1s});
  CHECK(defaults.for_service("blog", "web").delay == Duration{2s});
  CHECK(defaults.for_service("", "db").delay == Duration{});
  CHECK_FALSE(defaults.without_label());
  defaults.services["web"].enabled = true;
  CHECK(defaults.without_label());
}
