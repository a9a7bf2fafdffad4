// What the checks' verdicts make of a server, and whether they are to be believed.

#include <algorithm>

#include "core/failover_impl.hpp"

namespace sentinel::core {

using Impl = FailoverCore::Impl;

namespace {

constexpr unsigned max_hold_level = 24;
constexpr unsigned slow_steps = 10;
constexpr unsigned whole_share = 1000;

bool fails(const PoolCheck& check) { return check.judge.verdict() == Verdict::fail; }

/// The one that failed first, of `worst` and those that fail among `checks`.
const PoolCheck* worst_of(const PoolChecks& checks, const PoolCheck* worst) {
  for (const auto& check : checks) {
    if (!fails(*check)) continue;
    if (worst == nullptr ||
        check->first_failed.value_or(never) < worst->first_failed.value_or(never))
      worst = check.get();
  }
  return worst;
}

bool all_judged(const PoolChecks& checks) {
  return std::ranges::all_of(checks, [](const auto& c) { return c->judge.verdict().has_value(); });
}

/// Something at the other end said something.
bool answered(const PoolCheck& check) {
  if (!check.last) return false;
  if (check.result != Verdict::fail) return true;
  switch (check.reason) {
    case ProbeReason::none:
    case ProbeReason::unreachable:
    case ProbeReason::resolve:
    case ProbeReason::timeout:
    case ProbeReason::loss:
    case ProbeReason::internal:
    case ProbeReason::no_address: return false;
    default: return true;
  }
}

bool of_network(const PoolCheck& check) {
  return check.last && check.result == Verdict::fail &&
         (check.reason == ProbeReason::unreachable || check.reason == ProbeReason::resolve);
}

/// A probe that began at or after `since` failed.
bool failed_after(const PoolChecks& checks, Time since) {
  return std::ranges::any_of(checks, [since](const auto& check) {
    return fails(*check) && check->result == Verdict::fail && check->last &&
           *check->last - check->took >= since;
  });
}

/// What makes the server failed has failed once more since then.
bool failed_again(const PoolMember& m, Time since) {
  if (failed_after(m.checks, since) || failed_after(m.host->checks, since)) return true;
  return std::ranges::any_of(m.host->members, [since](const PoolMember* other) {
    return other->pool->config->eject == Eject::host && failed_after(other->checks, since);
  });
}

}  // namespace

Duration hold_down_of(const PoolMember& m) {
  if (m.hold_level < 2) return {};
  const Backoff& range = m.pool->config->hold_down;
  Duration hold = range.min;
  for (unsigned i = 2; i < m.hold_level && hold < range.max; ++i) hold *= 2;
  return std::min(hold, range.max);
}

void Impl::judge(PoolMember& m) {
  const PoolCheck* worst = worst_of(m.checks, worst_of(m.host->checks, nullptr));
  for (const PoolMember* other : m.host->members)
    if (other != &m && other->pool->config->eject == Eject::host)
      worst = worst_of(other->checks, worst);
  if (worst != nullptr) {
    if (m.health != PoolHealth::failed) fail(m, *worst);
  } else if (all_judged(m.checks) && all_judged(m.host->checks)) {
    recover(m);
  }
}

void Impl::fail(PoolMember& m, const PoolCheck& check) {
  m.from_up = m.health == PoolHealth::up;
  m.believed = false;
  m.health = PoolHealth::failed;
  m.changed = m.detected = now_;
  m.hold_until = never;
  m.slow_since.reset();
  m.check = check.label;
  // A check of another pool of the host says whose it is.
  const bool foreign = check.member != nullptr && check.member != &m;
  m.reason = (foreign ? check.member->pool->name + " " : std::string{}) + check.label + ": " +
             check.sentence;
  m.probe_reason = check.reason;
  m.last_good = check.last_good.value_or(Time{});
  m.first_failed = check.first_failed.value_or(now_);
  want_flush(m);
  look_due_ = true;
  mark(*m.pool);
}

// Only what was the server's own counts as a failure of it.
void Impl::believe(PoolMember& m) {
  m.believed = true;
  mark(*m.pool);
  if (!m.from_up) return;
  ++m.ejections;
  // A long time without failure is forgiveness.
  if (m.detected - m.recovered >= m.pool->config->hold_down.max) m.hold_level = 0;
  m.hold_level = std::min(m.hold_level + 1, max_hold_level);
  if (hold_down_of(m) > Duration{}) {
    notice(PoolNoticeKind::flapping, m.pool, &m,
           member_name(m) +
               " failed again soon after its return: next time it passes it waits "
               "before it gets connections");
  }
}

void Impl::recover(PoolMember& m) {
  if (m.health == PoolHealth::unknown) {
    rise(m);
  } else if (m.health == PoolHealth::failed) {
    const bool never_out = m.from_up && !m.believed;
    const Duration hold = never_out ? Duration{} : hold_down_of(m);
    if (hold == Duration{}) {
      rise(m);
      return;
    }
    m.health = PoolHealth::waiting;
    m.changed = now_;
    m.hold_until = after(now_, hold);
    mark(*m.pool);
  }
}

void Impl::rise(PoolMember& m) {
  const bool returns = m.health == PoolHealth::waiting ||
                       (m.health == PoolHealth::failed && (m.believed || !m.from_up));
  m.health = PoolHealth::up;
  m.changed = m.recovered = now_;
  m.hold_until = never;
  m.ever_up = true;
  m.flush_due = false;
  if (returns && m.pool->config->slow_start > Duration{}) m.slow_since = now_;
  look_due_ = true;
  mark(*m.pool);
}

unsigned Impl::share_of(const PoolMember& m) const {
  if (!m.slow_since) return whole_share;
  const Duration step = m.pool->config->slow_start / slow_steps;
  if (step <= Duration{}) return whole_share;
  const auto done =
      static_cast<unsigned>(std::min<Duration::rep>((now_ - *m.slow_since) / step, slow_steps - 1));
  return (done + 1) * whole_share / slow_steps;
}

void Impl::member_due(PoolMember& m) {
  if (m.health == PoolHealth::waiting && m.hold_until <= now_) rise(m);
  if (m.slow_since) {
    if (now_ - *m.slow_since >= m.pool->config->slow_start) m.slow_since.reset();
    if (share_of(m) != m.share) mark(*m.pool);
  }
  if (m.drain) check_drain(m);
}

void Impl::schedule(Pool& pool) {
  Time due = never;
  for (const auto& m : pool.members) {
    if (m->health == PoolHealth::waiting) due = std::min(due, m->hold_until);
    if (m->slow_since) {
      const Duration step = pool.config->slow_start / slow_steps;
      const auto done = step > Duration{} ? (now_ - *m->slow_since) / step : 0;
      due = std::min(due, after(*m->slow_since, std::max(step, Duration{1ms}) * (done + 1)));
    }
    if (m->drain) {
      due = std::min(due, m->drain->until);
      if (!m->drain->finished && m->flushing == 0) due = std::min(due, m->drain->deadline);
    }
  }
  // What is due already has been served.
  if (due <= now_) due = after(now_, 100ms);
  deadlines_.set(pool_bit | pool.id, due);
}

// --- is it us?
// ------------------------------------------------------------------------------------

/// A gateway has answered since the server failed, or there is none that could. When the gateways
/// were silent meanwhile, what failed has to fail once more: it had no chance to answer before.
bool Impl::seen_beyond(const PoolMember& m) const {
  bool useful = false;
  for (const auto& gateway : gateways_) {
    if (gateway->last_good && *gateway->last_good >= m.first_failed &&
        (gateway->good_since <= m.first_failed || failed_again(m, gateway->good_since)))
      return true;
    // One that we are unable to ask tells nothing.
    if (!gateway->last || gateway->reason != ProbeReason::internal) useful = true;
  }
  return !useful;
}

/// May its failure be our network's?
bool Impl::doubtful(const PoolMember& m) const {
  if (!gateways_.empty()) return !seen_beyond(m);
  if (m.first_failed < blind_floor_) return false;
  return blind_ || (m.first_failed <= sighted_at_ && !failed_again(m, sighted_at_));
}

bool Impl::blind_about(const PoolMember& m) const {
  return m.health == PoolHealth::failed && m.ever_up && !m.believed;
}

bool Impl::blind_now() const {
  std::size_t unreachable = 0;
  for (const auto& [name, host] : hosts_) {
    if (host->members.empty()) continue;
    bool network = false;
    const auto look_at = [&](const PoolChecks& checks) {
      for (const auto& check : checks) {
        if (answered(*check)) return false;
        network = network || of_network(*check);
      }
      return true;
    };
    if (!look_at(host->checks)) return false;
    for (const PoolMember* m : host->members) {
      if (!look_at(m->checks)) return false;
      if (!m->drain && (m->health == PoolHealth::up || m->health == PoolHealth::waiting))
        return false;
    }
    if (network) ++unreachable;
  }
  return unreachable >= 2;
}

void Impl::look() {
  look_due_ = false;
  bool told = false;
  std::string reason;
  if (gateways_.empty()) {
    const bool before = blind_;
    blind_ = blind_now();
    if (blind_ && !before) {
      Time newest{};
      each_member([&](const PoolMember& m) {
        if (m.health == PoolHealth::failed) newest = std::max(newest, m.first_failed);
      });
      blind_floor_ = newest - config_->blind_window;
      // Those that were taken out before it was plain.
      each_member([&](PoolMember& m) {
        if (m.health != PoolHealth::failed || m.first_failed < blind_floor_) return;
        if (m.believed && m.from_up && m.hold_level > 0) --m.hold_level;
        m.believed = false;
        mark(*m.pool);
      });
    }
    if (!blind_ && before) sighted_at_ = now_;
    told = blind_;
    reason = "all servers are unreachable at once and none answers anything";
  } else {
    const bool silent = std::ranges::all_of(gateways_, [](const auto& gateway) {
      return gateway->last && gateway->result == Verdict::fail;
    });
    told = silent;
    reason = "no gateway answers";
  }
  bool matters = false;
  each_member([&](PoolMember& m) {
    if (m.health != PoolHealth::failed || m.believed) return;
    if (!doubtful(m))
      believe(m);
    else if (m.ever_up)
      matters = true;
  });
  if (!gateways_.empty()) told = told && matters;
  if (told == told_blind_) return;
  told_blind_ = told;
  blind_reason_ = told ? reason : std::string{};
  notice(told ? PoolNoticeKind::blind : PoolNoticeKind::sighted, nullptr, nullptr,
         told ? "our own network seems to be down (" + reason +
                    "): no server is taken out until something answers"
              : "our own network is back: the servers are judged again");
}

}  // namespace sentinel::core
