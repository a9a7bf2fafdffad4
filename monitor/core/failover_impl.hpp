#pragma once

// Private to core/failover*.cpp.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/deadlines.hpp"
#include "core/failover.hpp"
#include "core/pool_marks.hpp"
#include "core/pool_slots.hpp"
#include "core/probe_judge.hpp"
#include "core/rng.hpp"

namespace sentinel::core {

struct PoolMember;
struct PoolHost;

struct PoolCheck {
  ServiceId id = 0;
  std::shared_ptr<const ProbeSpec> spec;
  std::string address;           // used when the spec names no host
  std::string label;             // "https", or "https (IPv6)" beside its twin
  PoolHost* host = nullptr;      // of a host
  PoolMember* member = nullptr;  // of a pool's server; neither: a gateway
  ProbeJudge judge;
  bool running = false;
  std::uint64_t sequence = 0;
  Time next{};
  Time slot{};
  std::optional<Time> last;
  std::optional<Time> last_good;
  Time good_since{};                 // of the passes that go on, or went on last
  std::optional<Time> first_failed;  // of the row of failures that goes on
  Verdict result = Verdict::fail;    // of the last run, when there was one
  ProbeReason reason = ProbeReason::none;
  std::string sentence;
  Duration took{};
};
using PoolChecks = std::vector<std::unique_ptr<PoolCheck>>;

struct PoolHost {
  std::string name;
  const HostConfig* config = nullptr;
  PoolChecks checks;
  std::vector<PoolMember*> members;
};

struct Pool;

enum class PoolHealth : std::uint8_t { unknown, up, failed, waiting };

struct PoolMember {
  Pool* pool = nullptr;
  PoolHost* host = nullptr;
  const PoolServer* config = nullptr;
  std::string identity;
  MarkBlock block;
  PoolChecks checks;

  PoolHealth health = PoolHealth::unknown;
  bool ever_up = false;
  Time changed{};  // health
  // Of the last failure.
  std::string check;
  std::string reason;
  ProbeReason probe_reason = ProbeReason::none;
  Time last_good{};
  Time first_failed{};
  Time detected{};
  bool from_up = false;   // it was up before
  bool believed = false;  // it is the server's own, not our network's: see look()
  // Failing too often.
  std::uint64_t ejections = 0;
  unsigned hold_level = 0;
  Time hold_until = never;
  Time recovered{};
  // Returning slowly.
  std::optional<Time> slow_since;

  std::optional<DrainRecord> drain;
  std::optional<std::uint64_t> flows;
  Time out_at{};       // when the kernel stopped to give it connections
  Time progress_at{};  // of the last word about its drain

  // The table.
  bool kept = false;
  bool in = false;         // wanted: has slots
  bool in_kernel = false;  // confirmed
  unsigned share = 0;
  std::size_t slots = 0;
  bool flush_due = false;
  std::uint64_t flushing = 0;
  unsigned flush_tries = 0;

  // Told last.
  ServerState told = ServerState::unknown;
  bool told_kept = false;
  Time told_at{};
};

/// Something that is tried again when the kernel refuses it.
struct Retry {
  bool wanted = false;  // differs from the kernel, or may
  bool alone = false;   // it was part of a batch that was refused
  unsigned refusals = 0;
  Time at{};  // not before; never: given up until something changes
};

struct Pool {
  std::string name;
  const PoolConfig* config = nullptr;
  std::uint32_t id = 0;
  std::vector<std::unique_ptr<PoolMember>> members;       // in the configuration's order
  std::vector<std::pair<Family, std::uint16_t>> targets;  // a mark's place in its block
  std::vector<std::uint16_t> owners;                      // indexes of members; empty: rejected
  std::vector<const PoolMember*> last;                    // who was in when anybody was
  PoolState state = PoolState::pending;
  bool dirty = false;  // is in dirty_
  Retry retry;
};

/// Connections of servers that are configured no more.
struct PoolGhost {
  MarkBlock block;
  std::string identity;
  Time since{};
  Time deadline = never;
};

class FailoverCore::Impl {
 public:
  void on(const PoolEvent& event, Time now, PoolActions& out);
  std::optional<Time> next_deadline() const { return deadlines_.next(); }

  FailoverView state() const;
  std::vector<PoolView> pools() const;
  std::vector<DrainRecord> drains() const;
  NatTable wanted() const;
  const NatTable& table() const { return kernel_; }
  std::optional<std::string> drain_problem(std::string_view pool, std::string_view server,
                                           bool force) const;
  std::optional<std::string> ready_problem(std::string_view pool, std::string_view server) const;

 private:
  struct Telling {
    ServerTransition transition;
    PoolMember* member = nullptr;
  };
  struct Batch {
    std::uint64_t id = 0;
    std::vector<NatChange> changes;
    std::vector<Pool*> pools;
    bool base = false;
    Time deadline = never;
  };
  struct Flush {
    PoolMember* member = nullptr;  // null: it is configured no more
    bool of_drain = false;         // its deadline was reached
    Time deadline = never;
  };

  // failover.cpp
  void handle(const Tick&) {}
  void handle(const PoolsConfigured& event);
  void handle(const DrainsRestored& event);
  void handle(const NatRead& event);
  void handle(const ProbeFinished& event);
  void handle(const NatDone& event);
  void handle(const FlowsFlushed& event);
  void handle(const FlowsCounted& event);
  void handle(const DrainServer& event);
  void handle(const ReadyServer& event);
  void serve_due();
  void settle();
  void mark(Pool& pool);
  void mark_all();
  void want(Pool& pool);
  void notice(PoolNoticeKind kind, const Pool* pool, const PoolMember* member, std::string text);
  template <typename F>
  void each_member(F f) {
    for (auto& [name, pool] : pools_)
      for (auto& member : pool->members) f(*member);
  }
  template <typename F>
  void each_member(F f) const {
    for (const auto& [name, pool] : pools_)
      for (const auto& member : pool->members) f(std::as_const(*member));
  }

  // failover_config.cpp
  void configure_hosts();
  void configure_pool(Pool& pool);
  void forget_pool(Pool& pool);
  void forget_unknown_hosts();
  void make_checks(PoolChecks& checks, const std::vector<ProbeSpec>& specs,
                   const std::vector<IpAddress>& addresses, PoolHost* host, PoolMember* member);
  void forget_check(const PoolCheck& check);
  void forget_member(PoolMember& member);
  void place(PoolMember& member);
  void expire_ghosts();

  // failover_checks.cpp
  void run_check(PoolCheck& check);
  void schedule(const PoolCheck& check);
  void recheck_gateways();

  // failover_health.cpp
  void judge(PoolMember& member);
  void fail(PoolMember& member, const PoolCheck& check);
  void recover(PoolMember& member);
  void rise(PoolMember& member);
  void touch(const PoolCheck& check);
  void look();
  bool blind_now() const;
  bool seen_beyond(const PoolMember& member) const;
  bool doubtful(const PoolMember& member) const;
  void believe(PoolMember& member);
  bool blind_about(const PoolMember& member) const;
  void member_due(PoolMember& member);
  void schedule(Pool& pool);

  // failover_table.cpp
  void decide(Pool& pool);
  std::vector<PoolMember*> chosen(Pool& pool, PoolState& state);
  unsigned share_of(const PoolMember& member) const;
  void tell_pool(Pool& pool, PoolState before);
  NatTable slice(const Pool& pool) const;
  NatTable kernel_slice(const Pool& pool) const;
  NatTable kernel_base() const;
  NatTable wanted_base(const NatTable& kernel) const;
  std::set<IpPrefix> hairpin() const;
  std::optional<MarkBlock> block_in_kernel(const PoolMember& member) const;
  void adopt_blocks();
  void find_in_kernel(Pool& pool);
  void adopt_ghosts();
  void start_batch();
  void confirm(const Batch& batch);
  void refused(const Batch& batch, const std::string& error);
  void schedule_kernel();
  std::string reason_of(const std::vector<Pool*>& pools) const;

  // failover_flows.cpp
  void want_flush(PoolMember& member);
  void flush_failed();
  void flush(PoolMember& member, bool of_drain);
  void flush(const PoolGhost& ghost);
  void count_flows();
  void check_drain(PoolMember& member);
  void end_drain(PoolMember& member, const std::string& by);
  void store_drains();
  void tell(PoolMember& member);
  void finish(Telling telling);
  void release(PoolMember& member);
  void release_tellings();

  static ServerState state_of(const PoolMember& member);
  std::vector<PoolMember*> find(std::string_view pool, std::string_view server) const;
  ServerView view(const PoolMember& member) const;

  // Deadlines' handles.
  static constexpr std::uint64_t check_bit = std::uint64_t{1} << 40U;
  static constexpr std::uint64_t pool_bit = std::uint64_t{1} << 41U;
  static constexpr std::uint64_t kernel_handle = std::uint64_t{1} << 42U;
  static constexpr std::uint64_t count_handle = kernel_handle + 1;

  std::shared_ptr<const FailoverConfig> config_ = std::make_shared<const FailoverConfig>();
  std::map<std::string, std::unique_ptr<PoolHost>, std::less<>> hosts_;
  std::map<std::string, std::unique_ptr<Pool>, std::less<>> pools_;
  PoolChecks gateways_;
  std::unordered_map<ServiceId, PoolCheck*> checks_;
  std::unordered_map<std::uint32_t, Pool*> by_id_;
  ServiceId last_check_ = 0;
  std::uint32_t last_pool_ = 0;
  std::uint64_t last_sequence_ = 0;
  MarkBlocks blocks_;
  std::vector<PoolGhost> ghosts_;
  Deadlines<std::uint64_t> deadlines_;
  Rng rng_{1};

  bool look_due_ = false;
  bool blind_ = false;             // without gateways: all unreachable
  Time blind_floor_{};             // failures from then on are the network's
  Time sighted_at_ = Time::min();  // until then
  bool told_blind_ = false;
  std::string blind_reason_;

  bool kernel_known_ = false;
  bool reading_ = false;
  Time read_deadline_ = never;
  bool first_read_ = true;
  NatTable kernel_;
  Retry base_;
  std::optional<Batch> batch_;
  std::uint64_t last_batch_ = 0;
  std::string refused_reason_;
  std::map<std::uint64_t, Flush> flushes_;
  std::uint64_t last_flush_ = 0;
  std::vector<Telling> tellings_;
  bool counting_ = false;
  Time count_at_ = never;

  Time count_started_{};
  std::vector<Pool*> dirty_;               // to be decided
  std::vector<Pool*> wanting_;             // to be brought to the kernel
  std::vector<PoolMember*> flush_wanted_;  // have flush_due set

  Time now_{};
  PoolActions* out_ = nullptr;
};

std::string member_name(const PoolMember& member);
/// How long it waits when it passes next.
Duration hold_down_of(const PoolMember& member);

}  // namespace sentinel::core
