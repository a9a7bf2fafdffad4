#include "metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace sentinel::demo {
namespace {

prometheus::Family<prometheus::Gauge>& gauge(prometheus::Registry& registry, const char* name,
                                             const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
}

prometheus::Family<prometheus::Counter>& counter(prometheus::Registry& registry, const char* name,
                                                 const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

double resident_bytes() {
  std::ifstream statm{"/proc/self/statm"};
  double total = 0;
  double resident = 0;
  statm >> total >> resident;
  return statm ? resident * static_cast<double>(sysconf(_SC_PAGESIZE)) : 0;
}

double open_descriptors() {
  std::error_code error;
  double count = 0;
  for (auto entry = std::filesystem::directory_iterator{"/proc/self/fd", error};
       !error && entry != std::filesystem::directory_iterator{}; entry.increment(error)) {
    ++count;
  }
  // Reading the directory takes a descriptor itself.
  return count > 0 ? count - 1 : 0;
}

double processor_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

}  // namespace

struct Metrics::Registry {
  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& requests =
      counter(registry, "demo_http_requests_total", "Answered HTTP requests.");
  prometheus::Family<prometheus::Histogram>& durations =
      prometheus::BuildHistogram()
          .Name("demo_http_request_duration_seconds")
          .Help("From a request's last byte to its answer, simulated delays included.")
          .Register(registry);
  prometheus::Family<prometheus::Gauge>& status =
      gauge(registry, "demo_health_status", "1 for the status GET /health reports, else 0.");
  prometheus::Family<prometheus::Gauge>& simulations =
      gauge(registry, "demo_simulation_active", "1 while the fault is simulated, else 0.");
  prometheus::Gauge& leaked =
      gauge(registry, "demo_leaked_bytes", "Memory held by the simulated leak.").Add({});
  prometheus::Gauge& connections =
      gauge(registry, "demo_http_connections", "Open HTTP connections.").Add({});
  prometheus::Counter& over_limit =
      counter(registry, "demo_http_connections_over_limit_total",
              "Connections closed at once because there were too many.")
          .Add({});
  prometheus::Gauge& resident =
      gauge(registry, "process_resident_memory_bytes", "Resident memory size.").Add({});
  prometheus::Gauge& descriptors =
      gauge(registry, "process_open_fds", "Open file descriptors.").Add({});
  prometheus::Gauge& started =
      gauge(registry, "process_start_time_seconds", "Start time since the Unix epoch.").Add({});
  prometheus::Counter& processor =
      counter(registry, "process_cpu_seconds_total", "User and system CPU time spent.").Add({});
};

Metrics::Metrics(std::string_view version, std::string_view revision)
    : registry_{std::make_unique<Registry>()} {
  gauge(registry_->registry, "demo_build_info", "Always 1; which build this is.")
      .Add({{"version", std::string{version}}, {"revision", std::string{revision}}})
      .Set(1);
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  registry_->started.Set(std::chrono::duration<double>(now).count());
  // The series people look at exist before the first request.
  registry_->requests.Add({{"route", "/health"}, {"code", "200"}});
  registry_->requests.Add({{"route", "/health"}, {"code", "503"}});
}

Metrics::~Metrics() = default;

void Metrics::request(std::string_view route, unsigned status, std::chrono::duration<double> time) {
  const std::string name{route};
  registry_->requests.Add({{"route", name}, {"code", std::to_string(status)}}).Increment();
  registry_->durations
      .Add({{"route", name}},
           prometheus::Histogram::BucketBoundaries{0.001, 0.01, 0.1, 0.5, 1, 5, 10, 60})
      .Observe(time.count());
}

void Metrics::connection_over_limit() { registry_->over_limit.Increment(); }

std::string Metrics::text(const App& app, const Facts& facts, Instant now) {
  const auto health = app.faults().health(now.steady);
  for (const auto each : {Health::pass, Health::warn, Health::fail}) {
    registry_->status.Add({{"status", std::string{name_of(each)}}}).Set(each == health ? 1 : 0);
  }
  for (std::size_t index = 0; index < fault_names.size(); ++index) {
    const auto fault = static_cast<Fault>(index);
    registry_->simulations.Add({{"fault", std::string{name_of(fault)}}})
        .Set(app.faults().is_on(fault, now.steady) ? 1 : 0);
  }
  registry_->leaked.Set(static_cast<double>(facts.leaked_mib) * 1024 * 1024);
  registry_->connections.Set(static_cast<double>(facts.connections));
  registry_->resident.Set(resident_bytes());
  registry_->descriptors.Set(open_descriptors());
  registry_->processor.Increment(processor_seconds() - registry_->processor.Value());
  return prometheus::TextSerializer{}.Serialize(registry_->registry.Collect());
}

}  // namespace sentinel::demo
