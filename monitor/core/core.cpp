// Dispatch, deadlines, and what people may look at.

#include "core/core.hpp"

#include <algorithm>
#include <utility>

#include "core/impl.hpp"

namespace sentinel::core {
namespace {

// A service that is not seen for this long after a start of the process has lost what was kept of
// it.
constexpr Duration keep_restored = 24h;

std::string_view phase_name(Phase p) {
  switch (p) {
    case Phase::idle: return "none";
    case Phase::waiting: return "waiting";
    case Phase::preparing: return "preparing";
    case Phase::acting:
    case Phase::exiting:
    case Phase::confirming: return "acting";
    case Phase::verifying: return "verifying";
  }
  return "none";
}

}  // namespace

void Core::Impl::on(Event event, Time now, Actions& out) {
  now_ = std::max(now_, now);
  out_ = &out;
  std::visit([this](auto& e) { handle(e); }, event);
  fire_deadlines();
  pump_ready();
  out_ = nullptr;
}

void Core::Impl::handle(const Restored& event) {
  for (const auto& r : event.services) restored_[r.key] = r;
  for (const auto& i : event.intents) {
    restored_intents_[i.key] = i;
    last_operation_ = std::max(last_operation_, i.op);
  }
  restored_until_ = after(now_, keep_restored);
}

void Core::Impl::handle(const EngineConnected& event) {
  if (engine_up_) return;
  engine_up_ = true;
  listed_ = false;
  const Duration outage = engine_ever_up_ ? now_ - engine_lost_at_ : Duration{};
  Notice n;
  n.kind = NoticeKind::engine_up;
  n.text = "Engine " + event.engine_version + " answers (API " + event.api_version + ")";
  if (engine_ever_up_) n.text += ", after " + in_words(outage);
  tell(std::move(n));
  engine_ever_up_ = true;
  // What could not be seen must not be held against anybody.
  for (auto& [id, s] : services_) {
    if (s.op.phase >= Phase::acting) s.op.deadline = after(s.op.deadline, outage);
  }
}

void Core::Impl::handle(const EngineLost& event) {
  const bool news = engine_up_ || !engine_ever_up_;
  if (!news) return;
  engine_up_ = false;
  listed_ = false;
  engine_lost_at_ = now_;
  engine_ever_up_ = true;
  Notice n;
  n.kind = NoticeKind::engine_down;
  n.text =
      "the Engine does not answer: " + event.reason + "; nothing is judged or healed until it does";
  tell(std::move(n));
  for (auto& [id, c] : containers_) {
    c.token = 0;
    c.again = false;
    c.retry_at = never;
    container_due_.erase(id);
  }
  for (auto& [id, s] : services_) {
    if (s.op.phase == Phase::preparing) unprepare(s, "the Engine does not answer");
    if (s.op.phase == Phase::waiting && s.op.asked) give_up_asked(s, "the Engine does not answer");
    evaluate(s);
  }
}

void Core::Impl::handle(const Reconfigured& event) {
  config_ = event.config;
  sight_.set_limit(config_.blind_hold);
}

void Core::Impl::handle(const SetMaintenance& event) {
  const auto it = keys_.find(event.key);
  if (it == keys_.end()) return;
  Service& s = services_.at(it->second);
  if (event.duration > Duration{}) {
    s.maintenance_until = after(now_, std::min(event.duration, Duration{30 * 24h}));
    tell(s, NoticeKind::maintenance,
         s.name + " is in maintenance for " + in_words(s.maintenance_until - now_) +
             ": it is watched but not healed");
    store(s);
  } else if (now_ < s.maintenance_until) {
    s.maintenance_until = now_;
  }
  evaluate(s);
}

// Intents whose container is not there any more once everything has been looked at.
void Core::Impl::drop_restored_intents() {
  if (restored_intents_.empty() || !listed_ || first_inspects_ > 0) return;
  for (const auto& [key, intent] : restored_intents_) {
    const auto kept = restored_.find(key);
    const auto known = keys_.find(key);
    const ServiceRecord r = known != keys_.end() ? record(services_.at(known->second))
                            : kept != restored_.end()
                                ? kept->second
                                : ServiceRecord{.key = key, .budget_left = {}};
    out_->emplace_back(ForgetIntent{intent.op, r});
    Notice n;
    n.kind = NoticeKind::heal_abandoned;
    n.key = key;
    n.name = key.to_string();
    n.container = intent.container;
    n.op = intent.op;
    n.result = "abandoned";
    n.text =
        "healing " + n.name + " is given up: its container is gone since Sentinel was restarted";
    tell(std::move(n));
  }
  restored_intents_.clear();
}

void Core::Impl::fire_deadlines() {
  while (const auto id = container_due_.pop(now_)) container_due(*id);
  if (storm_.settle(now_)) {
    Notice n;
    n.kind = NoticeKind::storm_ended;
    n.text =
        "the hold is over: healing at most " + std::to_string(config_.max_concurrent) + " at once";
    tell(std::move(n));
  }
  sight_changed(sight_.settle(now_));
  close_windows();
  while (const auto id = service_due_.pop(now_)) {
    Service& s = services_.at(*id);
    if (s.empty_since != never && now_ >= after(s.empty_since, forget_after)) {
      remove_service(*id, s.name + " has had no container for " + in_words(forget_after) +
                              ": no longer watched");
      continue;
    }
    if (now_ >= s.stale_check) {
      s.stale_check = never;
      if (Container* c = current(s); c != nullptr) want_inspect(*c);
    }
    const bool news = run_probes(s);
    // Most often only a probe was due, which changes nothing.
    if (news || now_ >= s.other_due)
      evaluate(s);
    else
      schedule(s);
  }
  if (now_ >= restored_until_) {
    restored_until_ = never;
    for (const auto& [key, r] : restored_)
      out_->emplace_back(StoreService{ServiceRecord{.key = key, .budget_left = {}}});
    restored_.clear();
  }
}

Time Core::Impl::other_due(const Service& s) const {
  Time due = s.empty_since == never ? never : after(s.empty_since, forget_after);
  const auto at = [&](Time t) { due = std::min(due, t); };
  if (now_ < s.maintenance_until) at(s.maintenance_until);
  if (recreating(s)) at(s.recreate_until);
  if (const auto t = s.flap.due()) at(*t);
  if (s.flap.active() && s.better_since != never) at(after(s.better_since, s.flap.hold()));
  if (unseen(s)) return due;  // everything else waits for the Engine
  at(s.stale_check);
  const Container* c = current(s);
  if (c == nullptr) return due;
  if (const auto t = s.ledger.next_forgiveness(s.budget, now_)) at(*t);
  if (s.op.phase <= Phase::waiting && now_ < c->busy_until) at(c->busy_until);
  if (being_stopped(s)) at(c->stopping_until);
  const Time grace_end = after(c->run_began, start_grace(*c->info));
  if (c->status.run == RunState::running && now_ < grace_end && s.judged.state == State::starting)
    at(grace_end);
  const auto& op = s.op;
  switch (op.phase) {
    case Phase::idle: break;
    case Phase::waiting:
      if (!op.ready) at(op.due);
      break;
    case Phase::preparing:
      at(op.deadline);
      if (!op.intent_known) at(op.intent_due);
      break;
    case Phase::acting:
    case Phase::exiting: at(op.deadline); break;
    case Phase::confirming:
      at(op.deadline);
      at(op.look_at);
      break;
    case Phase::verifying:
      at(op.deadline);
      if (now_ < after(c->run_began, settle_time)) at(after(c->run_began, settle_time));
      break;
  }
  return due;
}

void Core::Impl::schedule(Service& s) {
  s.other_due = other_due(s);
  const Time due = std::min(s.other_due, probes_due(s));
  // Whatever is due now has just been looked at: never twice in the same instant.
  service_due_.set(s.id, due <= now_ ? now_ + 1ms : due);
}

std::optional<Time> Core::Impl::next_deadline() const {
  Time due = never;
  if (const auto t = service_due_.next()) due = std::min(due, *t);
  if (const auto t = container_due_.next()) due = std::min(due, *t);
  if (const auto t = storm_.until()) due = std::min(due, *t);
  if (const auto t = sight_.due()) due = std::min(due, *t);
  for (const auto& w : windows_) due = std::min(due, w.until);
  due = std::min(due, restored_until_);
  return due == never ? std::nullopt : std::optional{due};
}

ServiceRecord Core::Impl::record(const Service& s) const {
  ServiceRecord r{.key = s.key, .budget_left = s.ledger.left(s.budget, now_)};
  r.quarantined = s.quarantined;
  if (s.quarantined && s.trial_at != never) r.trial_in = std::max(Duration{}, s.trial_at - now_);
  if (now_ < s.maintenance_until) r.maintenance_left = s.maintenance_until - now_;
  return r;
}

Notice Core::Impl::notice(const Service& s, NoticeKind kind, std::string text) const {
  Notice n;
  n.kind = kind;
  n.service = s.id;
  n.key = s.key;
  n.name = s.name;
  n.container = s.current.value_or(ContainerId{});
  n.text = std::move(text);
  n.op = s.op.id;
  n.rung = s.op.rung;
  n.attempt = s.attempts;
  return n;
}

ServiceView Core::Impl::view(const Service& s) const {
  ServiceView v;
  v.id = s.id;
  v.key = s.key;
  v.name = s.name;
  v.state = s.state;
  v.overlays = s.overlays;
  v.since = s.since;
  v.reason = s.reason;
  v.restarts = s.restarts;
  v.phase = phase_name(s.op.phase);
  v.decision = decision(s);
  v.target = s.target != nullptr;
  v.maintenance = why_maintenance(s);
  v.maintenance_until = end_of_maintenance(s);
  if (s.op.phase == Phase::waiting) v.next_attempt = s.op.due;
  const Container* c = current(s);
  if (s.target) {
    v.settings = {s.target, &s.target->settings};
  } else if (c != nullptr) {
    v.settings = {c->info, &c->info->settings};
  }
  for (std::size_t i = 0; i < s.probes.size(); ++i) {
    const auto& p = s.probes[i];
    const auto& spec = v.settings->probes[i];
    v.probes.push_back({spec.name, spec.url, p.judge.verdict().has_value(),
                        p.judge.verdict().value_or(Verdict::pass), p.sentence, p.last, p.took,
                        p.phases});
  }
  v.budget_remaining = s.ledger.remaining(s.budget);
  if (c == nullptr) return v;
  v.container = c->id;
  v.container_name = c->info->name;
  v.image = c->info->image;
  v.status = c->status;
  return v;
}

std::vector<ServiceKey> Core::Impl::needs(const Service& s) const {
  std::vector<ServiceKey> out;
  // All replicas: any of them may be the one that it used.
  const auto add = [&](std::string_view name) {
    const auto slash = name.find('/');
    ServiceKey first{.project = s.key.project, .service = std::string(name), .replica = 0};
    if (slash != std::string_view::npos) {
      first.project = name.substr(0, slash);
      first.service = name.substr(slash + 1);
    }
    for (auto it = keys_.lower_bound(first);
         it != keys_.end() && it->first.project == first.project &&
         it->first.service == first.service;
         ++it)
      out.push_back(it->first);
  };
  const Container* c = current(s);
  const ServiceSettings* settings = s.target       ? &s.target->settings
                                    : c != nullptr ? &c->info->settings
                                                   : nullptr;
  if (settings == nullptr) return out;
  if (settings->depends_on) {
    for (const std::string& name : *settings->depends_on) add(name);
  } else if (c != nullptr) {
    for (const std::string& name : c->info->depends_on) add(name);
    if (c->info->network_of) {
      const auto owner = containers_.find(*c->info->network_of);
      if (owner != containers_.end() && owner->second.service != 0)
        out.push_back(services_.at(owner->second.service).key);
    }
  }
  std::ranges::sort(out);
  const auto repeated = std::ranges::unique(out);
  out.erase(repeated.begin(), repeated.end());
  std::erase(out, s.key);
  return out;
}

Core::Core(Config config) : impl_(std::make_unique<Impl>(config)) {}
Core::~Core() = default;

void Core::on(Event event, Time now, Actions& out) { impl_->on(std::move(event), now, out); }
std::optional<Time> Core::next_deadline() const { return impl_->next_deadline(); }
bool Core::engine_up() const { return impl_->engine_up_; }
bool Core::blind() const { return impl_->sight_.blind(); }
bool Core::storm() const { return impl_->storm_.holding(); }
bool Core::synchronised() const {
  return impl_->engine_up_ && impl_->listed_ && impl_->first_inspects_ == 0;
}
unsigned Core::operations_in_flight() const { return impl_->in_flight_; }
std::size_t Core::service_count() const { return impl_->services_.size(); }

std::vector<ServiceView> Core::services() const {
  std::vector<ServiceView> out;
  out.reserve(impl_->services_.size());
  for (const auto& [key, id] : impl_->keys_) out.push_back(impl_->view(impl_->services_.at(id)));
  return out;
}

std::vector<ServiceView> Core::find(std::string_view name) const {
  std::vector<ServiceView> out;
  for (const auto& [key, id] : impl_->keys_) {
    const Service& s = impl_->services_.at(id);
    if (name == s.name || name == key.to_string() || name == key.service ||
        (!key.project.empty() && name == key.project + "/" + key.service)) {
      out.push_back(impl_->view(s));
    }
  }
  return out;
}

std::optional<ServiceView> Core::service(ServiceId id) const {
  const auto it = impl_->services_.find(id);
  if (it == impl_->services_.end()) return std::nullopt;
  return impl_->view(it->second);
}

std::string Core::restart_problem(ServiceId id) const {
  const auto it = impl_->services_.find(id);
  return it == impl_->services_.end() ? "it is gone" : impl_->restart_problem(it->second);
}

std::string Core::release_problem(ServiceId id) const {
  const auto it = impl_->services_.find(id);
  if (it == impl_->services_.end()) return "it is gone";
  return it->second.quarantined ? "" : "it is not quarantined";
}

std::vector<ServiceNeeds> Core::needs() const {
  std::vector<ServiceNeeds> out;
  out.reserve(impl_->services_.size());
  for (const auto& [key, id] : impl_->keys_) {
    const Service& s = impl_->services_.at(id);
    out.push_back({key, s.target != nullptr, impl_->needs(s)});
  }
  return out;
}

}  // namespace sentinel::core
