// What the failover core makes known, as facts.

#include <utility>

#include "core/alert_facts.hpp"

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

}  // namespace

Subject subject_of_server(std::string pool, std::string server) {
  return {SubjectKind::server, std::move(pool), std::move(server), 0};
}
Subject subject_of_pool(std::string pool) { return {SubjectKind::pool, std::move(pool), {}, 0}; }

void FailoverFacts::on(const PoolAction& action, AlertEvents& out) {
  if (const auto* transition = std::get_if<ServerTransition>(&action))
    on(*transition, out);
  else if (const auto* notice = std::get_if<PoolNotice>(&action))
    on(*notice, out);
}

void FailoverFacts::on(const ServerTransition& t, AlertEvents& out) {
  const Subject subject = subject_of_server(t.pool, t.server);
  const std::string title = t.pool + "/" + t.server;
  switch (t.to) {
    case ServerState::failed:
      // In one sentence: the first message may be made at once.
      out.emplace_back(
          failed(subject, title, Severity::warning,
                 t.probe_reason == ProbeReason::none ? "failed" : to_string(t.probe_reason),
                 t.done.empty() ? t.reason : t.reason + "; " + t.done));
      break;
    case ServerState::up: out.emplace_back(SubjectRecovered{subject, t.done}); break;
    case ServerState::draining:
    case ServerState::drained:
      out.emplace_back(
          SubjectGone{subject, title + " was taken out" + (t.by.empty() ? "" : " by " + t.by)});
      break;
    // Passes again, and waits: what comes of it will be told.
    case ServerState::waiting: out.emplace_back(SubjectActed{subject, t.reason, {}}); break;
    case ServerState::unknown: break;
  }
}

void FailoverFacts::on(const PoolNotice& n, AlertEvents& out) {
  const Subject pool = subject_of_pool(n.pool);
  switch (n.kind) {
    case PoolNoticeKind::pool_down:
      out.emplace_back(failed(pool, n.pool, Severity::critical, "pool_down", n.text));
      break;
    case PoolNoticeKind::on_backup:
      out.emplace_back(failed(pool, n.pool, Severity::critical, "on_backup", n.text));
      break;
    case PoolNoticeKind::pool_up:
    case PoolNoticeKind::off_backup: out.emplace_back(SubjectRecovered{pool, n.text}); break;
    case PoolNoticeKind::blind:
      out.emplace_back(failed(subject_of_self("network"), "Sentinel's network", Severity::critical,
                              "blind", n.text));
      break;
    case PoolNoticeKind::sighted:
      out.emplace_back(SubjectRecovered{subject_of_self("network"), n.text});
      break;
    case PoolNoticeKind::kernel_refused:
      out.emplace_back(failed(subject_of_self("kernel"), "NAT rules", Severity::critical,
                              "kernel_refused", n.text));
      break;
    case PoolNoticeKind::kernel_accepted:
      out.emplace_back(SubjectRecovered{subject_of_self("kernel"), n.text});
      break;
    case PoolNoticeKind::flapping:
    case PoolNoticeKind::flows_not_flushed:
      if (!n.server.empty())
        out.emplace_back(SubjectActed{subject_of_server(n.pool, n.server), n.text, {}});
      break;
    case PoolNoticeKind::drain_progress:
    case PoolNoticeKind::drain_ended:
    case PoolNoticeKind::adopted:
    case PoolNoticeKind::reconfigured: break;
  }
}

}  // namespace sentinel::core
