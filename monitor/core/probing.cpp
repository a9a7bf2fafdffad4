// Own probes: when each is due, and what its results mean.
//
// Each probe has slots `interval` apart (`fast_interval` while a change is pending), the first at a
// random time within one interval. A start is up to 5 % of the interval after its slot, and the
// next slot is counted from the slot, not from the start: spread, and no drift.

#include <algorithm>
#include <utility>

#include "core/impl.hpp"

namespace sentinel::core {
namespace {

// Lost answers of the prober are its own failure, not the service's; it is asked again.
constexpr Duration probe_slack = 5s;
constexpr int jitter_part = 20;
constexpr unsigned most_waiting = 64;

// What is asked of the same thing in the same way stays comparable when only its times, counts or
// name in the URL as written change.
bool asks_the_same(const ProbeSpec& a, const ProbeSpec& b) {
  ProbeSpec x = a;
  x.url = b.url;
  x.interval = b.interval;
  x.fast_interval = b.fast_interval;
  x.timeout = b.timeout;
  x.fall = b.fall;
  x.fall_of = b.fall_of;
  x.rise = b.rise;
  x.rise_of = b.rise_of;
  return x == b;
}

}  // namespace

bool Core::Impl::probing(const Service& s) const {
  if (s.target) return true;
  const Container* c = current(s);
  return c != nullptr && c->status.run == RunState::running && !c->pausing && engine_up_;
}

bool Core::Impl::sighted(const Service& s) const {
  return std::ranges::any_of(s.probes, [](const Probe& p) { return p.host != nullptr; });
}

void Core::Impl::first_slot(Probe& p, Duration spread) {
  p.next = p.next_slot = p.slot = after(now_, rng_.below(spread));
}

void Core::Impl::drop_probes(Service& s) {
  for (Probe& p : s.probes) sight_.detach(p.host);
  s.probes.clear();
}

void Core::Impl::reset_probes(Service& s, bool spread) {
  drop_probes(s);
  const auto& specs = settings(s)->probes;
  s.probes.resize(specs.size());
  for (std::size_t i = 0; i < specs.size(); ++i) {
    first_slot(s.probes[i], spread ? specs[i].interval : Duration{200ms});
    s.probes[i].host = sight_.attach(specs[i], s.target && s.target->witness);
  }
}

// A paused container answers nobody: what failed shortly before the pause was known says nothing
// about it, nor does what is under way when it ends.
void Core::Impl::thaw_probes(Service& s) {
  for (Probe& p : s.probes) {
    p.running = false;
    p.waiting = 0;
    p.judge.forget_failures();
    first_slot(p, 200ms);
  }
}

// New settings: what did not change goes on as it was.
void Core::Impl::carry_probes(Service& s, const std::vector<ProbeSpec>& old_specs) {
  const auto& specs = settings(s)->probes;
  if (specs == old_specs) return;
  std::vector<Probe> kept(specs.size());
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const auto old = std::ranges::find(old_specs, specs[i].name, &ProbeSpec::name);
    const bool same = old != old_specs.end() && asks_the_same(*old, specs[i]);
    if (same) kept[i] = s.probes[static_cast<std::size_t>(old - old_specs.begin())];
    if (!same || (old->interval != specs[i].interval && !kept[i].running))
      first_slot(kept[i], specs[i].interval);
    kept[i].host = sight_.attach(specs[i], s.target && s.target->witness);
  }
  drop_probes(s);
  s.probes = std::move(kept);
}

Duration Core::Impl::probe_interval(const Service& s, const Probe& p, const ProbeSpec& spec) const {
  const bool fast =
      p.judge.pending(rule_of(spec)) || p.waiting > 0 || s.op.phase == Phase::verifying;
  return fast ? std::min(spec.fast_interval, spec.interval) : spec.interval;
}

Time Core::Impl::probes_due(const Service& s) const {
  Time due = never;
  if (!probing(s)) return due;
  const Container* c = current(s);
  const auto& specs = settings(s)->probes;
  for (std::size_t i = 0; i < s.probes.size(); ++i) {
    const Probe& p = s.probes[i];
    const bool can_run = !specs[i].host.empty() || (c != nullptr && !c->status.address.empty());
    // One that cannot run is due once: to be told.
    if (p.running || !p.address_told || can_run) due = std::min(due, p.next);
  }
  return due;
}

// Returns true when something is to be judged anew.
bool Core::Impl::run_probes(Service& s) {
  if (!probing(s)) return false;
  const Container* c = current(s);
  const auto& specs = settings(s)->probes;
  bool news = false;
  for (std::size_t i = 0; i < s.probes.size(); ++i) {
    Probe& p = s.probes[i];
    const auto& spec = specs[i];
    const bool can_run = !spec.host.empty() || (c != nullptr && !c->status.address.empty());
    if (!p.running && !can_run) {
      if (!p.address_told) {
        p.address_told = true;
        p.sentence = "no network shared with Sentinel: the probe cannot run";
        tell(s, NoticeKind::label_warning,
             "probe " + spec.name + " of " + s.name +
                 " cannot run: its container and Sentinel share no network");
        news = true;
      }
      continue;
    }
    if (p.next > now_) continue;
    if (p.running) {
      p.running = false;
      p.sentence = "the prober did not answer";
      p.next_slot = now_;
    }
    p.running = true;
    p.sequence = ++last_token_;
    const Duration lag = now_ - p.next;
    p.slot = p.next_slot;
    // Missed slots (a long pause of this process) are skipped, not made up for.
    if (now_ - p.slot > spec.interval) p.slot = now_;
    p.next = after(now_, spec.timeout + probe_slack);
    StartProbe start;
    start.token = {s.id, static_cast<std::uint32_t>(i), p.sequence};
    start.lag = lag;
    if (s.target) {
      start.spec = {s.target, &spec};
    } else {
      start.spec = {c->info, &spec};
      start.address = c->status.address;
      start.container = c->id;
    }
    out_->emplace_back(std::move(start));
  }
  return news;
}

// Failures that waited are judged now. Returns true when the verdict changed.
bool Core::Impl::feed_waiting(Probe& p, const ProbeSpec& spec) {
  bool changed = false;
  for (; p.waiting > 0; --p.waiting) {
    if (p.judge.add(Verdict::fail, rule_of(spec))) changed = true;
  }
  return changed;
}

void Core::Impl::handle(ProbeFinished& event) {
  Service* s = find(event.token.service);
  if (s == nullptr) return;
  // New settings may have moved it.
  const auto running = std::ranges::find_if(s->probes, [&](const Probe& probe) {
    return probe.running && probe.sequence == event.token.sequence;
  });
  if (running == s->probes.end()) return;
  Probe& p = *running;
  const auto& spec = settings(*s)->probes[static_cast<std::size_t>(running - s->probes.begin())];
  p.running = false;
  const ProbeOutcome& found = event.outcome;
  p.sentence = found.sentence;
  p.reason = found.reason;
  p.last = now_;
  p.took = found.took;
  p.phases = found.phases;

  if (p.host != nullptr) {
    const Time began = found.took > now_.time_since_epoch() ? Time{} : now_ - found.took;
    sight_changed(sight_.add(*p.host, found.reason, found.verdict, began, now_));
  }
  const bool failed = found.verdict == Verdict::fail;
  const bool ours = failed && p.host != nullptr &&
                    (sight_.is_loss(found.reason) || found.reason == ProbeReason::timeout);
  // Our own inability is no fact about the service; without the Engine judgement is held.
  const bool judged = found.reason != ProbeReason::internal &&
                      found.reason != ProbeReason::no_address && probing(*s) && !unseen(*s);
  bool changed = false;
  if (judged && ours && sight_.waits(*p.host, now_)) {
    if (p.waiting == 0) waiting_.push_back(s->id);
    p.waiting = std::min(p.waiting + 1, most_waiting);
  } else if (judged && !(ours && sight_.holds(*p.host, now_))) {
    changed = feed_waiting(p, spec);
    changed = p.judge.add(found.verdict, rule_of(spec)) || changed;
    if (!failed && !p.passed_in_run) {
      p.passed_in_run = true;
      changed = true;
    }
  }
  const Duration interval = probe_interval(*s, p, spec);
  p.next_slot = std::max(after(p.slot, interval), now_);
  p.next = after(p.next_slot, rng_.below(interval / jitter_part));
  out_->emplace_back(ProbeReport{s->id, s->key, spec.name, spec.kind, std::move(event.outcome)});
  // What is being prepared waits for results, see answers_again().
  if (changed || s->op.phase == Phase::preparing)
    evaluate(*s);
  else
    schedule(*s);
}

void Core::Impl::sight_changed(Sight::Change change) {
  if (change == Sight::Change::none) return;
  const auto announce = [&](NoticeKind kind, std::string text) {
    Notice n;
    n.kind = kind;
    n.text = std::move(text);
    tell(std::move(n));
  };
  switch (change) {
    case Sight::Change::none:
    case Sight::Change::cleared: break;
    case Sight::Change::blinded:
      announce(NoticeKind::blind,
               sight_.account() +
                   ": most likely our own network or resolver fails. Such results "
                   "are not judged for " +
                   in_words(config_.blind_hold) + " at most");
      break;
    case Sight::Change::regained:
      announce(NoticeKind::blind_ended,
               "our own network works again, after " + in_words(now_ - sight_.since()));
      break;
    case Sight::Change::exhausted:
      announce(NoticeKind::blind_exhausted,
               sight_.account() + " for " + in_words(now_ - sight_.since()) +
                   ": the hold is over, and they are judged as they look from here");
      break;
  }
  const auto waited = std::exchange(waiting_, {});
  for (const ServiceId id : waited) {
    Service* s = find(id);
    if (s == nullptr) continue;
    for (std::size_t i = 0; i < s->probes.size(); ++i) {
      if (change == Sight::Change::cleared)
        feed_waiting(s->probes[i], settings(*s)->probes[i]);
      else
        s->probes[i].waiting = 0;
    }
    if (change == Sight::Change::cleared) evaluate(*s);
  }
  if (change == Sight::Change::cleared) return;
  for (auto& [id, s] : services_) {
    if (sighted(s)) evaluate(s);
  }
}

}  // namespace sentinel::core
