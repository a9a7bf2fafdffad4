// What happens in an AlertWorld: storms, crashes, calm.

#include <algorithm>

#include "sim/alert_world.hpp"

namespace sentinel::sim {

using namespace std::chrono_literals;
using core::AlertCore;
using core::Duration;
using core::SubjectKind;

namespace {

core::AlertReceiver receiver(std::string name, unsigned rate) {
  core::AlertReceiver out;
  out.name = std::move(name);
  out.rate = rate;
  return out;
}

}  // namespace

AlertWorld::AlertWorld(AlertWorldOptions options) : options_{options}, random_{options.seed} {
  config_.host = "box";
  config_.seed = options.seed;
  config_.receivers = {receiver("team", 20), receiver("pager", 5), receiver("quiet", 10),
                       receiver("manager", 20)};
  config_.receivers[2].resolved = false;
  config_.receivers[3].stateful = true;
  if (random_.chance(500'000)) config_.resolve_hold = within(2min);
  core::AlertRoute pager;
  pager.match = {{"severity", core::Matcher::Op::equal, "critical"}};
  pager.receivers = {"pager", "manager"};
  pager.group_by = {"project", "service"};
  pager.group_wait = 5s + within(30s);  // a process that was started has listed all by then
  pager.go_on = true;
  core::AlertRoute team;
  team.receivers = {"team", "quiet"};
  team.repeat = random_.chance(500'000) ? 1h : 4h;
  config_.routes = {pager, team};
  core::InhibitRule rule;
  rule.source = {{"cause", core::Matcher::Op::equal, "quarantined"}};
  rule.target = {{"severity", core::Matcher::Op::equal, "warning"}};
  rule.equal = {"project"};
  config_.inhibit = {rule};
  for (const auto& known : config_.receivers) receivers_[known.name];

  things_.resize(options.subjects);
  for (unsigned i = 0; i < options.subjects; ++i) {
    Thing& thing = things_[i];
    const std::string group = "p" + std::to_string(i % 7);
    if (i == 0) {
      thing.subject = {SubjectKind::engine, {}, "engine", 0};
    } else if (i % 10 == 9) {
      // Each host is in several pools, and no server appears twice.
      const unsigned server = i / 10;
      thing.subject = {SubjectKind::server, "pool" + std::to_string(server / 4),
                       "h" + std::to_string(server % 4), 0};
    } else {
      thing.subject = {SubjectKind::service, group, "s" + std::to_string(i), 1};
    }
    index_[thing.subject] = i;
    // Mostly on something before it in its own project; a ring now and then.
    for (unsigned n = 0; i > 7 && n < random_.below(3); ++n) {
      const unsigned needed = i % 7 + 7 * random_.below(i / 7);
      if (needed != i) thing.needs.push_back(needed);
    }
    if (i > 0 && thing.subject.kind == SubjectKind::service) thing.needs.push_back(0);
  }
  for (unsigned i = 0; i < things_.size(); ++i) {
    for (const unsigned needed : things_[i].needs) things_[needed].needed_by.push_back(i);
  }
}

// --- the process
// ---------------------------------------------------------------------------------

void AlertWorld::start() {
  ++life_;
  up_ = true;
  listed_ = false;
  config_.seed += 1;
  to_be_kept_.clear();
  disk_free_ = now_;
  for (auto& [name, known] : receivers_) {
    known.in_flight = 0;
    known.made.clear();
    known.digest.reset();
  }
  core_ = std::make_unique<AlertCore>(config_);
  core::AlertsRestored restored;
  for (const auto& [id, incident] : incidents_) {
    if (!incident.closed) restored.open.push_back(incident);
  }
  for (const auto& [id, delivery] : deliveries_) restored.deliveries.push_back(delivery);
  for (const auto& [id, silence] : silences_) restored.silences.push_back(silence);
  restored.next_delivery = next_delivery_;
  on(std::move(restored));
  at(within(3s), [this] { tell_all(); });
}

void AlertWorld::crash() {
  up_ = false;
  core_.reset();
  ++outcome_.restarts;
  for (const auto& [id, told] : unkept_) lost_.insert(told.begin(), told.end());
  unkept_.clear();
  at(within(1min), [this] { start(); }, true);
}

/// What the monitor finds when it has listed everything.
void AlertWorld::tell_all() {
  listed_ = true;
  for (const auto& thing : things_) {
    core::SubjectNeeds needs{thing.subject, {}};
    for (const unsigned needed : thing.needs) needs.needs.push_back(things_[needed].subject);
    on(std::move(needs));
  }
  for (const auto& thing : things_)
    on(core::SubjectOverlays{thing.subject, thing.maintenance, thing.flapping});
  for (unsigned i = 0; i < things_.size(); ++i) set_failing(i, things_[i].failing);
  on(core::AlertsSynchronised{});
}

// --- what happens to subjects
// ----------------------------------------------------------------------

void AlertWorld::set_failing(unsigned index, bool failing) {
  Thing& thing = things_[index];
  thing.failing = failing;
  if (!tells()) return;
  if (!failing) {
    on(core::SubjectRecovered{thing.subject, "it works again"});
    return;
  }
  core::SubjectFailed fact;
  fact.subject = thing.subject;
  fact.title = thing.subject.name;
  fact.severity = random_.chance(700'000) ? core::Severity::critical : core::Severity::warning;
  fact.cause = random_.chance(100'000) ? "quarantined" : "unreachable";
  fact.text = "no answer";
  if (random_.chance(300'000)) fact.container = std::string(64, 'c');
  on(std::move(fact));
}

void AlertWorld::set_flapping(unsigned index, bool flapping) {
  Thing& thing = things_[index];
  thing.flapping = flapping;
  if (tells()) on(core::SubjectOverlays{thing.subject, thing.maintenance, flapping});
}

void AlertWorld::set_maintenance(unsigned index, bool maintenance) {
  Thing& thing = things_[index];
  thing.maintenance = maintenance;
  if (tells()) on(core::SubjectOverlays{thing.subject, maintenance, thing.flapping});
}

void AlertWorld::fall_with_dependants(unsigned index) {
  std::set<unsigned> all{index};
  std::vector<unsigned> queue{index};
  while (!queue.empty()) {
    const unsigned one = queue.back();
    queue.pop_back();
    for (const unsigned dependant : things_[one].needed_by) {
      if (all.insert(dependant).second) queue.push_back(dependant);
    }
  }
  const Duration lasts = within(30min);
  for (const unsigned one : all) {
    at(within(4s), [this, one] { set_failing(one, true); }, true);
    at(lasts + within(1min), [this, one] { set_failing(one, false); }, true);
  }
}

void AlertWorld::set_mood(Receiver& known) {
  known.mood = random_.chance(500'000) ? Mood::fine : static_cast<Mood>(random_.below(6));
}

/// Another configuration: a receiver less, or all of them.
void AlertWorld::reload(bool all) {
  core::AlertConfig config = config_;
  std::erase_if(config.receivers, [](const auto& known) { return known.name == "pager"; });
  if (all || random_.chance(500'000)) config.receivers.push_back(receiver("pager", 5));
  config_ = config;
  if (!std::ranges::contains(config_.receivers, "pager", &core::AlertReceiver::name)) {
    // Nobody is told any more, not even of ends.
    Receiver& pager = receivers_.at("pager");
    for (const auto& incident : pager.began) dead_.emplace("pager", incident);
    pager.made.clear();
    pager.digest.reset();
    pager.in_flight = 0;
  }
  if (up_) on(core::AlertsConfigured{config_});
}

void AlertWorld::one_event() {
  const unsigned one = random_.below(static_cast<std::uint32_t>(things_.size()));
  const std::uint32_t what = random_.below(100);
  if (what < 45) {
    set_failing(one, random_.chance(500'000));
  } else if (what < 55) {
    // Fails and recovers again and again.
    for (int i = 0; i < 10; ++i)
      at(within(5min), [this, one, i] { set_failing(one, i % 2 == 0); }, true);
    at(1min, [this, one] { set_flapping(one, true); }, true);
    at(within(20min), [this, one] { set_flapping(one, false); }, true);
  } else if (what < 58) {
    fall_with_dependants(one);
  } else if (what < 59) {
    // Many by many causes.
    for (unsigned i = 0; i < things_.size(); ++i) {
      if (random_.chance(700'000)) at(within(2min), [this, i] { set_failing(i, true); }, true);
    }
  } else if (what < 64) {
    set_maintenance(one, !things_[one].maintenance);
  } else if (what < 69) {
    if (tells()) on(core::SubjectActed{things_[one].subject, "restarted, attempt 1 of 5", "done"});
  } else if (what < 72) {
    // Removed, and back when it fails again.
    Thing& thing = things_[one];
    thing.failing = thing.flapping = thing.maintenance = false;
    if (tells()) on(core::SubjectGone{thing.subject, "removed"});
  } else if (what < 76) {
    core::Silence silence;
    silence.match = {{"project", core::Matcher::Op::equal, things_[one].subject.group}};
    silence.by = "somebody";
    silence.begins = wall_;
    silence.ends = wall_ + std::chrono::floor<std::chrono::milliseconds>(within(1h)) + 1s;
    if (up_) on(core::AddSilence{silence});
  } else if (what < 78) {
    if (up_ && !core_->silences().empty())
      on(core::EndSilence{std::string{core_->silences().front().id}});
  } else if (what < 92) {
    auto known = receivers_.begin();
    std::advance(known, random_.below(static_cast<std::uint32_t>(receivers_.size())));
    set_mood(known->second);
  } else if (what < 94) {
    disk_slow_ = !disk_slow_;
  } else if (what < 96) {
    const auto jump = std::chrono::floor<std::chrono::milliseconds>(within(2h));
    wall_ += random_.chance(500'000) ? jump : -jump;
  } else if (what < 97) {
    reload(false);
  } else if (up_) {
    crash();
  }
}

// --- and then
// ------------------------------------------------------------------------------------

void AlertWorld::storm() {
  const auto hours = 1 + random_.below(3);
  for (unsigned i = 0; i < 150 * hours; ++i)
    at(within(std::chrono::hours{hours}), [this] { one_event(); }, true);
  run_for(std::chrono::hours{hours} + 40min);
  if (!up_) run_for(1min);
  // Receivers and people come to their senses; what fails goes on failing.
  disk_slow_ = false;
  for (auto& [name, known] : receivers_) known.mood = Mood::fine;
  if (!up_) return;
  reload(true);
  while (!core_->silences().empty())
    on(core::EndSilence{std::string{core_->silences().front().id}});
  for (unsigned i = 0; i < things_.size(); ++i) {
    if (things_[i].maintenance) set_maintenance(i, false);
    if (things_[i].flapping) set_flapping(i, false);
  }
  run_for(2h);
  check_told();
}

void AlertWorld::check_told() {
  for (const auto& thing : things_) {
    if (thing.failing && core_->incident_of(thing.subject).empty())
      fail("it fails and is no incident: " + thing.subject.to_string());
  }
  const auto open = core_->open_incidents();
  for (const auto& incident : open) {
    // What a worse one of its project holds back stays untold; what has none is of one, too.
    const auto project = [](const core::Incident& one) {
      return one.root.kind == SubjectKind::service ? one.root.group : std::string{};
    };
    const bool held = incident.severity == core::Severity::warning &&
                      std::ranges::any_of(open, [&](const core::Incident& other) {
                        return other.cause == "quarantined" && project(other) == project(incident);
                      });
    if (!held && !receivers_.at("team").began.contains(incident.id) &&
        !dead_.contains({"team", incident.id})) {
      fail("the team was not told of " + incident.root.to_string());
    }
  }
}

void AlertWorld::calm() {
  for (unsigned i = 0; i < things_.size(); ++i)
    at(within(10min), [this, i] { set_failing(i, false); }, true);
  // The world may end in the middle of telling so.
  if (random_.chance(500'000)) at(within(12min), [this] { crash(); });
  run_for(26h);
}

void AlertWorld::check_over() {
  for (const auto& [name, known] : receivers_) {
    if (name == "quiet") continue;
    for (const auto& incident : known.began) {
      if (!known.heard.at(incident).second && !dead_.contains({name, incident}) &&
          !lost_.contains({name, incident}))
        fail(name + " was not told of the end of " + incident);
    }
  }
  for (const auto& incident : core_->incidents())
    fail("not over: " + incident.id + " of " + incident.root.to_string());
  for (const auto& delivery : core_->deliveries()) {
    if (!delivery.dead) fail("still on its way: " + delivery.key);
  }
  for (const auto& [id, incident] : incidents_) {
    if (!incident.closed) fail("open in the journal: " + id);
  }
  for (const auto& [id, delivery] : deliveries_) {
    if (!delivery.dead) fail("pending in the journal: " + delivery.key);
  }
}

AlertOutcome AlertWorld::run() {
  start();
  run_for(10s);
  for (unsigned i = 0; i < options_.storms && outcome_.failure.empty(); ++i) storm();
  calm();
  if (outcome_.failure.empty()) check_over();
  return outcome_;
}

}  // namespace sentinel::sim
