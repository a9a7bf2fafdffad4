// Our process as the core sees it: what performs the actions and brings the answers, with all that
// can happen to them.

#include <algorithm>
#include <utility>

#include "sim/world.hpp"

namespace sentinel::sim {

using namespace std::chrono_literals;
using core::OperationResult;

void World::send(core::Event event, Duration in, bool survives_link, const Origin& origin) {
  std::uint32_t slot = 0;
  if (free_parcels_.empty()) {
    slot = static_cast<std::uint32_t>(parcels_.size());
    parcels_.emplace_back();
  } else {
    slot = free_parcels_.back();
    free_parcels_.pop_back();
  }
  parcels_[slot] = {std::move(event), process_, survives_link ? 0 : link_, origin};
  schedule_.at(now_ + in, What::deliver, slot);
}

void World::deliver(std::uint32_t slot) {
  if (parcels_[slot].process == process_ && core_ && now_ < paused_until_) {
    schedule_.at(paused_until_, What::deliver, slot);  // waits in a socket's buffer
    return;
  }
  const Parcel parcel = std::move(parcels_[slot]);
  free_parcels_.push_back(slot);
  if (parcel.process != process_ || !core_) return;
  if (parcel.link != 0 && (parcel.link != link_ || !link_up_)) return;
  tell(parcel.event, parcel.origin);
}

void World::tell(const core::Event& event, const Origin& origin) {
  if (options_.trace) trace_event(event, origin);
  ++core_events_;
  actions_.clear();
  checker_.delivered(event, origin, now_);
  if (options_.measure) {
    const auto began = std::chrono::steady_clock::now();
    core_->on(event, core_time(now_), actions_);
    inside_core_ += std::chrono::steady_clock::now() - began;
  } else {
    core_->on(event, core_time(now_), actions_);
  }
  for (core::Action& action : actions_) {
    if (options_.trace) trace_action(action);
    checker_.acted(action, now_);
    perform(action);
  }
  checker_.stepped(*core_, std::holds_alternative<core::Tick>(event), core_time(now_), now_);
  arm_tick();
}

void World::arm_tick() {
  const auto due = core_->next_deadline();
  if (!due) {
    tick_at_ = core::never;
    return;
  }
  const Time at = std::max(*due - core_offset_, now_);
  if (at == tick_at_) return;
  tick_at_ = at;
  schedule_.at(at, What::tick, process_, static_cast<std::uint64_t>(at.time_since_epoch().count()));
}

void World::perform(core::Action& action) {
  if (const auto* inspect = std::get_if<core::Inspect>(&action)) return perform_inspect(*inspect);
  if (const auto* operate = std::get_if<core::Operate>(&action)) return perform_operate(*operate);
  if (const auto* probe = std::get_if<core::StartProbe>(&action)) return perform_probe(*probe);
  if (const auto* relist = std::get_if<core::Relist>(&action))
    return ask_list(relist->after_gap, 5ms);
  if (std::holds_alternative<core::StoreIntent>(action) ||
      std::holds_alternative<core::ForgetIntent>(action) ||
      std::holds_alternative<core::StoreService>(action)) {
    perform_store(std::move(action));
  }
}

// --- inspects and lists
// -----------------------------------------------------------------------------------------------

void World::perform_inspect(const core::Inspect& inspect) {
  core::Inspected reply{inspect.id, inspect.token, core::Inspected::Outcome::failed, std::nullopt,
                        "no connection"};
  const Index index = engine_.find(inspect.id);
  const Origin origin{index, Cause::itself, now_};
  if (!link_up_) return send(std::move(reply), 1ms, true, origin);
  if (!calm_ && prng_.chance(rates_.inspect_lost)) return;
  if (!calm_ && prng_.chance(rates_.inspect_failed))
    return send(std::move(reply), prng_.between(1ms, 10s), true, origin);
  reply.error.clear();

  std::uint32_t slot = 0;
  if (free_parcels_.empty()) {
    slot = static_cast<std::uint32_t>(parcels_.size());
    parcels_.emplace_back();
  } else {
    slot = free_parcels_.back();
    free_parcels_.pop_back();
  }
  parcels_[slot] = {std::move(reply), process_, link_, origin};
  const bool late = !calm_ && prng_.chance(rates_.inspect_late);
  const bool stale = !calm_ && prng_.chance(rates_.inspect_stale);
  const Duration transit = stale ? prng_.between(1s, 12s) : prng_.between(200us, 1ms);
  schedule_.at(now_ + (late ? prng_.between(1s, 30s) : prng_.between(300us, 3ms)),
               What::inspect_taken, slot, static_cast<std::uint64_t>(transit.count()));
}

void World::inspect_taken(std::uint32_t slot, Duration transit) {
  Parcel& parcel = parcels_[slot];
  auto& reply = std::get<core::Inspected>(parcel.event);
  const Index index = engine_.find(reply.id);
  if (parcel.link != link_ || !link_up_) {
    reply.outcome = core::Inspected::Outcome::failed;
    reply.error = "connection lost";
    parcel.link = 0;
  } else if (index == engine_.size() || !engine_[index].exists) {
    reply.outcome = core::Inspected::Outcome::gone;
  } else {
    reply.outcome = core::Inspected::Outcome::found;
    reply.facts = engine_.facts(index, now_);
  }
  parcel.origin.truth_at = now_;
  schedule_.at(now_ + transit, What::deliver, slot);
}

void World::ask_list(bool after_gap, Duration in) {
  list_after_gap_ = list_after_gap_ || after_gap;
  if (std::exchange(list_pending_, true)) return;
  schedule_.at(now_ + in, What::list_taken, process_, link_);
}

void World::list_taken(bool after_gap) {
  const bool late = !calm_ && prng_.chance(rates_.list_late);
  send(core::Listed{engine_.list(), after_gap},
       late ? prng_.between(1s, 10s) : prng_.between(1ms, 20ms), false, {0, Cause::itself, now_});
}

// --- operations
// -------------------------------------------------------------------------------------------------------

void World::perform_operate(const core::Operate& operate) {
  const std::uint64_t reference = ++last_request_;
  Request& request = requests_[reference];
  request.operate = operate;
  request.container = engine_.find(operate.id);
  request.process = process_;
  request.link = link_;
  latest_operated_ = request.container;
  if (!link_up_) return answer(reference, OperationResult::unknown, 1ms);
  schedule_.at(now_ + prng_.between(100us, 2ms), What::request_arrives, 0, reference);
  schedule_.at(now_ + operate.stop_timeout + 20s, What::request_times_out, 0, reference);
  if (calm_) return;
  request.never = prng_.chance(rates_.answer_lost);
  if (prng_.chance(rates_.answer_unknown)) {
    answer(reference, OperationResult::unknown, prng_.between(1ms, operate.stop_timeout + 1s));
  }
}

void World::request_arrives(std::uint64_t reference) {
  const auto found = requests_.find(reference);
  if (found == requests_.end()) return;
  Request& request = found->second;
  if (engine_down_ || request.link != link_ || !link_up_)
    return;  // the loss of the link answers it
  request.reached = true;
  if (request.container == engine_.size() || !engine_[request.container].exists) {
    return answer(reference, OperationResult::gone, 1ms);
  }
  if (!calm_ && prng_.chance(rates_.answer_pretends))
    return answer(reference, OperationResult::done, 50ms);
  engine_.operate(request.container, request.operate.step, request.operate.stop_timeout,
                  Cause::sentinel, reference, now_);
  drain_engine();
}

void World::task_finished(const FinishedTask& task) {
  OperationResult result = task.result;
  if (!calm_ && result == OperationResult::done && prng_.chance(rates_.answer_denies))
    result = OperationResult::failed;
  const bool late = !calm_ && prng_.chance(rates_.answer_late);
  answer(task.reference, result, late ? prng_.between(1s, 20s) : prng_.between(300us, 3ms));
}

void World::answer(std::uint64_t reference, OperationResult result, Duration transit) {
  const auto found = requests_.find(reference);
  if (found == requests_.end()) return;
  Request& request = found->second;
  if (request.process == process_ && !request.answered && !(request.never && !calm_)) {
    core::OperationDone done{request.operate.op, request.operate.step, result, ""};
    if (result == OperationResult::failed) done.detail = "500";
    const Origin origin{request.container, Cause::sentinel, now_};
    if (!calm_ && prng_.chance(rates_.answer_repeated))
      send(done, transit + prng_.between(1ms, 60s), true, origin);
    send(std::move(done), transit, true, origin);
  }
  request.answered = true;
  const bool over = result != OperationResult::unknown || !request.reached;
  if (over) requests_.erase(found);
}

// --- probes
// -----------------------------------------------------------------------------------------------------------

void World::perform_probe(const core::StartProbe& probe) {
  if (!calm_ && prng_.chance(rates_.probe_lost)) return;
  const Index index = engine_.find(probe.container);
  const core::ProbeSpec& spec = *probe.spec;
  core::ProbeFinished finished{.token = probe.token, .outcome = {}};
  core::ProbeOutcome& result = finished.outcome;
  result.reason = core::ProbeReason::refused;
  Duration takes = prng_.between(300us, 5ms);
  if (probe.address.empty()) {
    result.reason = core::ProbeReason::no_address;
    result.sentence = "no address";
  } else if (index < engine_.size() && engine_[index].run == core::RunState::running &&
             engine_[index].serving) {
    result.verdict = core::Verdict::pass;
    result.reason = core::ProbeReason::none;
    result.code = 200;
  } else if (index < engine_.size() &&
             (engine_[index].hung || engine_[index].run == core::RunState::paused)) {
    result.reason = core::ProbeReason::timeout;
    result.sentence = "no answer";
    takes = spec.timeout;
  } else {
    result.sentence = "refused";
  }
  result.took = takes;
  if (!calm_ && prng_.chance(rates_.probe_late)) takes += prng_.between(1s, 20s);
  send(std::move(finished), takes, true, {index, Cause::itself, now_});
}

// --- store
// ------------------------------------------------------------------------------------------------------------

void World::perform_store(core::Action&& action) {
  std::uint32_t slot = 0;
  if (free_store_jobs_.empty()) {
    slot = static_cast<std::uint32_t>(store_jobs_.size());
    store_jobs_.emplace_back();
  } else {
    slot = free_store_jobs_.back();
    free_store_jobs_.pop_back();
  }
  const bool late = !calm_ && prng_.chance(rates_.store_late);
  StoreJob& job = store_jobs_[slot];
  job = {std::move(action), process_, true, true};
  // What is not answered is kept by the store until it can be written; it dies with the process
  // only.
  const bool answered = std::holds_alternative<core::StoreIntent>(job.action);
  if (answered && !calm_ && prng_.chance(rates_.store_fails)) job.works = false;
  if (answered && !calm_ && prng_.chance(rates_.store_silent)) {
    job.answers = false;
    job.works = prng_.chance(500'000);
  }
  store_busy_until_ = std::max(store_busy_until_, now_) +
                      (late ? prng_.between(100ms, 2s) : prng_.between(500us, 6ms));
  schedule_.at(store_busy_until_, What::store_applied, slot);
}

void World::store_applied(std::uint32_t slot) {
  const StoreJob job = std::move(store_jobs_[slot]);
  free_store_jobs_.push_back(slot);
  if (job.process != process_) return;  // died with the process
  if (const auto* intent = std::get_if<core::StoreIntent>(&job.action)) {
    if (job.works) {
      kept_intents_[intent->intent.op] = intent->intent;
      kept_services_[intent->service.key] = intent->service;
      checker_.durable(intent->intent.op);
    }
    if (job.answers)
      send(core::IntentStored{intent->intent.op, job.works}, 50us, true,
           {engine_.find(intent->intent.container), Cause::itself, now_});
  } else if (const auto* forget = std::get_if<core::ForgetIntent>(&job.action)) {
    kept_intents_.erase(forget->op);
    kept_services_[forget->service.key] = forget->service;
  } else if (const auto* service = std::get_if<core::StoreService>(&job.action)) {
    kept_services_[service->service.key] = service->service;
  }
}

// --- events of the Engine
// ---------------------------------------------------------------------------------------------

void World::hint(const EmittedHint& emitted) {
  if (!link_up_ || !core_) return;
  const core::Hint event{engine_[emitted.container].info->id, emitted.kind};
  const Origin origin{emitted.container, emitted.cause, now_};
  if (calm_) {
    last_hint_at_ = std::max(last_hint_at_, now_ + prng_.between(200us, 600us));
    return send(event, last_hint_at_ - now_, false, origin);
  }
  if (prng_.chance(rates_.hint_lost)) return;
  // The session drops what it has seen; a second `stop` means somebody else's.
  if (prng_.chance(rates_.hint_repeated) && emitted.kind != core::HintKind::stop)
    send(event, prng_.between(1ms, 10s), false, origin);
  if (prng_.chance(rates_.hint_late)) return send(event, prng_.between(1s, 60s), false, origin);
  if (prng_.chance(rates_.hint_reordered))
    return send(event, prng_.between(1ms, 2s), false, origin);
  last_hint_at_ = std::max(last_hint_at_, now_ + prng_.between(200us, 600us));
  send(event, last_hint_at_ - now_, false, origin);
}

}  // namespace sentinel::sim
