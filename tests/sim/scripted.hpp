#pragma once

// A small language for cases at the core's border: one core, a handful of containers, virtual time.
// Inspects, intents and probes are answered by themselves unless held; operations are carried out
// as a healthy Engine would unless `manual`.

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/core.hpp"

namespace sentinel::sim {

using namespace core;  // NOLINT(google-build-using-namespace): the language of the cases

class Script {
 public:
  explicit Script(Config config = {}, std::optional<Restored> restored = std::nullopt);

  // --- the world: what is there
  // --------------------------------------------------------------------------------------
  using Tweak = std::function<void(ContainerInfo&)>;
  /// A running, healthy container of service `name` with a health check (5 s, 2 retries), watched
  /// and healed by restart.
  ContainerId add(const std::string& name, const Tweak& tweak = {});
  /// EngineConnected and the first list; runs until everything has been inspected.
  void connect();
  /// A target of the file with one TCP probe, every 5 s, fall 3, rise 2.
  using TargetTweak = std::function<void(TargetInfo&)>;
  static std::shared_ptr<const TargetInfo> target(const std::string& name, const std::string& host,
                                                  const TargetTweak& tweak = {});
  void lose_engine();
  /// Connected again; `after_gap` list.
  void regain_engine();
  void list(bool after_gap = false);

  // --- what happens to containers, with the Engine's events in their order
  // --------------------------------------------
  void turns(const ContainerId& id, EngineHealth health);
  /// Without an event.
  void set_health(const ContainerId& id, EngineHealth health);
  void exits(const ContainerId& id, int code, bool oom = false);
  void starts(const ContainerId& id);
  void stopped_by_person(const ContainerId& id, int code = 143);
  void paused(const ContainerId& id);
  void unpaused(const ContainerId& id);
  void removed(const ContainerId& id);
  void renamed(const ContainerId& id, const std::string& name);
  void relabelled(const ContainerId& id, const Tweak& tweak);
  /// From here on events are lost.
  bool deaf = false;

  // --- how things answer
  // -----------------------------------------------------------------------------------------------
  bool hold_inspects = false;
  bool hold_store = false;
  bool store_works = true;
  bool hold_probes = false;
  bool manual = false;                            // operations are only recorded
  std::map<ContainerId, bool> cured;              // by a restart; default true
  std::map<ContainerId, bool> hung;               // ignores SIGTERM
  std::map<ContainerId, Verdict> probe_says;      // default: pass while healthy
  std::map<std::string, ProbeOutcome> host_says;  // to probes that name this host; default: pass
  Duration boot = 4s;                             // from start to healthy or unhealthy

  // --- time
  // ------------------------------------------------------------------------------------------------------------
  void feed(const Event& event);
  void run(Duration duration);
  bool run_until(const std::function<bool()>& condition, Duration limit);
  void answer(const Operate& operate, OperationResult result, std::string detail = {});
  Time now() const { return now_; }

  // --- what was seen
  // ---------------------------------------------------------------------------------------------------
  std::deque<Operate> operations;
  std::vector<Transition> transitions;
  std::vector<Notice> notices;
  std::vector<StoreIntent> intents;
  std::vector<OperationId> forgotten;
  std::vector<StartProbe> probes;
  std::vector<Inspect> inspects;
  unsigned relists = 0;
  std::map<ServiceKey, ServiceRecord> records;
  std::map<OperationId, IntentRecord> kept;

  ServiceView view(const std::string& name) const;
  State state(const std::string& name) const { return view(name).state; }
  std::size_t count(NoticeKind kind) const;
  /// Transitions of this service.
  std::vector<Transition> changes(const std::string& name) const;
  std::size_t sent(const ContainerId& id) const;
  std::size_t sent(const ContainerId& id, Step step) const;
  const Notice* last(NoticeKind kind) const;
  Restored restored() const;
  bool is_known(const std::string& name) const { return !core_.find(name).empty(); }
  Core& core() { return core_; }
  ContainerStatus& status(const ContainerId& id) { return containers_.at(id).status; }
  const ContainerInfo& info(const ContainerId& id) const { return *containers_.at(id).info; }

 private:
  struct Model {
    std::shared_ptr<const ContainerInfo> info;
    ContainerStatus status;
    Time started{};
  };
  void hint(const ContainerId& id, HintKind kind);
  void at(Duration in, std::function<void()> what);
  void perform(const Action& action);
  void carry_out(const Operate& operate);
  ContainerFacts facts(const ContainerId& id) const;

  Core core_;
  Time now_{1h};
  std::map<ContainerId, Model> containers_;
  unsigned made_ = 0;
  std::multimap<Time, std::function<void()>> later_;
};

/// A service "web" that has just become unhealthy: its restart was asked for, and what comes of it
/// is for the test to say (`manual`).
ContainerId asked_to_restart(Script& s);

/// 64 hex digits from a small number.
ContainerId make_id(unsigned number);

}  // namespace sentinel::sim
