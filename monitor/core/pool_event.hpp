#pragma once

// What the failover core is told, what it asks for and what it makes known; as core/event.hpp and
// core/action.hpp are for the monitor's core.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/action.hpp"
#include "core/nat.hpp"
#include "core/pool_config.hpp"

namespace sentinel::core {

// --- events
// ---------------------------------------------------------------------------------------

/// A person took a server out. Kept over restarts.
struct DrainRecord {
  std::string pool;
  std::string server;
  std::string by;  // who, as they said; escaped, bounded
  Time since{};
  Time until = never;     // ends by itself
  Time deadline = never;  // connections that are left then are ended
  bool finished = false;  // the last connection has ended, or was ended
  bool operator==(const DrainRecord&) const = default;
};

/// First of all events, and again whenever the configuration was loaded anew.
struct PoolsConfigured {
  std::shared_ptr<const FailoverConfig> config;  // never null
};

/// Once, before the first NatRead: what was kept. Unknown servers are forgotten.
struct DrainsRestored {
  std::vector<DrainRecord> drains;
};

/// What the kernel holds: at the start, and as the answer to ReadNat. Nothing is changed before.
struct NatRead {
  NatTable table;
};

/// Answer to ApplyNat.
struct NatDone {
  std::uint64_t batch = 0;
  bool ok = false;
  std::string error;  // escaped
  Duration took{};    // the kernel's part
};

/// Answer to FlushFlows.
struct FlowsFlushed {
  std::uint64_t flush = 0;
  bool ok = false;
  std::uint64_t flows = 0;
  Duration took{};
  std::string error;
};

struct FlowCount {
  MarkBlock block;
  std::uint64_t flows = 0;
};
/// Answer to CountFlows; empty when they could not be counted.
struct FlowsCounted {
  std::vector<FlowCount> counts;
};

/// A person's commands; see FailoverCore::drain_problem for what would be wrong with one. An empty
/// pool means all pools of the server.
struct DrainServer {
  std::string pool;
  std::string server;
  std::string by;
  Duration length{};                 // 0: until ReadyServer
  std::optional<Duration> deadline;  // none: the pool's; 0: connections are never ended
};
struct ReadyServer {
  std::string pool;
  std::string server;
  std::string by;
};

using PoolEvent = std::variant<Tick, PoolsConfigured, DrainsRestored, NatRead, ProbeFinished,
                               NatDone, FlowsFlushed, FlowsCounted, DrainServer, ReadyServer>;

// --- actions: to be performed
// ---------------------------------------------------------------------

/// One transaction. Answer NatDone.
struct ApplyNat {
  std::uint64_t batch = 0;
  std::vector<NatChange> changes;
  std::string reason;  // "web/alpha failed", for the log
};

/// Answer NatRead.
struct ReadNat {};

/// End these connections, in the order given. Answer FlowsFlushed.
struct FlushFlows {
  std::uint64_t flush = 0;
  std::vector<MarkBlock> blocks;
};

/// Answer FlowsCounted.
struct CountFlows {
  std::vector<MarkBlock> blocks;
};

/// Make this durable, replacing what was stored before.
struct StoreDrains {
  std::vector<DrainRecord> drains;
};

// --- actions: to be made known
// --------------------------------------------------------------------

enum class ServerState : std::uint8_t {
  unknown,   // not judged yet
  up,        // gets connections
  failed,    // checks fail; gets none, unless it is kept
  waiting,   // passes again, and waits for its hold-down: it failed too often
  draining,  // taken out by a person; its connections go on
  drained,   // and the last of them has ended
};
inline constexpr std::array all_server_states{ServerState::unknown,  ServerState::up,
                                              ServerState::failed,   ServerState::waiting,
                                              ServerState::draining, ServerState::drained};
std::string_view to_string(ServerState);

/// A server of a pool changed its state; told when all that it led to is done, or has failed.
struct ServerTransition {
  std::string pool;
  std::string server;
  ServerState from = ServerState::unknown;
  ServerState to = ServerState::unknown;
  std::string check;   // that failed or passed last; empty for what people do
  std::string reason;  // in words: "https: expected 2xx, got 503"
  ProbeReason probe_reason = ProbeReason::none;
  std::string by;    // a person
  std::string done;  // in words: "2 of 3 servers are left; 12 connections ended"
  Duration in_previous{};
  // What was measured; Time{} where it does not apply.
  Time last_good{};         // end of the last check that passed
  Time first_failed{};      // end of the first that failed
  Time detected{};          // the decision
  Time confirmed{};         // the kernel's answer: no new connection from here on
  Time flushed{};           // its connections have ended
  std::uint64_t flows = 0;  // that were ended
  bool kept = false;        // failed, and still gets connections (see PoolNotice)
  bool applied = true;      // false: the kernel refused
};

enum class PoolNoticeKind : std::uint8_t {
  pool_down,  // no server is left: what the policy does
  pool_up,
  on_backup,  // the backup servers have taken over
  off_backup,
  blind,  // our own network seems to be down: nothing is taken out
  sighted,
  kernel_refused,   // a batch; with the error and when it is tried again
  kernel_accepted,  // after a refusal
  drain_progress,   // connections left, now and then
  drain_ended,      // no connections left, or the deadline ended them
  flapping,         // the hold-down has grown
  flows_not_flushed,
  adopted,  // at the start: what of the kernel's table was taken over
  reconfigured,
};
std::string_view to_string(PoolNoticeKind);

struct PoolNotice {
  PoolNoticeKind kind = PoolNoticeKind::pool_down;
  std::string pool;    // empty: all
  std::string server;  // empty: none in particular
  std::string text;    // the sentence, escaped
};

/// A check finished (debug in the log, counted in metrics). Empty pool: of the host; both empty: a
/// gateway.
struct CheckReport {
  std::string pool;
  std::string server;
  std::string check;
  ProbeKind kind = ProbeKind::http;
  ProbeOutcome outcome;
};

using PoolAction = std::variant<StartProbe, ApplyNat, ReadNat, FlushFlows, CountFlows, StoreDrains,
                                ServerTransition, PoolNotice, CheckReport>;
using PoolActions = std::vector<PoolAction>;

// --- views
// ----------------------------------------------------------------------------------------

struct CheckView {
  std::string name;
  std::string url;
  std::string address;
  bool of_host = false;
  std::optional<Verdict> verdict;  // none: not enough results yet
  ProbeReason reason = ProbeReason::none;
  std::string sentence;
  std::optional<Time> last;  // result
  std::optional<Time> last_good;
  Duration took{};
};

struct ServerView {
  std::string pool;
  std::string server;
  std::vector<IpAddress> addresses;
  std::uint16_t port = 0;  // 0: the virtual service's
  unsigned weight = 1;
  Role role = Role::active;
  ServerState state = ServerState::unknown;
  std::string reason;
  Time since{};
  bool in_use = false;  // has slots in the kernel
  bool kept = false;
  unsigned share = 0;  // thousandths of its weight: below 1000 while it starts slowly
  std::size_t slots = 0;
  std::uint64_t ejections = 0;  // since the start
  Duration hold_down{};         // how long it waits when it passes next, or waits now
  std::optional<DrainRecord> drain;
  std::optional<std::uint64_t> flows;  // open connections when last counted
  MarkBlock block;
  std::vector<CheckView> checks;
};

enum class PoolState : std::uint8_t { pending, up, degraded, backup, last_known, down };
std::string_view to_string(PoolState);

struct PoolView {
  std::string name;
  PoolState state = PoolState::pending;
  std::vector<VipKey> listeners;
  Schedule schedule = Schedule::round_robin;
  Eject eject = Eject::service;
  AllDown all_down = AllDown::reject;
  SlotClass slots = SlotClass::small;
  bool masquerade = false;
  std::vector<ServerView> servers;
};

struct FailoverView {
  bool adopted = false;  // the kernel was read and nothing is outstanding since the start
  bool blind = false;
  std::string blind_reason;
  bool refused = false;  // the kernel holds something other than what is wanted
  std::string refused_reason;
  unsigned refusals = 0;  // in a row
};

}  // namespace sentinel::core
