#include "core/types.hpp"

#include <algorithm>

#include "core/action.hpp"
#include "core/event.hpp"

namespace sentinel::core {
namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

std::optional<ContainerId> ContainerId::parse(std::string_view hex) {
  if (hex.size() != 64) return std::nullopt;
  ContainerId id;
  for (std::size_t i = 0; i < 32; ++i) {
    const int high = hex_value(hex[2 * i]);
    const int low = hex_value(hex[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    id.bytes_[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return id;
}

std::string ContainerId::hex() const {
  std::string out;
  out.reserve(64);
  for (const auto byte : bytes_) {
    out.push_back(hex_digits[byte >> 4U]);
    out.push_back(hex_digits[byte & 15U]);
  }
  return out;
}

std::size_t ContainerId::hash() const {
  // FNV-1a over all bytes: ids normally are random, but a hostile Engine may choose them.
  std::uint64_t h = 0xcbf29ce484222325U;
  for (const auto byte : bytes_) h = (h ^ byte) * 0x100000001b3U;
  return h;
}

std::string ServiceKey::to_string() const {
  if (project.empty()) return service;
  return project + "/" + service + "/" + std::to_string(replica);
}

std::string_view to_string(State s) {
  switch (s) {
    case State::unknown: return "unknown";
    case State::starting: return "starting";
    case State::healthy: return "healthy";
    case State::degraded: return "degraded";
    case State::unhealthy: return "unhealthy";
    case State::recovering: return "recovering";
    case State::quarantined: return "quarantined";
    case State::stopped: return "stopped";
  }
  return "unknown";
}

std::string_view to_string(Rung r) {
  switch (r) {
    case Rung::restart: return "restart";
    case Rung::kill: return "kill";
    case Rung::stop: return "stop";
  }
  return "restart";
}

std::string_view to_string(RunState r) {
  switch (r) {
    case RunState::created: return "created";
    case RunState::running: return "running";
    case RunState::paused: return "paused";
    case RunState::restarting: return "restarting";
    case RunState::removing: return "removing";
    case RunState::exited: return "exited";
    case RunState::dead: return "dead";
  }
  return "created";
}

std::string_view to_string(EngineHealth h) {
  switch (h) {
    case EngineHealth::none: return "none";
    case EngineHealth::starting: return "starting";
    case EngineHealth::healthy: return "healthy";
    case EngineHealth::unhealthy: return "unhealthy";
  }
  return "none";
}

std::string_view to_string(Verdict v) {
  switch (v) {
    case Verdict::pass: return "pass";
    case Verdict::warn: return "warn";
    case Verdict::fail: return "fail";
  }
  return "fail";
}

std::string_view to_string(ProbeKind k) {
  switch (k) {
    case ProbeKind::http: return "http";
    case ProbeKind::tcp: return "tcp";
    case ProbeKind::tls: return "tls";
    case ProbeKind::dns: return "dns";
    case ProbeKind::smtp: return "smtp";
    case ProbeKind::icmp: return "icmp";
    case ProbeKind::exec: return "exec";
  }
  return "http";
}

std::string_view to_string(ProbeReason r) {
  switch (r) {
    case ProbeReason::none: return "none";
    case ProbeReason::resolve: return "resolve";
    case ProbeReason::refused: return "refused";
    case ProbeReason::unreachable: return "unreachable";
    case ProbeReason::timeout: return "timeout";
    case ProbeReason::reset: return "reset";
    case ProbeReason::protocol: return "protocol";
    case ProbeReason::status: return "status";
    case ProbeReason::body: return "body";
    case ProbeReason::answer: return "answer";
    case ProbeReason::rcode: return "rcode";
    case ProbeReason::redirect: return "redirect";
    case ProbeReason::starttls: return "starttls";
    case ProbeReason::tls: return "tls";
    case ProbeReason::certificate_expired: return "certificate_expired";
    case ProbeReason::certificate_untrusted: return "certificate_untrusted";
    case ProbeReason::certificate_name: return "certificate_name";
    case ProbeReason::loss: return "loss";
    case ProbeReason::health: return "health";
    case ProbeReason::slow: return "slow";
    case ProbeReason::expiring: return "expiring";
    case ProbeReason::no_address: return "no_address";
    case ProbeReason::internal: return "internal";
  }
  return "none";
}

std::string_view to_string(Step s) {
  switch (s) {
    case Step::restart: return "restart";
    case Step::kill: return "kill";
    case Step::start: return "start";
    case Step::stop: return "stop";
  }
  return "restart";
}

std::string_view to_string(OperationResult r) {
  switch (r) {
    case OperationResult::done: return "done";
    case OperationResult::not_modified: return "not_modified";
    case OperationResult::gone: return "gone";
    case OperationResult::conflict: return "conflict";
    case OperationResult::failed: return "failed";
    case OperationResult::unknown: return "unknown";
    case OperationResult::timed_out: return "timed_out";
  }
  return "unknown";
}

std::string_view to_string(NoticeKind k) {
  switch (k) {
    case NoticeKind::heal_started: return "heal_started";
    case NoticeKind::heal_acted: return "heal_acted";
    case NoticeKind::heal_failed: return "heal_failed";
    case NoticeKind::healed: return "healed";
    case NoticeKind::heal_abandoned: return "heal_abandoned";
    case NoticeKind::left_alone: return "left_alone";
    case NoticeKind::quarantined: return "quarantined";
    case NoticeKind::trial: return "trial";
    case NoticeKind::storm_began: return "storm_began";
    case NoticeKind::storm_ended: return "storm_ended";
    case NoticeKind::intent_not_durable: return "intent_not_durable";
    case NoticeKind::interference: return "interference";
    case NoticeKind::engine_up: return "engine_up";
    case NoticeKind::engine_down: return "engine_down";
    case NoticeKind::health_stale: return "health_stale";
    case NoticeKind::label_warning: return "label_warning";
    case NoticeKind::flapping: return "flapping";
    case NoticeKind::flapping_ended: return "flapping_ended";
    case NoticeKind::maintenance: return "maintenance";
    case NoticeKind::maintenance_ended: return "maintenance_ended";
    case NoticeKind::restart_asked: return "restart_asked";
    case NoticeKind::released: return "released";
    case NoticeKind::recreating: return "recreating";
    case NoticeKind::blind: return "blind";
    case NoticeKind::blind_ended: return "blind_ended";
    case NoticeKind::blind_exhausted: return "blind_exhausted";
    case NoticeKind::container_started: return "container_started";
    case NoticeKind::oom_killed: return "oom_killed";
    case NoticeKind::service_added: return "service_added";
    case NoticeKind::service_removed: return "service_removed";
    case NoticeKind::too_many_services: return "too_many_services";
  }
  return "left_alone";
}

Duration default_verify_timeout(const std::optional<HealthCheck>& check) {
  constexpr Duration least = 60s;
  if (!check) return least;
  // Bounded factors keep the product far from overflow whatever the Engine said.
  const auto cap = [](Duration d) { return std::clamp(d, Duration{}, Duration{24h}); };
  const auto rounds = static_cast<std::int64_t>(std::min(check->retries, 100U)) + 1;
  return std::max(least,
                  cap(check->start_period) + (cap(check->interval) + cap(check->timeout)) * rounds);
}

}  // namespace sentinel::core
