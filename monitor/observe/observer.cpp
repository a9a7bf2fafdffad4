#include "observe/observer.hpp"

#include <chrono>

#include "observe/text.hpp"

namespace sentinel::observe {

namespace {

using core::NoticeKind;
using core::ProbeReason;
using core::State;

/// Failures to get any answer; the others are answers that say "not well".
bool is_unreachable(ProbeReason reason) {
  switch (reason) {
    case ProbeReason::resolve:
    case ProbeReason::refused:
    case ProbeReason::unreachable:
    case ProbeReason::timeout:
    case ProbeReason::reset:
    case ProbeReason::no_address: return true;
    default: return false;
  }
}

std::string with_reason(std::string sentence, const std::string& reason) {
  if (!reason.empty()) sentence += ": " + reason;
  return sentence;
}

void add_service(std::vector<LogField>& fields, const core::ServiceKey& key,
                 const core::ContainerId& container) {
  if (key.service.empty()) return;
  fields.push_back({"service", key.to_string()});
  if (container != core::ContainerId{}) fields.push_back({"container.id", container.hex()});
}

LogLevel level_of(State to) {
  switch (to) {
    case State::unhealthy:
    case State::quarantined: return LogLevel::error;
    case State::degraded: return LogLevel::warning;
    case State::unknown: return LogLevel::debug;
    default: return LogLevel::info;
  }
}

/// These states are always announced by a notice that says more: why, which attempt, how much
/// budget is left. (While flapping, no single change is told: the notices at its begin and end
/// are.)
bool told_by_notice(const core::Transition& t) {
  return t.to == State::recovering || t.to == State::quarantined;
}

LogLevel level_of(NoticeKind kind) {
  switch (kind) {
    case NoticeKind::heal_failed:
    case NoticeKind::quarantined:
    case NoticeKind::oom_killed:
    case NoticeKind::blind:
    case NoticeKind::blind_exhausted:
    case NoticeKind::engine_down: return LogLevel::error;
    case NoticeKind::heal_started:
    case NoticeKind::heal_abandoned:
    case NoticeKind::left_alone:
    case NoticeKind::trial:
    case NoticeKind::storm_began:
    case NoticeKind::intent_not_durable:
    case NoticeKind::interference:
    case NoticeKind::health_stale:
    case NoticeKind::label_warning:
    case NoticeKind::flapping:
    case NoticeKind::flapping_ended:
    case NoticeKind::too_many_services: return LogLevel::warning;
    // The transition to healthy beside it tells how long it took.
    case NoticeKind::healed:
    // Our own restarts are told by heal_acted, those of others by the transition they cause.
    case NoticeKind::container_started: return LogLevel::debug;
    case NoticeKind::heal_acted:
    case NoticeKind::storm_ended:
    case NoticeKind::engine_up:
    case NoticeKind::blind_ended:
    case NoticeKind::restart_asked:
    case NoticeKind::released:
    case NoticeKind::maintenance:
    case NoticeKind::maintenance_ended:
    case NoticeKind::recreating:
    case NoticeKind::service_added:
    case NoticeKind::service_removed: return LogLevel::info;
  }
  return LogLevel::info;
}

Line line_of_transition(const core::Transition& t) {
  Line line;
  line.level = told_by_notice(t) || t.flapping ? LogLevel::debug : level_of(t.to);
  line.event = "sentinel.service.transition";
  line.msg = sentence_of(t);
  add_service(line.fields, t.key, t.container);
  line.fields.push_back({"from", std::string{core::to_string(t.from)}});
  line.fields.push_back({"to", std::string{core::to_string(t.to)}});
  if (!t.reason.empty()) line.fields.push_back({"reason", t.reason});
  if (t.probe_reason != ProbeReason::none) {
    line.fields.push_back({"error.type", std::string{core::to_string(t.probe_reason)}});
  }
  if (t.down_for) line.fields.push_back({"down_ms", milliseconds(*t.down_for)});
  if (t.maintenance) line.fields.push_back({"maintenance", true});
  if (t.flapping) line.fields.push_back({"flapping", true});
  return line;
}

Line line_of_notice(const core::Notice& n) {
  Line line;
  line.level = level_of(n.kind);
  line.event = "sentinel.";
  line.event += core::to_string(n.kind);
  line.msg = n.text;
  add_service(line.fields, n.key, n.container);
  if (n.op != 0) {
    line.fields.push_back({"operation", static_cast<std::int64_t>(n.op)});
    line.fields.push_back({"action", std::string{core::to_string(n.rung)}});
    if (n.attempt != 0) line.fields.push_back({"attempt", static_cast<std::int64_t>(n.attempt)});
  }
  if (!n.result.empty()) line.fields.push_back({"result", std::string{n.result}});
  if (n.took != core::Duration{}) line.fields.push_back({"took_ms", milliseconds(n.took)});
  return line;
}

Line line_of_probe(const core::ProbeReport& p) {
  Line line;
  line.level = LogLevel::debug;
  line.event = "sentinel.probe";
  line.msg = p.key.to_string() + ": probe " + p.probe + " ";
  const core::ProbeOutcome& found = p.outcome;
  line.msg += found.verdict == core::Verdict::pass   ? "passed"
              : found.verdict == core::Verdict::warn ? "warned"
                                                     : "failed";
  line.msg = with_reason(std::move(line.msg), found.sentence);
  add_service(line.fields, p.key, {});
  line.fields.push_back({"probe", p.probe});
  line.fields.push_back({"took_ms", milliseconds(found.took)});
  if (found.reason != ProbeReason::none)
    line.fields.push_back({"error.type", std::string{core::to_string(found.reason)}});
  if (found.code != 0) {
    line.fields.push_back({p.kind == core::ProbeKind::http ? "http.response.status_code" : "code",
                           static_cast<std::int64_t>(found.code)});
  }
  return line;
}

}  // namespace

std::string sentence_of(const core::Transition& t) {
  switch (t.to) {
    case State::healthy: {
      std::string sentence = t.name + " is healthy";
      if (t.down_for) sentence += " (was unhealthy for " + human(*t.down_for) + ")";
      return sentence;
    }
    case State::unhealthy:
      if (is_unreachable(t.probe_reason)) return with_reason(t.name + " unreachable", t.reason);
      return with_reason(t.name + " is unhealthy", t.reason);
    case State::degraded: {
      std::string sentence = with_reason(t.name + " is degraded", t.reason);
      if (t.down_for) sentence += " (was unhealthy for " + human(*t.down_for) + ")";
      return sentence;
    }
    case State::unknown: return with_reason("state of " + t.name + " is unknown", t.reason);
    default: {
      const std::string state{core::to_string(t.to)};
      return with_reason(t.name + " is " + state, t.reason == state ? std::string{} : t.reason);
    }
  }
}

std::optional<Line> line_of(const core::Action& action) {
  if (const auto* transition = std::get_if<core::Transition>(&action))
    return line_of_transition(*transition);
  if (const auto* notice = std::get_if<core::Notice>(&action)) return line_of_notice(*notice);
  if (const auto* report = std::get_if<core::ProbeReport>(&action)) return line_of_probe(*report);
  return std::nullopt;
}

void write(Log& log, Line line) {
  if (log.enabled(line.level))
    log.write({line.level, line.event, line.msg, std::move(line.fields)});
}

void Observer::on(const core::Action& action) {
  // Each probe would build a line that nobody reads.
  if (std::holds_alternative<core::ProbeReport>(action) && !log_.enabled(LogLevel::debug)) return;
  if (auto line = line_of(action)) write(log_, std::move(*line));
}

}  // namespace sentinel::observe
