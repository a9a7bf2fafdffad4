#pragma once

// Values that cross the core's border: identities, settings, facts about containers. Plain data, no
// behaviour beyond comparison and naming.

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/probe_spec.hpp"
#include "core/time.hpp"

namespace sentinel::core {

/// A full container id, 64 hex digits. Short ids are never used: the Engine resolves them, and even
/// a full id whose owner is gone, to a container that is merely named like it.
class ContainerId {
 public:
  ContainerId() = default;
  /// Exactly 64 lower-case hex digits, else nullopt.
  static std::optional<ContainerId> parse(std::string_view hex);
  std::string hex() const;
  /// The first 12 digits, for people only.
  std::string short_hex() const { return hex().substr(0, 12); }
  std::size_t hash() const;
  auto operator<=>(const ContainerId&) const = default;

 private:
  std::array<std::uint8_t, 32> bytes_{};
};

/// What survives recreation: Compose project, service and replica number; without Compose, the
/// container's name alone.
struct ServiceKey {
  std::string project;  // empty: not from Compose
  std::string service;
  unsigned replica = 1;

  auto operator<=>(const ServiceKey&) const = default;
  /// `project/service/replica`, or `service` when there is no project.
  std::string to_string() const;
};

/// Handle of a service inside one core; never used twice in a process.
using ServiceId = std::uint32_t;
/// Handle of one healing operation; unique across restarts of the process because the counter is
/// restored.
using OperationId = std::uint64_t;

enum class State : std::uint8_t {
  unknown,
  starting,
  healthy,
  degraded,
  unhealthy,
  recovering,
  quarantined,
  stopped,  // on purpose
};
inline constexpr std::array all_states{State::unknown,     State::starting,  State::healthy,
                                       State::degraded,    State::unhealthy, State::recovering,
                                       State::quarantined, State::stopped};
std::string_view to_string(State);

/// Overlays qualify a state without replacing it.
struct Overlays {
  bool maintenance = false;  // by command, by a window of the file, or while Compose recreates the
                             // container: nothing is healed
  bool flapping = false;     // many changes in a short time
  bool blind = false;   // our own view is broken (Engine, network, resolver): judgement is held
  bool paused = false;  // `docker pause`
  bool operator==(const Overlays&) const = default;
};

enum class Rung : std::uint8_t { restart, kill, stop };
std::string_view to_string(Rung);

/// Which failures may act: a set, see `sentinel.heal.on`.
struct FailureSet {
  bool unhealthy = true;
  bool probe = true;
  bool exited = false;
  bool operator==(const FailureSet&) const = default;
};

struct Budget {
  unsigned restarts = 5;    // 1..100
  Duration window = 15min;  // of healthy time, 1s..30d
  bool operator==(const Budget&) const = default;
};

struct Backoff {
  Duration min = 1s;
  Duration max = 5min;  // >= min
  bool operator==(const Backoff&) const = default;
};

/// Settings of one service after label > file > default.
struct ServiceSettings {
  bool enabled = false;
  std::vector<Rung> ladder{Rung::restart};  // empty: `none`, observe only
  FailureSet heal_on;
  std::optional<Duration> stop_timeout;  // none: the container's own
  std::optional<Duration> start_grace;   // none: the health check's start period
  Duration delay{};
  std::optional<Duration> verify_timeout;  // none: see default_verify_timeout
  Budget budget;
  Duration trial = 1h;  // 0: never
  Backoff backoff;
  /// Services it needs, `service` of the same project or `project/service`; none: what Compose and
  /// the network say (ContainerInfo).
  std::optional<std::vector<std::string>> depends_on;
  std::vector<ProbeSpec> probes;
  bool operator==(const ServiceSettings&) const = default;
};

enum class RestartPolicy : std::uint8_t { no, on_failure, always, unless_stopped };

struct HealthCheck {
  Duration interval = 30s;
  Duration timeout = 30s;
  Duration start_period{};
  unsigned retries = 3;
  bool operator==(const HealthCheck&) const = default;
};

/// What does not change while a container lives (a rename gives a new value).
struct ContainerInfo {
  ContainerId id;
  std::string name;
  std::string image;
  ServiceKey key;
  std::int64_t created = 0;  // Engine's clock, ns since 1970; order and identity only
  bool auto_remove = false;
  bool swarm_task = false;
  bool own = false;  // the container this process runs in
  RestartPolicy restart_policy = RestartPolicy::no;
  std::optional<HealthCheck> health_check;
  Duration stop_timeout = 10s;            // the container's own
  std::vector<std::string> depends_on;    // Compose services of its project, at most 64
  std::optional<ContainerId> network_of;  // whose network namespace it shares
  ServiceSettings settings;
  std::vector<std::string> warnings;  // about labels, complete sentences, already escaped
};

enum class RunState : std::uint8_t { created, running, paused, restarting, removing, exited, dead };
std::string_view to_string(RunState);

enum class EngineHealth : std::uint8_t { none, starting, healthy, unhealthy };
std::string_view to_string(EngineHealth);

/// What an inspect says about this moment.
struct ContainerStatus {
  RunState run = RunState::created;
  EngineHealth health = EngineHealth::none;
  unsigned failing_streak = 0;
  int exit_code = 0;
  bool oom_killed = false;
  std::int64_t started_at = 0;  // Engine's clock, ns since 1970, 0: never. Identity of a run, never
                                // compared with our time
  Duration uptime{};            // at the moment of the answer, >= 0; 0 when not running
  bool health_stale = false;    // the last health log entry is older than 3 x (interval + timeout)
  std::string health_output;    // last entry, at most 4 KiB, escaped
  std::string address;          // on a network we share, empty: none
  bool operator==(const ContainerStatus&) const = default;
};

struct ContainerFacts {
  std::shared_ptr<const ContainerInfo> info;  // never null
  ContainerStatus status;
};

/// One row of `/containers/json?all=1`: enough to see that an inspect is due.
struct ListedContainer {
  ContainerId id;
  RunState run = RunState::created;
  EngineHealth health = EngineHealth::none;
};

/// One step the Engine is asked to perform.
enum class Step : std::uint8_t { restart, kill, start, stop };
std::string_view to_string(Step);

/// verify-timeout when none is set: start period + (interval + timeout) x (retries + 1), at least
/// 60 s.
Duration default_verify_timeout(const std::optional<HealthCheck>&);

/// A service that is no container: a host of the file's `targets:`. Its key is {group, name}.
struct TargetInfo {
  ServiceKey key;
  ServiceSettings settings;  // every probe names its host; nothing is healed
  bool witness = false;      // tells whether our own network works; see core/sight.hpp
  bool operator==(const TargetInfo&) const = default;
};

/// What a service keeps across restarts of this process. Everything is relative: no clock of any
/// machine is trusted.
struct ServiceRecord {
  ServiceKey key;
  std::vector<Duration>
      budget_left;  // healthy time still needed until each spent restart is forgiven
  bool quarantined = false;
  Duration trial_in{};          // until the next trial, when quarantined
  Duration maintenance_left{};  // 0: none
  bool operator==(const ServiceRecord&) const = default;
};

/// An operation that was about to be, or was being, performed.
struct IntentRecord {
  OperationId op = 0;
  ServiceKey key;
  ContainerId container;
  std::int64_t started_at = 0;  // of the run that was to be replaced
  Rung rung = Rung::restart;
  bool trial = false;
  bool asked = false;  // by a person
  bool operator==(const IntentRecord&) const = default;
};

}  // namespace sentinel::core

template <>
struct std::hash<sentinel::core::ContainerId> {
  std::size_t operator()(const sentinel::core::ContainerId& id) const noexcept { return id.hash(); }
};
