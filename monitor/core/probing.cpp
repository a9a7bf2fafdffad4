// Own probes: when each is due, and what its results mean.

#include <algorithm>

#include "core/impl.hpp"

namespace sentinel::core {
namespace {

// Lost answers of the prober are its own failure, not the service's; it is asked again.
constexpr Duration probe_slack = 5s;

bool can_run(const Container& c, const ProbeSpec& spec) {
  return !spec.host.empty() || !c.status.address.empty();
}

}  // namespace

void Core::Impl::reset_probes(Service& s, bool spread) {
  const Container* c = current(s);
  const auto& specs = c->info->settings.probes;
  std::vector<Probe> fresh(specs.size());
  for (std::size_t i = 0; i < specs.size(); ++i) {
    fresh[i].next = fresh[i].slot =
        after(now_, rng_.below(spread ? specs[i].interval : Duration{200ms}));
  }
  s.probes = std::move(fresh);
}

Duration Core::Impl::probe_interval(const Service& s, const Probe& p, const ProbeSpec& spec) const {
  const bool fast = p.judge.pending() || s.op.phase == Phase::verifying;
  return fast ? std::min(spec.fast_interval, spec.interval) : spec.interval;
}

Time Core::Impl::probes_due(const Service& s) const {
  const Container* c = current(s);
  Time due = never;
  if (c == nullptr || c->status.run != RunState::running || !engine_up_) return due;
  for (std::size_t i = 0; i < s.probes.size(); ++i) {
    const Probe& p = s.probes[i];
    // One that cannot run is due once: to be told.
    if (p.running || !p.address_told || can_run(*c, c->info->settings.probes[i]))
      due = std::min(due, p.next);
  }
  return due;
}

void Core::Impl::run_probes(Service& s) {
  const Container* c = current(s);
  if (c == nullptr || c->status.run != RunState::running || !engine_up_) return;
  const auto& specs = c->info->settings.probes;
  for (std::size_t i = 0; i < s.probes.size(); ++i) {
    Probe& p = s.probes[i];
    const auto& spec = specs[i];
    if (!p.running && !can_run(*c, spec)) {
      if (!p.address_told) {
        p.address_told = true;
        p.sentence = "no network shared with Sentinel: the probe cannot run";
        tell(s, NoticeKind::label_warning,
             "probe " + spec.name + " of " + s.name +
                 " cannot run: its container and Sentinel share no network");
      }
      continue;
    }
    if (p.next > now_) continue;
    if (p.running) {
      p.running = false;
      p.sentence = "the prober did not answer";
      p.slot = now_;
    }
    p.running = true;
    p.sequence = ++last_token_;
    const Duration lag = now_ - p.next;
    p.slot = p.next;
    // Missed slots (a long pause of this process) are skipped, not made up for.
    if (now_ - p.slot > spec.interval) p.slot = now_;
    p.next = after(now_, spec.timeout + probe_slack);
    out_->emplace_back(StartProbe{{s.id, static_cast<std::uint32_t>(i), p.sequence},
                                  std::shared_ptr<const ProbeSpec>(c->info, &spec),
                                  c->status.address,
                                  c->id,
                                  lag});
  }
}

void Core::Impl::handle(const ProbeFinished& event) {
  Service* s = find(event.token.service);
  if (s == nullptr || event.token.probe >= s->probes.size()) return;
  Probe& p = s->probes[event.token.probe];
  if (!p.running || p.sequence != event.token.sequence) return;
  const Container* c = current(*s);
  const auto& spec = c->info->settings.probes[event.token.probe];
  p.running = false;
  const ProbeOutcome& found = event.outcome;
  p.sentence = found.sentence;
  p.reason = found.reason;
  p.last = now_;
  p.took = found.took;
  out_->emplace_back(ProbeReport{s->id, s->key, spec.name, spec.kind, found});

  // Our own inability is no fact about the service; without the Engine judgement is held.
  const bool judged = found.reason != ProbeReason::internal &&
                      found.reason != ProbeReason::no_address && engine_up_ && listed_ &&
                      c->status.run == RunState::running;
  bool changed = false;
  if (judged) {
    changed = p.judge.add(found.verdict, spec.fall, spec.rise);
    if (found.verdict != Verdict::fail && !p.passed_in_run) {
      p.passed_in_run = true;
      changed = true;
    }
  }
  p.next = std::max(after(p.slot, probe_interval(*s, p, spec)), now_);
  if (changed)
    evaluate(*s);
  else
    schedule(*s);
}

}  // namespace sentinel::core
