// When what is told: group wait and interval, reminders, rates, digests.

#include <algorithm>
#include <utility>

#include "core/alert_impl.hpp"

namespace sentinel::core {

using Impl = AlertCore::Impl;

namespace {

constexpr Duration rate_window = 10min;
constexpr Duration digest_wait = 1min;
// A receiver that lags behind so far gets digests instead of more messages.
constexpr std::size_t digest_above = 100;
constexpr std::size_t max_held = 1000;

}  // namespace

IncidentTold* Impl::told(AlertEpisode& e, const AlertRoom& receiver) {
  const auto found =
      std::ranges::find(e.incident.told, receiver.config.name, &IncidentTold::receiver);
  return found == e.incident.told.end() ? nullptr : &*found;
}

std::optional<MessageKind> Impl::due(AlertEpisode& e, AlertTrack& track) {
  const Incident& i = e.incident;
  const IncidentTold* told = Impl::told(e, *track.receiver);
  if (i.ended) {
    if (told != nullptr && told->ended) return std::nullopt;
    if (!i.merged_into.empty() || (told == nullptr && !track.limited)) return std::nullopt;
    if (!track.receiver->config.resolved && !track.receiver->config.stateful) return std::nullopt;
    return MessageKind::resolved;
  }
  MessageKind kind = MessageKind::firing;
  if (told != nullptr) {
    const bool worse = i.severity > told->severity;
    const bool given_up = i.cause != told->cause && worth_telling(i.cause);
    if (!worse && !given_up && i.flapping == told->flapping) return std::nullopt;
    kind = MessageKind::changed;
  }
  if (unsettled(e)) return std::nullopt;
  const std::string_view reason = held(e);
  if (reason.empty()) return kind;
  if (track.reported != reason) {
    track.reported = reason;
    notice(AlertNoticeKind::suppressed, &e, "not told: " + std::string{reason},
           track.receiver->config.name, reason);
  }
  return std::nullopt;
}

void Impl::touch(AlertEpisode& e) {
  for (auto& track : e.tracks) {
    AlertGroup& group = *track.group;
    if (track.limited && e.incident.ended && track.receiver->held.size() > max_held &&
        told(e, *track.receiver) == nullptr) {
      track.limited = false;
      track.receiver->held.erase(e.id);
      ++track.receiver->missed;
    }
    if (!due(e, track)) {
      const bool untold = e.incident.ended && told(e, *track.receiver) == nullptr;
      if (!untold || !e.incident.merged_into.empty()) continue;
      if (track.reported.empty()) {
        notice(AlertNoticeKind::suppressed, &e, "over before it was told",
               track.receiver->config.name, "stale");
      }
      continue;
    }
    if (track.limited) continue;  // the digest brings it
    if (track.receiver->config.stateful) {
      group.due = now_;
    } else {
      Time at = after(now_, group.route.group_wait);
      if (group.last) at = std::max(at, after(*group.last, group.route.group_interval));
      group.due = std::min(group.due, at);
    }
    schedule(group);
  }
}

void Impl::touch_all() {
  for (auto& [id, episode] : episodes_) {
    if (!episode->incident.ended) touch(*episode);
  }
}

void Impl::schedule(AlertGroup& group) {
  if (group.episodes.empty()) {
    group.due = never;
    group.repeat_at = never;
  }
  Time at = std::min(group.due, group.repeat_at);
  // One that has nothing to tell is remembered for its interval.
  if (group.episodes.empty())
    at = group.last ? after(*group.last, group.route.group_interval) : now_;
  deadlines_.set(handle_of(What::group, group.id), at);
}

void Impl::group_due(AlertGroup& group) {
  if (group.due <= now_) {
    flush(group);
  } else if (group.repeat_at <= now_) {
    remind(group);
  }
  const bool idle = group.episodes.empty() &&
                    (!group.last || after(*group.last, group.route.group_interval) <= now_);
  if (!idle) {
    schedule(group);
    return;
  }
  deadlines_.erase(handle_of(What::group, group.id));
  group_by_id_.erase(group.id);
  groups_.erase({group.route_index, group.receiver->config.name, group.values});
}

void Impl::flush(AlertGroup& group) {
  group.due = never;
  AlertRoom& receiver = *group.receiver;
  std::map<MessageKind, std::vector<AlertEpisode*>> found;
  std::vector<std::string> flapping;
  for (const AlertId id : group.episodes) {
    AlertEpisode& e = *episodes_.at(id);
    AlertTrack& track = *std::ranges::find(e.tracks, &receiver, &AlertTrack::receiver);
    const auto kind = due(e, track);
    if (!kind || track.limited) continue;
    found[*kind].push_back(&e);
    if (*kind != MessageKind::resolved && e.incident.flapping) flapping.push_back(e.incident.title);
  }
  std::string note;
  if (!flapping.empty()) {
    note = "flapping, what it does meanwhile is not told one by one:";
    for (std::size_t i = 0; i < std::min<std::size_t>(flapping.size(), 10); ++i)
      note += (i == 0 ? " " : ", ") + flapping[i];
    if (flapping.size() > 10) note += ", ...";
  }
  for (auto& [kind, episodes] : found) {
    if (!receiver.config.stateful && !admits(receiver)) {
      for (AlertEpisode* e : episodes) {
        limit(receiver, *e, *std::ranges::find(e->tracks, &receiver, &AlertTrack::receiver));
      }
      continue;
    }
    group.last = now_;
    if (kind != MessageKind::resolved && group.route.repeat > Duration{})
      group.repeat_at = std::min(group.repeat_at, after(now_, group.route.repeat));
    tell(receiver, kind, episodes, group.values, kind == MessageKind::resolved ? "" : note);
  }
}

void Impl::remind(AlertGroup& group) {
  group.repeat_at = never;
  AlertRoom& receiver = *group.receiver;
  if (receiver.config.stateful) return;
  std::vector<AlertEpisode*> episodes;
  bool going_on = false;
  for (const AlertId id : group.episodes) {
    AlertEpisode& e = *episodes_.at(id);
    if (e.incident.ended || told(e, receiver) == nullptr) continue;
    going_on = true;
    if (!unsettled(e) && held(e).empty()) episodes.push_back(&e);
  }
  if (going_on) group.repeat_at = after(now_, group.route.repeat);
  if (episodes.empty()) return;
  if (!admits(receiver)) {
    group.repeat_at = after(now_, std::min(rate_window, group.route.repeat));
    notice(AlertNoticeKind::suppressed, episodes.front(), "no reminder: too many messages",
           receiver.config.name, "rate_limited");
    return;
  }
  for (AlertEpisode* e : episodes) ++e->incident.sequence;
  group.last = now_;
  tell(receiver, MessageKind::reminder, episodes, group.values, {});
}

bool Impl::admits(AlertRoom& receiver) {
  auto& made = receiver.made;
  while (!made.empty() && after(made.front(), rate_window) <= now_) made.pop_front();
  return made.size() < std::max(1U, receiver.config.rate) &&
         receiver.parcels.size() < digest_above && parcels_.size() - dead_ < max_deliveries;
}

void Impl::limit(AlertRoom& receiver, AlertEpisode& e, AlertTrack& track) {
  track.limited = true;
  receiver.held.insert(e.id);
  notice(AlertNoticeKind::suppressed, &e, "too many messages: it will be part of a digest",
         receiver.config.name, "rate_limited");
  if (receiver.digest_at != never) return;
  receiver.digest_at = after(now_, digest_wait);
  if (receiver.last_digest)
    receiver.digest_at = std::max(receiver.digest_at, after(*receiver.last_digest, rate_window));
  deadlines_.set(handle_of(What::digest, receiver.index), receiver.digest_at);
}

void Impl::digest(AlertRoom& receiver) {
  receiver.digest_at = never;
  if (receiver.parcels.size() >= digest_above || parcels_.size() - dead_ >= max_deliveries) {
    receiver.digest_at = after(now_, digest_wait);
    deadlines_.set(handle_of(What::digest, receiver.index), receiver.digest_at);
    return;
  }
  std::vector<AlertEpisode*> episodes;
  std::size_t began = 0;
  std::size_t ended = 0;
  const auto held = std::exchange(receiver.held, {});
  for (const AlertId id : held) {
    AlertEpisode& e = *episodes_.at(id);
    AlertTrack& track = *std::ranges::find(e.tracks, &receiver, &AlertTrack::receiver);
    const auto kind = due(e, track);
    track.limited = false;
    if (!kind) continue;
    if (told(e, receiver) == nullptr) ++began;
    if (e.incident.ended) ++ended;
    episodes.push_back(&e);
    if (!e.incident.ended && track.group->route.repeat > Duration{}) {
      track.group->repeat_at =
          std::min(track.group->repeat_at, after(now_, track.group->route.repeat));
      schedule(*track.group);
    }
  }
  if (!episodes.empty()) {
    receiver.last_digest = now_;
    std::string note = "more messages than this receiver takes: " + std::to_string(began) +
                       " incidents began, " + std::to_string(ended) + " ended";
    const std::uint64_t missed = std::exchange(receiver.missed, 0);
    if (missed > 0) note += ", " + std::to_string(missed) + " more began and ended meanwhile";
    tell(receiver, MessageKind::digest, episodes, {}, note);
  }
  for (const AlertId id : held) {
    const auto found = episodes_.find(id);
    if (found != episodes_.end()) close_if_done(*found->second);
  }
}

void Impl::refresh(AlertRoom& receiver) {
  deadlines_.set(handle_of(What::refresh, receiver.index), after(now_, receiver.config.refresh));
  std::erase_if(receiver.ended, [&](const auto& known) { return known.second.second <= now_; });
  if (receiver.refreshes > 0 || now_ < receiver.not_before) return;
  std::vector<MessageItem> items;
  for (const auto& [id, e] : episodes_) {
    if (e->incident.ended || told(*e, receiver) == nullptr) continue;
    // What is on its way to it says as much.
    if (!receiver.by_incident.contains(e->incident.id)) items.push_back(item(*e));
  }
  tell_again(receiver, MessageKind::reminder, std::exchange(items, {}));
  for (const auto& [id, known] : receiver.ended) {
    if (!receiver.by_incident.contains(id)) items.push_back(known.first);
  }
  tell_again(receiver, MessageKind::resolved, std::move(items));
}

}  // namespace sentinel::core
