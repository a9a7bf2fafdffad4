#include "observe/service_series.hpp"

#include <algorithm>
#include <chrono>

#include "observe/text.hpp"

namespace sentinel::observe {

namespace {

using Rows = std::span<const ServiceRow>;

constexpr std::size_t max_image_bytes = 256;

template <typename Value>
void each(SeriesWriter& w, Rows rows, std::string_view name, std::string_view help, SeriesType type,
          Value value) {
  w.family(name, help, type);
  for (const ServiceRow& row : rows) w.sample(row.counts->labels, value(row));
}

void states(SeriesWriter& w, Rows rows, core::Time now, std::int64_t unix_ns) {
  w.family("sentinel_service_info", "A watched service and what it runs", SeriesType::gauge);
  std::string labels;
  for (const ServiceRow& row : rows) {
    labels = row.counts->labels;
    append_label(labels, "image", one_line(row.view->image, max_image_bytes));
    append_label(labels, "source", "container");
    w.sample(labels, 1);
  }
  w.family("sentinel_service_state", "1 for the state the service is in, 0 for every other",
           SeriesType::gauge);
  for (const ServiceRow& row : rows) {
    for (const core::State state : core::all_states) {
      w.sample(row.counts->labels, "state", core::to_string(state),
               row.view->state == state ? 1 : 0);
    }
  }
  each(w, rows, "sentinel_service_state_start_timestamp_seconds",
       "When the service entered its state", SeriesType::gauge, [&](const ServiceRow& row) {
         const std::int64_t ms =
             (unix_ns - core::Duration{now - row.view->since}.count()) / 1'000'000;
         return static_cast<double>(ms) / 1e3;
       });
  each(w, rows, "sentinel_service_maintenance", "1 while healing is suspended by a person",
       SeriesType::gauge, [](const ServiceRow& row) { return row.view->overlays.maintenance; });
  each(w, rows, "sentinel_service_flapping", "1 while the service changes its state too often",
       SeriesType::gauge, [](const ServiceRow& row) { return row.view->overlays.flapping; });
}

void events(SeriesWriter& w, Rows rows, core::Time now) {
  w.family("sentinel_service_transitions_total", "Changes of state", SeriesType::counter);
  std::string labels;
  for (const ServiceRow& row : rows) {
    for (const core::State from : core::all_states) {
      for (const core::State to : core::all_states) {
        const std::uint32_t n = row.counts->transition(from, to);
        if (n == 0 && !shown_from_the_start(from, to)) continue;
        labels = row.counts->labels;
        append_label(labels, "from", core::to_string(from));
        w.sample(labels, "to", core::to_string(to), n);
      }
    }
  }
  each(w, rows, "sentinel_service_downtime_seconds_total",
       "Time unhealthy, recovering or quarantined, outside maintenance", SeriesType::counter,
       [now](const ServiceRow& row) { return core::in_seconds(row.counts->downtime(now)); });
  each(w, rows, "sentinel_container_restarts_total",
       "Starts of a known container, whoever caused them", SeriesType::counter,
       [](const ServiceRow& row) { return row.view->restarts; });
  each(w, rows, "sentinel_container_oom_kills_total", "Kills for want of memory",
       SeriesType::counter, [](const ServiceRow& row) { return row.counts->oom_kills; });
}

void recovery(SeriesWriter& w, Rows rows, const Distribution& other_recovery_time) {
  each(w, rows, "sentinel_recovery_budget_remaining", "Restarts left before quarantine",
       SeriesType::gauge, [](const ServiceRow& row) { return row.view->budget_remaining; });
  w.family("sentinel_recovery_actions_total", "Finished healing actions by what came of them",
           SeriesType::counter);
  std::string labels;
  for (const ServiceRow& row : rows) {
    for (std::size_t rung = 0; rung < rung_count; ++rung) {
      const auto action = static_cast<core::Rung>(rung);
      const bool in_ladder = std::ranges::contains(row.view->settings->ladder, action);
      for (std::size_t i = 0; i < recovery_results.size(); ++i) {
        const std::uint32_t n = row.counts->recovery[rung][i];
        if (n == 0 && !(in_ladder && possible_result(action, i))) continue;
        labels = row.counts->labels;
        append_label(labels, "action", core::to_string(action));
        w.sample(labels, "result", recovery_results[i], n);
      }
    }
  }
  w.family("sentinel_recovery_duration_seconds", "From unhealthy to healthy again, by healing",
           SeriesType::histogram);
  bool shared = false;
  for (const ServiceRow& row : rows) {
    if (row.counts->own_histograms) {
      w.sample(row.counts->labels, row.counts->recovery_time);
    } else {
      shared = true;
    }
  }
  if (shared) w.sample(others_labels, other_recovery_time);
}

}  // namespace

void write_services(SeriesWriter& w, Rows rows, core::Time now, std::int64_t unix_ns,
                    const Distribution& other_recovery_time) {
  states(w, rows, now, unix_ns);
  events(w, rows, now);
  recovery(w, rows, other_recovery_time);
}

}  // namespace sentinel::observe
