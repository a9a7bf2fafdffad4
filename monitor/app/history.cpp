#include "app/history.hpp"

#include <nlohmann/json.hpp>
#include <variant>

#include "core/alert_facts.hpp"

namespace sentinel::app {

namespace {

io::HistoryEntry entry_of(io::HistoryKind kind, const observe::Line& line) {
  io::HistoryEntry entry;
  entry.kind = kind;
  entry.event = line.event;
  entry.text = line.msg.substr(0, io::HistoryEntry::max_text);
  auto fields = nlohmann::ordered_json::object();
  for (const observe::LogField& field : line.fields) {
    if (field.key == "incident_id" || field.key == "subject") continue;  // columns of their own
    std::visit([&](const auto& value) { fields[field.key] = value; }, field.value);
  }
  if (!fields.empty()) {
    entry.fields = fields.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  }
  return entry;
}

/// Of a service or of a server.
template <typename Changed>
  requires requires(const Changed& c) { to_string(c.from); }
io::HistoryEntry entry_of(const Changed& changed, const observe::Line& line) {
  auto entry = entry_of(io::HistoryKind::transition, line);
  entry.from = to_string(changed.from);
  entry.to = to_string(changed.to);
  return entry;
}

io::HistoryKind kind_of(core::NoticeKind kind) {
  switch (kind) {
    case core::NoticeKind::container_started: return io::HistoryKind::restart;
    case core::NoticeKind::heal_started:
    case core::NoticeKind::heal_acted:
    case core::NoticeKind::heal_failed:
    case core::NoticeKind::healed:
    case core::NoticeKind::heal_abandoned:
    case core::NoticeKind::restart_asked:
    case core::NoticeKind::released:
    case core::NoticeKind::left_alone: return io::HistoryKind::action;
    default: return io::HistoryKind::notice;
  }
}

}  // namespace

std::optional<core::Subject> subject_of(const core::Action& action) {
  const core::ServiceKey* key = nullptr;
  if (const auto* transition = std::get_if<core::Transition>(&action))
    key = &transition->key;
  else if (const auto* notice = std::get_if<core::Notice>(&action))
    key = &notice->key;
  if (key == nullptr || key->service.empty()) return std::nullopt;
  return core::subject_of(*key);
}

std::optional<core::Subject> subject_of(const core::PoolAction& action) {
  if (const auto* transition = std::get_if<core::ServerTransition>(&action))
    return core::subject_of_server(transition->pool, transition->server);
  const auto* notice = std::get_if<core::PoolNotice>(&action);
  if (notice == nullptr || notice->pool.empty()) return std::nullopt;
  if (notice->server.empty()) return core::subject_of_pool(notice->pool);
  return core::subject_of_server(notice->pool, notice->server);
}

std::optional<io::HistoryEntry> history_of(const core::Action& action, const observe::Line& line) {
  if (const auto* transition = std::get_if<core::Transition>(&action))
    return entry_of(*transition, line);
  if (const auto* notice = std::get_if<core::Notice>(&action))
    return entry_of(kind_of(notice->kind), line);
  return std::nullopt;
}

std::optional<io::HistoryEntry> history_of(const core::PoolAction& action,
                                           const observe::Line& line) {
  if (const auto* transition = std::get_if<core::ServerTransition>(&action))
    return entry_of(*transition, line);
  if (std::holds_alternative<core::PoolNotice>(action))
    return entry_of(io::HistoryKind::notice, line);
  return std::nullopt;
}

io::HistoryEntry history_of(const core::AlertNotice& notice, const observe::Line& line) {
  const bool of_incident = notice.kind == core::AlertNoticeKind::incident_opened ||
                           notice.kind == core::AlertNoticeKind::incident_joined ||
                           notice.kind == core::AlertNoticeKind::incident_changed ||
                           notice.kind == core::AlertNoticeKind::incident_ended;
  auto entry = entry_of(of_incident ? io::HistoryKind::incident : io::HistoryKind::alert, line);
  entry.incident = notice.incident;
  if (!notice.subject.name.empty() || !notice.subject.group.empty())
    entry.subject = notice.subject.to_string();
  return entry;
}

}  // namespace sentinel::app
