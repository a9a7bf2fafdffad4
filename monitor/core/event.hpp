#pragma once

// Everything the core is told. Events are hints or answers; the truth is what lists and inspects
// say.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/types.hpp"

namespace sentinel::core {

/// Once, before anything else: what was kept from the last run of this process.
struct Restored {
  std::vector<ServiceRecord> services;
  std::vector<IntentRecord> intents;
};

/// The event stream is open; a `Listed` follows.
struct EngineConnected {
  std::string api_version;
  std::string engine_version;
};

/// The Engine does not answer; nothing is judged or healed until it is back.
struct EngineLost {
  std::string reason;  // a sentence, escaped
};

/// A complete list. `after_gap`: events may have been lost before it, so every container is
/// inspected again.
struct Listed {
  std::vector<ListedContainer> containers;
  bool after_gap = false;
};

enum class HintKind : std::uint8_t {
  create,
  start,
  restart,
  die,
  stop,
  kill,
  pause,
  unpause,
  destroy,
  rename,
  oom,
  healthy,
  unhealthy
};

/// From the event stream. Only the id and the action are believed: containers can overwrite the
/// attributes.
struct Hint {
  ContainerId id;
  HintKind kind = HintKind::start;
};

/// Answer to Inspect.
struct Inspected {
  ContainerId id;
  std::uint64_t token = 0;
  enum class Outcome : std::uint8_t { found, gone, failed } outcome = Outcome::failed;
  std::optional<ContainerFacts> facts;  // when found
  std::string error;                    // when failed, escaped
};

enum class OperationResult : std::uint8_t {
  done,          // 2xx
  not_modified,  // 304: already so
  gone,          // 404
  conflict,      // 409
  failed,        // any other status
  unknown,       // lost connection: it may or may not have happened
  timed_out,     // no answer in time: it may be under way, or never come to be
};
std::string_view to_string(OperationResult);

/// Answer to Operate.
struct OperationDone {
  OperationId op = 0;
  Step step = Step::restart;
  OperationResult result = OperationResult::unknown;
  std::string detail;  // the Engine's message or the error, bounded and escaped
};

/// Answer to StoreIntent.
struct IntentStored {
  OperationId op = 0;
  bool durable = false;
};

struct ProbeToken {
  ServiceId service = 0;
  std::uint32_t probe = 0;     // index into settings.probes
  std::uint64_t sequence = 0;  // answers to an older run are ignored
  bool operator==(const ProbeToken&) const = default;
};

/// Answer to StartProbe.
struct ProbeFinished {
  ProbeToken token;
  ProbeOutcome outcome;
};

/// A person's commands.
struct SetMaintenance {
  ServiceKey key;
  Duration duration{};  // 0 ends it
};

/// Somebody asks for a restart now, once: whatever its state, ladder and maintenance are. It counts
/// as one restart of the budget, though it is done with none left, waits for the end of a storm's
/// hold and a place under the cap, and is verified like any other. Ignored where
/// Core::restart_problem() says something; given up when that happens while it waits.
struct RestartService {
  ServiceKey key;
  std::string by;  // who, and why; safe to print
};

/// Out of quarantine, with its whole budget. Ignored where Core::release_problem() says something.
struct ReleaseService {
  ServiceKey key;
  std::string by;
};

/// The targets of the file, all of them: at start, and after each reload. One whose value is equal
/// to what is known keeps everything; one that changed keeps its state, its history and the
/// verdicts of those probes that did not change; one that is not listed any more is removed. Of two
/// with one key the first counts. A target has precedence over containers of the same identity:
/// they are not watched while it exists, and that is told.
struct SetTargets {
  std::vector<std::shared_ptr<const TargetInfo>> targets;  // none is null
};

/// One opening of a maintenance window of the file. Times of day and weekdays are the shell's
/// business: the core has no clock of the wall.
struct MaintenanceWindow {
  std::string name;                   // for people; escaped
  std::vector<std::string> services;  // patterns, see window_covers in core/window.hpp
  Duration left{};  // until it closes; the core closes it by itself then. At most 30 days count
};

/// All windows that are open now: at start, whenever one opens or closes, and after each reload.
/// Repeating the same list is harmless; a window that is not listed any more is closed.
struct SetWindows {
  std::vector<MaintenanceWindow> open;
};

/// Process-wide settings; see Config in core.hpp.
struct Config {
  unsigned max_concurrent = 3;  // operations on the Engine at once, 1..1000
  Duration storm_hold = 10s;    // 0: no hold
  Duration storm_window = 10s;
  unsigned storm_min = 5;          // services
  double storm_fraction = 0.5;     // of the Engine's watched services
  unsigned max_services = 10'000;  // containers' and targets together; more are reported and not
                                   // watched
  Duration blind_hold = 10min;  // longest hold of judgement while our own network or resolver seems
                                // to fail; 0: none. See core/sight.hpp
  std::uint64_t seed = 1;       // of the jitter
  bool operator==(const Config&) const = default;
};
struct Reconfigured {
  Config config;
};

/// Nothing happened but time.
struct Tick {};

using Event = std::variant<Tick, Restored, EngineConnected, EngineLost, Listed, Hint, Inspected,
                           OperationDone, IntentStored, ProbeFinished, SetMaintenance, Reconfigured,
                           SetTargets, SetWindows, RestartService, ReleaseService>;

}  // namespace sentinel::core
