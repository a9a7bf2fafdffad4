#include "web/incident_views.hpp"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "observe/text.hpp"
#include "protocol/matchers.hpp"

namespace sentinel::web {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view service_subject = "service:";

Json optional_wall(const std::optional<core::WallTime>& at) {
  return at ? Json(wall_text(*at)) : Json(nullptr);
}

Json text_or_null(std::string_view text) { return text.empty() ? Json(nullptr) : Json(text); }

double in_ms(std::chrono::microseconds time) { return static_cast<double>(time.count()) / 1000.0; }

double in_seconds(std::chrono::milliseconds time) {
  return static_cast<double>(time.count()) / 1000.0;
}

Json labels_json(const core::Incident& incident, core::Labels labels) {
  labels["kind"] = core::to_string(incident.root.kind);
  labels["severity"] = core::to_string(incident.severity);
  labels["cause"] = incident.cause;
  switch (incident.root.kind) {
    case core::SubjectKind::service:
      labels["project"] = incident.root.group;
      labels["service"] = incident.root.name;
      if (incident.root.replica != 0) labels["replica"] = std::to_string(incident.root.replica);
      break;
    case core::SubjectKind::server:
      labels["pool"] = incident.root.group;
      labels["server"] = incident.root.name;
      break;
    case core::SubjectKind::pool: labels["pool"] = incident.root.group; break;
    case core::SubjectKind::engine:
    case core::SubjectKind::sentinel: break;
  }
  Json json = Json::object();
  for (const auto& [name, value] : labels) json[name] = value;
  return json;
}

std::string_view word(io::HistoryKind kind) {
  switch (kind) {
    case io::HistoryKind::transition: return "transition";
    case io::HistoryKind::notice: return "notice";
    case io::HistoryKind::action: return "action";
    case io::HistoryKind::restart: return "restart";
    case io::HistoryKind::incident: return "incident";
    case io::HistoryKind::alert: return "alert";
  }
  return "notice";
}

/// What a delivery says, in one line.
std::string text_of(const core::Message& message) {
  if (!message.note.empty()) return message.note;
  if (message.items.empty()) return std::string{core::to_string(message.kind)};
  const core::Incident& first = message.items.front().incident;
  std::string text = first.ended && !first.end_text.empty() ? first.end_text : first.text;
  if (text.empty()) text = first.title;
  const std::size_t more = message.items.size() - 1 + message.more;
  if (more > 0) text += ", and " + std::to_string(more) + " more";
  return observe::one_line(text, 400);
}

}  // namespace

std::string wall_text(core::WallTime at) { return observe::rfc3339(at.time_since_epoch().count()); }

std::string_view service_of_subject(std::string_view subject) {
  if (!subject.starts_with(service_subject)) return {};
  return subject.substr(service_subject.size());
}

Json incident_json(const core::Incident& incident, const core::Labels& common) {
  const std::string subject = incident.root.to_string();
  Json json;
  json["id"] = incident.id;
  json["subject"] = subject;
  json["service"] = text_or_null(service_of_subject(subject));
  json["title"] = incident.title;
  json["severity"] = core::to_string(incident.severity);
  json["cause"] = incident.cause;
  json["text"] = incident.text;
  json["container"] = text_or_null(incident.container);
  json["began"] = wall_text(incident.began);
  json["ended"] = optional_wall(incident.ended);
  json["end_text"] = incident.end_text;
  json["gone"] = incident.ended_gone;
  json["sequence"] = incident.sequence;
  Json members = Json::array();
  for (const core::IncidentMember& member : incident.members) {
    members.push_back({{"subject", member.subject.to_string()},
                       {"title", member.title},
                       {"text", member.text},
                       {"joined", wall_text(member.joined)},
                       {"recovered", optional_wall(member.recovered)}});
  }
  json["members"] = std::move(members);
  json["more_members"] = incident.more_members;
  Json lines = Json::array();
  for (const core::IncidentLine& line : incident.lines)
    lines.push_back({{"time", wall_text(line.at)}, {"text", line.text}, {"result", line.result}});
  json["lines"] = std::move(lines);
  json["health_output"] = incident.health_output;
  json["log_tail"] = incident.log_tail;
  json["flapping"] = incident.flapping;
  json["merged_into"] = text_or_null(incident.merged_into);
  Json told = Json::array();
  for (const core::IncidentTold& one : incident.told) {
    told.push_back({{"receiver", one.receiver},
                    {"severity", core::to_string(one.severity)},
                    {"ended", one.ended},
                    {"time", wall_text(one.at)}});
  }
  json["told"] = std::move(told);
  json["labels"] = labels_json(incident, common);
  return json;
}

Json history_json(const io::HistoryEntry& entry) {
  Json json;
  json["sequence"] = entry.sequence;
  json["time"] = wall_text(entry.at);
  json["kind"] = word(entry.kind);
  json["event"] = entry.event;
  json["subject"] = entry.subject;
  json["service"] = text_or_null(service_of_subject(entry.subject));
  json["incident"] = text_or_null(entry.incident);
  json["text"] = entry.text;
  if (entry.kind == io::HistoryKind::transition) {
    json["from"] = entry.from;
    json["to"] = entry.to;
  }
  // Our own text, written by this process or an earlier one; the disk may say otherwise.
  const Json fields = Json::parse(entry.fields, nullptr, false);
  json["fields"] = fields.is_object() ? fields : Json(nullptr);
  return json;
}

Json receiver_json(const core::ReceiverView& view, const AlertsBackend& alerts) {
  Json json;
  json["name"] = view.name;
  const std::string type = alerts.receiver_type ? alerts.receiver_type(view.name) : std::string{};
  if (!type.empty()) json["type"] = type;
  json["pending"] = view.pending;
  json["dead"] = view.dead;
  json["oldest_pending"] = optional_wall(view.oldest_pending);
  json["last_error"] = view.last_error;
  json["last_accepted"] = optional_wall(view.last_accepted);
  json["held_for_digest"] = view.held_for_digest;
  return json;
}

Json receivers_json(const AlertsBackend& alerts) {
  Json list = Json::array();
  if (!alerts.any()) return list;
  for (const core::ReceiverView& view : alerts.receivers())
    list.push_back(receiver_json(view, alerts));
  return list;
}

Json delivery_json(const core::Delivery& delivery) {
  Json json;
  json["id"] = delivery.id;
  json["receiver"] = delivery.receiver;
  json["kind"] = core::to_string(delivery.message.kind);
  json["text"] = text_of(delivery.message);
  Json incidents = Json::array();
  for (const core::DeliveryCover& cover : delivery.covers) incidents.push_back(cover.incident);
  json["incidents"] = std::move(incidents);
  json["attempts"] = delivery.attempts;
  json["created"] = wall_text(delivery.created);
  json["dead"] = optional_wall(delivery.dead);
  json["error"] = delivery.error;
  return json;
}

Json silence_json(const core::Silence& silence) {
  Json match = Json::array();
  for (const core::Matcher& matcher : silence.match) {
    match.push_back({{"label", matcher.label},
                     {"op", protocol::word_of(matcher.op)},
                     {"value", matcher.value}});
  }
  return {{"id", silence.id},
          {"match", std::move(match)},
          {"by", silence.by},
          {"comment", silence.comment},
          {"begins", wall_text(silence.begins)},
          {"ends", wall_text(silence.ends)}};
}

Json silences_json(std::vector<core::Silence> silences) {
  std::ranges::sort(silences, {}, &core::Silence::ends);
  Json list = Json::array();
  for (const core::Silence& silence : silences) list.push_back(silence_json(silence));
  Json json;
  json["silences"] = std::move(list);
  return json;
}

Json interval_json(const io::StateInterval& interval) {
  return {{"state", interval.state},
          {"begins", wall_text(interval.begins)},
          {"ends", optional_wall(interval.ends)}};
}

Json point_json(const io::LatencyPoint& point) {
  return {{"begins", wall_text(point.begins)}, {"count", point.count},
          {"failures", point.failures},        {"min_ms", in_ms(point.min)},
          {"mean_ms", in_ms(point.mean)},      {"max_ms", in_ms(point.max)},
          {"p95_ms", in_ms(point.p95)}};
}

Json availability_json(const io::Availability& availability) {
  const auto known = availability.up + availability.down;
  Json json;
  json["window_seconds"] = availability.window.count();
  json["up_seconds"] = in_seconds(availability.up);
  json["down_seconds"] = in_seconds(availability.down);
  json["availability"] =
      known.count() > 0
          ? Json(static_cast<double>(availability.up.count()) / static_cast<double>(known.count()))
          : Json(nullptr);
  json["outages"] = availability.outages;
  json["mean_outage_seconds"] =
      availability.mean_outage ? Json(in_seconds(*availability.mean_outage)) : Json(nullptr);
  json["restarts"] = availability.restarts;
  json["incidents"] = availability.incidents;
  return json;
}

}  // namespace sentinel::web
