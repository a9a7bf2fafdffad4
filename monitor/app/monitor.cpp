#include "app/monitor.hpp"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <deque>
#include <iterator>
#include <system_error>

#include "app/alerting.hpp"
#include "app/command_line.hpp"
#include "app/daemon.hpp"
#include "app/maintenance_clock.hpp"
#include "app/memory.hpp"
#include "app/monitor_teller.hpp"
#include "app/own_share.hpp"
#include "app/pool_watch.hpp"
#include "app/relay.hpp"
#include "app/samples.hpp"
#include "app/secret_file.hpp"
#include "app/version.hpp"
#include "core/core.hpp"
#include "io/container_logs.hpp"
#include "io/engine_client.hpp"
#include "io/engine_endpoint.hpp"
#include "io/engine_own.hpp"
#include "io/http_server.hpp"
#include "io/probe_exec.hpp"
#include "io/prober.hpp"
#include "io/runtime.hpp"
#include "io/store.hpp"
#include "io/watchdog.hpp"
#include "observe/log.hpp"
#include "observe/metrics.hpp"
#include "observe/text.hpp"
#include "web/api.hpp"
#include "web/journal.hpp"

namespace sentinel::app {

namespace {

class Monitor {
 public:
  Monitor(MonitorConfig config, ConfigSources sources)
      : config_{std::move(config)},
        sources_{std::move(sources)},
        log_{log_options(config_.log_level, config_.log_format)},
        metrics_{{.version = std::string{version()}, .revision = std::string{revision()}}},
        core_{core_config(config_)},
        alerting_{context_, log_, config_.alerts, alerting_options()},
        api_{api_source(), {}, web::Spared::usually_dear},
        http_{context_, http_options(config_),
              [this](const io::HttpRequest& request) { return api_.handle(request); }},
        alarm_{context_, [this] { deliver(core::Tick{}); }},
        prober_{context_, prober_options(),
                [this](core::ProbeFinished event) { deliver(std::move(event)); }} {}

  int run() {
    started_ = io::now();
    if (!read_token() || !make_engine_client()) return exit_usage;
    // The socket first: a second monitor ends there, before it touches the store of the one that
    // runs.
    if (!listen_on(http_, log_, config_.run_dir, config_.socket_path(), config_.listen) ||
        !open_stores())
      return exit_failed;
    metrics_.config_loaded(true, unix_ns());
    api_.set_status_page(config_.status_page);
    io::Signals signals{context_, [this](int signal) { stop(signal); }, [this] { reload(); }};
    io::Watchdog watchdog{context_, {}};
    watchdog_ = &watchdog;
    log_.write({observe::LogLevel::info,
                "sentinel.started",
                "Sentinel monitor started",
                {{"version", std::string{version()}},
                 {"engine", config_.has_engine() ? config_.engine : "none"},
                 {"listen", config_.listen}}});
    if (config_.labels.watch_all)
      log_.info("sentinel.started", "all containers are watched, labelled or not");
    http_.start();
    // What is known from the last run comes before anything new.
    deliver(store_->load());
    tell_targets();
    windows_.set_rules(config_.maintenance);
    pools_.start();
    if (engine_)
      engine_->start();
    else
      alerting_.synchronised();
    context_.run();
    watchdog_ = nullptr;
    return exit_done;
  }

 private:
  static core::Config core_config(const MonitorConfig& config) {
    core::Config core = config.core;
    core.seed = random_seed();
    return core;
  }
  static io::HttpServerOptions http_options(const MonitorConfig& config) {
    io::HttpServerOptions options;
    options.hosts = config.hosts;
    return options;
  }
  bool make_engine_client() {
    if (!config_.has_engine()) return true;
    if (const auto endpoint = io::parse_engine_endpoint(config_.engine); !endpoint) {
      log_.error("sentinel.config", "the Engine's address " + config_.engine +
                                        " cannot be used: " + endpoint.error().text);
      return false;
    }
    io::EngineOptions options;
    options.endpoint = config_.engine;
    options.settings = config_.labels;
    options.own_container_id = io::own_container_id();
    options.seed = random_seed();
    engine_ = std::make_unique<io::EngineClient>(
        context_, std::move(options), [this](core::Event event) { deliver(std::move(event)); });
    io::ContainerLogsOptions logs;
    logs.endpoint = config_.engine;
    logs.api_version = [this] { return core_.engine_up() ? api_version_ : std::string{}; };
    evidence_ = std::make_unique<io::ContainerLogs>(context_, logs);
    logs.lines = 500;
    logs.keep = std::size_t{64} << 10U;
    logs.waiting = 16;  // people who ask, not incidents
    logs_ = std::make_unique<io::ContainerLogs>(context_, std::move(logs));
    io::ExecProbeOptions exec;
    exec.endpoint = config_.engine;
    exec.api_version = [this] { return core_.engine_up() ? api_version_ : std::string{}; };
    prober_.set_kind(core::ProbeKind::exec, io::exec_runs(context_, std::move(exec)));
    return true;
  }

  web::ApiSource api_source() {
    web::ApiSource source;
    source.now = [] { return io::now(); };
    source.unix_ms = [] { return unix_ms(); };
    source.process = [this] { return process_view(); };
    source.services = [this] { return core_.services(); };
    source.find = [this](std::string_view name) { return core_.find(name); };
    source.service = [this](core::ServiceId id) { return core_.service(id); };
    source.needs = [this] { return core_.needs(); };
    source.metrics = [this] { return render_metrics(); };
    source.set_maintenance = [this](const core::ServiceKey& key, core::Duration duration) {
      deliver(core::SetMaintenance{key, duration});
    };
    source.restart_problem = [this](core::ServiceId id) { return core_.restart_problem(id); };
    source.release_problem = [this](core::ServiceId id) { return core_.release_problem(id); };
    source.restart = [this](core::RestartService event) { deliver(std::move(event)); };
    source.release = [this](core::ReleaseService event) { deliver(std::move(event)); };
    source.logs = [this](const core::ContainerId& container, auto done) {
      if (logs_)
        logs_->fetch(container, std::move(done));
      else
        done(std::string{});
    };
    source.relay = [this](const core::Message& message) { relay_.on(message); };
    source.journal = &journal_;
    return source;
  }

  Alerting::Options alerting_options() {
    return {.journal = config_.journal_path(),
            .limits = config_.journal,
            .on_action = [this](const core::AlertAction& action) { api_.live().on(action); },
            .on_entry = [this](const io::HistoryEntry& entry) { api_.live().on(entry); },
            .on_settled = [this] { api_.live().tell(); },
            .logs =
                [this](const std::string& container, std::function<void(std::string)> done) {
                  const auto id = core::ContainerId::parse(container);
                  if (evidence_ && id)
                    evidence_->fetch(*id, std::move(done));
                  else
                    done({});
                }};
  }

  bool open_stores() {
    make_directory(config_.data_dir, 0700);
    if (!alerting_.start()) return false;
    api_.set_alerts(alerts_backend(alerting_));
    api_.set_history(web::history_of(alerting_.journal()));
    auto store = io::Store::open(
        context_, config_.store_path(), [this](core::IntentStored event) { deliver(event); },
        [this](const io::StoreReport& report) { store_changed(report); });
    if (!store) {
      log_.error("sentinel.store", "the store cannot be opened: " + store.error().text);
      return false;
    }
    store_ = std::move(*store);
    return true;
  }

  bool read_token() {
    if (config_.token_file.empty()) {
      api_.set_token({});
      return true;
    }
    auto token = read_secret_file(config_.token_file);
    if (!token) {
      log_.error("sentinel.config",
                 "the token cannot be read from " + config_.token_file + ": " + token.error());
      return false;
    }
    api_.set_token(std::move(*token));
    return true;
  }

  void store_changed(const io::StoreReport& report) {
    store_reason_ = report.durable ? std::string{} : observe::one_line(report.text, 400);
    alerting_.fault("store", report);
  }

  /// The only way into the core. May be called while actions are being performed: then the event
  /// waits for its turn.
  void deliver(core::Event event) {
    if (stopping_) return;
    events_.push_back({std::move(event), io::now()});
    if (draining_) return;
    draining_ = true;
    while (!events_.empty()) {
      const Waiting next = std::move(events_.front());
      events_.pop_front();
      step(next);
    }
    draining_ = false;
    tell();
    alarm_.set(tick_at(core_.next_deadline()));
  }

  /// With thousands of probes something is due many times a millisecond: what is due within one is
  /// begun together, and the timer is set once for it. Rounded up, so that it never fires early.
  static std::optional<core::Time> tick_at(std::optional<core::Time> due) {
    if (!due || *due == core::never) return due;
    return std::chrono::ceil<std::chrono::milliseconds>(*due);
  }

  struct Waiting {
    core::Event event;
    core::Time received;
  };

  void step(const Waiting& next) {
    const auto about = own_share_.begin(next.event);
    remember(next.event);
    const core::Time now = io::now();
    actions_.clear();
    core_.on(next.event, now, actions_);
    for (core::Action& action : actions_) {
      own_share_.performed(action);
      perform(action);
    }
    if (const auto share = own_share_.spent(about, io::now() - next.received)) {
      metrics_.own_share(*share);
      if (log_.enabled(observe::LogLevel::debug)) {
        const auto us = std::chrono::duration_cast<std::chrono::microseconds>(*share).count();
        log_.write(
            {observe::LogLevel::debug,
             "sentinel.own_share",
             "own share of the way from event to request: " + std::to_string(us) + " us",
             {{"container.id", about->hex()}, {"own_share_us", static_cast<std::int64_t>(us)}}});
      }
    }
    // Latency of the Engine's requests first: lines and counters wait until the queue is empty.
    for (core::Action& action : actions_) {
      if (to_be_known(action)) known_.push_back({std::move(action), now});
    }
  }

  static bool to_be_known(const core::Action& action) {
    return std::holds_alternative<core::Transition>(action) ||
           std::holds_alternative<core::Notice>(action) ||
           std::holds_alternative<core::ProbeReport>(action);
  }

  void perform(const core::Action& action) {
    if (engine_ && perform_on_engine(action)) return;
    if (const auto* intent = std::get_if<core::StoreIntent>(&action))
      store_->perform(*intent);
    else if (const auto* forget = std::get_if<core::ForgetIntent>(&action))
      store_->perform(*forget);
    else if (const auto* service = std::get_if<core::StoreService>(&action))
      store_->perform(*service);
    else if (const auto* probe = std::get_if<core::StartProbe>(&action))
      prober_.perform(*probe);
  }

  bool perform_on_engine(const core::Action& action) {
    if (const auto* inspect = std::get_if<core::Inspect>(&action))
      engine_->perform(*inspect);
    else if (const auto* operate = std::get_if<core::Operate>(&action))
      engine_->perform(*operate);
    else if (const auto* relist = std::get_if<core::Relist>(&action))
      engine_->perform(*relist);
    else
      return false;
    return true;
  }

  /// All of them; the core finds out which are new, changed or gone.
  void tell_targets() {
    core::SetTargets event;
    event.targets.reserve(config_.targets.size());
    for (const core::TargetInfo& target : config_.targets)
      event.targets.push_back(std::make_shared<const core::TargetInfo>(target));
    deliver(std::move(event));
  }

  void tell() {
    for (const Known& known : known_) teller_.on(known.action, known.at);
    known_.clear();
    teller_.settle();
    if (!trimmed_ && core_.synchronised()) {
      alerting_.synchronised();
      // Parsing the first list and its inspects took more memory than anything after it will.
      trimmed_ = true;
      actions_.shrink_to_fit();
      known_.shrink_to_fit();
      give_back_memory();
    }
  }

  void remember(const core::Event& event) {
    if (const auto* connected = std::get_if<core::EngineConnected>(&event)) {
      engine_reason_.clear();
      engine_version_ = observe::one_line(connected->engine_version, 64);
      api_version_ = observe::one_line(connected->api_version, 32);
    } else if (const auto* lost = std::get_if<core::EngineLost>(&event)) {
      engine_reason_ = lost->reason;
    }
  }

  web::ProcessView process_view() const {
    web::ProcessView view;
    view.version = version();
    view.revision = revision();
    view.uptime = io::now() - started_;
    view.has_engine = config_.has_engine();
    view.engine_up = core_.engine_up();
    view.engine = config_.engine;
    view.engine_reason = view.has_engine ? engine_reason_ : std::string{};
    view.targets = config_.targets.size();
    view.engine_version = engine_version_;
    view.api_version = api_version_;
    view.synchronised = core_.synchronised();
    view.store_durable = store_ && store_->stats().durable;
    view.store_reason = store_reason_;
    view.storm = core_.storm();
    view.blind = core_.blind();
    view.services = core_.service_count();
    view.token = !config_.token_file.empty();
    view.operations_in_flight = core_.operations_in_flight();
    view.max_concurrent = config_.core.max_concurrent;
    view.config_ok = config_ok_;
    view.config_file = config_.config_file;
    return view;
  }

  std::string render_metrics() {
    const auto services = core_.services();
    const ShellFigures figures{.engine = engine_ ? std::optional(engine_->stats()) : std::nullopt,
                               .prober = prober_.stats(),
                               .http = http_.stats(),
                               .store = store_->stats(),
                               .log_dropped = log_.dropped(),
                               .log_suppressed = log_.suppressed(),
                               .operations_in_flight = core_.operations_in_flight(),
                               .storm = core_.storm()};
    auto samples = samples_of(figures);
    std::ranges::move(alerting_.samples(), std::back_inserter(samples));
    auto histograms = alerting_.histograms();
    histograms.push_back(probe_lag_of(figures.prober));
    return metrics_.render({.services = services,
                            .now = io::now(),
                            .unix_ns = unix_ns(),
                            .engine_up = engine_ ? std::optional(core_.engine_up()) : std::nullopt,
                            .samples = std::move(samples),
                            .histograms = std::move(histograms)});
  }

  void reload() {
    auto fresh = load_config(sources_);
    if (!fresh) {
      config_ok_ = false;
      metrics_.config_loaded(false, unix_ns());
      tell_rejected(log_, fresh.error());
      return;
    }
    tell_restart_needed(log_, keep_until_restart(*fresh, config_));
    const std::uint64_t seed = config_.core.seed;
    const bool labels_changed = fresh->labels.defaults != config_.labels.defaults ||
                                fresh->labels.services != config_.labels.services ||
                                fresh->labels.limits != config_.labels.limits ||
                                fresh->labels.watch_all != config_.labels.watch_all;
    config_ = std::move(*fresh);
    config_.core.seed = seed;
    config_ok_ = read_token();
    log_.set_level(config_.log_level);
    metrics_.config_loaded(config_ok_, unix_ns());
    log_.info("sentinel.config", "the configuration was loaded");
    deliver(core::Reconfigured{config_.core});
    alerting_.configure(config_.alerts, config_.journal);
    tell_targets();
    windows_.set_rules(config_.maintenance);
    api_.set_status_page(config_.status_page);
    if (labels_changed && engine_) engine_->reconfigure(config_.labels);
  }

  void stop(int signal) {
    if (stopping_) return;
    stopping_ = true;
    const unsigned in_flight = core_.operations_in_flight();
    std::string text = "Sentinel monitor stops";
    if (in_flight > 0) {
      text += "; " + std::to_string(in_flight) +
              (in_flight == 1 ? " operation is" : " operations are") +
              " under way and will be taken up at the next start";
    }
    log_.write({observe::LogLevel::info,
                "sentinel.stopped",
                text,
                {{"signal", static_cast<std::int64_t>(signal)}}});
    alarm_.set(std::nullopt);
    windows_.stop();
    relay_.stop();
    pools_.stop();
    if (engine_) engine_->stop();
    if (evidence_) evidence_->stop();
    if (logs_) logs_->stop();
    prober_.stop();
    http_.stop();
    if (watchdog_ != nullptr) watchdog_->stop();
    store_->stop();
    alerting_.stop();
    context_.stop();
  }

  struct Known {
    core::Action action;
    core::Time at;
  };

  boost::asio::io_context context_{1};
  MonitorConfig config_;
  ConfigSources sources_;
  observe::Log log_;
  observe::Metrics metrics_;
  web::Journal journal_;
  core::Core core_;
  Alerting alerting_;
  std::unique_ptr<io::Store> store_;
  web::Api api_;
  PoolWatch pools_{context_, log_, api_, config_.failover};
  Relay relay_{context_, alerting_, [this] { api_.live().tell(); }};
  MonitorTeller teller_{{.core = core_,
                         .alerting = alerting_,
                         .log = log_,
                         .metrics = metrics_,
                         .decisions = journal_,
                         .live = api_.live()}};
  io::HttpServer http_;
  io::Alarm alarm_;
  MaintenanceClock windows_{context_,
                            [this](core::SetWindows event) { deliver(std::move(event)); }};
  io::Prober prober_;
  std::unique_ptr<io::EngineClient> engine_;
  std::unique_ptr<io::ContainerLogs> evidence_;  // for incidents
  std::unique_ptr<io::ContainerLogs> logs_;      // for people who ask
  io::Watchdog* watchdog_ = nullptr;
  OwnShare own_share_;

  std::deque<Waiting> events_;
  core::Actions actions_;
  std::vector<Known> known_;
  bool draining_ = false;
  bool stopping_ = false;
  bool trimmed_ = false;
  bool config_ok_ = true;
  core::Time started_{};
  std::string engine_reason_ = "the Engine was not reached yet";
  std::string engine_version_;
  std::string api_version_;
  std::string store_reason_;
};

}  // namespace

int run_monitor(MonitorConfig config, ConfigSources sources) {
  tune_allocator();
  Monitor monitor{std::move(config), std::move(sources)};
  return monitor.run();
}

}  // namespace sentinel::app
