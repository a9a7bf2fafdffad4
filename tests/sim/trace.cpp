// For people: what crosses the core's border, as text.

#include <string>

#include "sim/world.hpp"

namespace sentinel::sim {

namespace {

const char* name(core::HintKind kind) {
  constexpr const char* names[] = {"create", "start",   "restart",  "die",     "stop",
                                   "kill",   "pause",   "unpause",  "destroy", "rename",
                                   "oom",    "healthy", "unhealthy"};
  return names[static_cast<std::size_t>(kind)];
}

const char* name(Cause cause) {
  constexpr const char* names[] = {"itself", "person", "sentinel", "engine"};
  return names[static_cast<std::size_t>(cause)];
}

std::string ms(Duration d) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(d).count()) + " ms";
}

}  // namespace

void World::trace(Index container, const std::string& text) {
  if (options_.trace_only && container != *options_.trace_only) return;
  options_.trace(now_, std::to_string(container) + " " + text);
}

void World::trace_event(const core::Event& event, const Origin& origin) {
  if (const auto* hint = std::get_if<core::Hint>(&event)) {
    trace(origin.container, std::string{"-> hint "} + name(hint->kind) + " by " +
                                name(origin.cause) + ", " + ms(now_ - origin.truth_at) + " old");
  } else if (const auto* inspected = std::get_if<core::Inspected>(&event)) {
    std::string text = "-> inspected: failed";
    if (inspected->outcome == core::Inspected::Outcome::gone) text = "-> inspected: gone";
    if (inspected->facts) {
      const auto& status = inspected->facts->status;
      text = "-> inspected: " + std::string{to_string(status.run)} + ", " +
             std::string{to_string(status.health)} + ", started " +
             std::to_string(status.started_at) + ", exit " + std::to_string(status.exit_code);
    }
    trace(origin.container, text + ", " + ms(now_ - origin.truth_at) + " old, token " +
                                std::to_string(inspected->token));
  } else if (const auto* done = std::get_if<core::OperationDone>(&event)) {
    trace(origin.container, "-> operation " + std::to_string(done->op) + " " +
                                std::string{to_string(done->step)} + ": " +
                                std::string{to_string(done->result)});
  } else if (const auto* stored = std::get_if<core::IntentStored>(&event)) {
    trace(origin.container, "-> intent " + std::to_string(stored->op) +
                                (stored->durable ? " stored" : " not stored"));
  } else if (const auto* probe = std::get_if<core::ProbeFinished>(&event)) {
    trace(origin.container, probe->outcome.verdict == core::Verdict::pass
                                ? "-> probe passes"
                                : "-> probe fails: " + probe->outcome.sentence);
  } else if (const auto* restored = std::get_if<core::Restored>(&event)) {
    options_.trace(now_, "== process starts with " + std::to_string(restored->services.size()) +
                             " records, " + std::to_string(restored->intents.size()) + " intents");
  } else if (std::holds_alternative<core::EngineLost>(event)) {
    options_.trace(now_, "== Engine lost");
  } else if (std::holds_alternative<core::EngineConnected>(event)) {
    options_.trace(now_, "== Engine connected");
  } else if (const auto* listed = std::get_if<core::Listed>(&event)) {
    if (options_.trace_only && !listed->after_gap) return;
    options_.trace(now_, std::string{"-> list"} + (listed->after_gap ? " after a gap" : ""));
  } else if (const auto* maintenance = std::get_if<core::SetMaintenance>(&event)) {
    options_.trace(now_, "-> maintenance of " + maintenance->key.to_string() + " for " +
                             ms(maintenance->duration));
  } else if (const auto* restart = std::get_if<core::RestartService>(&event)) {
    options_.trace(now_, "-> restart of " + restart->key.to_string() + " asked for");
  } else if (const auto* release = std::get_if<core::ReleaseService>(&event)) {
    options_.trace(now_, "-> release of " + release->key.to_string());
  }
}

void World::trace_action(const core::Action& action) {
  if (const auto* inspect = std::get_if<core::Inspect>(&action)) {
    trace(engine_.find(inspect->id), "<- inspect, token " + std::to_string(inspect->token));
  } else if (const auto* operate = std::get_if<core::Operate>(&action)) {
    trace(engine_.find(operate->id), "<- OPERATE " + std::to_string(operate->op) + " " +
                                         std::string{to_string(operate->step)} + ", t " +
                                         ms(operate->stop_timeout));
  } else if (const auto* intent = std::get_if<core::StoreIntent>(&action)) {
    trace(engine_.find(intent->intent.container),
          "<- store intent " + std::to_string(intent->intent.op) + " " +
              std::string{to_string(intent->intent.rung)} +
              (intent->intent.trial ? ", trial" : "") + ", marks " +
              std::to_string(intent->service.budget_left.size()));
  } else if (const auto* change = std::get_if<core::Transition>(&action)) {
    trace(engine_.find(change->container), "<- " + std::string{to_string(change->from)} + " => " +
                                               std::string{to_string(change->to)} + ": " +
                                               change->reason);
  } else if (const auto* notice = std::get_if<core::Notice>(&action)) {
    trace(engine_.find(notice->container), "<- notice: " + notice->text);
  } else if (const auto* relist = std::get_if<core::Relist>(&action)) {
    options_.trace(now_, std::string{"<- relist"} + (relist->after_gap ? " after a gap" : ""));
  }
}

}  // namespace sentinel::sim
