#pragma once

// A world in virtual time around one AlertCore: subjects that fail by one cause, by many, flap, are
// maintained and removed; a journal that writes late and keeps, over a crash, exactly what it had
// written; receivers that fail, stall, ask to wait and take what they say they did not; a wall that
// is set; people who silence and reload. Everything is drawn from one seed.
//
// What must hold, checked at each step:
//   - nothing is attempted before it is kept, or 250 ms after it was to be
//   - a receiver gets at most `rate` messages in 10 minutes, and one digest of the rest (counted
//     when they are made, within one life of the process)
//   - nothing begins to be told of what is silenced or maintained
//   - per receiver and incident: sequences never go back, nothing follows the end but its copies
//   - an id is one delivery with one key, and a key one content, restarts included, as long as the
//     journal had kept it
// once the storm is over, with everything still failing:
//   - each failing subject belongs to an incident, and the team was told of each incident
// and at the end of the world:
//   - who was told of a beginning was told of the end, unless that message is a dead letter, or the
//     journal was too slow to keep the beginning before a crash
//   - nothing is pending, nothing is open, nothing is left in the journal

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/alert_core.hpp"
#include "sim/prng.hpp"

namespace sentinel::sim {

struct AlertWorldOptions {
  std::uint64_t seed = 1;
  unsigned subjects = 60;
  unsigned storms = 6;  // each a few hours of faults
};

struct AlertOutcome {
  std::string failure;  // empty: everything held
  std::uint64_t events = 0;
  std::uint64_t incidents = 0;
  std::uint64_t joined = 0;
  std::uint64_t accepted = 0;
  std::uint64_t copies = 0;  // accepted more than once
  std::uint64_t digests = 0;
  std::uint64_t suppressed = 0;
  std::uint64_t restarts = 0;
  std::uint64_t dead = 0;
};

class AlertWorld {
 public:
  explicit AlertWorld(AlertWorldOptions options);
  AlertOutcome run();

 private:
  struct Thing {
    core::Subject subject;
    std::vector<unsigned> needs;
    std::vector<unsigned> needed_by;
    bool failing = false;
    bool flapping = false;
    bool maintenance = false;
  };
  enum class Mood : std::uint8_t { fine, failing, busy, stalling, ambiguous, refusing };
  struct Receiver {
    Mood mood = Mood::fine;
    std::map<std::string, std::pair<std::uint64_t, bool>> heard;  // incident: sequence, its end
    std::set<std::string> began;                                  // incidents
    std::set<std::string> keys;
    std::deque<core::Time> made;
    std::optional<core::Time> digest;
    unsigned in_flight = 0;
  };
  using Write = std::function<void()>;
  using Step = std::function<void()>;

  // alert_world.cpp: the core and what performs its actions
  void on(core::AlertEvent event);
  void perform(core::GatherEvidence& action);
  void perform(core::StoreIncident& action);
  void perform(core::StoreDelivery& action);
  void perform(core::ForgetDelivery& action);
  void perform(core::StoreSilence& action);
  void perform(core::ForgetSilence& action);
  void perform(core::Send& action);
  void perform(core::AlertNotice& action);
  void write(Write what);
  void accept(const core::Delivery& delivery);
  void check_made(const core::Delivery& delivery);
  void check_heard(Receiver& receiver, const core::Delivery& delivery);
  void fail(std::string what);
  void at(core::Duration in, Step step, bool outlives = false);
  void run_for(core::Duration span);
  void advance(core::Time to);

  // alert_storms.cpp: what happens
  void start();
  void crash();
  void tell_all();
  void storm();
  void calm();
  void set_failing(unsigned index, bool failing);
  void set_flapping(unsigned index, bool flapping);
  void set_maintenance(unsigned index, bool maintenance);
  void fall_with_dependants(unsigned index);
  void one_event();
  void set_mood(Receiver& receiver);
  void reload(bool all);
  void check_told();
  void check_over();
  bool tells() const { return up_ && listed_; }
  core::Duration within(core::Duration most) { return random_.between(core::Duration{1}, most); }

  AlertWorldOptions options_;
  Prng random_;
  core::AlertConfig config_;
  std::vector<Thing> things_;
  std::map<core::Subject, unsigned> index_;
  std::map<std::string, Receiver, std::less<>> receivers_;
  std::unique_ptr<core::AlertCore> core_;
  bool up_ = false;
  bool listed_ = false;     // before that it does not know its subjects
  std::uint64_t life_ = 0;  // of the process; answers to an older one are lost

  core::Time now_{std::chrono::hours{1}};
  core::WallTime wall_{std::chrono::days{20'000}};
  struct Due {
    std::uint64_t life = 0;  // 0: outlives the process
    Step step;
  };
  std::multimap<core::Time, Due> schedule_;
  std::deque<core::AlertEvent> queue_;
  bool busy_ = false;

  // The journal: what is written, and until when the disk is busy with what came before.
  std::map<std::string, core::Incident> incidents_;
  std::map<std::uint64_t, core::Delivery> deliveries_;
  std::map<std::string, core::Silence> silences_;
  std::uint64_t next_delivery_ = 1;
  core::Time disk_free_{};
  bool disk_slow_ = false;

  std::map<std::uint64_t, core::Time> to_be_kept_;  // of this life: when it was asked for
  std::set<std::uint64_t> kept_once_;
  std::map<std::uint64_t, std::string> key_of_;                  // of what was kept
  std::map<std::string, std::pair<std::string, bool>> content_;  // by key: incident, end
  std::set<std::pair<std::string, std::string>> dead_;           // receiver, incident
  std::set<std::pair<std::string, std::string>> loose_;  // told of it without being kept first
  std::map<std::uint64_t, std::vector<std::pair<std::string, std::string>>> unkept_;  // not yet
  std::set<std::pair<std::string, std::string>> lost_;  // and a crash came before it was
  AlertOutcome outcome_;
};

}  // namespace sentinel::sim
