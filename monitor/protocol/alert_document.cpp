#include "protocol/alert_document.hpp"

#include "protocol/escape.hpp"
#include "protocol/settings_text.hpp"

namespace sentinel::protocol {

using nlohmann::json;

namespace {

json labels_of(const std::vector<std::pair<std::string, std::string>>& labels) {
  json object = json::object();
  for (const auto& [name, value] : labels) object[name] = value;
  return object;
}

json incident_of(const core::Incident& incident, const AlertItem& item) {
  json actions = json::array();
  for (const auto& action : item.actions)
    actions.push_back({{"at", action.at}, {"text", action.text}, {"result", action.result}});
  json members = json::array();
  for (const auto& member : item.members)
    members.push_back(
        {{"title", member.title}, {"text", member.text}, {"recovered", member.recovered}});
  return {{"id", item.id},
          {"status", item.resolved ? "resolved" : "firing"},
          {"severity", core::to_string(item.severity)},
          {"sequence", incident.sequence},
          {"kind", item.kind},
          {"subject", item.subject},
          {"title", item.title},
          {"headline", item.headline},
          {"cause", item.cause},
          {"sentence", item.sentence},
          {"host", item.host},
          {"container", item.container},
          {"began", rfc3339(incident.began)},
          {"ended", incident.ended ? json(rfc3339(*incident.ended)) : json(nullptr)},
          {"lasted", item.lasted},
          {"actions", std::move(actions)},
          {"members", std::move(members)},
          {"more_members", item.more_members},
          {"health_output", item.health_output},
          {"log_tail", item.log_tail},
          {"link", item.link},
          {"runbook", item.runbook},
          {"labels", labels_of(item.labels)},
          {"text", plain_text(item)}};
}

}  // namespace

json alert_document(const core::Delivery& delivery, const AlertText& text) {
  constexpr std::size_t max_text = std::size_t{32} * 1024;
  json incidents = json::array();
  for (std::size_t i = 0; i < text.items.size(); ++i)
    incidents.push_back(incident_of(delivery.message.items[i].incident, text.items[i]));
  const bool any = !text.items.empty();
  return {{"kind", core::to_string(text.kind)},
          {"status", text.resolved ? "resolved" : "firing"},
          {"severity", core::to_string(text.severity)},
          {"key", header_value(delivery.key)},
          {"receiver", one_line(delivery.receiver, max_alert_word)},
          {"host", text.host},
          {"subject", text.subject},
          {"text", plain_text(text, max_text)},
          {"note", text.note},
          {"made", rfc3339(delivery.message.made)},
          {"group", labels_of(text.group)},
          {"link", any ? text.items.front().link : ""},
          {"runbook", any ? text.items.front().runbook : ""},
          {"incidents", std::move(incidents)},
          {"more", text.more}};
}

std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string header_value(std::string_view value) {
  constexpr std::size_t max_bytes = 200;
  std::string out;
  for (const char c : value)
    if (text::is_visible(c) && out.size() < max_bytes) out += c;
  return out;
}

}  // namespace sentinel::protocol
