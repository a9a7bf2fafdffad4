// From servers' states to the table, and from the table to the kernel.

#include <algorithm>

#include "core/failover_impl.hpp"

namespace sentinel::core {

using Impl = FailoverCore::Impl;

namespace {

constexpr unsigned whole_share = 1000;
constexpr Duration answer_time = 5s;  // of the kernel, or of reading it
constexpr Duration first_retry = 1s;
constexpr Duration longest_retry = 30s;
constexpr unsigned max_refusals = 10;

Spread spread_of(Schedule schedule) {
  switch (schedule) {
    case Schedule::round_robin:
    case Schedule::weighted: return Spread::round_robin;
    case Schedule::source_hash: return Spread::source_hash;
    case Schedule::sticky: return Spread::sticky;
  }
  std::unreachable();
}

const IpAddress& address_of(const HostConfig& host, Family family) {
  for (const IpAddress& address : host.addresses)
    if (address.family == family) return address;
  return host.addresses.front();  // a bad configuration, which its reader refuses
}

/// Of the marks of a listener within the block of a server.
Mark place_of(const Pool& pool, const VipKey& key) {
  const auto target =
      std::ranges::lower_bound(pool.targets, std::pair{key.address.family, key.port});
  return static_cast<Mark>(target - pool.targets.begin());
}

NatServer target_of(const PoolMember& m, Family family, std::uint16_t port) {
  return {address_of(*m.host->config, family), m.config->port != 0 ? m.config->port : port};
}

std::string describe(const VipKey& key) {
  const bool v6 = key.address.family == Family::v6;
  return (v6 ? "[" : "") + key.address.to_string() + (v6 ? "]" : "") + ":" +
         std::to_string(key.port);
}

std::string where(const Pool& pool) {
  const auto& listeners = pool.config->listeners;
  return pool.name + " (" + describe(listeners.front()) +
         (listeners.size() > 1 ? " and " + std::to_string(listeners.size() - 1) + " more" : "") +
         ")";
}

}  // namespace

// --- who is in ---

std::vector<PoolMember*> Impl::chosen(Pool& pool, PoolState& state) {
  std::vector<PoolMember*> in;
  std::vector<PoolMember*> failing;
  std::size_t actives = 0;
  bool unjudged = false;
  bool impaired = false;
  for (auto& owned : pool.members) {
    PoolMember& m = *owned;
    m.kept = false;
    if (m.config->role != Role::active) continue;
    ++actives;
    if (m.drain) continue;
    impaired = impaired || m.health != PoolHealth::up;
    if (m.health == PoolHealth::up) {
      in.push_back(&m);
    } else if (m.health == PoolHealth::unknown) {
      unjudged = true;
    } else if (blind_about(m)) {
      m.kept = true;
      in.push_back(&m);
    } else {
      failing.push_back(&m);
    }
  }
  const std::size_t may_be_out = actives * pool.config->max_ejected / 100;
  if (failing.size() > may_be_out) {
    // Those that are out stay out; the next are kept.
    std::ranges::stable_sort(failing, {},
                             [](const PoolMember* m) { return std::pair{m->in, m->detected}; });
    for (std::size_t i = may_be_out; i < failing.size(); ++i) {
      if (!failing[i]->ever_up) continue;
      failing[i]->kept = true;
      in.push_back(failing[i]);
    }
  }
  if (!in.empty()) {
    state = impaired ? PoolState::degraded : PoolState::up;
    return in;
  }
  switch (pool.config->all_down) {
    case AllDown::reject: break;
    case AllDown::backup:
      for (auto& m : pool.members) {
        if (m->config->role != Role::backup || m->drain) continue;
        if (m->health != PoolHealth::up && !blind_about(*m)) continue;
        m->kept = m->health != PoolHealth::up;
        in.push_back(m.get());
      }
      if (!in.empty()) {
        state = PoolState::backup;
        return in;
      }
      break;
    case AllDown::last_known:
      for (auto& m : pool.members) {
        if (m->drain || std::ranges::find(pool.last, m.get()) == pool.last.end()) continue;
        m->kept = true;
        in.push_back(m.get());
      }
      if (!in.empty()) {
        state = PoolState::last_known;
        return in;
      }
      break;
  }
  state = unjudged ? PoolState::pending : PoolState::down;
  return in;
}

void Impl::decide(Pool& pool) {
  pool.dirty = false;
  const PoolState before = pool.state;
  const std::vector<PoolMember*> in = chosen(pool, pool.state);
  if (pool.state == PoolState::up || pool.state == PoolState::degraded)
    pool.last.assign(in.begin(), in.end());

  // Slots belong to servers of one role: backups own none while actives have them.
  const Role role = in.empty() ? Role::active : in.front()->config->role;
  std::vector<SlotServer> servers;
  std::vector<std::uint16_t> places;
  for (std::size_t i = 0; i < pool.members.size(); ++i) {
    PoolMember& m = *pool.members[i];
    const bool was_in = m.in;
    m.in = std::ranges::find(in, &m) != in.end();
    // It was kept though it failed, and is kept no more.
    if (was_in && !m.in && m.health == PoolHealth::failed) want_flush(m);
    m.share = !m.in ? 0 : m.kept ? whole_share : share_of(m);
    m.slots = 0;
    if (m.config->role != role) continue;
    const unsigned weight = pool.config->schedule == Schedule::round_robin ? 1 : m.config->weight;
    servers.push_back({identity_hash(m.identity), weight, m.share});
    places.push_back(static_cast<std::uint16_t>(i));
  }
  std::vector<std::uint16_t> owners;
  if (!in.empty()) {
    const SlotOrder order =
        pool.config->schedule == Schedule::source_hash ? SlotOrder::maglev : SlotOrder::in_turn;
    owners = fill_slots(servers, static_cast<std::size_t>(pool.config->slots), order);
    for (auto& owner : owners) {
      owner = places[owner];
      ++pool.members[owner]->slots;
    }
  }
  if (owners != pool.owners && pool.retry.at == never) pool.retry.at = now_;
  pool.owners = std::move(owners);
  want(pool);
  for (auto& member : pool.members) tell(*member);
  tell_pool(pool, before);
}

void Impl::tell_pool(Pool& pool, PoolState before) {
  if (before == pool.state) return;
  const auto served = [](PoolState s) { return s == PoolState::up || s == PoolState::degraded; };
  switch (pool.state) {
    case PoolState::pending: break;
    case PoolState::up:
    case PoolState::degraded:
      if (before == PoolState::backup)
        notice(PoolNoticeKind::off_backup, &pool, nullptr,
               "pool " + where(pool) + " is served by its active servers again");
      else if (!served(before) && before != PoolState::pending)
        notice(PoolNoticeKind::pool_up, &pool, nullptr, "pool " + where(pool) + " is up again");
      break;
    case PoolState::backup:
      notice(PoolNoticeKind::on_backup, &pool, nullptr,
             "pool " + where(pool) + " has no active server left: its backup servers take over");
      break;
    case PoolState::last_known:
      notice(PoolNoticeKind::pool_down, &pool, nullptr,
             "pool " + where(pool) +
                 " has no server left: connections go to those that answered last");
      break;
    case PoolState::down:
      notice(PoolNoticeKind::pool_down, &pool, nullptr,
             "pool " + where(pool) + " has no server left: connections are refused");
      break;
  }
}

// --- tables ---

NatTable Impl::slice(const Pool& pool) const {
  NatTable out;
  const PoolConfig& config = *pool.config;
  const bool sticky = config.schedule == Schedule::sticky;
  for (const auto& member : pool.members) {
    for (std::size_t i = 0; i < pool.targets.size(); ++i) {
      const auto& [family, port] = pool.targets[i];
      const Mark mark = member->block.value | static_cast<Mark>(i);
      out.servers.emplace(mark, target_of(*member, family, port));
      if (sticky && member->in) out.live.insert(mark);
    }
  }
  for (const VipKey& key : config.listeners) {
    NatService service;
    if (!pool.owners.empty()) {
      service.slot_class = config.slots;
      service.spread = spread_of(config.schedule);
      const Mark place = place_of(pool, key);
      service.slots.reserve(pool.owners.size());
      for (const std::uint16_t owner : pool.owners)
        service.slots.push_back(pool.members[owner]->block.value | place);
    }
    out.services.emplace(key, std::move(service));
  }
  return out;
}

NatTable Impl::kernel_slice(const Pool& pool) const {
  NatTable out;
  for (const VipKey& key : pool.config->listeners) {
    const auto known = kernel_.services.find(key);
    if (known != kernel_.services.end()) out.services.insert(*known);
  }
  for (const auto& member : pool.members) {
    const MarkBlock& block = member->block;
    for (auto it = kernel_.servers.lower_bound(block.value);
         it != kernel_.servers.end() && in_block(it->first, block); ++it)
      out.servers.insert(*it);
    for (auto it = kernel_.live.lower_bound(block.value);
         it != kernel_.live.end() && in_block(*it, block); ++it)
      out.live.insert(*it);
  }
  return out;
}

/// What the kernel holds that belongs to no pool.
NatTable Impl::kernel_base() const {
  std::set<VipKey> keys;
  std::map<Mark, MarkBlock> blocks;
  for (const auto& [name, pool] : pools_) {
    keys.insert(pool->config->listeners.begin(), pool->config->listeners.end());
    for (const auto& member : pool->members) blocks.emplace(member->block.value, member->block);
  }
  const auto ours = [&](Mark mark) {
    const auto next = blocks.upper_bound(mark);
    return next != blocks.begin() && in_block(mark, std::prev(next)->second);
  };
  NatTable out;
  out.hairpin = kernel_.hairpin;
  for (const auto& service : kernel_.services)
    if (!keys.contains(service.first)) out.services.insert(service);
  for (const auto& server : kernel_.servers)
    if (!ours(server.first)) out.servers.insert(server);
  for (const Mark mark : kernel_.live)
    if (!ours(mark)) out.live.insert(mark);
  return out;
}

NatTable Impl::wanted_base(const NatTable& kernel) const {
  NatTable out;
  out.hairpin = hairpin();
  for (const auto& server : kernel.servers)
    if (std::ranges::any_of(ghosts_,
                            [&](const PoolGhost& g) { return in_block(server.first, g.block); }))
      out.servers.insert(server);
  return out;
}

/// No prefix within another: the kernel's set takes no overlap.
std::set<IpPrefix> Impl::hairpin() const {
  std::set<IpPrefix> all(config_->hairpin.begin(), config_->hairpin.end());
  each_member([&](const PoolMember& m) {
    for (const IpAddress& address : m.host->config->addresses)
      all.insert({address, static_cast<std::uint8_t>(address.family == Family::v4 ? 32 : 128)});
  });
  std::set<IpPrefix> out;
  for (const IpPrefix& prefix : all) {  // by address, then length: what contains comes first
    if (!out.empty() && std::prev(out.end())->contains(prefix.address)) continue;
    out.insert(prefix);
  }
  return out;
}

NatTable Impl::wanted() const {
  NatTable out = wanted_base(kernel_base());
  out.sticky_timeout = config_->sticky_timeout;
  for (const auto& [name, pool] : pools_) {
    NatTable part = slice(*pool);
    out.services.merge(part.services);
    out.servers.merge(part.servers);
    out.live.merge(part.live);
  }
  return out;
}

/// Which marks the kernel has for a server, told by where their connections go.
std::optional<MarkBlock> Impl::block_in_kernel(const PoolMember& m) const {
  const auto& listeners = m.pool->config->listeners;
  const auto key = std::ranges::find_if(
      listeners, [this](const VipKey& one) { return kernel_.services.contains(one); });
  if (key == listeners.end()) return std::nullopt;
  const Mark place = place_of(*m.pool, *key);
  const NatServer target = target_of(m, key->address.family, key->port);
  for (const Mark mark : kernel_.services.at(*key).slots) {
    const MarkBlock block{mark - place, m.block.mask};
    const bool fits =
        (block.value & ~block.mask) == 0 && ((block.value ^ m.block.value) & ~mark_id_mask) == 0;
    const auto server = kernel_.servers.find(mark);
    if (fits && server != kernel_.servers.end() && server->second == target) return block;
  }
  return std::nullopt;
}

/// A reload may have moved the marks of servers before the last restart: where they belong lay
/// another's then. They stay where their connections are.
void Impl::adopt_blocks() {
  std::vector<std::pair<PoolMember*, MarkBlock>> moved;
  each_member([&](PoolMember& m) {
    const auto block = block_in_kernel(m);
    if (block && *block != m.block) moved.emplace_back(&m, *block);
  });
  // All leave before one arrives: two may have changed places.
  for (const auto& [m, block] : moved) {
    blocks_.give_back(m->block);
    m->block = {};
  }
  for (const auto& [m, block] : moved)
    if (blocks_.take(block)) m->block = block;
  for (const auto& [m, block] : moved) place(*m);
}

void Impl::find_in_kernel(Pool& pool) {
  std::set<Mark> marks;
  for (const VipKey& key : pool.config->listeners) {
    const auto service = kernel_.services.find(key);
    if (service != kernel_.services.end())
      marks.insert(service->second.slots.begin(), service->second.slots.end());
  }
  for (auto& member : pool.members) {
    const auto mark = marks.lower_bound(member->block.value);
    const bool in = mark != marks.end() && in_block(*mark, member->block);
    if (member->in_kernel && !in) member->out_at = now_;
    member->in_kernel = in;
  }
}

// --- to the kernel ---

void Impl::start_batch() {
  if (!kernel_known_ || batch_ || reading_) {
    if (batch_ && batch_->deadline <= now_) {
      const Batch lost = std::move(*batch_);
      batch_.reset();
      refused(lost, "no answer");
    } else if (reading_ && read_deadline_ <= now_) {
      read_deadline_ = after(now_, answer_time);
      out_->emplace_back(ReadNat{});
    }
    return;
  }
  Batch batch;
  batch.id = last_batch_ + 1;
  // One that was part of a refused batch goes by itself, so that it cannot hold up the others.
  if (base_.wanted && base_.at <= now_) {
    base_.wanted = false;
    batch.base = true;
    const NatTable kernel = kernel_base();
    batch.changes = difference(kernel, wanted_base(kernel));
  }
  const bool base_alone = batch.base && base_.alone && !batch.changes.empty();
  std::vector<Pool*> later;
  for (Pool* pool : wanting_) {
    const bool full =
        base_alone || (pool->retry.alone && !batch.changes.empty()) ||
        (!batch.pools.empty() && batch.pools.back()->retry.alone && !batch.changes.empty());
    if (full || pool->retry.at > now_) {
      later.push_back(pool);
      continue;
    }
    pool->retry.wanted = false;
    const auto changes = difference(kernel_slice(*pool), slice(*pool));
    batch.changes.insert(batch.changes.end(), changes.begin(), changes.end());
    batch.pools.push_back(pool);
  }
  wanting_ = std::move(later);
  if (batch.pools.empty() && !batch.base) return;
  if (batch.changes.empty()) {
    confirm(batch);
    return;
  }
  ++last_batch_;
  batch.deadline = after(now_, answer_time);
  out_->emplace_back(ApplyNat{batch.id, batch.changes, reason_of(batch.pools)});
  batch_ = std::move(batch);
}

std::string Impl::reason_of(const std::vector<Pool*>& pools) const {
  std::string out;
  for (const Telling& t : tellings_) {
    if (std::ranges::find(pools, t.member->pool) == pools.end()) continue;
    if (out.size() > 200) return out + ", ...";
    if (!out.empty()) out += ", ";
    out += member_name(*t.member) + " " + std::string{to_string(t.transition.to)};
  }
  return out.empty() ? "the table is brought up to date" : out;
}

void Impl::confirm(const Batch& batch) {
  const bool changed = !batch.changes.empty();
  bool relieved = false;
  if (batch.base) {
    relieved = base_.refusals > 0;
    base_ = {.wanted = base_.wanted};
  }
  for (Pool* pool : batch.pools) {
    relieved = relieved || pool->retry.refusals > 0;
    pool->retry = {.wanted = pool->retry.wanted};
    find_in_kernel(*pool);
  }
  if (changed)
    for (Telling& t : tellings_)
      if (t.transition.confirmed == Time{} &&
          std::ranges::find(batch.pools, t.member->pool) != batch.pools.end())
        t.transition.confirmed = now_;
  if (relieved)
    notice(PoolNoticeKind::kernel_accepted, nullptr, nullptr,
           "the kernel has accepted the table that it refused before");
}

void Impl::refused(const Batch& batch, const std::string& error) {
  refused_reason_ = error;
  const std::size_t parts = batch.pools.size() + (batch.base ? 1 : 0);
  Duration wait{};
  bool given_up = false;
  const auto again = [&](Retry& retry) {
    retry.alone = true;
    ++retry.refusals;
    if (parts > 1) return;  // whose fault it was shows when each goes by itself
    wait = first_retry;
    for (unsigned i = 1; i < retry.refusals && wait < longest_retry; ++i) wait *= 2;
    wait = std::min(wait, longest_retry);
    given_up = retry.refusals >= max_refusals;
    retry.at = given_up ? never : after(now_, wait);
  };
  if (batch.base) {
    again(base_);
    base_.wanted = true;
  }
  for (Pool* pool : batch.pools) {
    again(pool->retry);
    want(*pool);
  }
  std::string text = "the kernel refused " + std::to_string(batch.changes.size()) + " changes of " +
                     (batch.pools.empty() ? "the table"
                      : parts == 1        ? "pool " + batch.pools.front()->name
                                          : std::to_string(parts) + " parts of the table") +
                     ": " + error + "; nothing was changed, ";
  if (given_up)
    text += "and it is not tried again until something changes";
  else if (parts > 1)
    text += "each is tried by itself";
  else
    text += "tried again in " + std::to_string(wait / 1s) + " s";
  notice(PoolNoticeKind::kernel_refused, parts == 1 && !batch.base ? batch.pools.front() : nullptr,
         nullptr, std::move(text));
  // What it really holds decides what is to be changed.
  reading_ = true;
  read_deadline_ = after(now_, answer_time);
  out_->emplace_back(ReadNat{});
}

void Impl::schedule_kernel() {
  Time due = never;
  if (batch_) due = std::min(due, batch_->deadline);
  if (reading_) due = std::min(due, read_deadline_);
  if (!batch_ && !reading_ && kernel_known_) {
    if (base_.wanted) due = std::min(due, base_.at);
    for (const Pool* pool : wanting_) due = std::min(due, pool->retry.at);
  }
  for (const auto& [id, flush] : flushes_) due = std::min(due, flush.deadline);
  for (const PoolGhost& ghost : ghosts_) due = std::min(due, ghost.deadline);
  if (kernel_known_ && (!dirty_.empty() || look_due_)) due = now_;
  deadlines_.set(kernel_handle, due);
}

}  // namespace sentinel::core
