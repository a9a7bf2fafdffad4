#include "observe/failover_counts.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <set>

namespace sentinel::observe {

namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;
using Kind = Sample::Kind;

constexpr std::array detection_bounds{0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0};
constexpr std::array swap_bounds{0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005,
                                 0.001,   0.0025,   0.005,   0.01,   0.1};
constexpr std::array flush_bounds{0.0001, 0.001, 0.01, 0.1, 1.0, 10.0};

Labels of_server(const core::ServerView& s) { return {{"pool", s.pool}, {"server", s.server}}; }

}  // namespace

void FailoverCounts::observe(Times& times, std::span<const double> bounds, double value) {
  times.buckets.resize(bounds.size() + 1);
  const auto at = std::ranges::lower_bound(bounds, value) - bounds.begin();
  ++times.buckets[static_cast<std::size_t>(at)];
  times.sum += value;
}

void FailoverCounts::on(const core::PoolAction& action) {
  if (const auto* t = std::get_if<core::ServerTransition>(&action)) {
    const PoolServerName name{t->pool, t->server};
    if (t->from != t->to) ++transitions_[{name, std::string{to_string(t->to)}}];
    flows_[name] += t->flows;
    if (t->to == core::ServerState::failed && t->from != t->to && t->last_good != core::Time{})
      observe(detection_, detection_bounds, core::in_seconds(t->detected - t->last_good));
  } else if (const auto* report = std::get_if<core::CheckReport>(&action)) {
    auto& [runs, failures] = checks_[{{report->pool, report->server}, report->check}];
    ++runs;
    if (report->outcome.verdict == core::Verdict::fail) ++failures;
  }
}

void FailoverCounts::applied(core::Duration took, std::size_t changes, bool ok) {
  ++(ok ? batches_ : refused_);
  if (!ok) return;
  changes_ += changes;
  observe(swap_, swap_bounds, core::in_seconds(took));
}

void FailoverCounts::flushed(std::uint64_t, core::Duration took) {
  observe(flush_, flush_bounds, core::in_seconds(took));
}

void FailoverCounts::keep_only(const std::vector<core::PoolView>& pools) {
  std::set<PoolServerName> known{{}};  // a gateway's checks have no names
  for (const core::PoolView& pool : pools) {
    for (const core::ServerView& server : pool.servers) {
      known.emplace(server.pool, server.server);
      known.emplace(std::string{}, server.server);  // checks of the host
    }
  }
  const auto gone = [&](const auto& entry) { return !known.contains(entry.first.first); };
  std::erase_if(transitions_, gone);
  std::erase_if(checks_, gone);
  std::erase_if(flows_, [&](const auto& entry) { return !known.contains(entry.first); });
}

std::vector<Sample> FailoverCounts::samples(const FailoverFigures& figures) const {
  std::vector<Sample> out;
  const auto one = [&](Kind kind, const char* name, const char* help, Labels labels, double value) {
    out.push_back({kind, name, help, std::move(labels), value});
  };
  const auto each = [&](Kind kind, const char* name, const char* help, auto value) {
    for (const core::PoolView& pool : figures.pools)
      for (const core::ServerView& server : pool.servers)
        one(kind, name, help, of_server(server), static_cast<double>(value(server)));
  };
  one(Kind::gauge, "sentinel_failover_blind", "1 while our own network seems to be down", {},
      figures.state.blind ? 1 : 0);
  one(Kind::gauge, "sentinel_failover_kernel_refusals", "Refused transactions in a row", {},
      figures.state.refusals);
  one(Kind::counter, "sentinel_failover_transactions_total", "Transactions of the kernel",
      {{"result", "accepted"}}, static_cast<double>(batches_));
  one(Kind::counter, "sentinel_failover_transactions_total", "Transactions of the kernel",
      {{"result", "refused"}}, static_cast<double>(refused_));
  one(Kind::counter, "sentinel_failover_changes_total", "Elements changed in the kernel", {},
      static_cast<double>(changes_));
  one(Kind::counter, "sentinel_failover_restored_total",
      "Times the rules were restored after somebody else's change", {},
      static_cast<double>(figures.restored));
  one(Kind::counter, "sentinel_failover_misses_total",
      "New connections that found no server and were dropped", {},
      static_cast<double>(figures.misses));
  for (const core::PoolView& pool : figures.pools)
    for (const auto state :
         {core::PoolState::pending, core::PoolState::up, core::PoolState::degraded,
          core::PoolState::backup, core::PoolState::last_known, core::PoolState::down})
      one(Kind::gauge, "sentinel_pool_state", "1 for the state the pool is in",
          {{"pool", pool.name}, {"state", std::string{to_string(state)}}},
          pool.state == state ? 1 : 0);
  for (const core::PoolView& pool : figures.pools)
    one(Kind::gauge, "sentinel_pool_servers_in_use", "Servers that get new connections",
        {{"pool", pool.name}},
        static_cast<double>(std::ranges::count_if(
            pool.servers, [](const core::ServerView& s) { return s.in_use; })));
  for (const core::PoolView& pool : figures.pools)
    for (const core::ServerView& server : pool.servers)
      for (const auto state : core::all_server_states) {
        Labels labels = of_server(server);
        labels.emplace_back("state", to_string(state));
        one(Kind::gauge, "sentinel_server_state", "1 for the state the server is in",
            std::move(labels), server.state == state ? 1 : 0);
      }
  each(Kind::gauge, "sentinel_server_in_use", "1 when it gets new connections",
       [](const core::ServerView& s) { return s.in_use ? 1 : 0; });
  each(Kind::gauge, "sentinel_server_kept", "1 when it fails and gets connections all the same",
       [](const core::ServerView& s) { return s.kept ? 1 : 0; });
  each(Kind::gauge, "sentinel_server_slots", "Slots of its pool that are its own",
       [](const core::ServerView& s) { return s.slots; });
  each(Kind::gauge, "sentinel_server_flows", "Connections that exist, as counted last",
       [](const core::ServerView& s) { return s.flows.value_or(0); });
  each(Kind::counter, "sentinel_server_ejections_total", "Times it failed while it was up",
       [](const core::ServerView& s) { return s.ejections; });
  const auto traffic = [&](const core::ServerView& s) {
    const auto found = figures.traffic.find({s.pool, s.server});
    return found == figures.traffic.end() ? ServerTraffic{} : found->second;
  };
  each(Kind::counter, "sentinel_server_connections_total", "New connections sent to it",
       [&](const core::ServerView& s) { return traffic(s).connections; });
  each(Kind::counter, "sentinel_server_packets_total", "Packets to and from it",
       [&](const core::ServerView& s) { return traffic(s).packets; });
  each(Kind::counter, "sentinel_server_bytes_total", "Bytes to and from it",
       [&](const core::ServerView& s) { return traffic(s).bytes; });
  each(Kind::counter, "sentinel_server_flushed_flows_total",
       "Connections that were ended because it failed", [&](const core::ServerView& s) {
         const auto found = flows_.find({s.pool, s.server});
         return found == flows_.end() ? 0 : found->second;
       });
  for (const auto& [key, count] : transitions_) {
    one(Kind::counter, "sentinel_server_transitions_total", "Changes of a server's state",
        {{"pool", key.first.first}, {"server", key.first.second}, {"to", key.second}},
        static_cast<double>(count));
  }
  const auto checks = [&](const char* name, const char* help, auto value) {
    for (const auto& [key, counts] : checks_)
      one(Kind::counter, name, help,
          {{"pool", key.first.first}, {"server", key.first.second}, {"check", key.second}},
          static_cast<double>(value(counts)));
  };
  checks("sentinel_failover_checks_total", "Checks that were run; no pool: of the host",
         [](const auto& counts) { return counts.first; });
  checks("sentinel_failover_check_failures_total", "Checks that failed; no pool: of the host",
         [](const auto& counts) { return counts.second; });
  return out;
}

std::vector<HistogramSample> FailoverCounts::histograms() const {
  const auto one = [](const char* name, const char* help, std::span<const double> bounds,
                      const Times& times) {
    HistogramSample out{name, help, {bounds.begin(), bounds.end()}, times.buckets, times.sum};
    out.buckets.resize(bounds.size() + 1);
    return out;
  };
  return {one("sentinel_server_detection_seconds",
              "From the last check that passed to the decision that the server has failed",
              detection_bounds, detection_),
          one("sentinel_failover_swap_seconds", "The kernel's part of a transaction", swap_bounds,
              swap_),
          one("sentinel_failover_flush_seconds", "Ending the connections of a server", flush_bounds,
              flush_)};
}

}  // namespace sentinel::observe
