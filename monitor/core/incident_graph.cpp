// Who needs whom, and which incident is the cause of which.

#include <algorithm>
#include <deque>
#include <unordered_set>

#include "core/alert_impl.hpp"

namespace sentinel::core {

using Impl = AlertCore::Impl;

namespace {

constexpr std::size_t max_needs = 64;
// How far is looked for a cause: further away than that it is none that helps.
constexpr std::size_t max_visited = 512;

}  // namespace

AlertNode* Impl::find(const Subject& subject) {
  const auto found = by_subject_.find(subject);
  return found == by_subject_.end() ? nullptr : found->second.get();
}

AlertNode* Impl::make(const Subject& subject) {
  if (AlertNode* known = find(subject)) return known;
  if (by_subject_.size() >= max_subjects) {
    ++counters_.subjects_refused;
    return nullptr;
  }
  auto& node = *(by_subject_[subject] = std::make_unique<AlertNode>());
  node.id = ++last_id_;
  node.subject = subject;
  node.title = subject.name.empty() ? subject.group : subject.name;
  nodes_[node.id] = &node;
  if (subject.kind == SubjectKind::server) hosts_[subject.name].insert(node.id);
  need_pool(node);
  return &node;
}

void Impl::need_pool(AlertNode& node) {
  // That a pool is down and that its servers are is one thing.
  if (node.subject.kind != SubjectKind::server) return;
  if (AlertNode* pool = make({SubjectKind::pool, node.subject.group, {}, 0})) need(node, *pool);
}

void Impl::need(AlertNode& node, AlertNode& needed) {
  node.needs.insert(needed.id);
  needed.needed_by.insert(node.id);
}

std::vector<AlertId> Impl::clear_needs(AlertNode& node) {
  std::vector<AlertId> before{node.needs.begin(), node.needs.end()};
  for (const AlertId id : before) nodes_.at(id)->needed_by.erase(node.id);
  node.needs.clear();
  return before;
}

void Impl::forget_if_idle(std::vector<AlertId> candidates) {
  while (!candidates.empty()) {
    const auto found = nodes_.find(candidates.back());
    candidates.pop_back();
    if (found == nodes_.end()) continue;
    AlertNode& node = *found->second;
    if (node.named || node.episode != 0 || !node.needed_by.empty()) continue;
    const auto needed = clear_needs(node);
    candidates.insert(candidates.end(), needed.begin(), needed.end());
    if (node.subject.kind == SubjectKind::server) {
      const auto host = hosts_.find(node.subject.name);
      host->second.erase(node.id);
      if (host->second.empty()) hosts_.erase(host);
    }
    const Subject subject = node.subject;
    nodes_.erase(found);
    by_subject_.erase(subject);
  }
}

void Impl::handle(const SubjectNeeds& event) {
  AlertNode* node = make(event.subject);
  if (node == nullptr) return;
  node->named = true;
  node->unseen = false;
  auto before = clear_needs(*node);
  std::size_t count = 0;
  for (const Subject& subject : event.needs) {
    if (subject == event.subject) continue;
    if (++count > max_needs) break;
    if (AlertNode* needed = make(subject)) need(*node, *needed);
  }
  need_pool(*node);
  forget_if_idle(std::move(before));
  // It may have failed before anybody knew what it needs.
  AlertEpisode* own = open_of(*node);
  if (own == nullptr || own->root != node->id || !node->failing) return;
  AlertEpisode* cause = cause_of(*node);
  if (cause == nullptr || cause == own || now_ - own->began > join_window) return;
  if (own->incident.told.empty()) fold(*own, *cause);
}

AlertEpisode* Impl::open_of(const AlertNode& node) {
  if (node.episode == 0) return nullptr;
  return episodes_.at(node.episode).get();
}

AlertEpisode* Impl::cause_of(const AlertNode& node) {
  std::unordered_set<AlertId> visited{node.id};
  std::deque<const AlertNode*> queue{&node};
  while (!queue.empty()) {
    const AlertNode& at = *queue.front();
    queue.pop_front();
    for (const AlertId id : at.needs) {
      if (visited.size() >= max_visited) return nullptr;
      if (!visited.insert(id).second) continue;
      const AlertNode& needed = *nodes_.at(id);
      // One that has just come back may have been noticed to do so before its dependant was noticed
      // to fail.
      const bool bad = needed.failing || needed.flapping ||
                       (needed.recovered != Time::min() && now_ - needed.recovered <= join_window);
      AlertEpisode* episode = open_of(needed);
      if (bad && episode != nullptr && episode->id != node.episode) return episode;
      queue.push_back(&needed);
    }
  }
  return same_host(node);
}

AlertEpisode* Impl::same_host(const AlertNode& node) {
  if (node.subject.kind != SubjectKind::server) return nullptr;
  for (const AlertId id : hosts_.at(node.subject.name)) {
    const AlertNode& sibling = *nodes_.at(id);
    AlertEpisode* episode = open_of(sibling);
    if (id == node.id || !sibling.failing || episode == nullptr) continue;
    if (episode->id != node.episode && now_ - episode->began <= join_window) return episode;
  }
  return nullptr;
}

std::vector<AlertEpisode*> Impl::dependants_to_fold(const AlertNode& node,
                                                    const AlertEpisode& cause) {
  std::vector<AlertEpisode*> out;
  std::unordered_set<AlertId> visited{node.id};
  std::deque<const AlertNode*> queue{&node};
  while (!queue.empty()) {
    const AlertNode& at = *queue.front();
    queue.pop_front();
    for (const AlertId id : at.needed_by) {
      if (!visited.insert(id).second) continue;
      const AlertNode& dependant = *nodes_.at(id);
      queue.push_back(&dependant);
      AlertEpisode* episode = open_of(dependant);
      if (episode == nullptr || episode == &cause || episode->root != id) continue;
      if (now_ - episode->began > join_window || !episode->incident.told.empty()) continue;
      if (episode->incident.flapping) continue;
      out.push_back(episode);
    }
  }
  return out;
}

}  // namespace sentinel::core
