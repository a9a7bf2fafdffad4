#pragma once

// A whole world in virtual time: an Engine with its containers, people who work on them, a store,
// our process with its core, and everything that goes wrong between them, all drawn from one seed.
// After `faulty` the faults and the people stop, and the rest has to settle within the bound (see
// settle.cpp).

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/core.hpp"
#include "sim/checker.hpp"
#include "sim/engine_model.hpp"
#include "sim/faults.hpp"
#include "sim/fleet.hpp"
#include "sim/prng.hpp"
#include "sim/schedule.hpp"

namespace sentinel::sim {

struct WorldOptions {
  std::uint64_t seed = 1;
  unsigned containers = 100;
  Duration faulty = std::chrono::hours{24};
  bool measure = false;  // take the wall time spent inside the core
  /// Told every border crossing of this container's life, for people; empty function: no trace.
  std::function<void(Time, const std::string&)> trace;
  std::optional<Index> trace_only;  // this container, and what concerns all
};

struct Outcome {
  std::string failure;  // empty: everything held
  Index culprit = 0;
  std::uint64_t core_events = 0;
  std::uint64_t items = 0;  // of the schedule
  std::chrono::nanoseconds inside_core{};
  Time ended{};
  Duration settled_after{};  // of calm
  Duration bound{};
  Counters counters;
};

class World {
 public:
  explicit World(WorldOptions options);
  Outcome run();

 private:
  struct Parcel {  // an event on its way to the core
    core::Event event;
    std::uint32_t process = 0;
    std::uint32_t link = 0;  // 0: survives the loss of the connection
    Origin origin;
  };
  struct Request {  // an operation of ours
    core::Operate operate;
    Index container = 0;
    std::uint32_t process = 0;
    std::uint32_t link = 0;
    bool answered = false;
    bool never = false;  // the answer is lost for good
    bool reached = false;
  };
  struct StoreJob {
    core::Action action;
    std::uint32_t process = 0;
    bool works = true;
    bool answers = true;
  };
  struct Service {
    Blueprint blueprint;
    Index container = 0;
    std::string name;
    bool errand = false;  // a person is at work on it
  };
  enum class ErrandKind : std::uint8_t {
    stop,
    kill,
    pause,
    restart,
    remove,
    recreate,
    rename,
    maintain,
    ask
  };
  struct Errand {
    ErrandKind kind = ErrandKind::stop;
    unsigned step = 0;
    std::uint32_t service = 0;
    Index other = 0;
    Duration pause_between{};
  };

  // world.cpp
  void populate();
  void on(const Item& item);
  void drain_engine();
  void engine_fault();
  void engine_back(const Item& item);
  void process_fault();
  void process_start();
  void link_lost(bool tell_late);
  void link_made();
  bool calm() const { return calm_; }
  void become_calm();
  void again(What what, Duration mean);

  // shell.cpp
  void tell(const core::Event& event, const Origin& origin);
  void perform(core::Action& action);
  void perform_inspect(const core::Inspect& inspect);
  void perform_operate(const core::Operate& operate);
  void perform_probe(const core::StartProbe& probe);
  void perform_store(core::Action&& action);
  void inspect_taken(std::uint32_t slot, Duration transit);
  void list_taken(bool after_gap);
  void ask_list(bool after_gap, Duration in);
  void request_arrives(std::uint64_t reference);
  void answer(std::uint64_t reference, core::OperationResult result, Duration transit);
  void task_finished(const FinishedTask& task);
  void store_applied(std::uint32_t slot);
  void send(core::Event event, Duration in, bool survives_link, const Origin& origin = {});
  void deliver(std::uint32_t slot);
  void arm_tick();
  void hint(const EmittedHint& emitted);
  core::Time core_time(Time t) const { return t + core_offset_; }

  // people.cpp
  void operator_acts();
  void begin_errand(ErrandKind kind, std::uint32_t service);
  void operator_step(std::uint32_t slot);
  bool step_of(Errand& errand);  // true: more to do after errand.pause_between
  void create_successor(Service& service, Errand& errand, const std::string& name);

  // settle.cpp
  bool settled(std::string& why);
  Duration settle_bound() const;
  bool service_settled(const Service& service, const core::ServiceView* view,
                       std::string& why) const;

  // trace.cpp
  void trace_event(const core::Event& event, const Origin& origin);
  void trace_action(const core::Action& action);
  void trace(Index container, const std::string& text);

  WorldOptions options_;
  Prng prng_;
  FaultRates rates_;
  core::Config config_;
  Schedule schedule_;
  EngineModel engine_;
  Checker checker_;
  std::vector<Service> services_;
  Time now_{};
  bool calm_ = false;
  Time calm_at_{};
  Index unsettled_ = 0;

  // the connection between our process and the Engine
  bool engine_down_ = false;
  bool link_up_ = false;
  std::uint32_t link_ = 0;
  Time last_hint_at_{};
  Time lost_told_at_ = Time::min();
  bool list_pending_ = false;
  bool list_after_gap_ = false;

  // our process
  std::unique_ptr<core::Core> core_;
  std::uint32_t process_ = 0;
  Duration core_offset_{};
  Time paused_until_ = Time::min();
  Time tick_at_ = core::never;
  core::Actions actions_;

  std::deque<Parcel> parcels_;
  std::vector<std::uint32_t> free_parcels_;
  std::map<std::uint64_t, Request>
      requests_;  // ordered: what is done to all of them must not depend on hashing
  std::uint64_t last_request_ = 0;
  Index latest_operated_ = 0;
  std::deque<StoreJob> store_jobs_;
  std::vector<std::uint32_t> free_store_jobs_;
  Time store_busy_until_{};
  std::deque<Errand> errands_;
  std::vector<std::uint32_t> free_errands_;

  // what the store keeps
  std::map<core::ServiceKey, core::ServiceRecord> kept_services_;
  std::map<core::OperationId, core::IntentRecord> kept_intents_;

  std::uint64_t core_events_ = 0;
  std::uint64_t items_ = 0;
  std::chrono::nanoseconds inside_core_{};
};

}  // namespace sentinel::sim
