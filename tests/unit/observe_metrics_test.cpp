#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstdio>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>

#include "observe/metrics.hpp"

using namespace sentinel;
using namespace std::chrono_literals;
using core::NoticeKind;
using core::State;

namespace {

/// Series by their name and labels as written.
std::map<std::string, double> parse(const std::string& text) {
  std::map<std::string, double> series;
  std::istringstream in{text};
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line.front() == '#') continue;
    const auto space = line.rfind(' ');
    REQUIRE(space != std::string::npos);
    INFO(line);
    REQUIRE(series.emplace(line.substr(0, space), std::stod(line.substr(space + 1))).second);
  }
  return series;
}

core::ServiceView view(core::ServiceId id, std::string project, std::string service,
                       State state = State::healthy) {
  core::ServiceView v;
  v.id = id;
  v.key = {std::move(project), std::move(service), 1};
  v.name = v.key.service;
  v.state = state;
  v.image = "demo:1";
  v.budget_remaining = 5;
  v.since = core::Time{10s};
  return v;
}

core::Transition transition(core::ServiceId id, const core::ServiceKey& key, State from, State to) {
  core::Transition t;
  t.service = id;
  t.key = key;
  t.from = from;
  t.to = to;
  return t;
}

/// What a service is probed with, to be changed.
std::vector<core::ProbeSpec>& probes_of(core::ServiceView& view) {
  const auto own = std::make_shared<core::ServiceSettings>(*view.settings);
  view.settings = own;
  return own->probes;
}

struct Fixture {
  observe::Metrics metrics{{.version = "1.2.3", .revision = "abc"}};
  std::vector<core::ServiceView> services{view(1, "shop", "web")};
  core::Time now{100s};

  std::string text() {
    return metrics.render({.services = services,
                           .now = now,
                           .unix_ns = 1'700'000'100'000'000'000,
                           .engine_up = true});
  }
  std::map<std::string, double> series() { return parse(text()); }
};

std::string with_labels(const std::string& name, const std::string& more = {}) {
  return name + "{project=\"shop\",service=\"web\",replica=\"1\"" +
         (more.empty() ? "" : "," + more) + "}";
}

}  // namespace

TEST_CASE_METHOD(Fixture, "series exist from the start, at zero") {
  const auto all = series();
  CHECK(all.at("sentinel_build_info{revision=\"abc\",version=\"1.2.3\"}") == 1);
  CHECK(all.at("sentinel_engine_up{engine=\"default\"}") == 1);
  CHECK(all.at(with_labels("sentinel_service_info", "image=\"demo:1\",source=\"container\"")) == 1);
  CHECK(all.at(with_labels("sentinel_service_state", "state=\"healthy\"")) == 1);
  for (const State s : core::all_states) {
    if (s == State::healthy) continue;
    CHECK(all.at(with_labels("sentinel_service_state",
                             "state=\"" + std::string{core::to_string(s)} + "\"")) == 0);
  }
  CHECK(all.at(with_labels("sentinel_service_state_start_timestamp_seconds")) == 1'700'000'010);
  CHECK(all.at(with_labels("sentinel_service_maintenance")) == 0);
  CHECK(all.at(with_labels("sentinel_service_downtime_seconds_total")) == 0);
  CHECK(all.at(with_labels("sentinel_service_transitions_total",
                           "from=\"healthy\",to=\"unhealthy\"")) == 0);
  CHECK(all.at(with_labels("sentinel_container_restarts_total")) == 0);
  CHECK(all.at(with_labels("sentinel_container_oom_kills_total")) == 0);
  CHECK(all.at(with_labels("sentinel_recovery_actions_total",
                           "action=\"restart\",result=\"healthy\"")) == 0);
  CHECK(all.at(with_labels("sentinel_recovery_duration_seconds_count")) == 0);
  CHECK(all.at(with_labels("sentinel_recovery_budget_remaining")) == 5);
  CHECK(all.contains("sentinel_config_last_reload_successful"));
  CHECK(all.at("process_resident_memory_bytes") > 0);
  CHECK(all.at("process_threads") >= 1);
  CHECK(all.at("process_open_fds") > 2);
  CHECK(all.at("process_start_time_seconds") > 1'600'000'000);
}

TEST_CASE_METHOD(Fixture, "the arc of a recovery is counted") {
  const core::ServiceKey key = services[0].key;
  metrics.on(transition(1, key, State::healthy, State::unhealthy), now, 0);
  now += 2s;
  metrics.on(transition(1, key, State::unhealthy, State::recovering), now, 0);
  core::Notice notice;
  notice.service = 1;
  notice.key = key;
  notice.kind = NoticeKind::heal_acted;
  notice.result = "done";
  metrics.on(notice, now, 0);
  now += 10s;
  notice.kind = NoticeKind::healed;
  notice.result = "healthy";
  metrics.on(notice, now, 0);
  auto well = transition(1, key, State::recovering, State::healthy);
  well.down_for = 12s;
  metrics.on(well, now, 0);
  now += 1h;
  services[0].restarts = 1;
  services[0].budget_remaining = 4;
  const auto all = series();
  CHECK(all.at(with_labels("sentinel_service_transitions_total",
                           "from=\"healthy\",to=\"unhealthy\"")) == 1);
  CHECK(all.at(with_labels("sentinel_service_downtime_seconds_total")) == 12);
  CHECK(all.at(with_labels("sentinel_recovery_actions_total",
                           "action=\"restart\",result=\"healthy\"")) == 1);
  CHECK(all.at(with_labels("sentinel_recovery_duration_seconds_count")) == 1);
  CHECK(all.at(with_labels("sentinel_recovery_duration_seconds_sum")) == 12);
  CHECK(all.at(with_labels("sentinel_recovery_duration_seconds_bucket", "le=\"10\"")) == 0);
  CHECK(all.at(with_labels("sentinel_recovery_duration_seconds_bucket", "le=\"20\"")) == 1);
  CHECK(all.at(with_labels("sentinel_container_restarts_total")) == 1);
  CHECK(all.at(with_labels("sentinel_recovery_budget_remaining")) == 4);
}

TEST_CASE_METHOD(Fixture, "downtime stands still in maintenance") {
  const core::ServiceKey key = services[0].key;
  services[0].state = State::unhealthy;
  metrics.on(transition(1, key, State::healthy, State::unhealthy), now, 0);
  now += 5s;
  core::Notice notice;
  notice.service = 1;
  notice.key = key;
  notice.kind = NoticeKind::maintenance;
  metrics.on(notice, now, 0);
  services[0].overlays.maintenance = true;
  now += 1h;
  CHECK(series().at(with_labels("sentinel_service_downtime_seconds_total")) == 5);
  notice.kind = NoticeKind::maintenance_ended;
  metrics.on(notice, now, 0);
  services[0].overlays.maintenance = false;
  now += 7s;
  CHECK(series().at(with_labels("sentinel_service_downtime_seconds_total")) == 12);
}

TEST_CASE_METHOD(Fixture, "probes have their series as long as the settings have them") {
  core::ProbeSpec spec;
  spec.name = "http";
  probes_of(services[0]).push_back(spec);
  auto all = series();
  CHECK(all.at(with_labels("sentinel_probes_total", "probe=\"http\",result=\"pass\"")) == 0);
  CHECK(all.at(with_labels("sentinel_probe_failures_total", "probe=\"http\",reason=\"refused\"")) ==
        0);
  CHECK(all.at(with_labels("sentinel_probe_interval_seconds", "probe=\"http\"")) == 5);
  CHECK_FALSE(all.contains(with_labels("sentinel_probe_success", "probe=\"http\"")));
  core::ProbeReport report;
  report.service = 1;
  report.key = services[0].key;
  report.probe = "http";
  report.outcome.verdict = core::Verdict::fail;
  report.outcome.reason = core::ProbeReason::status;
  report.outcome.code = 503;
  report.outcome.took = 20ms;
  metrics.on(report, now, 1'700'000'000'000'000'000);
  all = series();
  CHECK(all.at(with_labels("sentinel_probes_total", "probe=\"http\",result=\"fail\"")) == 1);
  CHECK(all.at(with_labels("sentinel_probe_failures_total", "probe=\"http\",reason=\"status\"")) ==
        1);
  CHECK(all.at(with_labels("sentinel_probe_success", "probe=\"http\"")) == 0);
  CHECK(all.at(with_labels("sentinel_probe_http_status_code", "probe=\"http\"")) == 503);
  CHECK(all.at(with_labels("sentinel_probe_last_timestamp_seconds", "probe=\"http\"")) ==
        1'700'000'000);
  CHECK(all.at(with_labels("sentinel_probe_duration_seconds_count", "probe=\"http\"")) == 1);
  probes_of(services[0]).clear();
  CHECK(text().find("probe=\"http\"") == std::string::npos);
}

TEST_CASE_METHOD(Fixture, "overlays are told") {
  CHECK(series().at("sentinel_services_blind") == 0);
  CHECK(series().at(with_labels("sentinel_service_flapping")) == 0);
  services[0].overlays.blind = true;
  services[0].overlays.flapping = true;
  CHECK(series().at("sentinel_services_blind") == 1);
  CHECK(series().at(with_labels("sentinel_service_flapping")) == 1);
}

TEST_CASE_METHOD(Fixture, "what a probe found of each kind has its series") {
  using core::ProbeKind;
  const auto add = [&](std::string name, ProbeKind kind) -> core::ProbeReport {
    core::ProbeSpec spec;
    spec.name = name;
    spec.kind = kind;
    probes_of(services[0]).push_back(spec);
    core::ProbeReport report;
    report.service = 1;
    report.key = services[0].key;
    report.probe = std::move(name);
    report.kind = kind;
    report.outcome.verdict = core::Verdict::pass;
    return report;
  };
  core::ProbeReport tls = add("tls", ProbeKind::tls);
  tls.outcome.cert_not_after = 1'800'000'000;
  tls.outcome.phases.connect = 2ms;
  tls.outcome.phases.tls = 30ms;
  metrics.on(tls, now, 1'700'000'000'000'000'000);
  core::ProbeReport smtp = add("smtp", ProbeKind::smtp);
  smtp.outcome.code = 421;
  metrics.on(smtp, now, 1'700'000'000'000'000'000);
  core::ProbeReport icmp = add("icmp", ProbeKind::icmp);
  icmp.outcome.loss = 0.25;
  metrics.on(icmp, now, 1'700'000'000'000'000'000);
  auto all = series();
  const std::string of_tls = "probe=\"tls\"";
  CHECK(all.at(with_labels("sentinel_probe_cert_not_after_timestamp_seconds", of_tls)) ==
        1'800'000'000);
  CHECK(all.at(with_labels("sentinel_probe_phase_duration_seconds",
                           of_tls + ",phase=\"connect\"")) == 0.002);
  CHECK(all.at(with_labels("sentinel_probe_phase_duration_seconds", of_tls + ",phase=\"tls\"")) ==
        0.03);
  CHECK_FALSE(all.contains(
      with_labels("sentinel_probe_phase_duration_seconds", of_tls + ",phase=\"resolve\"")));
  CHECK_FALSE(all.contains(with_labels("sentinel_probe_http_status_code", of_tls)));
  CHECK(all.at(with_labels("sentinel_probe_smtp_reply_code", "probe=\"smtp\"")) == 421);
  CHECK(all.at(with_labels("sentinel_probe_loss_ratio", "probe=\"icmp\"")) == 0.25);
  CHECK_FALSE(all.contains(with_labels("sentinel_probe_loss_ratio", of_tls)));

  // Refused: no phase after it took place, and the certificate is still the one that was seen.
  tls.outcome.verdict = core::Verdict::fail;
  tls.outcome.reason = core::ProbeReason::refused;
  tls.outcome.cert_not_after.reset();
  tls.outcome.phases.tls = {};
  metrics.on(tls, now, 1'700'000'001'500'000'000);
  all = series();
  CHECK(all.at(with_labels("sentinel_probe_cert_not_after_timestamp_seconds", of_tls)) ==
        1'800'000'000);
  CHECK(all.at(with_labels("sentinel_probe_phase_duration_seconds", of_tls + ",phase=\"tls\"")) ==
        0);
  CHECK(all.at(with_labels("sentinel_probe_last_timestamp_seconds", of_tls)) == 1'700'000'001.5);
}

TEST_CASE_METHOD(Fixture, "reasons a probe can fail for are there at zero, others when they come") {
  core::ProbeSpec spec;
  spec.name = "http";
  spec.host = "shop.example";
  probes_of(services[0]).push_back(spec);
  const auto reasons = [this] {
    std::set<std::string> found;
    for (const auto& [name, value] : series()) {
      if (name.starts_with("sentinel_probe_failures_total"))
        found.insert(name.substr(name.find("reason=\"") + 8));
    }
    return found;
  };
  CHECK(reasons() == std::set<std::string>{"health\"}", "internal\"}", "protocol\"}", "refused\"}",
                                           "reset\"}", "resolve\"}", "status\"}", "timeout\"}",
                                           "unreachable\"}"});
  core::ProbeReport report;
  report.service = 1;
  report.key = services[0].key;
  report.probe = "http";
  report.outcome.reason = core::ProbeReason::redirect;
  metrics.on(report, now, 1);
  CHECK(reasons().contains("redirect\"}"));
  spec.http.tls = true;
  spec.http.body_contains = "ok";
  probes_of(services[0]) = {spec};
  CHECK(reasons().contains("certificate_name\"}"));
  CHECK(reasons().contains("body\"}"));
  CHECK(reasons().contains("redirect\"}"));
  spec.tls.verify = false;
  probes_of(services[0]) = {spec};
  CHECK(reasons().contains("certificate_expired\"}"));
  CHECK_FALSE(reasons().contains("certificate_name\"}"));
}

TEST_CASE("the number of probes with series and histograms is limited, and places come back") {
  observe::Metrics metrics{
      {.version = "1",
       .revision = "",
       .limits = {.services = 5, .probes = 3, .service_histograms = 5, .probe_histograms = 1}}};
  std::vector<core::ServiceView> services{view(1, "p", "a"), view(2, "p", "b")};
  for (core::ServiceView& service : services) {
    for (const char* name : {"one", "two"}) {
      core::ProbeSpec spec;
      spec.name = name;
      probes_of(service).push_back(spec);
    }
  }
  const auto scrape = [&] {
    return parse(metrics.render({.services = services, .now = core::Time{100s}, .unix_ns = 1}));
  };
  const auto count = [](const auto& all, const std::string& name) {
    return std::ranges::count_if(all, [&](const auto& one) { return one.first.starts_with(name); });
  };
  auto all = scrape();
  CHECK(all.at("sentinel_probes_without_series") == 1);
  CHECK(count(all, "sentinel_probes_total{") == 9);
  CHECK(count(all, "sentinel_probe_duration_seconds_count") == 2);  // its own, and the others'
  services.erase(services.begin());
  all = scrape();
  CHECK(all.at("sentinel_probes_without_series") == 0);
  CHECK(count(all, "sentinel_probes_total{") == 6);
  CHECK(count(all, "sentinel_probe_duration_seconds_count") == 2);
}

TEST_CASE_METHOD(Fixture, "a service that is removed drops its series") {
  metrics.on(transition(1, services[0].key, State::healthy, State::unhealthy), now, 0);
  services.clear();
  const std::string out = text();
  CHECK(out.find("service=\"web\"") == std::string::npos);
  // and starts anew when it comes back under another id
  services.push_back(view(2, "shop", "web"));
  CHECK(series().at(with_labels("sentinel_service_transitions_total",
                                "from=\"healthy\",to=\"unhealthy\"")) == 0);
}

TEST_CASE_METHOD(Fixture, "hostile names cannot break the text or share series") {
  services.clear();
  services.push_back(view(1, "p", "a\"}\nsentinel_fake 1\n"));
  services.push_back(view(2, "p", "\xFF"));
  services.push_back(view(3, "p", "\xFE"));  // looks the same once made safe
  services.push_back(view(4, "p", std::string(5000, 'x') + "1"));
  services.push_back(view(5, "p", std::string(5000, 'x') + "2"));
  for (const char* name : {"\xFD", "\xFC", "\"} 1\n", "back\\slash"}) {
    core::ProbeSpec spec;
    spec.name = name;
    probes_of(services.back()).push_back(spec);
  }
  const std::string out = text();
  CHECK(out.find("\nsentinel_fake") == std::string::npos);
  CHECK(out.size() < 200'000);
  CHECK(parse(out).size() > 100);  // and no series twice
}

TEST_CASE("the number of services with series and histograms is limited") {
  observe::Metrics metrics{
      {.version = "1",
       .revision = "",
       .limits = {.services = 5, .probes = 100, .service_histograms = 2, .probe_histograms = 2}}};
  std::vector<core::ServiceView> services;
  for (core::ServiceId id = 1; id <= 8; ++id)
    services.push_back(view(id, "p", "s" + std::to_string(id)));
  const auto all =
      parse(metrics.render({.services = services, .now = core::Time{100s}, .unix_ns = 1}));
  CHECK(all.at("sentinel_services_without_series") == 3);
  std::set<std::string> histograms;
  for (const auto& [name, value] : all) {
    if (name.starts_with("sentinel_recovery_duration_seconds_count")) histograms.insert(name);
  }
  CHECK(histograms.size() == 3);  // two of their own, one for the others
}

TEST_CASE_METHOD(Fixture, "promtool finds nothing to complain about") {
  if (std::system("command -v promtool >/dev/null 2>&1") != 0) SKIP("promtool is not installed");
  core::ProbeSpec spec;
  spec.name = "http";
  probes_of(services[0]).push_back(spec);
  core::ProbeReport report;
  report.service = 1;
  report.key = services[0].key;
  report.probe = "http";
  report.outcome.cert_not_after = 1;
  report.outcome.loss = 0;
  report.outcome.phases.connect = 1ms;
  metrics.on(report, now, 1);
  for (const core::ProbeKind kind : core::all_probe_kinds) {
    spec.name = core::to_string(kind);
    spec.kind = kind;
    probes_of(services[0]).push_back(spec);
    report.probe = spec.name;
    report.kind = kind;
    metrics.on(report, now, 1);
  }
  metrics.own_share(200us);
  const std::string path = "/tmp/sentinel-promtool-" + std::to_string(::getpid());
  std::ofstream{path} << text();
  const std::string command = "promtool check metrics <" + path + " >" + path + ".out 2>&1";
  const int status = std::system(command.c_str());
  std::stringstream said;
  said << std::ifstream{path + ".out"}.rdbuf();
  std::remove(path.c_str());
  std::remove((path + ".out").c_str());
  INFO(said.str());
  CHECK(status == 0);
}
