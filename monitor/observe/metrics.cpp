#include "observe/metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <ostream>
#include <streambuf>

#include "observe/process.hpp"
#include "observe/series_writer.hpp"
#include "observe/service_series.hpp"
#include "observe/text.hpp"

namespace sentinel::observe {

namespace {

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

prometheus::Histogram::BucketBoundaries to_boundaries(std::span<const double> bounds) {
  return {bounds.begin(), bounds.end()};
}

SeriesType type_of(Sample::Kind kind) {
  return kind == Sample::Kind::counter ? SeriesType::counter : SeriesType::gauge;
}

}  // namespace

class Metrics::Impl {
 public:
  explicit Impl(MetricsOptions options)
      : counts_{options.limits},
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
    rows_.clear();
    probes_.clear();
    for (const core::ServiceView& view : scrape.services) {
      const ServiceCounts* counts = counts_.find(view.id);
      if (counts == nullptr) continue;
      rows_.push_back({&view, counts});
      for (const ProbeCounts& probe : counts->probes) probes_.push_back(&probe);
    }
    std::string out;
    out.reserve(last_bytes_ + last_bytes_ / 8 + 16'384);
    {
      StringBuffer buffer{out};
      std::ostream stream{&buffer};
      prometheus::TextSerializer{}.Serialize(stream, registry_.Collect());
    }
    SeriesWriter writer{out};
    engine(writer, scrape);
    process(writer);
    const auto number_of = [&](std::string_view name, std::string_view help, std::size_t number) {
      writer.family(name, help, SeriesType::gauge);
      writer.sample({}, static_cast<double>(number));
    };
    number_of("sentinel_services_blind",
              "Services that are not judged because our own view is broken",
              static_cast<std::size_t>(std::ranges::count_if(
                  scrape.services, [](const core::ServiceView& v) { return v.overlays.blind; })));
    number_of("sentinel_services_without_series", "Services beyond the limit on series",
              scrape.services.size() - rows_.size());
    number_of("sentinel_probes_without_series", "Probes beyond the limits on series",
              counts_.probes_without_series());
    write_services(writer, rows_, scrape.now, scrape.unix_ns, counts_.other_recovery_time);
    write_probes(writer, probes_, counts_.other_probe_duration);
    rows_ = {};
    probes_ = {};
    last_bytes_ = out.size();
    return out;
  }

  ServiceCountsTable counts_;

 private:
  static void engine(SeriesWriter& w, const Scrape& scrape) {
    std::string labels;
    if (scrape.engine_up) {
      append_label(labels, "engine", scrape.engine);
      w.family("sentinel_engine_up", "Whether the Engine answers and its events are read",
               SeriesType::gauge);
      w.sample(labels, *scrape.engine_up ? 1 : 0);
    }
    std::string_view last;
    for (const Sample& sample : scrape.samples) {
      if (sample.name != last) {
        w.family(sample.name, sample.help, type_of(sample.kind));
        last = sample.name;
      }
      labels.clear();
      for (const auto& [key, value] : sample.labels)
        append_label(labels, key, one_line(value, 128));
      w.sample(labels, sample.value);
    }
    for (const HistogramSample& sample : scrape.histograms) {
      w.family(sample.name, sample.help, SeriesType::histogram);
      w.sample({}, sample.bounds, sample.buckets, sample.sum);
    }
  }

  static void process(SeriesWriter& w) {
    const ProcessFigures p = process_figures();
    const auto one = [&](std::string_view name, std::string_view help, double value,
                         SeriesType type = SeriesType::gauge) {
      w.family(name, help, type);
      w.sample({}, value);
    };
    one("process_cpu_seconds_total", "User and system CPU time", p.cpu_seconds,
        SeriesType::counter);
    one("process_start_time_seconds", "Start of the process since 1970", p.start_time_seconds);
    one("process_resident_memory_bytes", "Resident memory", static_cast<double>(p.resident_bytes));
    one("process_virtual_memory_bytes", "Virtual memory", static_cast<double>(p.virtual_bytes));
    one("process_open_fds", "Open file descriptors", static_cast<double>(p.open_fds));
    one("process_max_fds", "Limit on open file descriptors, 0 for none",
        static_cast<double>(p.max_fds));
    one("process_threads", "Threads", static_cast<double>(p.threads));
  }

  prometheus::Registry registry_;
  prometheus::Gauge& reload_ok_;
  prometheus::Gauge& reload_time_;
  prometheus::Histogram& own_share_;
  // Only while a scrape is answered.
  std::vector<ServiceRow> rows_;
  std::vector<const ProbeCounts*> probes_;
  std::size_t last_bytes_ = 0;

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
void Metrics::own_share(core::Duration took) { impl_->own_share_.Observe(core::in_seconds(took)); }
std::string Metrics::render(const Scrape& scrape) { return impl_->render(scrape); }

}  // namespace sentinel::observe
