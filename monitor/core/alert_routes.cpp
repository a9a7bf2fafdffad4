// Which receivers an incident is for, and what holds it back: maintenance, silences, inhibition.

#include <algorithm>
#include <ranges>

#include "core/alert_impl.hpp"

namespace sentinel::core {

using Impl = AlertCore::Impl;

namespace {

const AlertRoute& leftover_route() {
  static const AlertRoute route;
  return route;
}
constexpr std::size_t leftover_index = static_cast<std::size_t>(-1);

std::string value_of(const Labels& labels, const std::string& name) {
  const auto found = labels.find(name);
  return found == labels.end() ? std::string{} : found->second;
}

std::vector<std::string> values_of(const Labels& labels, const std::vector<std::string>& names) {
  // The first says that the rule concerns it at all.
  std::vector<std::string> out{"+"};
  for (const auto& name : names) out.push_back(value_of(labels, name));
  return out;
}

}  // namespace

void Impl::label(AlertEpisode& e) {
  const Incident& i = e.incident;
  Labels labels = config_.labels;
  labels["kind"] = to_string(i.root.kind);
  labels["severity"] = to_string(i.severity);
  labels["cause"] = i.cause;
  if (!config_.host.empty()) labels["host"] = config_.host;
  switch (i.root.kind) {
    case SubjectKind::service:
      labels["project"] = i.root.group;
      labels["service"] = i.root.name;
      if (i.root.replica != 0) labels["replica"] = std::to_string(i.root.replica);
      break;
    case SubjectKind::server:
      labels["pool"] = i.root.group;
      labels["server"] = i.root.name;
      break;
    case SubjectKind::pool: labels["pool"] = i.root.group; break;
    case SubjectKind::engine:
    case SubjectKind::sentinel: break;
  }
  e.labels = std::move(labels);
  route(e);
  if (!e.incident.ended) index_inhibition(e);
}

void Impl::route(AlertEpisode& e) {
  const auto track = [&](const AlertRoute& by, std::size_t index, const std::string& name) {
    const auto found = receivers_.find(name);
    if (found == receivers_.end()) return;
    AlertRoom& receiver = *found->second;
    if (std::ranges::contains(e.tracks, &receiver, &AlertTrack::receiver)) return;
    AlertGroup& group = group_for(by, index, receiver, e.labels);
    group.episodes.insert(e.id);
    e.tracks.push_back({&receiver, &group, {}, false});
    // Told before a restart or under another configuration: the reminder is due as it was.
    const IncidentTold* known = told(e, receiver);
    if (known == nullptr || e.incident.ended || by.repeat <= Duration{}) return;
    const Duration since = std::clamp<Duration>(wall_ - known->at, Duration{}, by.repeat);
    group.repeat_at = std::min(group.repeat_at, after(now_, by.repeat - since));
    schedule(group);
  };
  for (std::size_t r = 0; r < config_.routes.size(); ++r) {
    const AlertRoute& route = config_.routes[r];
    if (!matches(route.match, e.labels)) continue;
    for (const auto& name : route.receivers) track(route, r, name);
    if (!route.go_on) break;
  }
  // Who knows of its beginning hears of its end, whatever the routes say now.
  for (const auto& told : e.incident.told) track(leftover_route(), leftover_index, told.receiver);
}

AlertGroup& Impl::group_for(const AlertRoute& route, std::size_t index, AlertRoom& receiver,
                            const Labels& labels) {
  Labels values;
  for (const auto& name : route.group_by) {
    if (std::string value = value_of(labels, name); !value.empty()) values[name] = std::move(value);
  }
  if (receiver.config.stateful) values.clear();
  auto& group = groups_[{index, receiver.config.name, values}];
  if (!group) {
    group = std::make_unique<AlertGroup>();
    group->id = ++last_id_;
    group->route = route;
    group->receiver = &receiver;
    group->values = std::move(values);
    group->route_index = index;
    group_by_id_[group->id] = group.get();
  }
  return *group;
}

void Impl::leave_group(AlertEpisode& e, AlertTrack& track) {
  track.group->episodes.erase(e.id);
  if (track.group->episodes.empty()) schedule(*track.group);
}

void Impl::index_inhibition(AlertEpisode& e) {
  std::vector<std::vector<std::string>> sources(inhibitions_.size());
  std::vector<std::vector<std::string>> targets(inhibitions_.size());
  for (std::size_t r = 0; r < inhibitions_.size(); ++r) {
    const InhibitRule& rule = config_.inhibit[r];
    if (matches(rule.source, e.labels)) sources[r] = values_of(e.labels, rule.equal);
    if (matches(rule.target, e.labels)) targets[r] = values_of(e.labels, rule.equal);
  }
  if (sources == e.source_of && targets == e.target_of) return;
  unindex_inhibition(e);
  for (std::size_t r = 0; r < inhibitions_.size(); ++r) {
    if (!sources[r].empty()) inhibitions_[r].sources[sources[r]].insert(e.id);
    if (!targets[r].empty()) inhibitions_[r].targets[targets[r]].insert(e.id);
  }
  e.source_of = std::move(sources);
  e.target_of = std::move(targets);
}

void Impl::unindex_inhibition(AlertEpisode& e) {
  std::set<AlertId> released;
  const auto remove = [&](auto& index, const std::vector<std::string>& values) {
    const auto found = index.find(values);
    if (found == index.end()) return false;
    found->second.erase(e.id);
    const bool last = found->second.empty();
    if (last) index.erase(found);
    return last;
  };
  for (std::size_t r = 0; r < e.source_of.size(); ++r) {
    if (!e.target_of[r].empty()) remove(inhibitions_[r].targets, e.target_of[r]);
    if (e.source_of[r].empty() || !remove(inhibitions_[r].sources, e.source_of[r])) continue;
    const auto targets = inhibitions_[r].targets.find(e.source_of[r]);
    if (targets != inhibitions_[r].targets.end())
      released.insert(targets->second.begin(), targets->second.end());
  }
  e.source_of.clear();
  e.target_of.clear();
  for (const AlertId id : released) {
    if (id != e.id) touch(*episodes_.at(id));
  }
}

bool Impl::inhibited(const AlertEpisode& e) const {
  for (std::size_t r = 0; r < e.target_of.size(); ++r) {
    if (e.target_of[r].empty()) continue;
    const auto sources = inhibitions_[r].sources.find(e.target_of[r]);
    if (sources == inhibitions_[r].sources.end()) continue;
    // One that is both is not inhibited by others that are both: they would silence each other.
    const bool both = !e.source_of[r].empty();
    if (!both) return true;
    if (std::ranges::any_of(sources->second, [&](AlertId id) {
          return id != e.id && episodes_.at(id)->target_of[r].empty();
        })) {
      return true;
    }
  }
  return false;
}

std::string_view Impl::held(const AlertEpisode& e) const {
  // By its subject: after a restart the node may take part in another incident.
  const auto root = by_subject_.find(e.incident.root);
  if (root != by_subject_.end() && root->second->maintenance) return "maintenance";
  if (std::ranges::any_of(silences_, [&](const auto& known) {
        const Silence& s = known.second;
        return s.begins <= wall_ && wall_ < s.ends && matches(s.match, e.labels);
      })) {
    return "silenced";
  }
  return inhibited(e) ? "inhibited" : std::string_view{};
}

// --- silences
// -----------------------------------------------------------------------------------------

std::string Impl::silence_problem(const Silence& silence) const {
  constexpr std::size_t max_matchers = 20;
  constexpr std::size_t max_value = 256;
  if (silence.match.empty()) return "a silence needs at least one matcher";
  if (silence.match.size() > max_matchers) return "a silence has at most 20 matchers";
  for (const auto& matcher : silence.match) {
    if (matcher.label.empty()) return "a matcher needs a label";
    if (matcher.label.size() > max_value || matcher.value.size() > max_value)
      return "a label or value of a matcher has more than 256 characters";
  }
  constexpr WallTime latest{std::chrono::days{365L * 8000}};
  if (silence.begins < WallTime{} || silence.ends > latest)
    return "a silence begins after 1970 and ends before the year 9970";
  if (silence.ends <= silence.begins) return "a silence ends after it begins";
  if (silence.ends <= wall_) return "the silence is over already";
  if (silence.ends - silence.begins > std::chrono::days{366})
    return "a silence lasts at most a year";
  const bool known = silences_.contains(silence.id);
  if (!known && silences_.size() >= max_silences) return "there are 1000 silences already";
  return {};
}

void Impl::handle(AddSilence& event) {
  Silence& silence = event.silence;
  if (!silence_problem(silence).empty()) {
    ++counters_.silences_refused;
    return;
  }
  if (silence.id.empty()) silence.id = ulids_.next(wall_.time_since_epoch().count());
  silence.by = clipped(silence.by, 200);
  silence.comment = clipped(silence.comment, 1024);
  out_->emplace_back(StoreSilence{silence});
  notice(AlertNoticeKind::silence_added, nullptr,
         "silence " + silence.id + " by " + (silence.by.empty() ? "somebody" : silence.by));
  silences_[silence.id] = std::move(silence);
  arm_silences();
  touch_all();  // one that was changed may hold less than before
}

void Impl::handle(const EndSilence& event) {
  const auto found = silences_.find(event.id);
  if (found == silences_.end()) return;
  end_silence(found);
  arm_silences();
  touch_all();
}

void Impl::end_silence(std::map<std::string, Silence>::iterator silence) {
  out_->emplace_back(ForgetSilence{silence->first});
  notice(AlertNoticeKind::silence_ended, nullptr, "silence " + silence->first + " ended");
  silences_.erase(silence);
}

void Impl::look_at_silences() {
  bool ended = false;
  for (auto it = silences_.begin(); it != silences_.end();) {
    const auto at = it++;
    if (at->second.ends > wall_) continue;
    end_silence(at);
    ended = true;
  }
  arm_silences();
  if (ended) touch_all();
}

void Impl::arm_silences() {
  wall_offset_ = wall_.time_since_epoch() - now_.time_since_epoch();
  Time next = never;
  for (const auto& [id, silence] : silences_) {
    // One that ends far away, because the wall is wrong, is looked at again in time.
    const auto left = std::clamp<std::chrono::milliseconds>(silence.ends - wall_, 1ms, 24h);
    next = std::min(next, after(now_, left));
  }
  deadlines_.set(handle_of(What::silences, 0), next);
}

}  // namespace sentinel::core
