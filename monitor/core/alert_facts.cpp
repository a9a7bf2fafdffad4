#include "core/alert_facts.hpp"

#include <utility>

namespace sentinel::core {

namespace {

SubjectFailed failed(Subject subject, std::string title, Severity severity, std::string_view cause,
                     std::string text) {
  SubjectFailed fact;
  fact.subject = std::move(subject);
  fact.title = std::move(title);
  fact.severity = severity;
  fact.cause = cause;
  fact.text = std::move(text);
  return fact;
}

/// One word for why: what a probe saw, else what the state is.
std::string_view cause_of(const Transition& t) {
  if (t.to == State::quarantined) return "quarantined";
  if (t.probe_reason != ProbeReason::none) return to_string(t.probe_reason);
  return t.to == State::degraded ? "degraded" : "unhealthy";
}

}  // namespace

Subject subject_of(const ServiceKey& key) {
  // As ServiceKey::to_string(): without a project there is one of that name.
  return {SubjectKind::service, key.project, key.service, key.project.empty() ? 0 : key.replica};
}
Subject subject_of_engine() { return {SubjectKind::engine, {}, "engine", 0}; }
Subject subject_of_self(std::string what) {
  return {SubjectKind::sentinel, {}, std::move(what), 0};
}

void MonitorFacts::on(const Action& action, AlertEvents& out) {
  if (const auto* transition = std::get_if<Transition>(&action))
    on(*transition, out);
  else if (const auto* notice = std::get_if<Notice>(&action))
    on(*notice, out);
}

void MonitorFacts::on(const Transition& t, AlertEvents& out) {
  const Subject subject = subject_of(t.key);
  switch (t.to) {
    case State::unhealthy:
    case State::quarantined:
    case State::degraded: {
      settle_needs(out);  // where it belongs is to be known first
      auto fact =
          failed(subject, t.name, t.to == State::degraded ? Severity::warning : Severity::critical,
                 cause_of(t), t.reason);
      fact.container = t.container == ContainerId{} ? std::string{} : t.container.hex();
      if (const auto view = core_.service(t.service))
        fact.health_output = view->status.health_output;
      out.emplace_back(std::move(fact));
      break;
    }
    case State::healthy: out.emplace_back(SubjectRecovered{subject, t.reason}); break;
    case State::stopped:
      out.emplace_back(
          SubjectGone{subject, t.reason.empty() ? t.name + " was stopped on purpose" : t.reason});
      break;
    // On the way; where it leads will be told.
    case State::unknown:
    case State::starting:
    case State::recovering: break;
  }
}

void MonitorFacts::on(const Notice& n, AlertEvents& out) {
  const Subject subject = subject_of(n.key);
  switch (n.kind) {
    case NoticeKind::heal_started:
    case NoticeKind::heal_acted:
    case NoticeKind::heal_failed:
    case NoticeKind::healed:
    case NoticeKind::heal_abandoned:
    case NoticeKind::left_alone:
    case NoticeKind::quarantined:
    case NoticeKind::trial:
    case NoticeKind::restart_asked:
    case NoticeKind::released:
    case NoticeKind::interference:
    case NoticeKind::oom_killed:
      if (!n.key.service.empty())
        out.emplace_back(SubjectActed{subject, n.text, std::string(n.result)});
      break;
    case NoticeKind::engine_down:
      out.emplace_back(
          failed(subject_of_engine(), "Engine", Severity::critical, "engine_down", n.text));
      break;
    case NoticeKind::engine_up:
      out.emplace_back(SubjectRecovered{subject_of_engine(), n.text});
      break;
    case NoticeKind::blind:
    case NoticeKind::blind_exhausted:
      out.emplace_back(failed(subject_of_self("network"), "Sentinel's network", Severity::critical,
                              "blind", n.text));
      break;
    case NoticeKind::blind_ended:
      out.emplace_back(SubjectRecovered{subject_of_self("network"), n.text});
      break;
    case NoticeKind::service_removed:
      out.emplace_back(SubjectGone{subject, n.text});
      overlays_.erase(n.key);
      needs_.erase(n.key);
      needs_stale_ = true;
      break;
    case NoticeKind::service_added:
    case NoticeKind::container_started:  // perhaps with other labels
      needs_stale_ = true;
      break;
    case NoticeKind::flapping:
    case NoticeKind::flapping_ended:
    case NoticeKind::maintenance:
    case NoticeKind::maintenance_ended:
    case NoticeKind::recreating: overlays_stale_ = true; break;
    case NoticeKind::storm_began:
    case NoticeKind::storm_ended:
    case NoticeKind::intent_not_durable:
    case NoticeKind::health_stale:
    case NoticeKind::label_warning:
    case NoticeKind::too_many_services: break;
  }
}

void MonitorFacts::settle(Time now, AlertEvents& out) {
  settle_needs(out);
  settle_overlays(now, out);
}

void MonitorFacts::settle_overlays(Time now, AlertEvents& out) {
  if (!std::exchange(overlays_stale_, false) && now < look_at_) return;
  for (const ServiceView& view : core_.services()) {
    Overlays is;
    is.maintenance = view.overlays.maintenance;
    is.flapping = view.overlays.flapping;
    const auto told = overlays_.find(view.key);
    if (is == (told == overlays_.end() ? Overlays{} : told->second)) continue;
    if (is == Overlays{})
      overlays_.erase(view.key);
    else
      overlays_[view.key] = is;
    out.emplace_back(SubjectOverlays{subject_of(view.key), is.maintenance, is.flapping});
  }
  look_at_ = overlays_.empty() ? never : after(now, look_again);
}

void MonitorFacts::settle_needs(AlertEvents& out) {
  if (!std::exchange(needs_stale_, false)) return;
  for (ServiceNeeds& one : core_.needs()) {
    const auto told = needs_.find(one.key);
    if (told != needs_.end() && told->second == one) continue;
    SubjectNeeds fact{subject_of(one.key), {}};
    if (!one.target) fact.needs.push_back(subject_of_engine());
    for (const ServiceKey& need : one.needs) fact.needs.push_back(subject_of(need));
    out.emplace_back(std::move(fact));
    needs_[one.key] = std::move(one);
  }
}

}  // namespace sentinel::core
