#include "observe/alert_observer.hpp"

#include <algorithm>
#include <chrono>

namespace sentinel::observe {

namespace {

using core::AlertNoticeKind;
using Labels = std::vector<std::pair<std::string, std::string>>;
using Kind = Sample::Kind;

/// The line of the transition that began, changed or ended an incident carries its id.
LogLevel level_of(AlertNoticeKind kind) {
  switch (kind) {
    case AlertNoticeKind::dead: return LogLevel::error;
    case AlertNoticeKind::retried: return LogLevel::warning;
    case AlertNoticeKind::accepted:
    case AlertNoticeKind::silence_added:
    case AlertNoticeKind::silence_ended: return LogLevel::info;
    case AlertNoticeKind::incident_opened:
    case AlertNoticeKind::incident_ended:
    case AlertNoticeKind::incident_joined:
    case AlertNoticeKind::incident_changed:
    case AlertNoticeKind::suppressed: return LogLevel::debug;
  }
  return LogLevel::info;
}

}  // namespace

Line line_of(const core::AlertNotice& n) {
  Line line;
  line.level = level_of(n.kind);
  line.event = "sentinel.alert.";
  line.event += core::to_string(n.kind);
  line.msg = n.text;
  if (!n.incident.empty()) line.fields.push_back({"incident_id", n.incident});
  if (!n.subject.name.empty() || !n.subject.group.empty())
    line.fields.push_back({"subject", n.subject.to_string()});
  if (!n.receiver.empty()) line.fields.push_back({"receiver", n.receiver});
  if (!n.reason.empty()) line.fields.push_back({"reason", n.reason});
  if (n.delivery != 0) line.fields.push_back({"delivery", static_cast<std::int64_t>(n.delivery)});
  if (n.took != core::Duration{}) line.fields.push_back({"took_ms", milliseconds(n.took)});
  if (n.latency != core::Duration{}) line.fields.push_back({"latency_ms", milliseconds(n.latency)});
  return line;
}

void AlertCounts::configure(const std::vector<std::pair<std::string, std::string>>& integrations) {
  std::map<std::string, Receiver, std::less<>> next;
  for (const auto& [name, integration] : integrations) {
    const auto known = receivers_.find(name);
    Receiver& receiver = next[name];
    if (known != receivers_.end()) receiver = std::move(known->second);
    receiver.integration = integration;
  }
  receivers_ = std::move(next);
}

void AlertCounts::on(const core::AlertNotice& n) {
  if (n.kind == AlertNoticeKind::incident_opened) ++incidents_;
  const auto at = receivers_.find(n.receiver);
  if (at == receivers_.end()) return;
  Receiver& receiver = at->second;
  switch (n.kind) {
    case AlertNoticeKind::accepted:
      ++receiver.requests;
      ++receiver.accepted;
      latency_.observe(core::in_seconds(n.latency));
      break;
    case AlertNoticeKind::retried:
      ++receiver.requests;
      ++receiver.failed_requests;
      break;
    case AlertNoticeKind::dead:
      ++receiver.requests;
      ++receiver.failed_requests;
      ++receiver.dead;
      break;
    case AlertNoticeKind::suppressed: ++receiver.suppressed[n.reason]; break;
    default: break;
  }
}

std::vector<Sample> AlertCounts::samples(const AlertFigures& figures) const {
  std::vector<Sample> out;
  const auto one = [&](Kind kind, const char* name, const char* help, Labels labels, double value) {
    out.push_back({kind, name, help, std::move(labels), value});
  };
  const auto each = [&](const char* name, const char* help, auto value) {
    for (const auto& [receiver, counts] : receivers_) {
      one(Kind::counter, name, help, {{"receiver", receiver}, {"integration", counts.integration}},
          static_cast<double>(value(counts)));
    }
  };
  one(Kind::gauge, "sentinel_incidents_open", "Incidents that have not ended", {},
      static_cast<double>(figures.open_incidents));
  one(Kind::counter, "sentinel_incidents_total", "Incidents that began", {},
      static_cast<double>(incidents_));
  one(Kind::counter, "sentinel_incidents_refused_total", "Incidents beyond the limit", {},
      static_cast<double>(figures.refused.incidents_refused));
  one(Kind::gauge, "sentinel_silences", "Silences that hold or will", {},
      static_cast<double>(figures.silences));
  each("sentinel_notifications_total", "Messages a receiver accepted",
       [](const Receiver& r) { return r.accepted; });
  each("sentinel_notifications_failed_total", "Messages that were given up",
       [](const Receiver& r) { return r.dead; });
  each("sentinel_notification_requests_total", "Attempts to hand a message over",
       [](const Receiver& r) { return r.requests; });
  each("sentinel_notification_requests_failed_total", "Attempts that failed",
       [](const Receiver& r) { return r.failed_requests; });
  for (const auto& [receiver, counts] : receivers_) {
    for (const char* reason :
         {"silenced", "inhibited", "maintenance", "flapping", "rate_limited", "stale"}) {
      const auto count = counts.suppressed.find(reason);
      one(Kind::counter, "sentinel_notifications_suppressed_total", "Messages that were not made",
          {{"receiver", receiver}, {"reason", reason}},
          count == counts.suppressed.end() ? 0.0 : static_cast<double>(count->second));
    }
  }
  for (const core::ReceiverView& view : figures.receivers) {
    one(Kind::gauge, "sentinel_notification_queue_length", "Messages on their way",
        {{"receiver", view.name}}, static_cast<double>(view.pending));
  }
  for (const core::ReceiverView& view : figures.receivers) {
    const auto oldest =
        view.oldest_pending ? view.oldest_pending->time_since_epoch() : core::WallTime::duration{};
    one(Kind::gauge, "sentinel_notification_oldest_pending_timestamp_seconds",
        "When the oldest message on its way was made, 0: there is none", {{"receiver", view.name}},
        std::chrono::duration<double>(oldest).count());
  }
  for (const core::ReceiverView& view : figures.receivers) {
    one(Kind::gauge, "sentinel_notification_dead_letters", "Messages given up and kept to be seen",
        {{"receiver", view.name}}, static_cast<double>(view.dead));
  }
  return out;
}

std::vector<HistogramSample> AlertCounts::histograms() const {
  HistogramSample latency{"sentinel_notification_latency_seconds",
                          "From a change to its acceptance by a receiver",
                          {notification_bounds.begin(), notification_bounds.end()},
                          {},
                          latency_.sum()};
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < notification_bounds.size(); ++i) {
    latency.buckets.push_back(latency_.bucket(i));
    below += latency_.bucket(i);
  }
  latency.buckets.push_back(latency_.count() - below);
  return {std::move(latency)};
}

}  // namespace sentinel::observe
