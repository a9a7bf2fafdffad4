#include "app/samples.hpp"

#include <chrono>
#include <string>

namespace sentinel::app {

namespace {

using observe::Sample;

template <class Add>
void engine_samples(const io::EngineStats& engine, const Add& add) {
  for (const io::EngineStats::Requests& r : engine.requests) {
    add(Sample::Kind::counter, "sentinel_engine_requests_total",
        "Requests to the Engine by what came of them", static_cast<double>(r.count),
        {{"engine", "default"}, {"operation", std::string{r.operation}}, {"code", r.code}});
  }
  add(Sample::Kind::counter, "sentinel_engine_event_stream_reconnects_total",
      "Event streams that ended before their time", static_cast<double>(engine.stream_reconnects),
      {{"engine", "default"}});
  add(Sample::Kind::counter, "sentinel_engine_events_total", "Events read from the Engine",
      static_cast<double>(engine.events), {{"engine", "default"}});
  add(Sample::Kind::counter, "sentinel_engine_malformed_events_total",
      "Events that could not be understood", static_cast<double>(engine.malformed_events),
      {{"engine", "default"}});
  add(Sample::Kind::counter, "sentinel_engine_queue_overflows_total",
      "Inspects that found the queue full", static_cast<double>(engine.queue_overflows),
      {{"engine", "default"}});
}

}  // namespace

std::vector<Sample> samples_of(const ShellFigures& f) {
  std::vector<Sample> out;
  const auto add = [&out](Sample::Kind kind, const char* name, const char* help, double value,
                          std::vector<std::pair<std::string, std::string>> labels = {}) {
    out.push_back({kind, name, help, std::move(labels), value});
  };
  const auto counter = [&add](const char* name, const char* help, std::uint64_t value) {
    add(Sample::Kind::counter, name, help, static_cast<double>(value));
  };
  const auto gauge = [&add](const char* name, const char* help, double value) {
    add(Sample::Kind::gauge, name, help, value);
  };

  if (f.engine) engine_samples(*f.engine, add);
  gauge("sentinel_recovery_operations_in_flight", "Healing operations under way",
        f.operations_in_flight);
  gauge("sentinel_recovery_storm_hold",
        "1 while healing is held because many services failed at once", f.storm ? 1 : 0);

  gauge("sentinel_probes_running", "Probes under way", f.prober.running);
  gauge("sentinel_probes_waiting", "Probes that wait for a place",
        static_cast<double>(f.prober.waiting));
  counter("sentinel_probe_queue_overflows_total", "Probes given up because the queue was full",
          f.prober.overflowed);

  gauge("sentinel_store_durable", "Whether what is decided is kept durably",
        f.store.durable ? 1 : 0);
  gauge("sentinel_store_queue_rows", "Rows that wait to be written",
        static_cast<double>(f.store.queued));
  gauge("sentinel_store_last_commit_seconds", "Wall time of the last transaction",
        core::in_seconds(f.store.last_commit));
  counter("sentinel_store_commits_total", "Transactions", f.store.commits);
  counter("sentinel_store_failures_total", "Failed writes and attempts to open", f.store.failures);

  gauge("sentinel_http_connections", "Connections to our server", f.http.open);
  counter("sentinel_http_requests_total", "Requests that were handled", f.http.requests);
  counter("sentinel_http_requests_refused_total", "Requests our server refused by itself",
          f.http.refused_requests);
  const auto refused = [&add](const char* reason, std::uint64_t value) {
    add(Sample::Kind::counter, "sentinel_http_connections_refused_total", "Connections refused",
        static_cast<double>(value), {{"reason", reason}});
  };
  refused("full", f.http.refused_full);
  refused("per_address", f.http.refused_per_address);
  refused("accept_error", f.http.accept_errors);
  counter("sentinel_http_timeouts_total", "Connections closed because they were too slow",
          f.http.timeouts);
  counter("sentinel_http_handler_errors_total", "Requests answered with 500",
          f.http.handler_errors);

  counter("sentinel_log_lines_dropped_total", "Log lines given up because stdout did not take them",
          f.log_dropped);
  counter("sentinel_log_lines_suppressed_total", "Log lines not written because they repeated",
          f.log_suppressed);
  return out;
}

observe::HistogramSample probe_lag_of(const io::ProberStats& prober) {
  observe::HistogramSample sample;
  sample.name = "sentinel_probe_schedule_lag_seconds";
  sample.help = "From the moment a probe was due to its start";
  sample.bounds.assign(io::probe_lag_bounds.begin(), io::probe_lag_bounds.end());
  sample.buckets.assign(prober.lag_buckets.begin(), prober.lag_buckets.end());
  sample.sum = core::in_seconds(prober.lag_sum);
  return sample;
}

}  // namespace sentinel::app
