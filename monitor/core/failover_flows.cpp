// Connections that exist: ended when their server has failed, counted while it is drained. And the
// words about all that.

#include <algorithm>

#include "core/failover_impl.hpp"

namespace sentinel::core {

using Impl = FailoverCore::Impl;

namespace {

constexpr Duration flush_answer_time = 10s;
constexpr unsigned max_flush_tries = 3;
constexpr Duration drain_count_interval = 1s;
constexpr Duration count_interval = 15s;
constexpr Duration count_answer_time = 30s;
constexpr Duration progress_interval = 10s;

std::string connections(std::uint64_t n) {
  return n == 1 ? "1 connection" : std::to_string(n) + " connections";
}

}  // namespace

// --- ended
// ----------------------------------------------------------------------------------------

/// Its connections shall end as soon as no new ones come.
void Impl::want_flush(PoolMember& m) {
  m.flush_tries = 0;
  if (m.flush_due) return;
  m.flush_due = true;
  flush_wanted_.push_back(&m);
}

void Impl::flush_failed() {
  for (auto it = flushes_.begin(); it != flushes_.end();) {
    if (it->second.deadline > now_) {
      ++it;
      continue;
    }
    const std::uint64_t id = it->first;
    ++it;
    handle(FlowsFlushed{id, false, 0, {}, "no answer"});
  }
  expire_ghosts();
  std::vector<PoolMember*> later;
  for (PoolMember* m : flush_wanted_) {
    if (!m->flush_due) continue;
    // New connections must have ceased first, or some would be missed.
    if (m->in || m->in_kernel || m->flushing != 0 || !kernel_known_) {
      later.push_back(m);
      continue;
    }
    flush(*m, false);
  }
  flush_wanted_ = std::move(later);
}

void Impl::flush(PoolMember& m, bool of_drain) {
  m.flush_due = false;
  m.flushing = ++last_flush_;
  flushes_.emplace(m.flushing, Flush{&m, of_drain, after(now_, flush_answer_time)});
  out_->emplace_back(FlushFlows{m.flushing, {m.block}});
}

void Impl::flush(const PoolGhost& ghost) {
  const std::uint64_t id = ++last_flush_;
  flushes_.emplace(id, Flush{nullptr, false, after(now_, flush_answer_time)});
  out_->emplace_back(FlushFlows{id, {ghost.block}});
}

void Impl::handle(const FlowsFlushed& event) {
  const auto known = flushes_.find(event.flush);
  if (known == flushes_.end()) return;
  const Flush flush = known->second;
  flushes_.erase(known);
  if (flush.member == nullptr) return;
  PoolMember& m = *flush.member;
  m.flushing = 0;
  if (!event.ok) {
    notice(PoolNoticeKind::flows_not_flushed, m.pool, &m,
           "connections of " + member_name(m) + " could not be ended: " + event.error);
    if (!flush.of_drain && m.health == PoolHealth::failed && ++m.flush_tries < max_flush_tries) {
      m.flush_due = true;
      flush_wanted_.push_back(&m);
      return;
    }
  } else {
    m.flows = 0;
    for (Telling& t : tellings_) {
      if (t.member != &m) continue;
      t.transition.flushed = now_;
      t.transition.flows = event.flows;
    }
  }
  if (flush.of_drain && m.drain && !m.drain->finished) {
    m.drain->finished = true;
    store_drains();
    notice(PoolNoticeKind::drain_ended, m.pool, &m,
           member_name(m) + " is drained: the deadline ended " + connections(event.flows));
    mark(*m.pool);
  }
}

// --- counted
// --------------------------------------------------------------------------------------

void Impl::count_flows() {
  bool draining = !ghosts_.empty();
  CountFlows action;
  each_member([&](const PoolMember& m) {
    draining = draining || (m.drain && !m.drain->finished);
    action.blocks.push_back(m.block);
  });
  for (const PoolGhost& ghost : ghosts_) action.blocks.push_back(ghost.block);
  if (!counting_ && !action.blocks.empty()) {
    counting_ = true;
    count_started_ = now_;
    out_->emplace_back(std::move(action));
  } else if (counting_ && now_ - count_started_ >= count_answer_time) {
    counting_ = false;
  }
  count_at_ = after(now_, draining ? drain_count_interval : count_interval);
  deadlines_.set(count_handle, count_at_);
}

void Impl::handle(const FlowsCounted& event) {
  if (!counting_) return;
  counting_ = false;
  if (event.counts.empty()) return;
  std::map<Mark, std::uint64_t> counts;
  for (const FlowCount& one : event.counts) counts[one.block.value] = one.flows;
  each_member([&](PoolMember& m) {
    const auto known = counts.find(m.block.value);
    if (known == counts.end()) return;
    m.flows = known->second;
    if (m.drain) check_drain(m);
  });
  const std::size_t before = ghosts_.size();
  std::erase_if(ghosts_, [&](const PoolGhost& ghost) {
    const auto known = counts.find(ghost.block.value);
    const bool gone = known != counts.end() && known->second == 0 && ghost.since <= count_started_;
    if (gone) blocks_.give_back(ghost.block);
    return gone;
  });
  if (ghosts_.size() != before) base_.wanted = true;
}

// --- drains
// ---------------------------------------------------------------------------------------

void Impl::handle(const DrainsRestored& event) {
  for (const DrainRecord& record : event.drains) {
    for (PoolMember* m : find(record.pool, record.server)) {
      m->drain = record;
      mark(*m->pool);
    }
  }
}

void Impl::handle(const DrainServer& event) {
  bool changed = false;
  for (PoolMember* m : find(event.pool, event.server)) {
    const Duration deadline = event.deadline.value_or(m->pool->config->drain_deadline);
    DrainRecord record;
    record.pool = m->pool->name;
    record.server = m->host->name;
    record.by = event.by;
    record.since = m->drain ? m->drain->since : now_;
    record.until = event.length > Duration{} ? after(now_, event.length) : never;
    record.deadline = deadline > Duration{} ? after(now_, deadline) : never;
    record.finished = m->drain && m->drain->finished;
    m->drain = std::move(record);
    if (!m->in_kernel) m->out_at = now_;
    m->progress_at = now_;
    mark(*m->pool);
    changed = true;
  }
  if (!changed) return;
  store_drains();
  count_at_ = after(now_, Duration{1ms});
  deadlines_.set(count_handle, count_at_);
}

void Impl::handle(const ReadyServer& event) {
  for (PoolMember* m : find(event.pool, event.server))
    if (m->drain) end_drain(*m, event.by);
}

void Impl::end_drain(PoolMember& m, const std::string& by) {
  m.drain.reset();
  if (m.health == PoolHealth::up && m.pool->config->slow_start > Duration{}) m.slow_since = now_;
  store_drains();
  mark(*m.pool);
  tell(m);
  for (Telling& t : tellings_)
    if (t.member == &m) t.transition.by = by;
}

void Impl::check_drain(PoolMember& m) {
  DrainRecord& drain = *m.drain;
  if (drain.until <= now_) {
    end_drain(m, "its time is over");
    return;
  }
  if (drain.finished || !kernel_known_) return;
  if (m.in_kernel) return;
  if (drain.deadline <= now_) {
    if (m.flushing == 0) flush(m, true);
    return;
  }
  if (!m.flows || count_started_ < m.out_at) return;
  if (*m.flows == 0) {
    drain.finished = true;
    store_drains();
    notice(PoolNoticeKind::drain_ended, m.pool, &m,
           member_name(m) + " is drained: no connection is left");
    mark(*m.pool);
  } else if (now_ - m.progress_at >= progress_interval) {
    m.progress_at = now_;
    notice(PoolNoticeKind::drain_progress, m.pool, &m,
           member_name(m) + " is draining: " + connections(*m.flows) + " left");
  }
}

void Impl::store_drains() { out_->emplace_back(StoreDrains{drains()}); }

std::optional<std::string> Impl::ready_problem(std::string_view pool,
                                               std::string_view server) const {
  if (!find(pool, server).empty()) return std::nullopt;
  if (pool.empty()) return "no pool has a server " + std::string{server};
  if (!pools_.contains(pool)) return "there is no pool " + std::string{pool};
  return "pool " + std::string{pool} + " has no server " + std::string{server};
}

std::optional<std::string> Impl::drain_problem(std::string_view pool, std::string_view server,
                                               bool force) const {
  if (auto problem = ready_problem(pool, server)) return problem;
  if (force) return std::nullopt;
  for (const PoolMember* m : find(pool, server)) {
    if (m->drain || !m->in) continue;
    const bool other = std::ranges::any_of(m->pool->members, [&](const auto& n) {
      return n.get() != m && !n->drain && n->health == PoolHealth::up;
    });
    if (!other) {
      return member_name(*m) +
             " is the last server of its pool that works: without it connections " +
             "would be refused";
    }
  }
  return std::nullopt;
}

// --- told
// -----------------------------------------------------------------------------------------

void Impl::tell(PoolMember& m) {
  const ServerState now = state_of(m);
  const bool kept = m.kept && now == ServerState::failed;
  if (now == m.told && kept == m.told_kept) return;
  ServerTransition t;
  t.pool = m.pool->name;
  t.server = m.host->name;
  t.from = m.told;
  t.to = now;
  t.in_previous = now_ - m.told_at;
  t.kept = kept;
  if (now == ServerState::failed || now == ServerState::waiting) {
    t.check = m.check;
    t.reason = m.reason;
    t.probe_reason = m.probe_reason;
    t.last_good = m.last_good;
    t.first_failed = m.first_failed;
    t.detected = m.detected;
  } else if (now == ServerState::up) {
    t.first_failed = m.first_failed;
    t.detected = now_;
  }
  if (m.drain) t.by = m.drain->by;
  m.told = now;
  m.told_kept = kept;
  m.told_at = now_;
  // One that waits to be told is overtaken, not forgotten.
  release(m);
  tellings_.push_back({std::move(t), &m});
}

void Impl::release(PoolMember& m) {
  std::erase_if(tellings_, [&](Telling& t) {
    if (t.member != &m) return false;
    finish(std::move(t));
    return true;
  });
}

void Impl::release_tellings() {
  std::erase_if(tellings_, [&](Telling& t) {
    PoolMember& m = *t.member;
    const Retry& retry = m.pool->retry;
    const bool refused = retry.refusals > 0;
    const bool in_batch = batch_ && std::ranges::find(batch_->pools, m.pool) != batch_->pools.end();
    if (!kernel_known_ || in_batch || (retry.wanted && !refused)) return false;
    if (!refused && !m.kept && (m.flush_due || m.flushing != 0)) return false;
    t.transition.applied = !refused;
    finish(std::move(t));
    return true;
  });
}

void Impl::finish(Telling telling) {
  ServerTransition& t = telling.transition;
  const PoolMember& m = *telling.member;
  const auto in = std::ranges::count_if(m.pool->members, [](const auto& n) { return n->in; });
  const auto all = m.pool->members.size();
  if (!t.applied)
    t.done = "the kernel refused the change";
  else if (t.kept)
    t.done = told_blind_ || blind_about(m)
                 ? "it still gets connections: our own network may be down"
             : m.pool->state == PoolState::last_known
                 ? "it still gets connections: no server is left"
                 : "it still gets connections: no more may be taken out";
  else if (in == 0)
    t.done = "no server is left: connections are refused";
  else
    t.done = std::to_string(in) + " of " + std::to_string(all) + " servers get connections";
  if (t.flushed != Time{}) t.done += ", " + connections(t.flows) + " ended";
  out_->emplace_back(std::move(t));
}

}  // namespace sentinel::core
