// What happened to subjects, and what it means for their incidents.

#include <algorithm>

#include "core/alert_impl.hpp"

namespace sentinel::core {

using Impl = AlertCore::Impl;

namespace {

constexpr std::size_t max_title = 200;
constexpr std::size_t max_tail = 4096;
constexpr Duration told_again = 1min;

}  // namespace

void Impl::handle(const SubjectFailed& event) {
  AlertNode* node = make(event.subject);
  if (node == nullptr) return;
  node->named = true;
  node->unseen = false;
  node->failing = true;
  need_pool(*node);
  if (!event.title.empty()) node->title = clipped(event.title, max_title);
  if (AlertEpisode* episode = open_of(*node)) {
    update(*episode, *node, event);
  } else {
    place(*node, event);
  }
}

void Impl::handle(const SubjectRecovered& event) {
  AlertNode* node = find(event.subject);
  if (node == nullptr) return;
  node->unseen = false;
  works(*node, event.text, false);
}

void Impl::handle(const SubjectGone& event) {
  AlertNode* node = find(event.subject);
  if (node == nullptr) return;
  node->unseen = false;
  node->named = false;
  node->flapping = false;
  node->maintenance = false;
  const AlertId id = node->id;
  works(*node, event.text, true);
  const auto still = nodes_.find(id);
  if (still == nodes_.end()) return;
  forget_if_idle(clear_needs(*still->second));
  forget_if_idle({id});
}

void Impl::works(AlertNode& node, const std::string& text, bool gone) {
  if (node.failing) node.recovered = now_;
  node.failing = false;
  AlertEpisode* e = open_of(node);
  if (e == nullptr) return;
  const bool failed = e->failing.erase(node.id) != 0;
  if (node.id == e->root) {
    if (failed || gone) {
      e->end_text = clipped(text, max_title * 4);
      e->gone = gone;
      if (!e->incident.flapping) add_line(*e, text);
    }
  } else if (const auto member = e->members.find(node.id);
             failed && member != e->members.end() && member->second < e->incident.members.size()) {
    e->incident.members[member->second].recovered = wall_;
  }
  store_soon(*e);
  if (!e->recovered || gone) check_end(*e);
}

void Impl::handle(const SubjectActed& event) {
  AlertNode* node = find(event.subject);
  if (node == nullptr) return;
  // What ended it may be told after the end.
  const auto found = episodes_.find(node->episode != 0 ? node->episode : node->latest);
  if (found == episodes_.end()) return;
  const bool known =
      event.at && std::ranges::any_of(found->second->incident.lines, [&](const auto& l) {
        return l.text == event.text && std::chrono::abs(l.at - *event.at) <= told_again;
      });
  if (known) return;
  add_line(*found->second, event.text, event.result, event.at);
  store_soon(*found->second);
}

void Impl::handle(const SubjectOverlays& event) {
  AlertNode* node = event.maintenance || event.flapping ? make(event.subject) : find(event.subject);
  if (node == nullptr) return;
  node->named = true;
  node->unseen = false;
  const bool released = node->maintenance && !event.maintenance;
  node->maintenance = event.maintenance;
  if (node->flapping != event.flapping) set_flapping(*node, event.flapping);
  if (!released) return;
  if (AlertEpisode* e = open_of(*node)) touch(*e);
}

void Impl::set_flapping(AlertNode& node, bool flapping) {
  node.flapping = flapping;
  AlertEpisode* e = open_of(node);
  if (e == nullptr) {
    if (!flapping) return;
    SubjectFailed fact;
    fact.subject = node.subject;
    fact.title = node.title;
    fact.severity = Severity::warning;
    fact.cause = "flapping";
    fact.text = "it fails and recovers again and again";
    open(node, fact);
    return;
  }
  if (e->root != node.id) return;
  e->incident.flapping = flapping;
  e->changed = now_;
  ++e->incident.sequence;
  e->recovered.reset();
  deadlines_.erase(handle_of(What::end_hold, e->id));
  add_line(*e, flapping ? "it fails and recovers again and again" : "it does not flap any more");
  store_soon(*e);
  if (!flapping && e->failing.empty()) {
    e->end_text = "it does not flap any more, and works";
    check_end(*e);
    return;
  }
  touch(*e);
}

void Impl::handle(EvidenceGathered& event) {
  const auto found = by_ulid_.find(event.incident);
  if (found == by_ulid_.end() || found->second->incident.root != event.subject) return;
  found->second->incident.log_tail = clipped(event.log_tail, max_tail);
  store_soon(*found->second);
}

}  // namespace sentinel::core
