#include "sim/scripted.hpp"

#include <catch2/catch_test_macros.hpp>
#include <iterator>
#include <stdexcept>

namespace sentinel::sim {

namespace {

constexpr std::int64_t engine_epoch = 1'700'000'000'000'000'000;

}  // namespace

ContainerId make_id(unsigned number) {
  std::string hex = std::to_string(number);
  hex.insert(0, 64 - hex.size(), 'c');
  return *ContainerId::parse(hex);
}

Script::Script(Config config, std::optional<Restored> restored) : core_(config) {
  if (restored) feed(*restored);
}

ContainerId Script::add(const std::string& name, const Tweak& tweak) {
  ContainerInfo info;
  info.id = make_id(++made_);
  info.name = name;
  info.image = "image";
  info.key = {"", name, 1};
  info.created = made_;
  info.restart_policy = RestartPolicy::unless_stopped;
  info.health_check = HealthCheck{.interval = 5s, .timeout = 2s, .start_period = 0s, .retries = 2};
  info.settings.enabled = true;
  if (tweak) tweak(info);
  Model model;
  model.status.run = RunState::running;
  model.status.health = info.health_check ? EngineHealth::healthy : EngineHealth::none;
  model.status.address = "192.0.2.7";
  model.started = now_ - 30min;
  model.status.started_at = engine_epoch + model.started.time_since_epoch().count();
  const ContainerId id = info.id;
  model.info = std::make_shared<const ContainerInfo>(std::move(info));
  containers_[id] = std::move(model);
  hint(id, HintKind::create);
  return id;
}

void Script::connect() {
  feed(EngineConnected{"1.45", "26.1.5"});
  list(true);
  run(100ms);
}

std::shared_ptr<const TargetInfo> Script::target(const std::string& name, const std::string& host,
                                                 const TargetTweak& tweak) {
  TargetInfo info;
  info.key = {"net", name, 1};
  ProbeSpec probe;
  probe.name = "port";
  probe.kind = ProbeKind::tcp;
  probe.url = "tcp://" + host + ":25";
  probe.host = host;
  probe.port = 25;
  info.settings.probes = {probe};
  if (tweak) tweak(info);
  return std::make_shared<const TargetInfo>(std::move(info));
}

void Script::lose_engine() { feed(EngineLost{"connection refused"}); }

void Script::regain_engine() { connect(); }

void Script::list(bool after_gap) {
  Listed listed;
  listed.after_gap = after_gap;
  for (const auto& [id, model] : containers_)
    listed.containers.push_back({id, model.status.run, model.status.health});
  feed(listed);
}

void Script::hint(const ContainerId& id, HintKind kind) {
  if (!deaf && core_.engine_up()) feed(Hint{id, kind});
}

void Script::set_health(const ContainerId& id, EngineHealth health) {
  status(id).health = health;
  const auto& check = containers_.at(id).info->health_check;
  status(id).failing_streak = health == EngineHealth::unhealthy && check ? check->retries : 0;
}

void Script::turns(const ContainerId& id, EngineHealth health) {
  set_health(id, health);
  if (health == EngineHealth::healthy) hint(id, HintKind::healthy);
  if (health == EngineHealth::unhealthy) hint(id, HintKind::unhealthy);
}

void Script::exits(const ContainerId& id, int code, bool oom) {
  status(id).run = RunState::exited;
  status(id).exit_code = code;
  status(id).oom_killed = oom;
  if (oom) hint(id, HintKind::oom);
  hint(id, HintKind::die);
}

void Script::starts(const ContainerId& id) {
  Model& model = containers_.at(id);
  model.started = now_;
  model.status.run = RunState::running;
  model.status.health = model.info->health_check ? EngineHealth::starting : EngineHealth::none;
  model.status.failing_streak = 0;
  model.status.exit_code = 0;
  model.status.oom_killed = false;
  model.status.started_at = engine_epoch + now_.time_since_epoch().count();
  hint(id, HintKind::start);
}

void Script::stopped_by_person(const ContainerId& id, int code) {
  hint(id, HintKind::kill);
  exits(id, code);
  hint(id, HintKind::stop);
}

void Script::paused(const ContainerId& id) {
  status(id).run = RunState::paused;
  // With its failures in a row as they were.
  if (status(id).health != EngineHealth::none) status(id).health = EngineHealth::unhealthy;
  hint(id, HintKind::pause);
}

void Script::unpaused(const ContainerId& id) {
  status(id).run = RunState::running;
  hint(id, HintKind::unpause);
}

void Script::removed(const ContainerId& id) {
  containers_.erase(id);
  hint(id, HintKind::destroy);
}

void Script::renamed(const ContainerId& id, const std::string& name) {
  relabelled(id, [&](ContainerInfo& info) { info.name = name; });
  hint(id, HintKind::rename);
}

void Script::relabelled(const ContainerId& id, const Tweak& tweak) {
  ContainerInfo info = *containers_.at(id).info;
  tweak(info);
  containers_.at(id).info = std::make_shared<const ContainerInfo>(std::move(info));
}

ContainerFacts Script::facts(const ContainerId& id) const {
  const Model& model = containers_.at(id);
  ContainerFacts facts{model.info, model.status};
  const bool up = model.status.run == RunState::running || model.status.run == RunState::paused;
  facts.status.uptime = up ? now_ - model.started : Duration{};
  return facts;
}

void Script::at(Duration in, std::function<void()> what) {
  later_.emplace(now_ + in, std::move(what));
}

void Script::feed(const Event& event) {
  Actions actions;
  core_.on(event, now_, actions);
  for (const auto& action : actions) perform(action);
}

void Script::perform(const Action& action) {
  if (const auto* inspect = std::get_if<Inspect>(&action)) {
    inspects.push_back(*inspect);
    if (hold_inspects) return;
    at(1ms, [this, asked = *inspect] {
      if (!core_.engine_up()) return;
      Inspected reply{asked.id, asked.token, Inspected::Outcome::gone, std::nullopt, {}};
      if (containers_.contains(asked.id)) {
        reply.outcome = Inspected::Outcome::found;
        reply.facts = facts(asked.id);
      }
      feed(reply);
    });
  } else if (const auto* operate = std::get_if<Operate>(&action)) {
    operations.push_back(*operate);
    if (!manual) carry_out(*operate);
  } else if (const auto* intent = std::get_if<StoreIntent>(&action)) {
    intents.push_back(*intent);
    if (hold_store) return;
    if (store_works) {
      kept[intent->intent.op] = intent->intent;
      records[intent->service.key] = intent->service;
    }
    at(1ms, [this, op = intent->intent.op] { feed(IntentStored{op, store_works}); });
  } else if (const auto* forget = std::get_if<ForgetIntent>(&action)) {
    forgotten.push_back(forget->op);
    kept.erase(forget->op);
    records[forget->service.key] = forget->service;
  } else if (const auto* service = std::get_if<StoreService>(&action)) {
    records[service->service.key] = service->service;
  } else if (const auto* probe = std::get_if<StartProbe>(&action)) {
    probes.push_back(*probe);
    if (hold_probes) return;
    at(1ms, [this, token = probe->token, id = probe->container, host = probe->spec->host] {
      if (!host.empty()) {
        ProbeFinished result;
        result.token = token;
        const auto said = host_says.find(host);
        if (said != host_says.end()) result.outcome = said->second;
        if (said == host_says.end()) result.outcome.verdict = Verdict::pass;
        feed(result);
        return;
      }
      const auto model = containers_.find(id);
      const bool well = model != containers_.end() &&
                        model->second.status.run == RunState::running &&
                        model->second.status.health != EngineHealth::unhealthy;
      const auto said = probe_says.find(id);
      ProbeFinished result;
      result.token = token;
      result.outcome.verdict = said != probe_says.end() ? said->second
                               : well                   ? Verdict::pass
                                                        : Verdict::fail;
      if (result.outcome.verdict == Verdict::fail) {
        result.outcome.reason = ProbeReason::refused;
        result.outcome.sentence = "connection refused";
      }
      feed(result);
    });
  } else if (const auto* transition = std::get_if<Transition>(&action)) {
    transitions.push_back(*transition);
  } else if (const auto* notice = std::get_if<Notice>(&action)) {
    notices.push_back(*notice);
  } else if (std::holds_alternative<Relist>(action)) {
    ++relists;
    at(5ms, [this] { list(); });
  }
}

void Script::carry_out(const Operate& operate) {
  const ContainerId id = operate.id;
  const bool running = containers_.contains(id) && status(id).run == RunState::running;
  const auto flag = [](const std::map<ContainerId, bool>& flags, const ContainerId& key,
                       bool otherwise) {
    const auto found = flags.find(key);
    return found == flags.end() ? otherwise : found->second;
  };
  Duration exit_in = 1ms;
  if (operate.step != Step::start && running) {
    at(0ms, [this, id] { hint(id, HintKind::kill); });
    const bool waits = operate.step != Step::kill && flag(hung, id, false);
    exit_in = waits ? operate.stop_timeout : Duration{50ms};
    at(exit_in, [this, id, step = operate.step] {
      exits(id, 137);
      if (step != Step::kill) hint(id, HintKind::stop);
    });
  }
  const bool starts_it = operate.step == Step::restart || operate.step == Step::start;
  const Duration done_in = exit_in + 100ms;
  if (starts_it) {
    const bool works = flag(cured, id, true);
    at(done_in - 1ms, [this, id, step = operate.step] {
      if (!containers_.contains(id)) return;
      starts(id);
      if (step == Step::restart) hint(id, HintKind::restart);
    });
    at(done_in + boot, [this, id, works] {
      if (!containers_.contains(id) || status(id).run != RunState::running ||
          !info(id).health_check)
        return;
      turns(id, works ? EngineHealth::healthy : EngineHealth::unhealthy);
    });
  }
  at(done_in, [this, operate, id] {
    answer(operate, containers_.contains(id) ? OperationResult::done : OperationResult::gone);
  });
}

void Script::answer(const Operate& operate, OperationResult result, std::string detail) {
  feed(OperationDone{operate.op, operate.step, result, std::move(detail)});
}

void Script::run(Duration duration) {
  run_until([] { return false; }, duration);
}

bool Script::run_until(const std::function<bool()>& condition, Duration limit) {
  const Time end = now_ + limit;
  unsigned still = 0;
  while (!condition()) {
    Time next = end;
    if (!later_.empty()) next = std::min(next, later_.begin()->first);
    const auto due = core_.next_deadline();
    if (due) next = std::min(next, std::max(*due, now_));
    still = next == now_ ? still + 1 : 0;
    if (still > 1000) throw std::logic_error("time stands still");
    now_ = std::max(now_, next);
    if (!later_.empty() && later_.begin()->first <= now_) {
      const auto what = std::move(later_.begin()->second);
      later_.erase(later_.begin());
      what();
    } else if (due && *due <= now_) {
      feed(Tick{});
    } else if (now_ >= end) {
      return condition();
    }
  }
  return true;
}

ServiceView Script::view(const std::string& name) const {
  const auto found = core_.find(name);
  if (found.size() != 1)
    throw std::logic_error(name + ": " + std::to_string(found.size()) + " services");
  return found.front();
}

std::size_t Script::count(NoticeKind kind) const {
  return static_cast<std::size_t>(std::ranges::count(notices, kind, &Notice::kind));
}

std::size_t Script::sent(const ContainerId& id) const {
  return static_cast<std::size_t>(std::ranges::count(operations, id, &Operate::id));
}

std::size_t Script::sent(const ContainerId& id, Step step) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      operations, [&](const Operate& o) { return o.id == id && o.step == step; }));
}

std::vector<Transition> Script::changes(const std::string& name) const {
  std::vector<Transition> found;
  std::ranges::copy_if(transitions, std::back_inserter(found),
                       [&](const Transition& t) { return t.key.service == name; });
  return found;
}

const Notice* Script::last(NoticeKind kind) const {
  for (auto it = notices.rbegin(); it != notices.rend(); ++it) {
    if (it->kind == kind) return &*it;
  }
  return nullptr;
}

Restored Script::restored() const {
  Restored restored;
  for (const auto& [key, record] : records) restored.services.push_back(record);
  for (const auto& [op, intent] : kept) restored.intents.push_back(intent);
  return restored;
}

ContainerId asked_to_restart(Script& s) {
  const auto web = s.add("web");
  s.connect();
  s.manual = true;
  s.turns(web, EngineHealth::unhealthy);
  s.run(10ms);
  REQUIRE(s.operations.size() == 1);
  return web;
}

}  // namespace sentinel::sim
