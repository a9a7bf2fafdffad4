#include "core/alert_core.hpp"

#include <algorithm>

#include "core/alert_impl.hpp"

namespace sentinel::core {

using Impl = AlertCore::Impl;

AlertCore::AlertCore(AlertConfig config) : impl_{std::make_unique<Impl>(std::move(config))} {}
AlertCore::~AlertCore() = default;

void AlertCore::on(AlertEvent event, Moment now, AlertActions& out) {
  impl_->on(std::move(event), now, out);
}
std::optional<Time> AlertCore::next_deadline() const { return impl_->next_deadline(); }
std::vector<Incident> AlertCore::open_incidents() const { return impl_->open_incidents(); }
std::vector<Incident> AlertCore::incidents() const { return impl_->incidents(); }
std::string AlertCore::incident_of(const Subject& subject) const {
  return impl_->incident_of(subject);
}
std::vector<ReceiverView> AlertCore::receivers() const { return impl_->receivers(); }
std::vector<Delivery> AlertCore::deliveries() const { return impl_->deliveries(); }
std::vector<Silence> AlertCore::silences() const { return impl_->silences(); }
AlertCounters AlertCore::counters() const { return impl_->counters(); }
std::string AlertCore::silence_problem(const Silence& silence) const {
  return impl_->silence_problem(silence);
}

std::string clipped(const std::string& text, std::size_t limit) {
  if (text.size() <= limit) return text;
  std::size_t end = limit;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return text.substr(0, end);
}

Impl::Impl(AlertConfig config)
    : config_{std::move(config)}, rng_{config_.seed}, ulids_{config_.seed ^ 0x5DEECE66DU} {
  configure();
}

void Impl::on(AlertEvent event, Moment now, AlertActions& out) {
  now_ = std::max(now_, now.time);
  wall_ = now.wall;
  out_ = &out;
  // The wall was set: silences, which are told in its terms, have other deadlines now.
  const Duration offset = wall_.time_since_epoch() - now_.time_since_epoch();
  if (!silences_.empty() && (offset - wall_offset_ > 1s || wall_offset_ - offset > 1s))
    look_at_silences();
  std::visit([this](auto& e) { handle(e); }, event);
  serve_due();
  out_ = nullptr;
}

void Impl::serve_due() {
  do {
    while (const auto handle = deadlines_.pop(now_)) serve(*handle);
    for (const std::size_t index : std::exchange(to_pump_, {})) {
      const auto receiver = receiver_by_index_.find(index);
      if (receiver != receiver_by_index_.end()) pump(*receiver->second);
    }
  } while (!to_pump_.empty() || (deadlines_.next() && *deadlines_.next() <= now_));
}

void Impl::serve(Handle handle) {
  const std::uint64_t id = handle & ((std::uint64_t{1} << 56U) - 1);
  const auto receiver = receiver_by_index_.find(id);
  const auto episode = episodes_.find(id);
  switch (static_cast<What>(handle >> 56U)) {
    case What::parcel:
      if (const auto found = parcels_.find(id); found != parcels_.end()) parcel_due(*found->second);
      break;
    case What::pump: to_pump_.insert(id); break;
    case What::group:
      if (const auto found = group_by_id_.find(id); found != group_by_id_.end())
        group_due(*found->second);
      break;
    case What::digest:
      if (receiver != receiver_by_index_.end()) digest(*receiver->second);
      break;
    case What::refresh:
      if (receiver != receiver_by_index_.end() && receiver->second->config.stateful)
        refresh(*receiver->second);
      break;
    case What::end_hold:
      if (episode != episodes_.end()) end(*episode->second);
      break;
    case What::store:
      if (episode != episodes_.end()) store(*episode->second);
      break;
    case What::silences: look_at_silences(); break;
    case What::settle: settle(); break;
    case What::presence: end_unseen(); break;
  }
}

void Impl::handle(AlertsConfigured& event) {
  config_ = std::move(event.config);
  configure();
}

void Impl::configure() {
  // While the incidents know yet who has to hear of them: none is to be closed too early.
  for (const auto& [name, room] : receivers_) {
    if (std::ranges::contains(config_.receivers, name, &AlertReceiver::name)) continue;
    while (!room->parcels.empty())
      bury(*room->parcels.begin()->second, "the receiver is configured no more");
  }
  for (const auto& [id, group] : group_by_id_) deadlines_.erase(handle_of(What::group, id));
  groups_.clear();
  group_by_id_.clear();
  inhibitions_.assign(config_.inhibit.size(), {});
  for (auto& [id, e] : episodes_) {
    e->tracks.clear();
    e->source_of.clear();
    e->target_of.clear();
  }
  for (auto it = receivers_.begin(); it != receivers_.end();) {
    AlertRoom& room = *it->second;
    room.held.clear();
    room.digest_at = never;
    deadlines_.erase(handle_of(What::digest, room.index));
    if (std::ranges::contains(config_.receivers, it->first, &AlertReceiver::name)) {
      ++it;
      continue;
    }
    for (const What what : {What::pump, What::refresh})
      deadlines_.erase(handle_of(what, room.index));
    receiver_by_index_.erase(room.index);
    it = receivers_.erase(it);
  }
  for (const auto& config : config_.receivers) {
    auto& room = receivers_[config.name];
    if (!room) {
      room = std::make_unique<AlertRoom>();
      room->index = ++last_receiver_;
      receiver_by_index_[room->index] = room.get();
    }
    room->config = config;
    if (config.stateful)
      deadlines_.set(handle_of(What::refresh, room->index), after(now_, config.refresh));
  }
  std::vector<AlertId> ids;
  ids.reserve(episodes_.size());
  for (const auto& [id, e] : episodes_) ids.push_back(id);
  for (const AlertId id : ids) label(*episodes_.at(id));
  place_orphans();
  for (const AlertId id : ids) {
    const auto found = episodes_.find(id);
    if (found == episodes_.end()) continue;
    touch(*found->second);
    close_if_done(*found->second);
  }
}

void Impl::notice(AlertNoticeKind kind, const AlertEpisode* episode, std::string text,
                  std::string_view receiver, std::string_view reason) {
  AlertNotice out;
  out.kind = kind;
  out.text = std::move(text);
  out.receiver = receiver;
  out.reason = reason;
  if (episode != nullptr) {
    out.incident = episode->incident.id;
    out.subject = episode->incident.root;
  }
  out_->emplace_back(std::move(out));
}

// --- views
// -----------------------------------------------------------------------------------------

std::vector<Incident> Impl::open_incidents() const {
  std::vector<Incident> out;
  for (const auto& [id, e] : episodes_) {
    if (!e->incident.ended) out.push_back(e->incident);
  }
  std::ranges::sort(out, {}, [](const Incident& i) { return std::pair{i.began, i.id}; });
  return out;
}

std::vector<Incident> Impl::incidents() const {
  std::vector<Incident> out;
  out.reserve(episodes_.size());
  for (const auto& [id, e] : episodes_) out.push_back(e->incident);
  return out;
}

std::string Impl::incident_of(const Subject& subject) const {
  const auto node = by_subject_.find(subject);
  if (node == by_subject_.end() || node->second->episode == 0) return {};
  return episodes_.at(node->second->episode)->incident.id;
}

std::vector<ReceiverView> Impl::receivers() const {
  std::map<std::string_view, std::size_t> dead;
  for (const auto& [id, parcel] : parcels_) {
    if (parcel->state == AlertParcel::State::dead) ++dead[parcel->delivery.receiver];
  }
  std::vector<ReceiverView> out;
  for (const auto& [name, room] : receivers_) {
    ReceiverView view;
    view.name = name;
    for (const auto& [id, parcel] : room->parcels) {
      if (parcel->refresh) continue;
      ++view.pending;
      if (!view.oldest_pending) view.oldest_pending = parcel->delivery.created;
    }
    view.dead = dead.contains(name) ? dead.at(name) : 0;
    view.last_error = room->last_error;
    view.last_accepted = room->last_accepted;
    view.held_for_digest = room->held.size();
    out.push_back(std::move(view));
  }
  return out;
}

std::vector<Delivery> Impl::deliveries() const {
  std::vector<Delivery> out;
  for (const auto& [id, parcel] : parcels_) {
    if (!parcel->refresh) out.push_back(parcel->delivery);
  }
  return out;
}

std::vector<Silence> Impl::silences() const {
  std::vector<Silence> out;
  out.reserve(silences_.size());
  for (const auto& [id, silence] : silences_) out.push_back(silence);
  return out;
}

}  // namespace sentinel::core
