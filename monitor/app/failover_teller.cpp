#include "app/failover_teller.hpp"

#include <chrono>
#include <set>
#include <string>
#include <utility>

#include "app/daemon.hpp"
#include "app/history.hpp"
#include "io/runtime.hpp"
#include "observe/text.hpp"

namespace sentinel::app {

namespace {

std::string wall(core::Time t) {
  const auto ago = std::chrono::duration_cast<std::chrono::milliseconds>(io::now() - t);
  return observe::rfc3339(unix_ms() - ago.count());
}

core::WallTime wall_now() { return core::WallTime{std::chrono::milliseconds{unix_ms()}}; }

}  // namespace

FailoverTeller::FailoverTeller(Parts parts) : parts_{parts}, observer_{parts.log, wall} {}

void FailoverTeller::on(const core::PoolAction& action) {
  if (const auto* report = std::get_if<core::CheckReport>(&action)) {
    sample(*report);
    observer_.on(action);
  } else if (auto line = observer_.line_of(action)) {
    tell(action, std::move(*line));
  }
  parts_.counts.on(action);
}

void FailoverTeller::tell(const core::PoolAction& action, observe::Line line) {
  // Of one that ends, the id is known before; of one that begins, after.
  const auto subject = subject_of(action);
  std::string incident = subject ? parts_.alerting.incident_of(*subject) : std::string{};
  core::AlertEvents events;
  facts_.on(action, events);
  parts_.alerting.tell(std::move(events));
  if (subject) {
    if (auto now = parts_.alerting.incident_of(*subject); !now.empty()) incident = std::move(now);
  }
  if (auto entry = history_of(action, line)) {
    entry->at = wall_now();
    if (subject) entry->subject = subject->to_string();
    entry->incident = incident;
    parts_.alerting.append(std::move(*entry));
  }
  if (!incident.empty()) line.fields.push_back({"incident_id", std::move(incident)});
  observer_.on(std::move(line));
}

void FailoverTeller::keep_only(const std::vector<core::PoolView>& pools) {
  std::set<core::Subject> known;
  for (const core::PoolView& pool : pools) {
    known.insert({core::SubjectKind::pool, pool.name, {}, 0});
    for (const core::ServerView& server : pool.servers)
      known.insert({core::SubjectKind::server, server.pool, server.server, 0});
  }
  std::set<core::Subject> gone;
  const auto look_at = [&](const core::Subject& subject) {
    const bool ours =
        subject.kind == core::SubjectKind::pool || subject.kind == core::SubjectKind::server;
    if (ours && !known.contains(subject)) gone.insert(subject);
  };
  for (const core::Incident& incident : parts_.alerting.core().open_incidents()) {
    look_at(incident.root);
    for (const core::IncidentMember& member : incident.members) look_at(member.subject);
  }
  core::AlertEvents events;
  for (const core::Subject& subject : gone)
    events.emplace_back(core::SubjectGone{subject, "no longer configured"});
  parts_.alerting.tell(std::move(events));
}

/// Those of a host count for each pool it is in, and a gateway is nobody's server: neither has a
/// series.
void FailoverTeller::sample(const core::CheckReport& report) {
  if (report.server.empty() || report.pool.empty()) return;
  const core::Subject subject{core::SubjectKind::server, report.pool, report.server, 0};
  parts_.alerting.journal().sample(subject.to_string(), report.check, wall_now(),
                                   report.outcome.verdict != core::Verdict::fail,
                                   report.outcome.took);
}

}  // namespace sentinel::app
