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

}  // namespace

FailoverTeller::FailoverTeller(Parts parts) : parts_{parts}, observer_{parts.log, wall} {}

void FailoverTeller::on(const core::PoolAction& action) {
  if (const auto* report = std::get_if<core::CheckReport>(&action)) {
    sample(*report);
    observer_.on(action);
  } else if (auto line = observer_.line_of(action)) {
    core::AlertEvents facts;
    facts_.on(action, facts);
    auto entry = history_of(action, *line);
    parts_.alerting.record(subject_of(action), std::move(facts), std::move(entry),
                           *std::move(line));
  }
  parts_.counts.on(action);
}

void FailoverTeller::keep_only(const std::vector<core::PoolView>& pools) {
  std::set<core::Subject> known;
  for (const core::PoolView& pool : pools) {
    known.insert(core::subject_of_pool(pool.name));
    for (const core::ServerView& server : pool.servers)
      known.insert(core::subject_of_server(server.pool, server.server));
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
  const auto subject = core::subject_of_server(report.pool, report.server).to_string();
  parts_.alerting.journal().sample(subject, report.check, wall_now(),
                                   report.outcome.verdict != core::Verdict::fail,
                                   report.outcome.took);
}

}  // namespace sentinel::app
