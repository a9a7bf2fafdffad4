// Incidents: how they begin, grow, merge and end.

#include <algorithm>

#include "core/alert_impl.hpp"

namespace sentinel::core {

using Impl = AlertCore::Impl;

namespace {

constexpr std::size_t max_named_members = 1000;
constexpr std::size_t first_lines = 10;
constexpr std::size_t newest_lines = 40;
constexpr std::size_t max_text = 1024;
constexpr std::size_t max_title = 200;
constexpr std::size_t max_word = 64;
constexpr std::size_t max_output = 4096;
// What can be found out again is not stored each time: a thousand dependants are one record.
constexpr Duration store_after = 1s;
constexpr std::size_t unnamed = static_cast<std::size_t>(-1);

}  // namespace

void Impl::place(AlertNode& node, const SubjectFailed& fact) {
  if (AlertEpisode* cause = cause_of(node)) {
    join(*cause, node, fact.text, fact.severity);
  } else if (open(node, fact) == nullptr) {
    return;
  }
  fold_dependants(node);
}

AlertEpisode* Impl::open(AlertNode& node, const SubjectFailed& fact) {
  if (episodes_.size() >= max_incidents) {
    ++counters_.incidents_refused;
    return nullptr;
  }
  const AlertId id = ++last_id_;
  AlertEpisode& e = *(episodes_[id] = std::make_unique<AlertEpisode>());
  e.id = id;
  e.root = node.id;
  e.began = now_;
  e.changed = now_;
  e.incident.id = ulids_.next(wall_.time_since_epoch().count());
  e.incident.root = node.subject;
  e.incident.title = clipped(fact.title.empty() ? node.title : fact.title, max_title);
  e.incident.severity = fact.severity;
  e.incident.cause = clipped(fact.cause, max_word);
  e.incident.text = clipped(fact.text, max_text);
  e.incident.container = clipped(fact.container, max_word);
  e.incident.health_output = clipped(fact.health_output, max_output);
  e.incident.began = std::min(fact.began.value_or(wall_), wall_);
  e.incident.sequence = 1;
  e.incident.flapping = node.flapping;
  if (node.failing) e.failing.insert(node.id);
  node.episode = id;
  node.latest = id;
  by_ulid_[e.incident.id] = &e;
  ++open_;
  add_line(e, e.incident.text);
  store(e);
  notice(AlertNoticeKind::incident_opened, &e, e.incident.text);
  label(e);
  if (!e.incident.container.empty())
    out_->emplace_back(GatherEvidence{node.subject, e.incident.id, e.incident.container});
  touch(e);
  return &e;
}

void Impl::join(AlertEpisode& e, AlertNode& node, const std::string& text, Severity severity) {
  node.episode = e.id;
  node.latest = e.id;
  if (node.failing) e.failing.insert(node.id);
  e.recovered.reset();
  deadlines_.erase(handle_of(What::end_hold, e.id));
  if (node.id != e.root) {
    const auto [member, added] = e.members.try_emplace(node.id, unnamed);
    if (added) {
      if (e.incident.members.size() < max_named_members) {
        member->second = e.incident.members.size();
        e.incident.members.push_back({node.subject, clipped(node.title, max_title),
                                      clipped(text, max_text), wall_, std::nullopt});
      } else {
        ++e.incident.more_members;
      }
    } else if (member->second != unnamed) {
      e.incident.members[member->second].recovered.reset();
    }
    if (added) {
      AlertNotice said;
      said.kind = AlertNoticeKind::incident_joined;
      said.incident = e.incident.id;
      said.text = text;
      said.subject = node.subject;
      out_->emplace_back(std::move(said));
    }
  }
  raise(e, severity);
  store_soon(e);
}

void Impl::raise(AlertEpisode& e, Severity severity) {
  if (severity <= e.incident.severity) return;
  e.incident.severity = severity;
  ++e.incident.sequence;
  e.changed = now_;
  label(e);
  store(e);
  notice(AlertNoticeKind::incident_changed, &e, e.incident.text);
  touch(e);
}

void Impl::set_cause(AlertEpisode& e, std::string cause) {
  if (cause == e.incident.cause) return;
  e.incident.cause = std::move(cause);
  label(e);
  if (!worth_telling(e.incident.cause)) return;
  ++e.incident.sequence;
  e.changed = now_;
  store(e);
  notice(AlertNoticeKind::incident_changed, &e, e.incident.text);
  touch(e);
}

void Impl::fold(AlertEpisode& e, AlertEpisode& into) {
  // Its parts go over; nobody was told of it.
  std::vector<AlertId> parts{e.root};
  for (const auto& [id, place] : e.members) parts.push_back(id);
  into.incident.began = std::min(into.incident.began, e.incident.began);
  const Severity severity = e.incident.severity;
  for (const AlertId id : parts) {
    const auto found = nodes_.find(id);
    if (found == nodes_.end() || found->second->episode != e.id) continue;
    std::string text = e.incident.text;
    if (const auto member = e.members.find(id);
        member != e.members.end() && member->second != unnamed)
      text = e.incident.members[member->second].text;
    join(into, *found->second, text, severity);
  }
  e.incident.merged_into = into.incident.id;
  e.incident.ended = std::max(wall_, e.incident.began);
  e.incident.end_text = "it is part of the incident of " + into.incident.title;
  for (auto& track : e.tracks) leave_group(e, track);
  unindex_inhibition(e);
  deadlines_.erase(handle_of(What::end_hold, e.id));
  --open_;
  close(e);
}

void Impl::fold_dependants(const AlertNode& node) {
  AlertEpisode* into = open_of(node);
  if (into == nullptr) return;
  for (AlertEpisode* episode : dependants_to_fold(node, *into)) fold(*episode, *into);
}

void Impl::check_end(AlertEpisode& e) {
  if (!e.failing.empty()) return;
  const auto root = nodes_.find(e.root);
  if (root != nodes_.end() && root->second->flapping) return;
  e.recovered = wall_;
  if (config_.resolve_hold <= Duration{} || e.gone) {
    end(e);
    return;
  }
  store_soon(e);
  deadlines_.set(handle_of(What::end_hold, e.id), after(now_, config_.resolve_hold));
}

void Impl::end(AlertEpisode& e) {
  deadlines_.erase(handle_of(What::end_hold, e.id));
  e.incident.ended = std::max(e.recovered.value_or(wall_), e.incident.began);
  e.incident.ended_gone = e.gone;
  e.incident.end_text = e.end_text.empty() ? "it works again" : e.end_text;
  e.incident.flapping = false;
  ++e.incident.sequence;
  e.changed = now_;
  --open_;
  std::vector<AlertId> parts{e.root};
  for (const auto& [id, place] : e.members) parts.push_back(id);
  for (const AlertId id : parts) {
    const auto found = nodes_.find(id);
    if (found == nodes_.end() || found->second->episode != e.id) continue;
    found->second->episode = 0;
  }
  forget_if_idle(std::move(parts));
  unindex_inhibition(e);
  store(e);
  notice(AlertNoticeKind::incident_ended, &e, e.incident.end_text);
  touch(e);
  close_if_done(e);
}

void Impl::close_if_done(AlertEpisode& e) {
  if (!e.incident.ended || e.parcels > 0) return;
  for (auto& track : e.tracks) {
    if (due(e, track)) return;
  }
  for (auto& track : e.tracks) leave_group(e, track);
  close(e);
}

void Impl::close(AlertEpisode& e) {
  for (auto& track : e.tracks) track.receiver->held.erase(e.id);
  e.incident.closed = true;
  store(e);
  by_ulid_.erase(e.incident.id);
  deadlines_.erase(handle_of(What::store, e.id));
  episodes_.erase(e.id);
}

void Impl::add_line(AlertEpisode& e, std::string text, std::string result,
                    std::optional<WallTime> at) {
  auto& lines = e.incident.lines;
  lines.push_back({at.value_or(wall_), clipped(text, max_text), clipped(result, max_word)});
  if (lines.size() > first_lines + newest_lines) lines.erase(lines.begin() + first_lines);
}

void Impl::store(AlertEpisode& e) {
  if (e.dirty) deadlines_.erase(handle_of(What::store, e.id));
  e.dirty = false;
  out_->emplace_back(StoreIncident{e.incident});
}

void Impl::store_soon(AlertEpisode& e) {
  if (e.dirty) return;
  e.dirty = true;
  deadlines_.set(handle_of(What::store, e.id), after(now_, store_after));
}

// --- facts
// -----------------------------------------------------------------------------------------

void Impl::update(AlertEpisode& e, AlertNode& node, const SubjectFailed& fact) {
  e.recovered.reset();
  e.end_text.clear();
  e.gone = false;
  deadlines_.erase(handle_of(What::end_hold, e.id));
  if (node.id != e.root) {
    join(e, node, fact.text, fact.severity);
    return;
  }
  Incident& i = e.incident;
  const bool was_failing = !e.failing.insert(node.id).second;
  const bool another = i.cause != fact.cause;
  if (was_failing && !another && i.text == fact.text && i.severity >= fact.severity &&
      i.container == fact.container) {
    return;
  }
  i.text = clipped(fact.text, max_text);
  i.container = clipped(fact.container, max_word);
  if (!fact.health_output.empty()) i.health_output = clipped(fact.health_output, max_output);
  if (!i.flapping) add_line(e, i.text);
  set_cause(e, clipped(fact.cause, max_word));
  raise(e, fact.severity);
  store_soon(e);
}

}  // namespace sentinel::core
