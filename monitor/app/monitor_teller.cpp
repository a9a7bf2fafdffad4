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
    core::AlertEvents facts;
    facts_.on(action, facts);
    auto entry = history_of(action, *line);
    parts_.alerting.record(subject_of(action), std::move(facts), std::move(entry),
                           *std::move(line));
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
