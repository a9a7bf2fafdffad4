#include "observe/failover_observer.hpp"

#include <chrono>

#include "observe/text.hpp"

namespace sentinel::observe {

namespace {

using core::PoolNoticeKind;
using core::ServerState;
using core::Time;

LogLevel level_of(const core::ServerTransition& t) {
  switch (t.to) {
    case ServerState::failed: return LogLevel::error;
    case ServerState::unknown: return LogLevel::debug;
    default: return t.applied ? LogLevel::info : LogLevel::error;
  }
}

LogLevel level_of(PoolNoticeKind kind) {
  switch (kind) {
    case PoolNoticeKind::pool_down:
    case PoolNoticeKind::blind:
    case PoolNoticeKind::kernel_refused: return LogLevel::error;
    case PoolNoticeKind::on_backup:
    case PoolNoticeKind::flapping:
    case PoolNoticeKind::flows_not_flushed: return LogLevel::warning;
    default: return LogLevel::info;
  }
}

std::string_view event_of(const core::PoolNotice& notice) {
  switch (notice.kind) {
    case PoolNoticeKind::pool_down:
    case PoolNoticeKind::pool_up:
    case PoolNoticeKind::on_backup:
    case PoolNoticeKind::off_backup: return "sentinel.failover.pool";
    case PoolNoticeKind::blind:
    case PoolNoticeKind::sighted: return "sentinel.failover.blind";
    case PoolNoticeKind::kernel_refused:
    case PoolNoticeKind::kernel_accepted:
    case PoolNoticeKind::adopted: return "sentinel.failover.kernel";
    case PoolNoticeKind::drain_progress:
    case PoolNoticeKind::drain_ended: return "sentinel.failover.drain";
    case PoolNoticeKind::flapping: return "sentinel.failover.flapping";
    case PoolNoticeKind::flows_not_flushed: return "sentinel.failover.flows";
    case PoolNoticeKind::reconfigured: return "sentinel.failover.config";
  }
  return "sentinel.failover";
}

std::string by(const core::ServerTransition& t) {
  return t.by.empty() ? std::string{} : " (" + t.by + ")";
}

}  // namespace

std::string sentence(const core::ServerTransition& t) {
  std::string out = t.pool + "/" + t.server;
  switch (t.to) {
    case ServerState::unknown: out += " is not judged yet"; break;
    case ServerState::up:
      out += t.from == ServerState::unknown ? " is up" : " is up again" + by(t);
      if (t.from == ServerState::failed || t.from == ServerState::waiting)
        out += " after " + human(t.detected - t.first_failed);
      break;
    case ServerState::failed:
      out += t.from == ServerState::failed && !t.kept ? " is taken out now" : " failed";
      if (!t.reason.empty()) out += ": " + t.reason;
      break;
    case ServerState::waiting:
      out += " passes its checks again, and waits before it gets connections: it failed too often";
      break;
    case ServerState::draining: out += " is drained" + by(t); break;
    case ServerState::drained: out += " is out: no connection is left"; break;
  }
  if (!t.done.empty()) out += "; " + t.done;
  return out;
}

namespace {

std::string_view word(core::Verdict verdict) {
  switch (verdict) {
    case core::Verdict::pass: return "pass";
    case core::Verdict::warn: return "warn";
    case core::Verdict::fail: return "fail";
  }
  return "fail";
}

}  // namespace

std::optional<Line> FailoverObserver::line_of(const core::PoolAction& action) const {
  if (const auto* transition = std::get_if<core::ServerTransition>(&action))
    return line_of(*transition);
  if (const auto* notice = std::get_if<core::PoolNotice>(&action)) return line_of(*notice);
  if (const auto* report = std::get_if<core::CheckReport>(&action)) return line_of(*report);
  return std::nullopt;
}

void FailoverObserver::on(const core::PoolAction& action) {
  // Each check would build a line that nobody reads.
  if (std::holds_alternative<core::CheckReport>(action) && !log_.enabled(LogLevel::debug)) return;
  if (auto line = line_of(action)) write(log_, std::move(*line));
}

Line FailoverObserver::line_of(const core::ServerTransition& t) const {
  Line record;
  record.level = level_of(t);
  record.event = "sentinel.failover.server";
  record.msg = sentence(t);
  auto& fields = record.fields;
  fields = {{"pool", t.pool},
            {"server", t.server},
            {"from", std::string{to_string(t.from)}},
            {"to", std::string{to_string(t.to)}},
            {"kept", t.kept},
            {"applied", t.applied},
            {"in_previous_ms", milliseconds(t.in_previous)}};
  if (!t.check.empty()) fields.push_back({"check", t.check});
  if (!t.reason.empty()) {
    fields.push_back({"reason", std::string{to_string(t.probe_reason)}});
    fields.push_back({"detail", t.reason});
  }
  if (!t.by.empty()) fields.push_back({"by", t.by});
  const auto moment = [&](const char* name, Time at) {
    if (at != Time{}) fields.push_back({name, wall_(at)});
  };
  moment("last_good", t.last_good);
  moment("first_failed", t.first_failed);
  moment("detected", t.detected);
  if (t.to == ServerState::failed) {
    // From the last check that passed: what users may have suffered.
    const Time since = t.last_good != Time{} ? t.last_good : t.first_failed;
    fields.push_back({"detection_ms", milliseconds(t.detected - since)});
  }
  if (t.confirmed != Time{} && t.detected != Time{})
    fields.push_back({"swap_ms", milliseconds(t.confirmed - t.detected)});
  if (t.flushed != Time{}) {
    fields.push_back({"flush_ms", milliseconds(t.flushed - t.confirmed)});
    fields.push_back({"flows", static_cast<std::int64_t>(t.flows)});
  }
  return record;
}

Line FailoverObserver::line_of(const core::PoolNotice& notice) {
  Line record{level_of(notice.kind), std::string{event_of(notice)}, notice.text, {}};
  record.fields.push_back({"kind", std::string{to_string(notice.kind)}});
  if (!notice.pool.empty()) record.fields.push_back({"pool", notice.pool});
  if (!notice.server.empty()) record.fields.push_back({"server", notice.server});
  return record;
}

Line FailoverObserver::line_of(const core::CheckReport& report) {
  const core::ProbeOutcome& found = report.outcome;
  std::string who = report.server;
  if (who.empty())
    who = "gateway";
  else if (!report.pool.empty())
    who = report.pool + "/" + who;
  std::string text = who + " " + report.check + " ";
  text += found.verdict == core::Verdict::pass   ? "passes"
          : found.verdict == core::Verdict::warn ? "warns"
                                                 : "fails";
  if (!found.sentence.empty()) text += ": " + found.sentence;
  return {LogLevel::debug,
          "sentinel.failover.check",
          std::move(text),
          {{"pool", report.pool},
           {"server", report.server},
           {"check", report.check},
           {"verdict", std::string{word(found.verdict)}},
           {"reason", std::string{to_string(found.reason)}},
           {"took_ms", milliseconds(found.took)}}};
}

}  // namespace sentinel::observe
