#include "protocol/alert_webhook.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "protocol/alert_document.hpp"
#include "protocol/alert_text.hpp"
#include "protocol/settings_text.hpp"

namespace sentinel::protocol {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr core::Duration alertmanager_life = 5min;

/// Names of labels as Prometheus has them: letters, digits and underscores.
std::string label_name(std::string_view name) {
  std::string out;
  for (const char c : name) out += text::is_alpha(c) || text::is_digit(c) ? c : '_';
  if (out.empty() || text::is_digit(out.front())) out.insert(out.begin(), '_');
  return out;
}

std::string alert_name(const AlertItem& item, core::MessageKind kind) {
  if (kind == core::MessageKind::test) return "SentinelTest";
  std::string name = "Sentinel" + item.kind + "Failed";
  if (char& c = name[8]; c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return name;
}

/// Labels without value are no labels there.
json labels_of(const AlertItem& item, core::MessageKind kind, bool identity) {
  json labels = json::object();
  for (const auto& [name, value] : item.labels)
    if (!value.empty() && !(identity && name == "cause")) labels[label_name(name)] = value;
  labels["alertname"] = alert_name(item, kind);
  labels["severity"] = core::to_string(item.severity);
  if (identity) labels["subject"] = item.subject;
  return labels;
}

/// Of the words about each of so many incidents: a message is read by programs with limits too.
std::size_t description_limit(std::size_t incidents) {
  constexpr std::size_t all = std::size_t{64} * 1024;
  return all / std::max<std::size_t>(incidents, 1);
}

json annotations_of(const AlertItem& item, std::size_t max_description) {
  json annotations = {{"summary", item.headline},
                      {"description", cut(plain_text(item), max_description)},
                      {"cause", item.cause},
                      {"incident", item.id}};
  if (!item.runbook.empty()) annotations["runbook_url"] = item.runbook;
  return annotations;
}

json alert_of(const core::Incident& incident, const AlertItem& item, core::MessageKind kind,
              std::size_t max_description) {
  return {{"status", item.resolved ? "resolved" : "firing"},
          {"labels", labels_of(item, kind, false)},
          {"annotations", annotations_of(item, max_description)},
          {"startsAt", rfc3339(incident.began)},
          {"endsAt", incident.ended ? rfc3339(*incident.ended) : "0001-01-01T00:00:00Z"},
          {"generatorURL", item.link},
          {"fingerprint", item.id}};
}

/// What all alerts say alike.
json common(const json& alerts, const char* part) {
  if (alerts.empty()) return json::object();
  json same = alerts.front()[part];
  for (const auto& alert : alerts) {
    for (auto entry = same.begin(); entry != same.end();) {
      const auto other = alert[part].find(entry.key());
      entry = other != alert[part].end() && *other == *entry ? std::next(entry) : same.erase(entry);
    }
  }
  return same;
}

std::string webhook_body(const core::Delivery& delivery, const AlertText& text) {
  const auto max_description = description_limit(text.items.size());
  json alerts = json::array();
  for (std::size_t i = 0; i < text.items.size(); ++i)
    alerts.push_back(
        alert_of(delivery.message.items[i].incident, text.items[i], text.kind, max_description));
  json group = json::object();
  std::string key;
  for (const auto& [name, value] : text.group) {
    group[name] = value;
    key += (key.empty() ? "" : ",") + name + "=" + value;
  }
  json body = {{"version", "4"},
               {"groupKey", "{" + key + "}"},
               {"truncatedAlerts", text.more},
               {"status", text.resolved ? "resolved" : "firing"},
               {"receiver", header_value(delivery.receiver)},
               {"groupLabels", std::move(group)},
               {"commonLabels", common(alerts, "labels")},
               {"commonAnnotations", common(alerts, "annotations")},
               {"externalURL", text.items.empty() ? "" : text.items.front().link},
               {"sentinel", alert_document(delivery, text)}};
  body["alerts"] = std::move(alerts);
  return dump(body);
}

/// A message without incidents, such as a test, as one of its own.
core::MessageItem stand_in(const core::Message& message) {
  core::MessageItem item;
  item.incident.root.kind = core::SubjectKind::sentinel;
  item.incident.title = "Sentinel";
  item.incident.severity = core::Severity::info;
  item.incident.cause = "test";
  item.incident.text = message.note.empty() ? "a message to see that it arrives" : message.note;
  item.incident.began = message.made;
  return item;
}

}  // namespace

AlertRequest webhook_request(const core::Delivery& delivery) {
  AlertText text = alert_text(delivery.message);
  std::string body = webhook_body(delivery, text);
  while (body.size() > max_alert_body && shorten(text)) body = webhook_body(delivery, text);
  return {.path = {},
          .headers = {{"Content-Type", "application/json"},
                      {"Idempotency-Key", header_value(delivery.key)}},
          .body = std::move(body)};
}

AlertRequest alertmanager_request(const core::Delivery& delivery, core::WallTime now) {
  core::Message message = delivery.message;
  if (message.items.empty()) message.items.push_back(stand_in(message));
  const AlertText text = alert_text(message);
  json alerts = json::array();
  for (std::size_t i = 0; i < text.items.size(); ++i) {
    const auto& incident = message.items[i].incident;
    // What begins after its end is refused, and a clock may have been set back meanwhile.
    const auto begins = std::min(incident.began, now);
    const auto ends = incident.ended.value_or(
        std::chrono::time_point_cast<core::WallTime::duration>(now + alertmanager_life));
    json alert = {
        {"labels", labels_of(text.items[i], text.kind, true)},
        {"annotations", annotations_of(text.items[i], description_limit(text.items.size()))},
        {"startsAt", rfc3339(begins)},
        {"endsAt", rfc3339(std::max(begins, ends))}};
    if (!text.items[i].link.empty()) alert["generatorURL"] = text.items[i].link;
    alerts.push_back(std::move(alert));
  }
  return {.path = "/api/v2/alerts",
          .headers = {{"Content-Type", "application/json"}},
          .body = dump(alerts)};
}

std::string signed_text(std::int64_t unix_seconds, const std::string& body) {
  return std::to_string(unix_seconds) + "." + body;
}

}  // namespace sentinel::protocol
