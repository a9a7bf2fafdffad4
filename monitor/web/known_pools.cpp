#include "web/known_pools.hpp"

#include <algorithm>
#include <utility>

namespace sentinel::web {

using protocol::ReportedPool;

namespace {

constexpr const char* none_here = "there is no failover on this host";

}  // namespace

KnownPools::KnownPools(bool expected) {
  state_.configured = expected;
  state_.reason = expected ? "it was not reached yet" : none_here;
}

PoolChanges KnownPools::on(Answer answer, core::Time now, protocol::WallMs wall) {
  asked_ = now;
  PoolChanges changes;
  const auto before = std::make_pair(state_.configured, state_.up);
  if (!answer) {
    state_.configured = state_.configured || !answer.error().absent;
    state_.up = false;
    std::string reason = state_.configured ? std::move(answer.error().text) : none_here;
    changes.failover = reason != state_.reason;
    state_.reason = std::move(reason);
  } else {
    state_.configured = state_.up = true;
    state_.reason.clear();
    state_.as_of = wall;
    for (ReportedPool& fresh : *answer) {
      const auto known = std::ranges::find(state_.pools, fresh.name, &ReportedPool::name);
      if (known != state_.pools.end()) protocol::settle_times(fresh, *known);
      if (known == state_.pools.end() || *known != fresh) changes.pools.push_back(fresh.name);
    }
    for (const ReportedPool& old : state_.pools)
      if (!std::ranges::contains(*answer, old.name, &ReportedPool::name))
        changes.gone.push_back(old.name);
    state_.pools = *std::move(answer);
  }
  changes.failover = changes.failover || before != std::make_pair(state_.configured, state_.up);
  return changes;
}

bool KnownPools::fresh(core::Time now) const { return asked_ && now - *asked_ < often; }

core::Time KnownPools::next(bool listened) const {
  if (!asked_) return core::Time{};  // at once
  const bool wanted = wanted_ && *asked_ - *wanted_ < interest;
  return core::after(*asked_, listened || wanted ? often : seldom);
}

}  // namespace sentinel::web
