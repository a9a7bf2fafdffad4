#pragma once

// The failover core in virtual time: a kernel that holds a table, servers that answer or do not,
// connections that can be counted. Scripted by tests, or driven by chance.

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/failover.hpp"

namespace sentinel::sim {

using namespace core;

class PoolWorld {
 public:
  /// How a check ends; set before the first event. By default everything passes.
  std::function<ProbeOutcome(const StartProbe&)> answer = [](const StartProbe&) { return pass(); };
  Duration latency = 5ms;          // of checks, fails by timeout take their timeout
  unsigned refuse = 0;             // that many batches to come
  bool damage_on_refusal = false;  // and somebody else changes the table meanwhile
  bool flushes_fail = false;
  std::map<Mark, std::uint64_t> flows;  // by block

  NatTable kernel;
  std::vector<ServerTransition> transitions;
  std::vector<PoolNotice> notices;
  std::vector<ApplyNat> batches;
  std::vector<FlushFlows> flushed;
  std::vector<DrainRecord> stored;
  std::size_t checks_run = 0;
  /// Called after each event with what was done.
  std::function<void()> check = [] {};

  static ProbeOutcome pass() {
    ProbeOutcome out;
    out.verdict = Verdict::pass;
    return out;
  }
  static ProbeOutcome fail(ProbeReason reason = ProbeReason::refused,
                           std::string sentence = "connection refused") {
    ProbeOutcome out;
    out.verdict = Verdict::fail;
    out.reason = reason;
    out.sentence = std::move(sentence);
    return out;
  }

  void configure(FailoverConfig config) {
    config_ = std::make_shared<const FailoverConfig>(std::move(config));
    send(PoolsConfigured{config_});
  }
  const FailoverConfig& config() const { return *config_; }
  void start(FailoverConfig config) {
    configure(std::move(config));
    send(NatRead{kernel});
  }
  void send(PoolEvent event) {
    queue_.emplace(now, std::move(event));
    settle();
  }
  /// Time goes on; everything due happens.
  void run(Duration length) {
    const Time end = now + length;
    while (true) {
      const Time next = std::min(due(), queue_.empty() ? never : queue_.begin()->first);
      if (next > end) break;
      now = std::max(now, next);
      if (queue_.empty() || queue_.begin()->first > now) queue_.emplace(now, Tick{});
      settle();
    }
    now = end;
  }
  /// Until it holds; false when it does not within `limit`.
  bool run_until(const std::function<bool()>& holds, Duration limit) {
    const Time end = now + limit;
    while (!holds()) {
      const Time next = std::min(due(), queue_.empty() ? never : queue_.begin()->first);
      if (next > end) {
        now = end;
        return holds();
      }
      now = std::max(now, next);
      if (queue_.empty() || queue_.begin()->first > now) queue_.emplace(now, Tick{});
      settle();
    }
    return true;
  }

  ServerView server(std::string_view pool, std::string_view name) const {
    for (const PoolView& p : core.pools())
      for (const ServerView& s : p.servers)
        if (p.name == pool && s.server == name) return s;
    throw std::runtime_error("no such server");
  }
  PoolState pool_state(std::string_view pool) const {
    for (const PoolView& p : core.pools())
      if (p.name == pool) return p.state;
    throw std::runtime_error("no such pool");
  }
  /// Slots in the kernel, of the pool's first listener, by server address; -1: the service is not
  /// there.
  int slots(std::string_view pool, std::string_view address) const {
    const VipKey key = config_->pools.at(std::string{pool}).listeners.front();
    const auto service = kernel.services.find(key);
    if (service == kernel.services.end()) return -1;
    return static_cast<int>(std::ranges::count_if(service->second.slots, [&](Mark mark) {
      return kernel.servers.at(mark).address.to_string() == address;
    }));
  }
  bool noticed(PoolNoticeKind kind) const {
    return std::ranges::any_of(notices, [&](const PoolNotice& n) { return n.kind == kind; });
  }

  Time now = Time{} + 1000s;
  FailoverCore core;

 private:
  Time due() const { return core.next_deadline().value_or(never); }

  void settle() {
    unsigned steps = 0;
    while (!queue_.empty() && queue_.begin()->first <= now) {
      if (++steps > 200'000) throw std::runtime_error("time stands still");
      auto event = std::move(queue_.extract(queue_.begin()).mapped());
      PoolActions actions;
      core.on(event, now, actions);
      for (const PoolAction& action : actions)
        std::visit([this](const auto& a) { perform(a); }, action);
      check();
    }
  }

  void perform(const StartProbe& probe) {
    ++checks_run;
    ProbeOutcome outcome = answer(probe);
    const bool slow = outcome.reason == ProbeReason::timeout;
    outcome.took = slow ? probe.spec->timeout : latency;
    const Time answered = now + outcome.took;
    queue_.emplace(answered, ProbeFinished{probe.token, std::move(outcome)});
  }
  void perform(const ApplyNat& batch) {
    batches.push_back(batch);
    if (refuse > 0) {
      --refuse;
      if (damage_on_refusal) kernel.services.clear();
      queue_.emplace(now, NatDone{batch.batch, false, "Invalid argument", {}});
      return;
    }
    if (difference(kernel, after_changes(batch.changes)).size() != batch.changes.size())
      throw std::runtime_error("a batch that is not the difference");
    apply(kernel, batch.changes);
    queue_.emplace(now, NatDone{batch.batch, true, {}, 20us});
  }
  NatTable after_changes(const std::vector<NatChange>& changes) const {
    NatTable table = kernel;
    apply(table, changes);
    return table;
  }
  void perform(const ReadNat&) { queue_.emplace(now, NatRead{kernel}); }
  void perform(const FlushFlows& flush) {
    flushed.push_back(flush);
    std::uint64_t count = 0;
    for (const MarkBlock& block : flush.blocks) count += std::exchange(flows[block.value], 0);
    queue_.emplace(now, FlowsFlushed{flush.flush, !flushes_fail, count, 1ms, "not permitted"});
  }
  void perform(const CountFlows& count) {
    FlowsCounted out;
    for (const MarkBlock& block : count.blocks) out.counts.push_back({block, flows[block.value]});
    queue_.emplace(now + 1ms, std::move(out));
  }
  void perform(const StoreDrains& store) { stored = store.drains; }
  void perform(const ServerTransition& t) { transitions.push_back(t); }
  void perform(const PoolNotice& n) { notices.push_back(n); }
  void perform(const CheckReport&) {}

  std::multimap<Time, PoolEvent> queue_;
  std::shared_ptr<const FailoverConfig> config_;
};

// --- configurations
// ----------------------------------------------------------------------------------

inline IpAddress ip(std::string_view text) { return IpAddress::parse(text).value(); }

inline ProbeSpec probe(std::string name) {
  ProbeSpec spec;
  spec.name = std::move(name);
  spec.url = "http://:80/" + spec.name;
  spec.interval = 2s;
  spec.fast_interval = 500ms;
  spec.timeout = 1s;
  spec.fall = 3;
  spec.rise = 2;
  return spec;
}

/// Hosts h1, h2, ... at 10.8.0.1, ... and one pool "web" on 203.0.113.10:443.
inline FailoverConfig mirrored(unsigned servers, std::vector<std::string> pools = {"web"}) {
  FailoverConfig config;
  for (unsigned i = 1; i <= servers; ++i)
    config.hosts["h" + std::to_string(i)].addresses = {ip("10.8.0." + std::to_string(i))};
  std::uint16_t port = 443;
  for (const std::string& name : pools) {
    PoolConfig pool;
    pool.listeners = {{ip("203.0.113.10"), L4::tcp, port++}};
    for (unsigned i = 1; i <= servers; ++i) {
      PoolServer one;
      one.host = "h" + std::to_string(i);
      one.port = 8080;
      pool.servers.push_back(one);
    }
    pool.checks = {probe("http")};
    pool.slots = suitable_slots(pool.servers);
    config.pools.emplace(name, std::move(pool));
  }
  return config;
}

}  // namespace sentinel::sim
