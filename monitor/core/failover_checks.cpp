// When each check runs, and what its results mean for those it is about.

#include <algorithm>

#include "core/failover_impl.hpp"

namespace sentinel::core {

using Impl = FailoverCore::Impl;

namespace {

// Lost answers of the prober are its own failure, not the server's; it is asked again.
constexpr Duration probe_slack = 5s;

}  // namespace

void Impl::schedule(const PoolCheck& check) { deadlines_.set(check_bit | check.id, check.next); }

void Impl::run_check(PoolCheck& check) {
  if (check.running) check.slot = now_;  // the prober never answered
  const ProbeSpec& spec = *check.spec;
  const Duration lag = now_ - check.next;
  if (!check.running) check.slot = check.next;
  // Missed slots (a long pause of this process) are skipped, not made up for.
  if (now_ - check.slot > spec.interval) check.slot = now_;
  check.running = true;
  check.sequence = ++last_sequence_;
  check.next = after(now_, spec.timeout + probe_slack);
  schedule(check);
  out_->emplace_back(
      StartProbe{{check.id, 0, check.sequence}, check.spec, check.address, ContainerId{}, lag});
}

void Impl::recheck_gateways() {
  for (auto& gateway : gateways_) {
    if (gateway->running || gateway->next <= now_) continue;
    gateway->next = now_;
    schedule(*gateway);
  }
}

void Impl::handle(const ProbeFinished& event) {
  const auto known = checks_.find(event.token.service);
  if (known == checks_.end()) return;
  PoolCheck& check = *known->second;
  if (!check.running || check.sequence != event.token.sequence) return;
  const ProbeSpec& spec = *check.spec;
  const ProbeOutcome& found = event.outcome;
  const bool gateway = check.host == nullptr && check.member == nullptr;
  check.running = false;
  check.last = now_;
  check.result = found.verdict;
  check.reason = found.reason;
  check.sentence = found.sentence;
  check.took = found.took;
  out_->emplace_back(CheckReport{check.member == nullptr ? std::string{} : check.member->pool->name,
                                 check.member != nullptr ? check.member->host->name
                                 : check.host != nullptr ? check.host->name
                                                         : std::string{},
                                 check.label, spec.kind, found});

  // Our own inability is no fact about the server.
  bool changed = false;
  if (found.reason != ProbeReason::internal && found.reason != ProbeReason::no_address) {
    if (found.verdict != Verdict::fail) {
      if (!check.last_good || check.first_failed) check.good_since = now_;
      check.last_good = now_;
      check.first_failed.reset();
    } else if (!check.first_failed) {
      check.first_failed = now_;
      // When the server's fate is decided, it shall be known whether the network is to blame.
      if (!gateway) recheck_gateways();
    }
    JudgeRule rule = rule_of(spec);
    if (!check.judge.verdict()) rule.rise = 1;
    changed = check.judge.add(found.verdict, rule);
  }
  const Duration interval = check.judge.pending(rule_of(spec))
                                ? std::min(spec.fast_interval, spec.interval)
                                : spec.interval;
  check.next = std::max(after(check.slot, interval), now_);
  schedule(check);
  if (changed && !gateway) touch(check);
  if (gateway || blind_ || found.verdict == Verdict::fail) look_due_ = true;
}

void Impl::touch(const PoolCheck& check) {
  if (check.member != nullptr && check.member->pool->config->eject == Eject::service) {
    judge(*check.member);
    return;
  }
  const PoolHost* host = check.member != nullptr ? check.member->host : check.host;
  for (PoolMember* member : host->members) judge(*member);
}

}  // namespace sentinel::core
