// Facts: what lists, events and inspects say about containers, and which container stands for which
// service.

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "core/impl.hpp"

namespace sentinel::core {
namespace {

int rank(RunState run) {
  switch (run) {
    case RunState::running:
    case RunState::paused:
    case RunState::restarting: return 2;
    case RunState::exited: return 1;
    default: return 0;
  }
}

}  // namespace

Container* Core::Impl::know(const ContainerId& id) {
  const auto known = containers_.find(id);
  if (known != containers_.end()) return &known->second;
  // Unwatched containers are remembered too, so that a list does not inspect them again; hence the
  // factor.
  if (containers_.size() >= std::size_t{config_.max_services} * 4) return nullptr;
  auto& container = containers_[id];
  container.id = id;
  ++first_inspects_;
  return &container;
}

void Core::Impl::first_inspect_over(Container& c) {
  if (!c.awaited) return;
  c.awaited = false;
  --first_inspects_;
}

void Core::Impl::want_inspect(Container& c) {
  if (c.token != 0) {
    c.again = true;
    return;
  }
  c.tries = 0;
  send_inspect(c);
}

void Core::Impl::send_inspect(Container& c) {
  c.again = false;
  c.retry_at = never;
  if (!engine_up_) return;  // the list after the reconnect inspects everything
  c.token = ++last_token_;
  c.asked_at = now_;
  container_due_.set(c.id, after(now_, inspect_limit));
  out_->emplace_back(Inspect{c.id, c.token});
}

void Core::Impl::inspect_failed(Container& c) {
  c.token = 0;
  container_due_.erase(c.id);
  if (++c.tries >= inspect_tries) {
    first_inspect_over(c);
    c.tries = 0;
    if (Service* s = find(c.service); std::exchange(c.pausing, false) && s != nullptr) schedule(*s);
    return;
  }
  c.retry_at = after(now_, 500ms * (1U << c.tries));
  container_due_.set(c.id, c.retry_at);
}

void Core::Impl::container_due(const ContainerId& id) {
  const auto it = containers_.find(id);
  if (it == containers_.end()) return;
  Container& c = it->second;
  if (c.token != 0)
    inspect_failed(c);  // no answer in time
  else if (c.retry_at <= now_)
    send_inspect(c);
}

void Core::Impl::handle(const Listed& event) {
  const bool first = !listed_;
  listed_ = true;
  std::unordered_set<ContainerId> seen;
  seen.reserve(event.containers.size());
  for (const auto& row : event.containers) {
    seen.insert(row.id);
    Container* c = know(row.id);
    if (c == nullptr) continue;
    // Stopped and paused containers show no health in lists of older Engines.
    const bool differs = row.run != c->status.run ||
                         (row.run == RunState::running && row.health != c->status.health);
    if (!c->info || event.after_gap || first || differs) want_inspect(*c);
  }
  // A list may be older than what was heard since: absence is a hint, the inspect decides.
  for (auto& [id, c] : containers_) {
    if (!seen.contains(id)) want_inspect(c);
  }
  if (event.after_gap || first) {
    for (auto& [id, s] : services_) {
      const Container* c = current(s);
      if (c != nullptr && c->info->health_check) {
        s.stale_check = after(
            now_, (c->info->health_check->interval + c->info->health_check->timeout) * 3 + 1s);
      }
    }
  }
  if (first) {
    for (auto& [id, s] : services_) evaluate(s);
  }
  drop_restored_intents();
}

void Core::Impl::handle(const Hint& event) {
  Container* c = know(event.id);
  if (c == nullptr) return;
  hint_intent(*c, event.kind);
  if (event.kind == HintKind::pause || event.kind == HintKind::unpause) {
    c->pausing = event.kind == HintKind::pause;
    if (!c->pausing) c->unpaused = true;
  }
  Service* s = find(c->service);
  if (event.kind == HintKind::oom && s != nullptr) {
    tell(*s, NoticeKind::oom_killed,
         s->name + " ran out of memory: the kernel killed a process of it");
  }
  // While the Engine works on our request its events tell nothing new; the inspect after the answer
  // does.
  const bool ours = operated(*c) != nullptr && s->op.phase == Phase::acting;
  if (event.kind != HintKind::kill && !ours) want_inspect(*c);
  if (event.kind == HintKind::kill && s != nullptr) evaluate(*s);
}

// A `kill` that was not ours. Which signal it was is not known beyond doubt, so each one counts as
// the beginning of a stop, for as long as a stop could take. Signals that come again and again (to
// reload something, say) hold healing for twice that time at most, then it gets its turn.
void Core::Impl::hint_stopping(Container& c) {
  const Duration timeout = c.info ? c.info->stop_timeout : Duration{10s};
  const Duration stop = std::clamp(timeout, Duration{}, longest_stop) + stop_slack;
  if (now_ >= c.stopping_until) c.stopping_since = now_;
  c.stopping_until = std::min(after(now_, stop), after(c.stopping_since, 2 * stop));
}

bool Core::Impl::being_stopped(const Service& s) const {
  const Container* c = current(s);
  return c != nullptr && c->status.run == RunState::running && now_ < c->stopping_until;
}

Service* Core::Impl::operated(const Container& c) {
  Service* s = find(c.service);
  return s != nullptr && s->op.id != 0 && s->op.container == c.id ? s : nullptr;
}

bool Core::Impl::own_hint(const Operation& op) const {
  if (op.phase == Phase::acting || op.phase == Phase::exiting || now_ < op.own_until) return true;
  // The Engine said that it has done it: what comes long after that is not of it, however long the
  // inspect takes that shows it.
  return op.phase == Phase::confirming && op.result != OperationResult::done;
}

// One `stop` belongs to our own restart or stop, if it comes in time; a further one is somebody
// else's.
void Core::Impl::hint_stop_during_operation(Service& s, bool ours) {
  if (s.op.interfered) return;
  const bool stops = s.op.step == Step::restart || s.op.step == Step::stop;
  const unsigned expected = ours && stops ? 1 : 0;
  if (++s.op.stops_seen <= expected) return;
  s.op.interfered = true;
  tell(s, NoticeKind::interference,
       "somebody else stopped " + s.name + " while it was being healed");
}

void Core::Impl::hint_intent(Container& c, HintKind kind) {
  Service* s = operated(c);
  const bool ours = s != nullptr && own_hint(s->op);
  const bool unconfirmed = s != nullptr && s->op.phase == Phase::confirming;
  if (kind == HintKind::stop && (ours || unconfirmed)) return hint_stop_during_operation(*s, ours);
  if (ours) return;
  auto& p = c.purpose;
  switch (kind) {
    case HintKind::kill:
      p.signalled = now_;
      hint_stopping(c);
      break;
    case HintKind::die:
      p.die_seen = true;
      p.signalled_before_die =
          p.signalled && c.info && now_ - *p.signalled <= c.info->stop_timeout + stop_slack;
      if (p.signalled_before_die) p.ours = false;
      break;
    case HintKind::stop:
      // Nobody can stop what our own operation left down: this one is its own, late.
      if (p.ours && c.status.run == RunState::exited && !p.signalled) break;
      p.stop_seen = true;
      p.ours = false;
      break;
    case HintKind::start:
    case HintKind::restart: p = p.of_next_run(); break;
    default: break;
  }
}

void Core::Impl::handle(const Inspected& event) {
  const auto it = containers_.find(event.id);
  if (it == containers_.end() || it->second.token == 0 || it->second.token != event.token) return;
  Container& c = it->second;
  const bool found = event.outcome == Inspected::Outcome::found && event.facts && event.facts->info;
  if (!found && event.outcome != Inspected::Outcome::gone) {
    inspect_failed(c);
    if (Service* s = find(c.service); s != nullptr) evaluate(*s);
    drop_restored_intents();
    return;
  }
  c.token = 0;
  c.tries = 0;
  container_due_.erase(c.id);
  // A name can stand in for an id whose owner is gone: believe the id that was inspected.
  if (!found || event.facts->info->id != event.id) {
    remove_container(event.id);
  } else {
    const bool again = c.again;
    accept_facts(c, *event.facts);
    if (again) send_inspect(c);
  }
  drop_restored_intents();
}

void Core::Impl::accept_facts(Container& c, const ContainerFacts& facts) {
  const bool first = !c.info;
  const auto before = c.status;
  const auto old_info = c.info;
  c.info = facts.info;
  c.status = facts.status;
  if (!c.again) {
    c.inspected_at = now_;
    c.pausing = false;
    // Sent after the latest event: a late or repeated `stop` of an earlier run is disproved.
    if (c.status.run == RunState::running) {
      c.purpose.stop_seen = c.purpose.die_seen = c.purpose.signalled_before_die = false;
    }
  }
  first_inspect_over(c);

  accept_run(c, before, first);
  const bool watch = c.info->settings.enabled && !c.info->own;
  if (!watch) {
    detach(c);
    return;
  }
  Service* s = attach(c);
  if (s == nullptr) return;
  choose_current(*s);
  if (s->current == c.id) {
    s->budget = c.info->settings.budget;
    if (!first && before.started_at != 0 && c.status.started_at != before.started_at) {
      ++s->restarts;
      tell(*s, NoticeKind::container_started,
           "container " + c.id.short_hex() + " of " + s->name + " was started again");
      reset_probes(*s, false);
      // A run that we did not begin is a new chance, and what failed before says nothing about it.
      if (s->op.phase <= Phase::waiting) {
        s->unverified = false;
        s->failing_since.reset();
      }
    } else if (old_info && s->probes.size() == old_info->settings.probes.size()) {
      carry_probes(*s, old_info->settings.probes);
    } else if (s->probes.size() != c.info->settings.probes.size()) {
      reset_probes(*s, true);
    }
    const bool thawed = c.status.run == RunState::running &&
                        (std::exchange(c.unpaused, false) || before.run == RunState::paused);
    if (thawed) thaw_probes(*s);
    const bool unchecked = health_unchecked(c.status, *c.info);
    if (unchecked) {
      // No event tells that it fails again: for the Engine it is unhealthy already.
      const auto& check = *c.info->health_check;
      s->stale_check = std::min(s->stale_check, after(now_, check.interval + check.timeout + 1s));
    }
    // Of a paused one the last result is as old as the pause.
    if (c.status.health_stale && !s->stale_told && !unchecked && !thawed) {
      s->stale_told = true;
      tell(*s, NoticeKind::health_stale,
           "the Engine has stopped checking the health of " + s->name +
               ": its last result is too old to be believed");
    } else if (!c.status.health_stale) {
      s->stale_told = false;
    }
  }
  if (!old_info || old_info->warnings != c.info->warnings) {
    for (const auto& warning : c.info->warnings) tell(*s, NoticeKind::label_warning, warning);
  }
  evaluate(*s);
}

void Core::Impl::accept_run(Container& c, const ContainerStatus& before, bool first) {
  if (!first && c.status.started_at == before.started_at) return;
  c.run_seen_from_start = !first;
  c.run_began = c.status.uptime > now_.time_since_epoch() ? Time{} : now_ - c.status.uptime;
  if (first) return;
  c.purpose = c.purpose.of_next_run();
  // Asked before the signal, it cannot tell which run that was for.
  if (c.asked_at >= c.stopping_since) c.stopping_until = Time::min();
}

Service* Core::Impl::attach(Container& c) {
  const auto& key = c.info->key;
  if (Service* s = find(c.service); s != nullptr) {
    // A container renamed during an operation moves afterwards: two services must not act on one
    // container.
    if (s->key == key || (s->op.phase >= Phase::preparing && s->op.container == c.id)) return s;
    detach(c);
  }
  const auto known = keys_.find(key);
  Service* s =
      known == keys_.end() ? create_service(key, c.info->settings) : &services_.at(known->second);
  if (s == nullptr) return nullptr;
  if (s->target) {
    if (!std::exchange(c.shadow_told, true)) {
      tell(*s, NoticeKind::label_warning,
           "container " + c.id.short_hex() + " has the identity of the target " + s->name +
               ": it is not watched");
    }
    return nullptr;
  }
  s->containers.push_back(c.id);
  c.service = s->id;
  s->empty_since = never;
  return s;
}

// nullptr: there are too many.
Service* Core::Impl::create_service(const ServiceKey& key, const ServiceSettings& settings) {
  if (services_.size() >= config_.max_services) {
    if (!full_told_) {
      full_told_ = true;
      Notice n;
      n.kind = NoticeKind::too_many_services;
      n.text = "more than " + std::to_string(config_.max_services) +
               " services: the others are not watched";
      tell(std::move(n));
    }
    return nullptr;
  }
  const ServiceId id = ++last_service_;
  keys_.emplace(key, id);
  Service& s = services_[id];
  s.id = id;
  s.key = key;
  s.since = now_;
  if (const auto kept = restored_.find(key); kept != restored_.end()) {
    const auto& r = kept->second;
    s.budget = settings.budget;
    s.ledger.restore(r.budget_left, s.budget);
    s.quarantined = r.quarantined;
    if (s.quarantined)
      s.trial_at =
          settings.trial > Duration{} ? after(now_, std::min(r.trial_in, settings.trial)) : never;
    if (r.maintenance_left > Duration{}) s.maintenance_until = after(now_, r.maintenance_left);
    restored_.erase(kept);
  }
  by_service_name_[key.service].push_back(id);
  rename(key.service);
  cover(s);
  tell(s, NoticeKind::service_added, "watching " + s.name);
  return &s;
}

void Core::Impl::detach(Container& c) {
  Service* s = find(c.service);
  c.service = 0;
  if (s == nullptr) return;
  std::erase(s->containers, c.id);
  choose_current(*s);
  evaluate(*s);
}

void Core::Impl::remove_container(const ContainerId& id) {
  const auto it = containers_.find(id);
  if (it == containers_.end()) return;
  first_inspect_over(it->second);
  detach(it->second);
  container_due_.erase(id);
  containers_.erase(it);
}

void Core::Impl::choose_current(Service& s) {
  const Container* best = nullptr;
  for (const auto& id : s.containers) {
    const auto& c = containers_.at(id);
    if (best == nullptr || std::pair{rank(c.status.run), c.info->created} >
                               std::pair{rank(best->status.run), best->info->created}) {
      best = &c;
    }
  }
  if (s.containers.size() <= 1) {
    s.crowded_since = never;
    // The old one is gone; it is over once the new one runs.
    if (best == nullptr || rank(best->status.run) == 2) s.recreate_until = Time::min();
  } else if (s.crowded_since == never) {
    s.crowded_since = now_;
    s.recreate_until = after(now_, recreate_hold);
    tell(s, NoticeKind::recreating,
         s.name + " is being recreated: failures are not judged meanwhile, for " +
             in_words(recreate_hold) + " at most");
  }
  const auto chosen = best == nullptr ? std::nullopt : std::optional{best->id};
  if (s.containers.empty() && s.empty_since == never) s.empty_since = now_;
  if (chosen == s.current) return;
  const bool had = s.current.has_value();
  s.current = chosen;
  if (had) current_changed(s);
  drop_probes(s);
  if (chosen) {
    reset_probes(s, !had);
    take_up(s);
  }
}

void Core::Impl::current_changed(Service& s) {
  // Another container is another start: what was tried on the old one says nothing about it, what
  // it cost stays.
  const auto* const what = s.current ? "its container was replaced" : "its container was removed";
  if (s.op.phase == Phase::waiting && s.op.asked) {
    give_up_asked(s, what);
  } else if (s.op.phase == Phase::waiting) {
    leave_ready(s);
    idle(s);
  } else if (s.op.phase != Phase::idle) {
    abandon(s, what);
  } else {
    idle(s);
  }
  s.attempts = 0;
  s.rung_index = 0;
  s.unverified = false;
  s.failing_since.reset();
  s.stale_told = false;
  if (s.quarantined && s.current) {
    s.quarantined = false;
    s.trial_at = never;
    store(s);
  }
}

// The shortest form that is unique: service, project/service, project/service/replica.
void Core::Impl::rename(const std::string& service_name) {
  const auto it = by_service_name_.find(service_name);
  if (it == by_service_name_.end()) return;
  std::unordered_map<std::string, unsigned> per_project;
  for (const auto id : it->second) ++per_project[services_.at(id).key.project];
  for (const auto id : it->second) {
    Service& s = services_.at(id);
    if (it->second.size() == 1)
      s.name = s.key.service;
    else if (per_project[s.key.project] == 1 && !s.key.project.empty())
      s.name = s.key.project + "/" + s.key.service;
    else
      s.name = s.key.to_string();
  }
}

void Core::Impl::remove_service(ServiceId id, std::string text) {
  Service& s = services_.at(id);
  leave_ready(s);
  if (s.op.id != 0) operations_.erase(s.op.id);
  if (s.counted) --watched_;
  out_->emplace_back(StoreService{ServiceRecord{.key = s.key, .budget_left = {}}});
  tell(s, NoticeKind::service_removed, std::move(text));
  drop_probes(s);
  const std::string name = s.key.service;
  std::erase(by_service_name_[name], id);
  if (by_service_name_[name].empty()) by_service_name_.erase(name);
  keys_.erase(s.key);
  service_due_.erase(id);
  services_.erase(id);
  rename(name);
  full_told_ = false;
}

}  // namespace sentinel::core
