#include "observe/metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <optional>
#include <ostream>
#include <streambuf>
#include <unordered_map>

#include "observe/process.hpp"
#include "observe/service_counts.hpp"
#include "observe/text.hpp"

namespace sentinel::observe {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

double seconds(core::Duration d) { return std::chrono::duration<double>(d).count(); }

/// Appends to a string; std::ostringstream would hold everything twice.
class StringBuffer final : public std::streambuf {
 public:
  explicit StringBuffer(std::string& out) : out_{out} {}

 protected:
  int_type overflow(int_type c) override {
    if (c != traits_type::eof()) out_ += static_cast<char>(c);
    return c;
  }
  std::streamsize xsputn(const char* text, std::streamsize n) override {
    out_.append(text, static_cast<std::size_t>(n));
    return n;
  }

 private:
  std::string& out_;
};

/// Writes one family and forgets it.
class Writer {
 public:
  explicit Writer(std::string& out) : buffer_{out}, stream_{&buffer_} {}

  void begin(std::string_view name, std::string_view help, MetricType type) {
    flush();
    family_.name = name;
    family_.help = help;
    family_.type = type;
  }
  void add(Labels labels, double value) {
    ClientMetric& metric = family_.metric.emplace_back();
    metric.label = std::move(labels);
    (family_.type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
  }
  void add(Labels labels, const Distribution& d) {
    ClientMetric& metric = family_.metric.emplace_back();
    metric.label = std::move(labels);
    metric.histogram.sample_count = d.count();
    metric.histogram.sample_sum = d.sum();
    std::uint64_t cumulative = 0;
    for (std::size_t i = 0; i < d.bounds().size(); ++i) {
      cumulative += d.bucket(i);
      metric.histogram.bucket.push_back({cumulative, d.bounds()[i]});
    }
  }
  void add(const HistogramSample& sample) {
    begin(sample.name, sample.help, MetricType::Histogram);
    ClientMetric::Histogram& histogram = family_.metric.emplace_back().histogram;
    std::uint64_t cumulative = 0;
    for (std::size_t i = 0; i < sample.buckets.size(); ++i) {
      cumulative += sample.buckets[i];
      if (i < sample.bounds.size()) histogram.bucket.push_back({cumulative, sample.bounds[i]});
    }
    histogram.sample_count = cumulative;
    histogram.sample_sum = sample.sum;
  }
  void write(const std::vector<MetricFamily>& families) {
    flush();
    serializer_.Serialize(stream_, families);
  }
  void flush() {
    if (family_.metric.empty()) return;
    batch_.clear();
    batch_.push_back(std::move(family_));
    serializer_.Serialize(stream_, batch_);
    family_ = {};
  }

 private:
  StringBuffer buffer_;
  std::ostream stream_;
  prometheus::TextSerializer serializer_;
  MetricFamily family_;
  std::vector<MetricFamily> batch_;
};

prometheus::Histogram::BucketBoundaries to_boundaries(std::span<const double> bounds) {
  return {bounds.begin(), bounds.end()};
}

}  // namespace

class Metrics::Impl {
 public:
  explicit Impl(MetricsOptions options)
      : counts_{options.max_services, options.max_histogram_services},
        reload_ok_{gauge("sentinel_config_last_reload_successful",
                         "Whether the last load of the configuration succeeded")},
        reload_time_{gauge("sentinel_config_last_reload_success_timestamp_seconds",
                           "When the configuration was last loaded with success")},
        own_share_{histogram("sentinel_own_share_seconds",
                             "From an Engine event to the request that answers it, without waits "
                             "for Engine and disk",
                             own_share_bounds)} {
    prometheus::BuildGauge()
        .Name("sentinel_build_info")
        .Help("The running build")
        .Register(registry_)
        .Add({{"version", options.version}, {"revision", options.revision}})
        .Set(1);
  }

  prometheus::Gauge& gauge(const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry_).Add({});
  }
  prometheus::Histogram& histogram(const char* name, const char* help,
                                   std::span<const double> bounds) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry_).Add(
        {}, to_boundaries(bounds));
  }

  std::string render(const Scrape& scrape) {
    counts_.keep_only(scrape.services, scrape.now);
    std::string out;
    out.reserve(scrape.services.size() * 6000 + 16'384);
    Writer writer{out};
    writer.write(registry_.Collect());
    engine_and_process(writer, scrape);
    rows_.clear();
    for (const core::ServiceView& view : scrape.services) {
      if (ServiceCounts* counts = counts_.find(view.id)) rows_.push_back({&view, counts});
    }
    writer.begin("sentinel_services_without_series", "Services beyond the limit on series",
                 MetricType::Gauge);
    writer.add({}, static_cast<double>(scrape.services.size() - rows_.size()));
    states(writer, scrape);
    events(writer, scrape);
    recovery(writer);
    probes(writer);
    writer.flush();
    rows_.clear();
    rows_.shrink_to_fit();
    return out;
  }

  ServiceCountsTable counts_;

 private:
  struct Row {
    const core::ServiceView* view = nullptr;
    ServiceCounts* counts = nullptr;
  };

  static Labels labels(const ServiceCounts& c,
                       std::initializer_list<ClientMetric::Label> more = {}) {
    Labels all;
    all.reserve(3 + more.size());
    all.push_back({"project", c.project});
    all.push_back({"service", c.service});
    all.push_back({"replica", c.replica});
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  void engine_and_process(Writer& w, const Scrape& scrape) {
    w.begin("sentinel_engine_up", "Whether the Engine answers and its events are read",
            MetricType::Gauge);
    w.add({{"engine", scrape.engine}}, scrape.engine_up ? 1 : 0);
    std::string_view last;
    for (const Sample& s : scrape.samples) {
      if (s.name != last) {
        w.begin(s.name, s.help,
                s.kind == Sample::Kind::counter ? MetricType::Counter : MetricType::Gauge);
        last = s.name;
      }
      Labels all;
      for (const auto& [key, value] : s.labels) all.push_back({key, one_line(value, 128)});
      w.add(std::move(all), s.value);
    }
    for (const HistogramSample& sample : scrape.histograms) w.add(sample);
    const ProcessFigures p = process_figures();
    const auto one = [&](const char* name, const char* help, MetricType type, double value) {
      w.begin(name, help, type);
      w.add({}, value);
    };
    one("process_cpu_seconds_total", "User and system CPU time", MetricType::Counter,
        p.cpu_seconds);
    one("process_start_time_seconds", "Start of the process since 1970", MetricType::Gauge,
        p.start_time_seconds);
    one("process_resident_memory_bytes", "Resident memory", MetricType::Gauge,
        static_cast<double>(p.resident_bytes));
    one("process_virtual_memory_bytes", "Virtual memory", MetricType::Gauge,
        static_cast<double>(p.virtual_bytes));
    one("process_open_fds", "Open file descriptors", MetricType::Gauge,
        static_cast<double>(p.open_fds));
    one("process_max_fds", "Limit on open file descriptors, 0 for none", MetricType::Gauge,
        static_cast<double>(p.max_fds));
    one("process_threads", "Threads", MetricType::Gauge, static_cast<double>(p.threads));
  }

  void states(Writer& w, const Scrape& scrape) {
    const double unix_now = static_cast<double>(scrape.unix_ns) * 1e-9;
    w.begin("sentinel_service_info", "A watched service and what it runs", MetricType::Gauge);
    for (const Row& r : rows_) {
      w.add(labels(*r.counts, {{"image", one_line(r.view->image, 256)}, {"source", "container"}}),
            1);
    }
    w.begin("sentinel_service_state", "1 for the state the service is in, 0 for every other",
            MetricType::Gauge);
    for (const Row& r : rows_) {
      for (const core::State state : core::all_states) {
        w.add(labels(*r.counts, {{"state", std::string{core::to_string(state)}}}),
              r.view->state == state ? 1 : 0);
      }
    }
    w.begin("sentinel_service_state_start_timestamp_seconds", "When the service entered its state",
            MetricType::Gauge);
    for (const Row& r : rows_)
      w.add(labels(*r.counts), unix_now - seconds(scrape.now - r.view->since));
    w.begin("sentinel_service_maintenance", "1 while healing is suspended by a person",
            MetricType::Gauge);
    for (const Row& r : rows_) w.add(labels(*r.counts), r.view->overlays.maintenance ? 1 : 0);
    w.begin("sentinel_recovery_budget_remaining", "Restarts left before quarantine",
            MetricType::Gauge);
    for (const Row& r : rows_) w.add(labels(*r.counts), r.view->budget_remaining);
  }

  void events(Writer& w, const Scrape& scrape) {
    w.begin("sentinel_service_transitions_total", "Changes of state", MetricType::Counter);
    for (const Row& r : rows_) {
      for (const core::State from : core::all_states) {
        for (const core::State to : core::all_states) {
          const std::uint32_t n = r.counts->transition(from, to);
          if (n == 0 && !shown_from_the_start(from, to)) continue;
          w.add(labels(*r.counts, {{"from", std::string{core::to_string(from)}},
                                   {"to", std::string{core::to_string(to)}}}),
                n);
        }
      }
    }
    w.begin("sentinel_service_downtime_seconds_total",
            "Time unhealthy, recovering or quarantined, outside maintenance", MetricType::Counter);
    for (const Row& r : rows_) w.add(labels(*r.counts), seconds(r.counts->downtime(scrape.now)));
    w.begin("sentinel_container_restarts_total", "Starts of a known container, whoever caused them",
            MetricType::Counter);
    for (const Row& r : rows_) w.add(labels(*r.counts), r.view->restarts);
    w.begin("sentinel_container_oom_kills_total", "Kills for want of memory", MetricType::Counter);
    for (const Row& r : rows_) w.add(labels(*r.counts), r.counts->oom_kills);
  }

  void recovery(Writer& w) {
    w.begin("sentinel_recovery_actions_total", "Finished healing actions by what came of them",
            MetricType::Counter);
    for (const Row& r : rows_) {
      for (std::size_t rung = 0; rung < rung_count; ++rung) {
        const auto value = static_cast<core::Rung>(rung);
        const bool in_ladder = std::ranges::contains(r.view->settings.ladder, value);
        for (std::size_t i = 0; i < recovery_results.size(); ++i) {
          const std::uint32_t n = r.counts->recovery[rung][i];
          if (n == 0 && !(in_ladder && possible_result(value, i))) continue;
          w.add(labels(*r.counts, {{"action", std::string{core::to_string(value)}},
                                   {"result", std::string{recovery_results[i]}}}),
                n);
        }
      }
    }
    w.begin("sentinel_recovery_duration_seconds", "From unhealthy to healthy again, by healing",
            MetricType::Histogram);
    bool others = false;
    for (const Row& r : rows_) {
      if (r.counts->own_histograms) {
        w.add(labels(*r.counts), r.counts->recovery_time);
      } else {
        others = true;
      }
    }
    if (others) w.add(other_labels(), counts_.other_recovery_time);
  }

  static Labels other_labels() {
    return {{"project", ""}, {"service", "(other)"}, {"replica", ""}};
  }

  template <typename Function>
  void each_probe(Function function) {
    for (const Row& r : rows_) {
      for (const ProbeCounts& p : r.counts->probes) function(*r.counts, p);
    }
  }

  void probes(Writer& w) {
    w.begin("sentinel_probes_total", "Probes by their result", MetricType::Counter);
    each_probe([&](const ServiceCounts& c, const ProbeCounts& p) {
      for (std::size_t i = 0; i < p.results.size(); ++i) {
        w.add(labels(c, {{"probe", p.label}, {"result", std::string{verdict_name(i)}}}),
              p.results[i]);
      }
    });
    w.begin("sentinel_probe_failures_total", "Failed probes by reason", MetricType::Counter);
    each_probe([&](const ServiceCounts& c, const ProbeCounts& p) {
      for (std::size_t i = 1; i < p.reasons.size(); ++i) {  // 0 is none
        w.add(labels(c,
                     {{"probe", p.label},
                      {"reason", std::string{core::to_string(static_cast<core::ProbeReason>(i))}}}),
              p.reasons[i]);
      }
    });
    // A probe that never ran has no last result.
    const auto last = [&](const char* name, const char* help, auto value) {
      w.begin(name, help, MetricType::Gauge);
      each_probe([&](const ServiceCounts& c, const ProbeCounts& p) {
        if (p.last_unix_ns != 0) w.add(labels(c, {{"probe", p.label}}), value(p));
      });
    };
    last("sentinel_probe_success", "1 when the last probe passed, warnings included",
         [](const ProbeCounts& p) { return p.last_success ? 1.0 : 0.0; });
    last("sentinel_probe_http_status_code", "Status of the last HTTP probe, 0 without an answer",
         [](const ProbeCounts& p) { return static_cast<double>(p.code); });
    last("sentinel_probe_last_timestamp_seconds", "When the last probe finished",
         [](const ProbeCounts& p) { return static_cast<double>(p.last_unix_ns) * 1e-9; });
    w.begin("sentinel_probe_duration_seconds", "Wall time of probes", MetricType::Histogram);
    bool others = false;
    each_probe([&](const ServiceCounts& c, const ProbeCounts& p) {
      if (c.own_histograms) {
        w.add(labels(c, {{"probe", p.label}}), p.duration);
      } else {
        others = true;
      }
    });
    if (others) {
      Labels all = other_labels();
      all.push_back({"probe", ""});
      w.add(std::move(all), counts_.other_probe_duration);
    }
  }

  prometheus::Registry registry_;
  prometheus::Gauge& reload_ok_;
  prometheus::Gauge& reload_time_;
  prometheus::Histogram& own_share_;
  std::vector<Row> rows_;

  friend class Metrics;
};

Metrics::Metrics(MetricsOptions options) : impl_{std::make_unique<Impl>(std::move(options))} {}
Metrics::~Metrics() = default;

void Metrics::on(const core::Action& action, core::Time now, std::int64_t unix_ns) {
  impl_->counts_.on(action, now, unix_ns);
}
void Metrics::config_loaded(bool successful, std::int64_t unix_ns) {
  impl_->reload_ok_.Set(successful ? 1 : 0);
  if (successful) impl_->reload_time_.Set(static_cast<double>(unix_ns) * 1e-9);
}
void Metrics::own_share(core::Duration took) { impl_->own_share_.Observe(seconds(took)); }
std::string Metrics::render(const Scrape& scrape) { return impl_->render(scrape); }

}  // namespace sentinel::observe
