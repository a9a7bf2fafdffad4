// What was kept over a restart, and how it goes on.

#include <algorithm>
#include <utility>

#include "core/alert_impl.hpp"

namespace sentinel::core {

using Impl = AlertCore::Impl;

namespace {

constexpr Duration presence = 10min;
// An Engine that is not there at a restart must not silence everything.
constexpr Duration settle_within = 30s;
constexpr Duration give_up_after = 24h;
constexpr Duration give_up_least = 1h;  // after a restart, whatever the wall says

}  // namespace

void Impl::handle(AlertsRestored& event) {
  for (auto& silence : event.silences) {
    ulids_.seen(silence.id);
    if (silences_.size() < max_silences) silences_[silence.id] = std::move(silence);
  }
  settled_ = event.open.empty();
  if (!settled_) deadlines_.set(handle_of(What::settle, 0), after(now_, settle_within));
  for (auto& incident : event.open) restore(std::move(incident));
  next_delivery_ = std::max(next_delivery_, event.next_delivery);
  for (auto& delivery : event.deliveries) restore(std::move(delivery));
  look_at_silences();
  std::vector<AlertId> ids;
  ids.reserve(episodes_.size());
  for (auto& [id, e] : episodes_) ids.push_back(id);
  for (const AlertId id : ids) label(*episodes_.at(id));
  for (const AlertId id : ids) {
    AlertEpisode& e = *episodes_.at(id);
    touch(e);
    close_if_done(e);
  }
}

void Impl::restore(Incident incident) {
  ulids_.seen(incident.id);
  if (incident.closed || by_ulid_.contains(incident.id)) return;
  if (episodes_.size() >= max_incidents) {
    ++counters_.incidents_refused;
    return;
  }
  const AlertId id = ++last_id_;
  AlertEpisode& e = *(episodes_[id] = std::make_unique<AlertEpisode>());
  e.id = id;
  e.incident = std::move(incident);
  e.restored = true;
  // Nothing joins by time what began before the restart.
  e.began = now_ - join_window - 1ms;
  e.changed = now_;
  by_ulid_[e.incident.id] = &e;
  if (e.incident.ended) return;
  ++open_;
  const auto take_part = [&](const Subject& subject, const std::string& title) -> AlertNode* {
    AlertNode* node = make(subject);
    if (node == nullptr || node->episode != 0) return nullptr;
    node->named = true;
    node->unseen = true;
    node->failing = true;
    node->title = title;
    node->episode = id;
    node->latest = id;
    e.failing.insert(node->id);
    return node;
  };
  if (const AlertNode* root = take_part(e.incident.root, e.incident.title)) e.root = root->id;
  for (std::size_t i = 0; i < e.incident.members.size(); ++i) {
    const IncidentMember& member = e.incident.members[i];
    if (member.recovered) continue;
    if (const AlertNode* node = take_part(member.subject, member.title)) e.members[node->id] = i;
  }
  if (!e.failing.empty()) return;
  // Nobody is left that could end it: another incident has its subject.
  --open_;
  e.incident.ended = std::max(wall_, e.incident.began);
  e.incident.end_text = "another incident goes on for it";
  ++e.incident.sequence;
}

void Impl::restore(Delivery delivery) {
  const std::uint64_t id = delivery.id;
  if (parcels_.contains(id)) return;
  next_delivery_ = std::max(next_delivery_, id + 1);
  for (const auto& cover : delivery.covers) {
    const auto found = by_ulid_.find(cover.incident);
    if (found == by_ulid_.end()) continue;
    Incident& incident = found->second->incident;
    incident.sequence = std::max(incident.sequence, cover.told.sequence);
    const auto known =
        std::ranges::find(incident.told, cover.told.receiver, &IncidentTold::receiver);
    if (known == incident.told.end()) {
      incident.told.push_back(cover.told);
    } else if (known->sequence < cover.told.sequence) {
      *known = cover.told;
    }
  }
  AlertParcel& parcel = *(parcels_[id] = std::make_unique<AlertParcel>());
  parcel.delivery = std::move(delivery);
  parcel.durable = true;
  parcel.changed = now_;
  parcel.before = std::max<Duration>(wall_ - parcel.delivery.changed, Duration{});
  if (parcel.delivery.dead) {
    parcel.state = AlertParcel::State::dead;
    ++dead_;
    return;
  }
  const Duration age =
      std::clamp<Duration>(wall_ - parcel.delivery.created, Duration{}, give_up_after);
  parcel.give_up = after(now_, std::max(give_up_after - age, give_up_least));
  parcel.state = AlertParcel::State::waiting;
  adopt(parcel);
}

void Impl::handle(const AlertsSynchronised&) {
  deadlines_.set(handle_of(What::presence, 0), after(now_, presence));
  settle();
  place_orphans();  // of receivers that were taken out of the configuration before the restart
}

void Impl::settle() {
  deadlines_.erase(handle_of(What::settle, 0));
  if (std::exchange(settled_, true)) return;
  touch_all();
}

void Impl::end_unseen() {
  std::vector<Subject> gone;
  for (const auto& [subject, node] : by_subject_) {
    if (node->unseen) gone.push_back(subject);
  }
  for (const auto& subject : gone)
    handle(SubjectGone{subject, "it has not been seen since Sentinel was started again"});
}

}  // namespace sentinel::core
