// What a configuration, the first or a later one, makes of what is there. Whatever stays the same
// keeps its state: a reload in itself changes nothing that a connection could notice.

#include <algorithm>

#include "core/failover_impl.hpp"

namespace sentinel::core {

using Impl = FailoverCore::Impl;

namespace {

constexpr Duration first_spread = 200ms;  // few checks: judged soon
constexpr std::size_t few_checks = 200;
constexpr Duration longest_farewell = 24h;  // of connections to a server that is configured no more

std::string label_of(const ProbeSpec& spec, const IpAddress* address, bool twins) {
  std::string label = spec.name;
  if (address != nullptr && twins) label += address->family == Family::v4 ? " (IPv4)" : " (IPv6)";
  return label;
}

std::vector<IpAddress> used_addresses(const Pool& pool, const HostConfig& host) {
  std::vector<IpAddress> out;
  for (const IpAddress& address : host.addresses) {
    if (std::ranges::any_of(pool.config->listeners, [&](const VipKey& key) {
          return key.address.family == address.family;
        }))
      out.push_back(address);
  }
  return out;
}

template <typename T>
void drop(std::vector<T*>& list, const T* value) {
  std::erase(list, value);
}

}  // namespace

void Impl::handle(const PoolsConfigured& event) {
  const auto before = std::exchange(config_, event.config);  // old pointers hold until replaced
  const bool first = pools_.empty() && hosts_.empty();
  if (first) rng_ = Rng{config_->seed};
  configure_hosts();
  for (auto it = pools_.begin(); it != pools_.end();) {
    if (config_->pools.contains(it->first)) {
      ++it;
      continue;
    }
    forget_pool(*it->second);
    it = pools_.erase(it);
  }
  for (const auto& [name, config] : config_->pools) {
    auto& pool = pools_[name];
    if (!pool) {
      pool = std::make_unique<Pool>();
      pool->name = name;
      pool->id = ++last_pool_;
      by_id_.emplace(pool->id, pool.get());
    }
    pool->config = &config;
    configure_pool(*pool);
  }
  forget_unknown_hosts();
  make_checks(gateways_, config_->gateways, {}, nullptr, nullptr);
  for (auto& [name, host] : hosts_) {
    host->members.clear();
    make_checks(host->checks, host->config->checks, host->config->addresses, host.get(), nullptr);
  }
  each_member([](PoolMember& m) { m.host->members.push_back(&m); });
  // A check that is gone may have been what kept a server out, or a host in.
  each_member([this](PoolMember& m) { judge(m); });
  kernel_.sticky_timeout = config_->sticky_timeout;
  for (auto& [name, pool] : pools_) {
    pool->retry = {.wanted = pool->retry.wanted};
    find_in_kernel(*pool);
    mark(*pool);
    want(*pool);
  }
  base_ = {.wanted = true};
  look_due_ = true;
  if (!first) {
    std::size_t servers = 0;
    each_member([&](const PoolMember&) { ++servers; });
    notice(PoolNoticeKind::reconfigured, nullptr, nullptr,
           "configuration in force: " + std::to_string(pools_.size()) + " pools, " +
               std::to_string(servers) + " servers");
  }
}

void Impl::configure_hosts() {
  for (const auto& [name, config] : config_->hosts) {
    auto& host = hosts_[name];
    if (!host) {
      host = std::make_unique<PoolHost>();
      host->name = name;
    }
    host->config = &config;
  }
}

/// After the pools: no member refers to them any more.
void Impl::forget_unknown_hosts() {
  for (auto it = hosts_.begin(); it != hosts_.end();) {
    if (config_->hosts.contains(it->first)) {
      ++it;
      continue;
    }
    for (const auto& check : it->second->checks) forget_check(*check);
    it = hosts_.erase(it);
  }
}

void Impl::configure_pool(Pool& pool) {
  pool.targets.clear();
  for (const VipKey& key : pool.config->listeners)
    pool.targets.emplace_back(key.address.family, key.port);
  std::ranges::sort(pool.targets);
  const auto repeated = std::ranges::unique(pool.targets);
  pool.targets.erase(repeated.begin(), repeated.end());

  std::vector<std::unique_ptr<PoolMember>> old = std::move(pool.members);
  pool.members.clear();
  pool.owners.clear();
  for (const PoolServer& server : pool.config->servers) {
    PoolHost& host = *hosts_.find(server.host)->second;
    std::string identity = pool.name + "/" + host.name;
    for (const IpAddress& address : used_addresses(pool, *host.config))
      identity += " " + address.to_string();
    const auto known =
        std::ranges::find_if(old, [&](const auto& m) { return m && m->identity == identity; });
    std::unique_ptr<PoolMember> member;
    if (known != old.end()) {
      member = std::move(*known);
    } else {
      member = std::make_unique<PoolMember>();
      member->pool = &pool;
      member->identity = identity;
      member->changed = member->told_at = now_;
    }
    member->host = &host;
    member->config = &server;
    pool.members.push_back(std::move(member));
  }
  for (auto& gone : old)
    if (gone) forget_member(*gone);
  for (auto& member : pool.members) {
    place(*member);
    make_checks(member->checks, pool.config->checks, used_addresses(pool, *member->host->config),
                nullptr, member.get());
  }
}

/// Gives the member its block of marks, the one it has had where that fits.
void Impl::place(PoolMember& m) {
  const std::size_t marks = m.pool->targets.size();
  const bool masquerade = m.pool->config->masquerade;
  MarkBlocks scratch;
  const auto like = scratch.take(m.identity, marks, masquerade);
  const auto fits = [&](const MarkBlock& block) {
    return like && block.mask == like->mask &&
           (block.value & mark_masquerade) == (like->value & mark_masquerade);
  };
  if (m.block.value != 0) {
    if (fits(m.block)) return;
    ghosts_.push_back({m.block, m.identity, now_, after(now_, longest_farewell)});
    m.block = {};
    m.in_kernel = false;
  }
  const auto ghost = std::ranges::find_if(
      ghosts_, [&](const PoolGhost& g) { return g.identity == m.identity && fits(g.block); });
  if (ghost != ghosts_.end()) {
    m.block = ghost->block;
    ghosts_.erase(ghost);
    return;
  }
  // The configuration's limits leave room for far more than there can be.
  m.block = blocks_.take(m.identity, marks, masquerade).value_or(MarkBlock{});
}

void Impl::make_checks(PoolChecks& checks, const std::vector<ProbeSpec>& specs,
                       const std::vector<IpAddress>& addresses, PoolHost* host,
                       PoolMember* member) {
  PoolChecks old = std::move(checks);
  checks.clear();
  const auto one = [&](const ProbeSpec& spec, const IpAddress* address) {
    const std::string text = address == nullptr ? std::string{} : address->to_string();
    const std::string label = label_of(spec, address, addresses.size() > 1);
    // Times and thresholds may change under way; another question starts anew.
    const auto known = std::ranges::find_if(old, [&](const auto& c) {
      return c && c->label == label && c->address == text && c->spec->url == spec.url;
    });
    std::unique_ptr<PoolCheck> check;
    if (known != old.end()) {
      check = std::move(*known);
    } else {
      check = std::make_unique<PoolCheck>();
      check->id = ++last_check_;
      check->label = label;
      check->address = text;
      check->host = host;
      check->member = member;
      checks_.emplace(check->id, check.get());
      const bool few = checks_.size() <= few_checks;
      check->next = check->slot = after(now_, rng_.below(few ? first_spread : spec.interval));
    }
    check->spec = std::shared_ptr<const ProbeSpec>(config_, &spec);
    if (!check->running && check->next > after(now_, spec.interval))
      check->next = after(now_, spec.interval);
    schedule(*check);
    checks.push_back(std::move(check));
  };
  for (const ProbeSpec& spec : specs) {
    if (!spec.host.empty() || addresses.empty()) {
      one(spec, nullptr);
      continue;
    }
    for (const IpAddress& address : addresses) one(spec, &address);
  }
  for (const auto& gone : old)
    if (gone) forget_check(*gone);
}

void Impl::forget_check(const PoolCheck& check) {
  deadlines_.erase(check_bit | check.id);
  checks_.erase(check.id);
}

void Impl::forget_member(PoolMember& m) {
  for (const auto& check : m.checks) forget_check(*check);
  drop(flush_wanted_, &m);
  std::erase_if(m.pool->last, [&](const PoolMember* other) { return other == &m; });
  std::erase_if(tellings_, [&](const Telling& t) { return t.member == &m; });
  for (auto& [id, flush] : flushes_)
    if (flush.member == &m) flush.member = nullptr;
  const bool farewell = m.in_kernel || m.flows.value_or(0) > 0;
  if (farewell && m.block.value != 0) {
    const Duration left = m.pool->config->drain_deadline;
    const Duration time = left == Duration{} ? longest_farewell : std::min(left, longest_farewell);
    ghosts_.push_back({m.block, m.identity, now_, after(now_, time)});
  } else {
    blocks_.give_back(m.block);
  }
  if (m.drain) {
    m.drain.reset();
    store_drains();
  }
}

void Impl::forget_pool(Pool& pool) {
  for (auto& member : pool.members) forget_member(*member);
  drop(dirty_, &pool);
  drop(wanting_, &pool);
  if (batch_) drop(batch_->pools, &pool);
  by_id_.erase(pool.id);
  deadlines_.erase(pool_bit | pool.id);
}

/// Marks in the kernel that no server has: of a configuration before the last restart.
void Impl::adopt_ghosts() {
  std::map<Mark, const PoolMember*> blocks;
  each_member([&](const PoolMember& m) { blocks.emplace(m.block.value, &m); });
  for (const auto& [mark, server] : kernel_.servers) {
    const auto after_it = blocks.upper_bound(mark);
    if (after_it != blocks.begin() && in_block(mark, std::prev(after_it)->second->block)) continue;
    if ((mark & mark_base_mask) != mark_base) continue;
    const MarkBlock block{mark, ~Mark{0}};
    if (blocks_.take(block)) ghosts_.push_back({block, {}, now_, after(now_, longest_farewell)});
  }
}

void Impl::expire_ghosts() {
  for (auto it = ghosts_.begin(); it != ghosts_.end();) {
    if (it->deadline > now_) {
      ++it;
      continue;
    }
    flush(*it);
    blocks_.give_back(it->block);
    it = ghosts_.erase(it);
    base_.wanted = true;
  }
}

}  // namespace sentinel::core
