#pragma once

// The parts of Core, one file each: containers.cpp (facts), targets.cpp (targets and windows of the
// file), probing.cpp (own probes), states.cpp
// (judgement -> state), healing.cpp (whether and when to act), asked.cpp (what people ask for),
// operation.cpp (from asking the Engine to verified), core.cpp (dispatch, deadlines, views).

#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/core.hpp"
#include "core/deadlines.hpp"
#include "core/rng.hpp"
#include "core/service.hpp"
#include "core/sight.hpp"
#include "core/storm.hpp"

namespace sentinel::core {

class Core::Impl {
 public:
  explicit Impl(Config config) : config_(config), rng_(config.seed), sight_(config.blind_hold) {}

  void on(Event event, Time now, Actions& out);
  std::optional<Time> next_deadline() const;
  std::vector<ServiceKey> needs(const Service&) const;
  ServiceView view(const Service& service) const;
  std::string restart_problem(const Service&) const;

  Config config_;
  Rng rng_;
  Time now_{};
  Actions* out_ = nullptr;  // valid during on()
  bool engine_up_ = false;
  bool engine_ever_up_ = false;
  Time engine_lost_at_{};
  bool listed_ = false;
  std::size_t first_inspects_ = 0;  // containers never inspected yet
  Storm storm_;
  Sight sight_;
  std::vector<ServiceId> waiting_;  // with failures that wait for what is found out about our sight
  struct Window {
    MaintenanceWindow window;
    Time until;
  };
  std::vector<Window> windows_;  // open ones
  std::size_t targets_ = 0;
  bool full_told_ = false;

  std::unordered_map<ContainerId, Container> containers_;
  std::map<ServiceKey, ServiceId> keys_;
  std::unordered_map<ServiceId, Service> services_;
  std::unordered_map<std::string, std::vector<ServiceId>> by_service_name_;
  std::unordered_map<OperationId, ServiceId> operations_;
  std::unordered_map<OperationId, ContainerId>
      unanswered_;  // outlives an operation that was abandoned
  std::map<ServiceKey, ServiceRecord> restored_;
  std::map<ServiceKey, IntentRecord> restored_intents_;
  Time restored_until_ = never;  // records of services that did not come back are dropped then

  Deadlines<ServiceId> service_due_;
  Deadlines<ContainerId> container_due_;
  std::set<std::pair<Time, ServiceId>> ready_;
  unsigned in_flight_ = 0;
  ServiceId last_service_ = 0;
  OperationId last_operation_ = 0;
  std::uint64_t last_token_ = 0;
  std::size_t watched_ = 0;  // services whose container runs

 private:
  // core.cpp
  void handle(const Tick&) {}
  void handle(const Restored&);
  void handle(const EngineConnected&);
  void handle(const EngineLost&);
  void handle(const Reconfigured&);
  void handle(const SetMaintenance&);
  void fire_deadlines();
  void schedule(Service&);
  Time other_due(const Service&) const;
  void drop_restored_intents();

  // containers.cpp
  void handle(const Listed&);
  void handle(const Hint&);
  void handle(const Inspected&);
  Container* know(const ContainerId&);
  void first_inspect_over(Container&);
  void want_inspect(Container&);
  void send_inspect(Container&);
  void inspect_failed(Container&);
  void container_due(const ContainerId&);
  void accept_facts(Container&, const ContainerFacts&);
  void accept_run(Container&, const ContainerStatus& before, bool first);
  void remove_container(const ContainerId&);
  Service* attach(Container&);
  void detach(Container&);
  void choose_current(Service&);
  void current_changed(Service&);
  void rename(const std::string& service_name);
  Service* create_service(const ServiceKey&, const ServiceSettings&);
  void remove_service(ServiceId, std::string text);
  void hint_intent(Container&, HintKind);
  void hint_stopping(Container&);
  bool being_stopped(const Service&) const;
  /// The service whose latest operation is on this container; nullptr: none.
  Service* operated(const Container&);
  bool own_hint(const Operation&) const;
  void hint_stop_during_operation(Service&, bool ours);

  // targets.cpp
  void handle(const SetTargets&);
  void handle(const SetWindows&);
  void set_target(Service&, std::shared_ptr<const TargetInfo>);
  void take_from_containers(Service&);
  void give_to_containers(const ServiceKey&);
  void cover(Service&);
  void close_windows();

  // probing.cpp
  void handle(ProbeFinished&);
  void reset_probes(Service&, bool spread);
  void carry_probes(Service&, const std::vector<ProbeSpec>& old_specs);
  void drop_probes(Service&);
  void thaw_probes(Service&);
  void first_slot(Probe&, Duration spread);
  bool run_probes(Service&);
  bool probing(const Service&) const;
  bool feed_waiting(Probe&, const ProbeSpec&);
  void sight_changed(Sight::Change);
  Time probes_due(const Service&) const;
  Duration probe_interval(const Service&, const Probe&, const ProbeSpec&) const;
  bool sighted(const Service&) const;

  // states.cpp
  void evaluate(Service&);
  Judgement judge_now(const Service&) const;
  State state_of(const Service&, const Judgement&) const;
  void enter(Service&, State, std::string reason, ProbeReason);
  void overlays(Service&);
  void watch_flapping(Service&);
  void settle_flapping(Service&);
  bool improvement_held(const Service&) const;
  std::string why_maintenance(const Service&) const;
  std::optional<Time> end_of_maintenance(const Service&) const;
  std::string why_not(const Service&) const;
  std::string decision(const Service&) const;
  void tell_left_alone(Service&);

  // asked.cpp
  void handle(const RestartService&);
  void handle(const ReleaseService&);
  std::string why_not_asked(const Service&) const;
  void give_up_asked(Service&, const std::string& why);

  // healing.cpp
  void handle(const OperationDone&);
  void handle(const IntentStored&);
  void heal(Service&);
  void consider(Service&);
  void wait(Service&, Duration at_least);
  void quarantine(Service&);
  void pump_ready();
  void prepare(Service&);
  void preparing(Service&);
  void send(Service&, Step);
  void exiting(Service&);
  void overdue(Service&);
  void confirm(Service&, bool unclear, Duration settle);
  void settle_by(Operation&, Time end);
  void confirming(Service&);
  bool confirmed(Service&);
  void stopped(Service&);
  void begin_verify(Service&);
  void verifying(Service&);
  void failed(Service&, std::string_view result, const std::string& text);
  void healed(Service&);
  void abandon(Service&, const std::string& why);
  void unprepare(Service&, const std::string& why);
  void idle(Service&);
  void release_place(Service&);
  void take_up(Service&);
  void leave_ready(Service&);
  bool holds_place(const Service& s) const {
    return s.op.placed && s.op.phase >= Phase::preparing && s.op.phase <= Phase::confirming;
  }
  Duration stop_timeout(const Service&) const;
  Duration time_to_stop(const Service&, Step) const;
  bool may_act(const Service&) const;
  bool wanted(const Service&) const;
  bool answers_again(const Service&) const;
  std::string why_not_now(const Service&) const;

  // small things
  Service* find(ServiceId id) {
    const auto it = services_.find(id);
    return it == services_.end() ? nullptr : &it->second;
  }
  Container* current(Service& s) { return s.current ? &containers_.at(*s.current) : nullptr; }
  const Container* current(const Service& s) const {
    return s.current ? &containers_.at(*s.current) : nullptr;
  }
  /// nullptr: neither a target nor a container.
  const ServiceSettings* settings(const Service& s) const {
    if (s.target) return &s.target->settings;
    const Container* c = current(s);
    return c == nullptr ? nullptr : &c->info->settings;
  }
  /// The Engine does not say how it is: nothing is judged.
  bool unseen(const Service& s) const { return !s.target && (!engine_up_ || !listed_); }
  bool fresh(const Container& c) const { return c.inspected_at >= now_ - fresh_for; }
  bool recreating(const Service& s) const { return now_ < s.recreate_until; }
  ServiceRecord record(const Service&) const;
  void store(Service& s) { out_->emplace_back(StoreService{record(s)}); }
  Notice notice(const Service&, NoticeKind, std::string text) const;
  void tell(Notice n) { out_->emplace_back(std::move(n)); }
  void tell(const Service& s, NoticeKind kind, std::string text) {
    tell(notice(s, kind, std::move(text)));
  }
};

}  // namespace sentinel::core
