#pragma once

// Everything the core asks for or makes known. The shell performs the first group and feeds results
// back as events; the second group (Transition, Notice, ...) is for logs, metrics, journal, UI:
// derived there, never decided there.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/event.hpp"
#include "core/types.hpp"

namespace sentinel::core {

// --- to be performed
// --------------------------------------------------------------------------------------------------

struct Inspect {
  ContainerId id;
  std::uint64_t token = 0;  // comes back in Inspected
};

/// Ask for a Listed soon.
struct Relist {
  bool after_gap = false;
};

/// Make this durable, then answer IntentStored. The core waits 250 ms at most.
struct StoreIntent {
  IntentRecord intent;
  ServiceRecord service;  // in the same transaction: the budget already counts this restart
};

/// The operation is over; the same transaction updates the service.
struct ForgetIntent {
  OperationId op = 0;
  ServiceRecord service;
};

/// Budget, quarantine or maintenance changed without an operation.
struct StoreService {
  ServiceRecord service;
};

/// Ask the Engine. Answer OperationDone in any case, `unknown` at the latest after stop_timeout +
/// 20 s.
struct Operate {
  OperationId op = 0;
  ContainerId id;
  Step step = Step::restart;
  Duration stop_timeout =
      10s;  // always sent as t=, whole seconds rounded up; restart and stop only
};

struct StartProbe {
  ProbeToken token;
  std::shared_ptr<const ProbeSpec> spec;  // never null
  std::string address;  // the container's address, empty: none known; used when spec->host is empty
  ContainerId container;  // exec runs in it; empty for a target
  Duration lag{};         // how late it was started, due to now
};

// --- to be made known
// -------------------------------------------------------------------------------------------------

struct Transition {
  ServiceId service = 0;
  ServiceKey key;
  std::string name;  // shortest unique form
  ContainerId container;
  State from = State::unknown;
  State to = State::unknown;
  std::string reason;  // what the reader wants to know: "connection refused"; escaped
  ProbeReason probe_reason = ProbeReason::none;  // when a probe caused it
  Duration in_previous{};                        // time spent in `from`
  std::optional<Duration> down_for;  // on return to healthy/degraded: since it was last so
  bool maintenance = false;
  bool flapping = false;  // one of many; the notices `flapping` and `flapping_ended` sum them up
};

enum class NoticeKind : std::uint8_t {
  heal_started,    // an operation is about to be sent to the Engine
  heal_acted,      // the Engine answered; verification begins
  heal_failed,     // action or verification failed; `result` says which
  healed,          // verified
  heal_abandoned,  // gone, paused, stopped or replaced meanwhile: no longer ours to heal
  left_alone,      // unhealthy but not to be acted on, with the reason
  quarantined,
  trial,
  storm_began,
  storm_ended,
  intent_not_durable,
  interference,  // somebody else acted on the container during an operation
  engine_up,
  engine_down,
  health_stale,
  label_warning,
  flapping,
  flapping_ended,
  maintenance,
  maintenance_ended,  // of a service, or of a window of the file (without service)
  restart_asked,      // by a person
  released,           // from quarantine, by a person
  recreating,         // Compose replaces its container
  blind,              // our own network or resolver seems to fail: judgement is held
  blind_ended,        // it works again
  blind_exhausted,    // it does not, and the hold is over
  container_started,  // a run of the container that was not our doing, or was: counted as a restart
                      // when seen before
  oom_killed,
  service_added,
  service_removed,  // drop its series
  too_many_services,
};
std::string_view to_string(NoticeKind);

/// One thing worth a log line. Service fields are empty for notices about the whole Engine.
struct Notice {
  NoticeKind kind = NoticeKind::left_alone;
  ServiceId service = 0;
  ServiceKey key;
  std::string name;
  ContainerId container;
  std::string text;  // the sentence, escaped
  // healing
  OperationId op = 0;
  Rung rung = Rung::restart;
  std::string_view result;  // heal_acted/heal_failed/healed/heal_abandoned: done, engine_error,
                            // not_verified, healthy, abandoned
  unsigned attempt = 0;
  Duration took{};
};

/// A probe finished (each run; debug in the log, counted in metrics).
struct ProbeReport {
  ServiceId service = 0;
  ServiceKey key;
  std::string probe;
  ProbeKind kind = ProbeKind::http;
  ProbeOutcome outcome;
};

using Action = std::variant<Inspect, Relist, StoreIntent, ForgetIntent, StoreService, Operate,
                            StartProbe, Transition, Notice, ProbeReport>;
using Actions = std::vector<Action>;

}  // namespace sentinel::core
