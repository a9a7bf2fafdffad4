// The words for the failover's enumerations.

#include <utility>

#include "core/pool_event.hpp"

namespace sentinel::core {

std::string_view to_string(Schedule value) {
  switch (value) {
    case Schedule::round_robin: return "round-robin";
    case Schedule::weighted: return "weighted";
    case Schedule::source_hash: return "source-hash";
    case Schedule::sticky: return "sticky";
  }
  std::unreachable();
}

std::string_view to_string(AllDown value) {
  switch (value) {
    case AllDown::reject: return "reject";
    case AllDown::backup: return "backup";
    case AllDown::last_known: return "last-known";
  }
  std::unreachable();
}

std::string_view to_string(Eject value) { return value == Eject::host ? "host" : "service"; }
std::string_view to_string(Role value) { return value == Role::backup ? "backup" : "active"; }

std::string_view to_string(ServerState value) {
  switch (value) {
    case ServerState::unknown: return "unknown";
    case ServerState::up: return "up";
    case ServerState::failed: return "failed";
    case ServerState::waiting: return "waiting";
    case ServerState::draining: return "draining";
    case ServerState::drained: return "drained";
  }
  std::unreachable();
}

std::string_view to_string(PoolState value) {
  switch (value) {
    case PoolState::pending: return "pending";
    case PoolState::up: return "up";
    case PoolState::degraded: return "degraded";
    case PoolState::backup: return "backup";
    case PoolState::last_known: return "last-known";
    case PoolState::down: return "down";
  }
  std::unreachable();
}

std::string_view to_string(PoolNoticeKind value) {
  switch (value) {
    case PoolNoticeKind::pool_down: return "pool_down";
    case PoolNoticeKind::pool_up: return "pool_up";
    case PoolNoticeKind::on_backup: return "on_backup";
    case PoolNoticeKind::off_backup: return "off_backup";
    case PoolNoticeKind::blind: return "blind";
    case PoolNoticeKind::sighted: return "sighted";
    case PoolNoticeKind::kernel_refused: return "kernel_refused";
    case PoolNoticeKind::kernel_accepted: return "kernel_accepted";
    case PoolNoticeKind::drain_progress: return "drain_progress";
    case PoolNoticeKind::drain_ended: return "drain_ended";
    case PoolNoticeKind::flapping: return "flapping";
    case PoolNoticeKind::flows_not_flushed: return "flows_not_flushed";
    case PoolNoticeKind::adopted: return "adopted";
    case PoolNoticeKind::reconfigured: return "reconfigured";
  }
  std::unreachable();
}

}  // namespace sentinel::core
