#pragma once

// A model of a Docker Engine and of what runs in its containers, in virtual time. It follows
// dockerd in what matters to a healer: the order of events, the health check's start period and
// retries, the silent reset to `starting`, restart policies with their back-off, operations that go
// on when the client has gone, two operations on one container at once, and what is left after the
// daemon was killed.
//
// A container: created -> running <-> paused; running -> exited, by itself, by an operation or with
// the daemon; exited -> (restarting ->) running by policy or operation; any -> gone.

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/event.hpp"
#include "core/types.hpp"
#include "sim/prng.hpp"
#include "sim/schedule.hpp"

namespace sentinel::sim {

using core::Duration;
using core::Time;
using Index = std::uint32_t;

/// What the application in a container does with its life.
enum class Nature : std::uint8_t {
  steady,     // never fails
  random,     // fails now and then; a restart cures it
  transient,  // fails now and then and recovers by itself
  stubborn,   // fails now and then; only the nth restart cures it
  relapsing,  // fails again soon after every restart, for ever
  hopeless,   // never works again once it has failed
};

enum class Failing : std::uint8_t {
  unhealthy,
  hanging,
  exiting
};  // hanging ignores SIGTERM as well

struct Profile {
  Nature nature = Nature::steady;
  Failing failing = Failing::unhealthy;
  int exit_code = 1;
  Duration boot = std::chrono::milliseconds{200};      // from start until it serves
  Duration up_time = std::chrono::hours{4};            // mean time until it fails
  unsigned restarts_needed = 1;                        // stubborn only
  Duration term_time = std::chrono::milliseconds{50};  // from SIGTERM to exit
  std::uint32_t start_failure_ppm = 0;  // chance that a start fails, while there are faults
  std::uint32_t oom_ppm = 0;            // chance that an exit is an OOM kill
};

enum class Cause : std::uint8_t { itself, person, sentinel, engine };

struct Container {
  std::shared_ptr<const core::ContainerInfo> info;
  Profile profile;
  core::RunState run = core::RunState::created;
  core::EngineHealth health = core::EngineHealth::none;
  unsigned streak = 0;
  int exit_code = 0;
  bool oom_killed = false;
  bool exists = true;
  bool removing = false;
  std::int64_t started_at = 0;
  Time started{};

  bool serving = false;  // what a probe or a health check finds
  bool hung = false;
  bool failed_once = false;
  unsigned restarts_left = 0;  // stubborn: until it works again
  std::uint64_t life = 0;      // of scheduled items: each start and exit begins a new one
  std::uint64_t check_stamp = 0;
  bool checking = false;

  bool manually_stopped = false;  // as dockerd keeps it: the policy does not apply
  Cause exit_cause = Cause::itself;
  Duration policy_delay{};
  std::vector<Index> tasks;  // operations in progress on it

  // For the invariants only.
  Time serving_since{};
  Time person_stopped_at = Time::min();  // latest stop, kill or removal by a person
  Time paused_at = Time::min();
};

struct EmittedHint {
  Index container = 0;
  core::HintKind kind = core::HintKind::start;
  Cause cause = Cause::itself;
};

struct FinishedTask {
  std::uint64_t reference = 0;  // 0: nobody waits
  core::OperationResult result = core::OperationResult::done;
};

class EngineModel {
 public:
  EngineModel(Schedule& schedule, Prng& prng) : schedule_(schedule), prng_(prng) {}

  /// Creates a container (event `create`).
  Index create(std::shared_ptr<const core::ContainerInfo> info, const Profile& profile);
  /// Runs it as part of the world's beginning: no events, healthy.
  void begin_running(Index container, Time now);

  /// An operation; finished ones appear in `finished`. `reference` 0: nobody waits for the answer.
  void operate(Index container, core::Step step, Duration stop_timeout, Cause cause,
               std::uint64_t reference, Time now);
  bool pause(Index container, Time now);
  bool unpause(Index container, Time now);
  void rename(Index container, std::shared_ptr<const core::ContainerInfo> info, Time now);
  /// `rm -f`.
  void remove(Index container, Cause cause, Time now);

  /// The daemon dies; without live-restore the containers die with it, and nobody hears of it.
  void crash(bool live_restore, Time now);
  /// It is back and applies the restart policies.
  void revive(Time now);

  /// An item of the schedule that belongs to the Engine.
  void on(const Item& item, Time now);

  /// From here on no application fails, except those that are meant to fail for ever.
  void calm() { calm_ = true; }

  core::ContainerFacts facts(Index container, Time now) const;
  std::vector<core::ListedContainer> list() const;

  const Container& operator[](Index container) const { return containers_[container]; }
  Index size() const { return static_cast<Index>(containers_.size()); }
  /// Also of one that is gone; size() when there never was one.
  Index find(const core::ContainerId& id) const;
  /// One of our operations is still being worked on.
  bool busy_for_sentinel(Index container) const;
  /// A stop, kill or restart by a person waits for it to end.
  bool being_stopped_by_person(Index container) const;
  /// Will it work after enough restarts, once calm?
  bool curable(Index container) const;

  std::vector<EmittedHint> emitted;
  std::vector<FinishedTask> finished;

 private:
  enum class Stage : std::uint8_t { free, stopping, starting };
  struct Task {
    Index container = 0;
    core::Step step = core::Step::restart;
    Cause cause = Cause::itself;
    Stage stage = Stage::free;
    bool was_running = false;
    std::uint64_t reference = 0;
    std::uint64_t serial = 0;  // tasks are reused; scheduled items carry this
  };

  void emit(Index container, core::HintKind kind, Cause cause) {
    emitted.push_back({container, kind, cause});
  }
  bool start(Index container, Cause cause, Time now);
  void exited(Index container, int code, Cause cause, Time now);
  void send_term(Index container, Duration stop_timeout, Cause cause, Time now);
  void advance(Index task, Time now);
  void finish(Index task, core::OperationResult result);
  void arm_check(Index container, Time now);
  void check(Index container, Time now);
  void app_changes(Index container, std::uint32_t change, Time now);
  void set_serving(Index container, bool serving, Time now);
  void apply_policy(Index container, Time now);
  std::int64_t engine_clock(Time now) const {
    return 1'700'000'000'000'000'000 + now.time_since_epoch().count();
  }

  Schedule& schedule_;
  Prng& prng_;
  std::vector<Container> containers_;
  std::unordered_map<core::ContainerId, Index> by_id_;
  std::vector<Task> tasks_;
  std::vector<Index> free_tasks_;
  std::uint64_t serials_ = 0;
  bool calm_ = false;
  bool down_ = false;
};

}  // namespace sentinel::sim
