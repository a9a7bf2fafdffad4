#include "app/monitor_teller.hpp"

#include <chrono>
#include <string>
#include <utility>

#include "app/daemon.hpp"
#include "app/history.hpp"
#include "io/runtime.hpp"

namespace sentinel::app {

void MonitorTeller::on(const core::Action& action, core::Time at) {
  const std::int64_t wall = unix_ns();
  const std::int64_t wall_ms = wall / 1'000'000;
  if (const auto* report = std::get_if<core::ProbeReport>(&action)) {
    sample(*report, wall_ms);
    observer_.on(action);
  } else if (auto line = observe::line_of(action)) {
    // Of one that ends, the id is known before; of one that begins, after.
    const auto subject = subject_of(action);
    std::string incident = subject ? parts_.alerting.incident_of(*subject) : std::string{};
    core::AlertEvents events;
    facts_.on(action, events);
    parts_.alerting.tell(std::move(events));
    if (subject) {
      if (auto now = parts_.alerting.incident_of(*subject); !now.empty()) incident = std::move(now);
    }
    if (auto entry = history_of(action, *line)) {
      entry->at = core::WallTime{std::chrono::milliseconds{wall_ms}};
      if (subject) entry->subject = subject->to_string();
      entry->incident = incident;
      parts_.alerting.append(std::move(*entry));
    }
    if (!incident.empty()) line->fields.push_back({"incident_id", std::move(incident)});
    observer_.on(std::move(*line));
  }
  parts_.metrics.on(action, at, wall);
  if (const auto entry = parts_.decisions.on(action, wall_ms)) parts_.live.on(*entry);
  parts_.live.on(action);
}

void MonitorTeller::settle() {
  core::AlertEvents events;
  facts_.settle(io::now(), events);
  parts_.alerting.tell(std::move(events));
  parts_.live.tell();
}

void MonitorTeller::sample(const core::ProbeReport& report, std::int64_t wall_ms) {
  parts_.alerting.journal().sample(core::subject_of(report.key).to_string(), report.probe,
                                   core::WallTime{std::chrono::milliseconds{wall_ms}},
                                   report.outcome.verdict != core::Verdict::fail,
                                   report.outcome.took);
}

}  // namespace sentinel::app
