#include "core/failover.hpp"

#include <algorithm>

#include "core/failover_impl.hpp"

namespace sentinel::core {

using Impl = FailoverCore::Impl;

FailoverCore::FailoverCore() : impl_{std::make_unique<Impl>()} {}
FailoverCore::~FailoverCore() = default;

void FailoverCore::on(const PoolEvent& event, Time now, PoolActions& out) {
  impl_->on(event, now, out);
}
std::optional<Time> FailoverCore::next_deadline() const { return impl_->next_deadline(); }
FailoverView FailoverCore::state() const { return impl_->state(); }
std::vector<PoolView> FailoverCore::pools() const { return impl_->pools(); }
std::vector<DrainRecord> FailoverCore::drains() const { return impl_->drains(); }
const NatTable& FailoverCore::table() const { return impl_->table(); }
NatTable FailoverCore::wanted() const { return impl_->wanted(); }
std::optional<std::string> FailoverCore::drain_problem(std::string_view pool,
                                                       std::string_view server, bool force) const {
  return impl_->drain_problem(pool, server, force);
}
std::optional<std::string> FailoverCore::ready_problem(std::string_view pool,
                                                       std::string_view server) const {
  return impl_->ready_problem(pool, server);
}

std::string member_name(const PoolMember& member) {
  return member.pool->name + "/" + member.host->name;
}

void Impl::on(const PoolEvent& event, Time now, PoolActions& out) {
  now_ = std::max(now_, now);
  out_ = &out;
  std::visit([this](const auto& e) { handle(e); }, event);
  serve_due();
  settle();
  out_ = nullptr;
}

void Impl::serve_due() {
  while (const auto handle = deadlines_.pop(now_)) {
    if (*handle == kernel_handle) continue;  // settle() looks at the clock
    if (*handle == count_handle) {
      count_flows();
    } else if ((*handle & pool_bit) != 0) {
      const auto pool = by_id_.find(static_cast<std::uint32_t>(*handle));
      if (pool == by_id_.end()) continue;
      for (auto& member : pool->second->members) member_due(*member);
      schedule(*pool->second);
    } else if (const auto check = checks_.find(static_cast<ServiceId>(*handle));
               check != checks_.end()) {
      run_check(*check->second);
    }
  }
}

void Impl::settle() {
  if (kernel_known_) {
    if (look_due_) look();
    // Deciding marks no further pool, so this ends.
    std::vector<Pool*> dirty = std::move(dirty_);
    dirty_.clear();
    for (Pool* pool : dirty) decide(*pool);
    for (Pool* pool : dirty) schedule(*pool);
  }
  start_batch();
  flush_failed();
  release_tellings();
  schedule_kernel();
}

void Impl::mark(Pool& pool) {
  if (pool.dirty) return;
  pool.dirty = true;
  dirty_.push_back(&pool);
}

void Impl::mark_all() {
  for (auto& [name, pool] : pools_) mark(*pool);
}

void Impl::want(Pool& pool) {
  if (pool.retry.wanted) return;
  pool.retry.wanted = true;
  wanting_.push_back(&pool);
}

void Impl::notice(PoolNoticeKind kind, const Pool* pool, const PoolMember* member,
                  std::string text) {
  out_->emplace_back(PoolNotice{kind, pool == nullptr ? std::string{} : pool->name,
                                member == nullptr ? std::string{} : member->host->name,
                                std::move(text)});
}

void Impl::handle(const NatRead& event) {
  reading_ = false;
  read_deadline_ = never;
  kernel_known_ = true;
  kernel_ = event.table;
  if (first_read_) adopt_blocks();
  for (auto& [name, pool] : pools_) find_in_kernel(*pool);
  if (first_read_) {
    first_read_ = false;
    std::size_t adopted = 0;
    each_member([&](PoolMember& m) {
      if (!m.in_kernel || m.health != PoolHealth::unknown) return;
      // It got connections when we last looked: so it stays until its checks say otherwise.
      m.health = PoolHealth::up;
      m.ever_up = true;
      m.changed = now_;
      ++adopted;
    });
    adopt_ghosts();
    if (!kernel_.services.empty()) {
      notice(PoolNoticeKind::adopted, nullptr, nullptr,
             "the kernel's table was taken over: " + std::to_string(kernel_.services.size()) +
                 " virtual services, " + std::to_string(adopted) +
                 " servers in use until their checks say otherwise");
    }
    count_at_ = now_;
    deadlines_.set(count_handle, count_at_);
  }
  base_.wanted = true;
  for (auto& [name, pool] : pools_) want(*pool);
  mark_all();
  look_due_ = true;
}

void Impl::handle(const NatDone& event) {
  if (!batch_ || batch_->id != event.batch) return;
  const Batch batch = std::move(*batch_);
  batch_.reset();
  if (!event.ok) {
    refused(batch, event.error);
    return;
  }
  apply(kernel_, batch.changes);
  confirm(batch);
}

std::vector<PoolMember*> Impl::find(std::string_view pool, std::string_view server) const {
  std::vector<PoolMember*> out;
  for (const auto& [name, known] : pools_) {
    if (!pool.empty() && name != pool) continue;
    for (const auto& member : known->members)
      if (member->host->name == server) out.push_back(member.get());
  }
  return out;
}

// --- views
// ----------------------------------------------------------------------------------------

ServerState Impl::state_of(const PoolMember& m) {
  if (m.drain) return m.drain->finished ? ServerState::drained : ServerState::draining;
  switch (m.health) {
    case PoolHealth::unknown: return ServerState::unknown;
    case PoolHealth::up: return ServerState::up;
    case PoolHealth::failed: return ServerState::failed;
    case PoolHealth::waiting: return ServerState::waiting;
  }
  std::unreachable();
}

namespace {

void view_checks(const PoolChecks& checks, bool of_host, std::vector<CheckView>& out) {
  for (const auto& check : checks) {
    out.push_back({check->label, check->spec->url,
                   check->spec->host.empty() ? check->address : check->spec->host, of_host,
                   check->judge.verdict(), check->reason, check->sentence, check->last,
                   check->last_good, check->took});
  }
}

}  // namespace

ServerView Impl::view(const PoolMember& m) const {
  ServerView out;
  out.pool = m.pool->name;
  out.server = m.host->name;
  out.addresses = m.host->config->addresses;
  out.port = m.config->port;
  out.weight = m.config->weight;
  out.role = m.config->role;
  out.state = state_of(m);
  if (m.health == PoolHealth::failed || m.health == PoolHealth::waiting) out.reason = m.reason;
  out.since = m.told_at;
  out.in_use = m.in_kernel;
  out.kept = m.kept;
  out.share = m.in ? m.share : 0;
  out.slots = m.slots;
  out.ejections = m.ejections;
  out.hold_down = hold_down_of(m);
  out.drain = m.drain;
  out.flows = m.flows;
  out.block = m.block;
  view_checks(m.checks, false, out.checks);
  view_checks(m.host->checks, true, out.checks);
  return out;
}

std::vector<PoolView> Impl::pools() const {
  std::vector<PoolView> out;
  out.reserve(pools_.size());
  for (const auto& [name, pool] : pools_) {
    PoolView one;
    one.name = name;
    one.state = pool->state;
    one.listeners = pool->config->listeners;
    one.schedule = pool->config->schedule;
    one.eject = pool->config->eject;
    one.all_down = pool->config->all_down;
    one.slots = pool->config->slots;
    one.masquerade = pool->config->masquerade;
    for (const auto& member : pool->members) one.servers.push_back(view(*member));
    out.push_back(std::move(one));
  }
  return out;
}

FailoverView Impl::state() const {
  FailoverView out;
  out.adopted = kernel_known_ && !first_read_;
  out.blind = told_blind_;
  out.blind_reason = blind_reason_;
  out.refusals = base_.refusals;
  for (const auto& [name, pool] : pools_)
    out.refusals = std::max(out.refusals, pool->retry.refusals);
  out.refused = out.refusals > 0;
  if (out.refused) out.refused_reason = refused_reason_;
  return out;
}

std::vector<DrainRecord> Impl::drains() const {
  std::vector<DrainRecord> out;
  each_member([&](const PoolMember& m) {
    if (m.drain) out.push_back(*m.drain);
  });
  return out;
}

}  // namespace sentinel::core
