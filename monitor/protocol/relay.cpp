#include "protocol/relay.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "protocol/alert_document.hpp"
#include "protocol/alert_json.hpp"
#include "protocol/escape.hpp"

namespace sentinel::protocol {

namespace {

/// How much of each incident is told, the fuller first.
struct Measure {
  std::size_t lines;
  std::size_t members;
  std::size_t text;  // bytes
};
constexpr std::array<Measure, 4> measures{{{.lines = 50, .members = 50, .text = 1024},
                                           {.lines = 15, .members = 15, .text = 1024},
                                           {.lines = 4, .members = 4, .text = 256},
                                           {.lines = 0, .members = 0, .text = 256}}};

constexpr std::size_t max_name = 128;
constexpr std::size_t max_title = 256;

void shorten(core::Incident& incident, const Measure& measure) {
  const auto cut = [&](std::string& text) { text = one_line(text, measure.text); };
  if (incident.lines.size() > measure.lines) {
    const auto surplus = static_cast<std::ptrdiff_t>(incident.lines.size() - measure.lines);
    incident.lines.erase(incident.lines.begin(), incident.lines.begin() + surplus);
  }
  if (incident.members.size() > measure.members) incident.members.resize(measure.members);
  incident.health_output.clear();
  incident.log_tail.clear();
  incident.told.clear();
  cut(incident.text);
  cut(incident.end_text);
  for (core::IncidentLine& line : incident.lines) cut(line.text);
  for (core::IncidentMember& member : incident.members) cut(member.text);
}

bool printable(std::string_view name) {
  return !name.empty() && name.size() <= max_name && one_line(name, 4 * max_name) == name;
}

bool ours(const core::Subject& subject) {
  switch (subject.kind) {
    case core::SubjectKind::server: return printable(subject.group) && printable(subject.name);
    case core::SubjectKind::pool: return printable(subject.group) && subject.name.empty();
    case core::SubjectKind::sentinel: return subject.group.empty() && printable(subject.name);
    case core::SubjectKind::service:
    case core::SubjectKind::engine: break;
  }
  return false;
}

}  // namespace

AlertRequest relay_request(const core::Delivery& delivery) {
  core::Delivery sent;
  sent.id = delivery.id;
  sent.key = delivery.key;
  sent.receiver = delivery.receiver;
  sent.created = delivery.created;
  sent.changed = delivery.changed;
  std::string body;
  for (const Measure& measure : measures) {
    sent.message = delivery.message;
    sent.message.group.clear();
    for (core::MessageItem& item : sent.message.items) {
      item.labels.clear();
      item.link.clear();
      item.runbook.clear();
      shorten(item.incident, measure);
    }
    body = format_delivery(sent);
    if (body.size() <= max_relay_body) break;
  }
  return {.path = {},
          .headers = {{"Content-Type", "application/json"},
                      {"Idempotency-Key", header_value(delivery.key)}},
          .body = std::move(body)};
}

std::expected<core::Message, Error> parse_relay(std::string_view body) {
  auto delivery = parse_delivery(body);
  if (!delivery) return std::unexpected(std::move(delivery.error()));
  for (core::MessageItem& item : delivery->message.items) {
    core::Incident& incident = item.incident;
    const bool good = ours(incident.root) && std::ranges::all_of(incident.members, [](auto& one) {
                        return ours(one.subject);
                      });
    if (!good) return std::unexpected(Error{"expected servers, pools and Sentinel itself"});
    incident.title = one_line(incident.title, max_title);
    incident.cause = one_line(incident.cause, max_name);
    for (core::IncidentMember& member : incident.members)
      member.title = one_line(member.title, max_title);
  }
  return std::move(delivery->message);
}

}  // namespace sentinel::protocol
