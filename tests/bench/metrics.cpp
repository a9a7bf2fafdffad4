// What the metrics cost: a probe's result, and a scrape. One line each.
//
//   bench-metrics [SERVICES]   default 2000

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "observe/metrics.hpp"

using namespace sentinel;

namespace {

/// Processor time of this thread: other work on the machine is not in it.
double cpu_seconds() {
  ::timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

core::ServiceView view(core::ServiceId id) {
  core::ServiceView v;
  v.id = id;
  v.key = {"shop-" + std::to_string(id % 50), "service-" + std::to_string(id), 1};
  v.name = v.key.service;
  v.state = core::State::healthy;
  v.image = "registry.example/shop/service:1.2.3";
  core::ProbeSpec spec;
  spec.name = "http";
  spec.url = "http://:8080/health";
  core::ServiceSettings settings;
  settings.probes.push_back(std::move(spec));
  v.settings = std::make_shared<const core::ServiceSettings>(std::move(settings));
  return v;
}

}  // namespace

int main(int argc, char** argv) {
  const auto count = static_cast<core::ServiceId>(argc > 1 ? std::atoi(argv[1]) : 2000);
  if (count < 1 || count > 100'000) {
    std::fputs("usage: bench-metrics [SERVICES]\n", stderr);
    return 2;
  }
  observe::Metrics metrics{{.version = "1", .revision = "1"}};
  std::vector<core::ServiceView> services;
  std::vector<core::Action> reports;
  for (core::ServiceId id = 1; id <= count; ++id) {
    services.push_back(view(id));
    core::ProbeReport report;
    report.service = id;
    report.key = services.back().key;
    report.probe = "http";
    report.outcome.verdict = core::Verdict::pass;
    report.outcome.took = std::chrono::microseconds{300 + id};
    report.outcome.phases.connect = std::chrono::microseconds{50};
    report.outcome.phases.processing = std::chrono::microseconds{200};
    report.outcome.phases.transfer = std::chrono::microseconds{10};
    report.outcome.code = 200;
    reports.emplace_back(std::move(report));
  }
  const core::Time now{std::chrono::hours{1}};
  const observe::Scrape scrape{.services = services, .now = now, .unix_ns = 1};
  (void)metrics.render(scrape);

  constexpr int rounds = 200;
  double began = cpu_seconds();
  for (int i = 0; i < rounds; ++i) {
    for (const core::Action& report : reports) metrics.on(report, now, 1'700'000'000'000'000'000);
  }
  std::printf("a probe's result: %.0f ns of processor time\n",
              (cpu_seconds() - began) / rounds / count * 1e9);

  constexpr int scrapes = 20;
  std::size_t bytes = 0;
  double longest = 0;
  double total = 0;
  for (int i = 0; i < scrapes; ++i) {
    began = cpu_seconds();
    bytes = metrics.render(scrape).size();
    const double took = cpu_seconds() - began;
    total += took;
    longest = std::max(longest, took);
  }
  std::printf("a scrape of %u services: %.1f ms of processor time (longest %.1f), %.2f MB\n", count,
              total / scrapes * 1e3, longest * 1e3, static_cast<double>(bytes) / 1e6);
  return 0;
}
