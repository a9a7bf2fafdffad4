#pragma once

// The decision maker for one Engine, and for the targets of the file, which need none. Pure: told
// events with a time, it answers with actions; the same sequence always gives the same actions. The
// shell calls on() from one thread, performs the actions outside of on(), feeds the results back,
// and calls on(Tick) at next_deadline() or later.
//
// The core owns the deadline of everything it asked for: a lost answer cannot wedge a service.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/action.hpp"
#include "core/event.hpp"
#include "core/types.hpp"

namespace sentinel::core {

struct ProbeView {
  std::string name;
  std::string url;
  bool known =
      false;  // at least `rise` passes or `fall` failures seen in this run of the container
  Verdict verdict = Verdict::pass;
  std::string sentence;  // of the last run
  std::optional<Time> last;
  Duration took{};
  ProbePhases phases;
};

inline std::shared_ptr<const ServiceSettings> default_settings() {
  static const auto settings = std::make_shared<const ServiceSettings>();
  return settings;
}

/// What status, explain and metrics show of one service. Texts are escaped.
struct ServiceView {
  ServiceId id = 0;
  ServiceKey key;
  std::string name;  // shortest unique form
  State state = State::unknown;
  Overlays overlays;
  Time since{};
  std::string reason;
  ContainerId container;
  std::string container_name;
  std::string image;
  ContainerStatus status;
  std::shared_ptr<const ServiceSettings> settings = default_settings();  // never null
  bool target = false;      // of the file: no container, watched only
  std::string maintenance;  // why it is in maintenance: "asked for, 12 min left"; empty: it is not
  /// When that ends by itself; none: it is not, or until Compose has recreated it.
  std::optional<Time> maintenance_until;
  std::vector<ProbeView> probes;
  unsigned budget_remaining = 0;
  unsigned restarts = 0;             // starts of a known container seen by this process
  std::optional<Time> next_attempt;  // when an operation or trial is due
  std::string phase;     // of the operation: none, waiting, preparing, acting, verifying
  std::string decision;  // in plain words: what will be done or why nothing is
};

/// What a service needs, directly; see ServiceSettings::depends_on. Only services that are watched
/// are named.
struct ServiceNeeds {
  ServiceKey key;
  bool target = false;            // no container
  std::vector<ServiceKey> needs;  // ordered; never the service itself
  bool operator==(const ServiceNeeds&) const = default;
};

class Core {
 public:
  explicit Core(Config config);
  ~Core();
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  /// Appends to `out`. `now` must not go backwards; an earlier time counts as the latest one seen.
  void on(Event event, Time now, Actions& out);

  /// When on(Tick) is due at the latest; nullopt: nothing is pending.
  std::optional<Time> next_deadline() const;

  bool engine_up() const;
  /// Our own network or resolver seems to fail, and judgement is held.
  bool blind() const;
  bool storm() const;
  /// False until the first list after start has been worked through.
  bool synchronised() const;
  unsigned operations_in_flight() const;
  std::size_t service_count() const;

  /// Ordered by key. Cost grows with the number of services; for people and scrapes.
  std::vector<ServiceView> services() const;
  /// By `project/service[/replica]`, shorter where unique. Empty: unknown; several: ambiguous.
  std::vector<ServiceView> find(std::string_view name) const;
  /// nullopt: gone.
  std::optional<ServiceView> service(ServiceId id) const;
  /// Why its container cannot be restarted, or it cannot be released from quarantine, now, in plain
  /// words; empty: it can.
  std::string restart_problem(ServiceId id) const;
  std::string release_problem(ServiceId id) const;
  /// Of all services, ordered by key. Cost as of services().
  std::vector<ServiceNeeds> needs() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sentinel::core
