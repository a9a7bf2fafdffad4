#include "app/failover.hpp"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <deque>
#include <iterator>
#include <utility>

#include "app/alerting.hpp"
#include "app/command_line.hpp"
#include "app/daemon.hpp"
#include "app/failover_kernel.hpp"
#include "app/failover_preflight.hpp"
#include "app/failover_state.hpp"
#include "app/failover_teller.hpp"
#include "app/memory.hpp"
#include "app/samples.hpp"
#include "app/version.hpp"
#include "core/failover.hpp"
#include "io/http_server.hpp"
#include "io/prober.hpp"
#include "io/runtime.hpp"
#include "io/watchdog.hpp"
#include "observe/failover_counts.hpp"
#include "observe/log.hpp"
#include "observe/metrics.hpp"
#include "web/failover_api.hpp"

namespace sentinel::app {

namespace {

io::NatOptions nat_options(const FailoverSettings& settings) {
  io::NatOptions options;
  options.table = settings.table;
  options.count_traffic = settings.count_traffic;
  options.forward_mark = settings.forward_mark;
  return options;
}

class Failover {
 public:
  Failover(FailoverSettings settings, ConfigSources sources)
      : settings_{std::move(settings)},
        sources_{std::move(sources)},
        log_{log_options(settings_.log_level, settings_.log_format)},
        metrics_{{.version = std::string{version()}, .revision = std::string{revision()}}},
        alerting_{context_,
                  log_,
                  settings_.alerts,
                  {.journal = settings_.journal_path(), .limits = settings_.journal, .logs = {}}},
        api_{api_source()},
        http_{context_, http_options(settings_),
              [this](const io::HttpRequest& request) { return api_.handle(request); }},
        alarm_{context_, [this] { deliver(core::Tick{}); }},
        prober_{context_, prober_options(),
                [this](core::ProbeFinished event) { deliver(std::move(event)); }},
        kernel_{
            {context_, log_, counts_, [this](core::PoolEvent event) { deliver(std::move(event)); },
             [this]() -> const core::NatTable& { return core_.table(); }},
            nat_options(settings_)} {}

  int run() {
    started_ = io::now();
    if (!listen_on(http_, log_, settings_.run_dir, settings_.socket_path(), settings_.listen))
      return exit_failed;
    make_directory(settings_.data_dir, 0700);
    if (!alerting_.start()) return exit_failed;
    alerting_.synchronised();
    if (const auto opened = kernel_.open(); !opened) {
      log_.error("sentinel.failover.kernel", opened.error());
      return exit_failed;
    }
    metrics_.config_loaded(true, unix_ns());
    io::Signals signals{context_, [this](int signal) { stop(signal); }, [this] { reload(); }};
    io::Watchdog watchdog{context_, {}};
    watchdog_ = &watchdog;
    log_.write({observe::LogLevel::info,
                "sentinel.started",
                "Sentinel failover started",
                {{"version", std::string{version()}},
                 {"pools", static_cast<std::int64_t>(settings_.core.pools.size())},
                 {"listen", settings_.listen}}});
    tell_who_sends();
    tell_preflight();
    http_.start();
    configure();
    restore_drains();
    kernel_.read(settings_.core.sticky_timeout);
    context_.run();
    watchdog_ = nullptr;
    return exit_done;
  }

 private:
  static io::HttpServerOptions http_options(const FailoverSettings& settings) {
    io::HttpServerOptions options;
    options.hosts = settings.names;
    return options;
  }
  web::FailoverSource api_source() {
    web::FailoverSource source;
    source.now = [] { return io::now(); };
    source.unix_ms = [] { return unix_ms(); };
    source.process = [this] { return process(); };
    source.pools = [this] { return core_.pools(); };
    source.metrics = [this] { return render_metrics(); };
    source.drain = [this](core::DrainServer command, bool force) {
      if (auto problem = core_.drain_problem(command.pool, command.server, force)) return *problem;
      deliver(std::move(command));
      return std::string{};
    };
    source.ready = [this](core::ReadyServer command) {
      if (auto problem = core_.ready_problem(command.pool, command.server)) return *problem;
      deliver(std::move(command));
      return std::string{};
    };
    return source;
  }

  void tell_who_sends() {
    if (settings_.through_monitor)
      log_.info("sentinel.alert",
                "the monitor at " + settings_.monitor_socket + " is told, and tells people");
  }

  void tell_preflight() {
    std::vector<PreflightFinding> all = preflight_fix(settings_);
    for (PreflightFinding& found : preflight_findings(preflight_facts(settings_), settings_))
      all.push_back(std::move(found));
    for (const PreflightFinding& found : all) {
      const observe::LogLevel level =
          found.level == PreflightLevel::problem   ? observe::LogLevel::error
          : found.level == PreflightLevel::warning ? observe::LogLevel::warning
          : found.level == PreflightLevel::note    ? observe::LogLevel::info
                                                   : observe::LogLevel::debug;
      std::string text = found.text;
      if (!found.remedy.empty()) text += "; what to do: " + found.remedy;
      log_.write({level,
                  "sentinel.failover.preflight",
                  text,
                  {{"about", found.about}, {"severity", std::string{to_string(found.level)}}}});
    }
  }

  void configure() {
    auto config = std::make_shared<core::FailoverConfig>(settings_.core);
    config->seed = random_seed();
    deliver(core::PoolsConfigured{std::move(config)});
  }

  void restore_drains() {
    auto drains = load_drains(settings_.state_path(), {io::now(), unix_ms()});
    if (!drains) {
      log_.error("sentinel.failover.state", settings_.state_path() + " " + drains.error() +
                                                ": it is not known who was drained");
      return;
    }
    if (!drains->empty()) {
      log_.info("sentinel.failover.state",
                std::to_string(drains->size()) + " servers were drained before the restart");
      deliver(core::DrainsRestored{std::move(*drains)});
    }
  }

  /// The only way into the core. May be called while actions are being performed: then the event
  /// waits for its turn.
  void deliver(core::PoolEvent event) {
    if (stopping_) return;
    events_.push_back(std::move(event));
    if (draining_) return;
    draining_ = true;
    while (!events_.empty()) {
      const core::PoolEvent next = std::move(events_.front());
      events_.pop_front();
      core::PoolActions actions;
      core_.on(next, io::now(), actions);
      // The kernel first; lines and counters wait until the queue is empty.
      for (core::PoolAction& action : actions)
        if (!perform(action)) known_.push_back(std::move(action));
    }
    draining_ = false;
    for (const core::PoolAction& action : known_) teller_.on(action);
    known_.clear();
    alarm_.set(core_.next_deadline());
  }

  /// False: it is to be made known.
  bool perform(const core::PoolAction& action) {
    if (const auto* apply = std::get_if<core::ApplyNat>(&action))
      kernel_.perform(*apply);
    else if (const auto* probe = std::get_if<core::StartProbe>(&action))
      prober_.perform(*probe);
    else if (const auto* read = std::get_if<core::ReadNat>(&action))
      kernel_.perform(*read);
    else if (const auto* flush = std::get_if<core::FlushFlows>(&action))
      kernel_.perform(*flush);
    else if (const auto* count = std::get_if<core::CountFlows>(&action))
      kernel_.perform(*count);
    else if (const auto* store = std::get_if<core::StoreDrains>(&action))
      store_drains(store->drains);
    else
      return false;
    return true;
  }

  void store_drains(const std::vector<core::DrainRecord>& drains) {
    const auto stored =
        replace_file(settings_.state_path(), format_drains(drains, {io::now(), unix_ms()}));
    const std::string text = stored ? settings_.state_path() + " is written again"
                                    : settings_.state_path() + " " + stored.error() +
                                          ": a restart will not know who is drained";
    if (!stored) log_.error("sentinel.failover.state", text);
    if (std::exchange(state_kept_, stored.has_value()) != state_kept_)
      alerting_.fault("state", "Who is drained", !state_kept_, text);
  }

  web::FailoverProcess process() const {
    web::FailoverProcess view;
    view.version = version();
    view.revision = revision();
    view.uptime = io::now() - started_;
    view.core = core_.state();
    view.config_ok = config_ok_;
    view.config_file = settings_.config_file;
    view.table = settings_.table;
    view.kernel_problem = kernel_.problem();
    view.state_kept = state_kept_;
    return view;
  }

  std::string render_metrics() {
    observe::FailoverFigures figures;
    figures.pools = core_.pools();
    figures.state = core_.state();
    figures.misses = kernel_.misses();
    figures.restored = kernel_.restored();
    const auto counts = kernel_.traffic();
    for (const core::PoolView& pool : figures.pools) {
      for (const core::ServerView& server : pool.servers) {
        observe::ServerTraffic traffic;
        for (auto it = counts.lower_bound(server.block.value);
             it != counts.end() && (it->first & server.block.mask) == server.block.value; ++it) {
          traffic.connections += it->second.connections;
          traffic.packets += it->second.packets;
          traffic.bytes += it->second.bytes;
        }
        figures.traffic.emplace(observe::PoolServerName{server.pool, server.server}, traffic);
      }
    }
    auto samples = counts_.samples(figures);
    std::ranges::move(alerting_.samples(), std::back_inserter(samples));
    auto histograms = counts_.histograms();
    std::ranges::move(alerting_.histograms(), std::back_inserter(histograms));
    histograms.push_back(probe_lag_of(prober_.stats()));
    const std::vector<core::ServiceView> none;
    return metrics_.render({.services = none,
                            .now = io::now(),
                            .unix_ns = unix_ns(),
                            .engine_up = std::nullopt,
                            .samples = std::move(samples),
                            .histograms = std::move(histograms)});
  }

  void reload() {
    auto fresh = load_failover_config(sources_);
    if (!fresh) {
      config_ok_ = false;
      metrics_.config_loaded(false, unix_ns());
      tell_rejected(log_, fresh.error());
      return;
    }
    tell_restart_needed(log_, keep_until_restart(*fresh, settings_));
    const bool sticky = fresh->core.sticky_timeout != settings_.core.sticky_timeout;
    settings_ = std::move(*fresh);
    config_ok_ = true;
    log_.set_level(settings_.log_level);
    metrics_.config_loaded(true, unix_ns());
    log_.info("sentinel.config", "the configuration was loaded");
    alerting_.configure(settings_.alerts, settings_.journal);
    tell_who_sends();
    configure();
    counts_.keep_only(core_.pools());
    teller_.keep_only(core_.pools());
    if (sticky) kernel_.rebuild(settings_.core.sticky_timeout);
  }

  void stop(int signal) {
    if (stopping_) return;
    stopping_ = true;
    log_.write({observe::LogLevel::info,
                "sentinel.stopped",
                settings_.keep_rules
                    ? "Sentinel failover stops; its rules stay and serve as they are"
                    : "Sentinel failover stops and removes its rules",
                {{"signal", static_cast<std::int64_t>(signal)}}});
    alarm_.set(std::nullopt);
    prober_.stop();
    http_.stop();
    if (watchdog_ != nullptr) watchdog_->stop();
    if (!settings_.keep_rules) kernel_.remove();
    alerting_.stop();
    context_.stop();
  }

  boost::asio::io_context context_{1};
  FailoverSettings settings_;
  ConfigSources sources_;
  observe::Log log_;
  observe::Metrics metrics_;
  observe::FailoverCounts counts_;
  Alerting alerting_;
  FailoverTeller teller_{{.alerting = alerting_, .log = log_, .counts = counts_}};
  core::FailoverCore core_;
  web::FailoverApi api_;
  io::HttpServer http_;
  io::Alarm alarm_;
  io::Prober prober_;
  FailoverKernel kernel_;
  io::Watchdog* watchdog_ = nullptr;

  std::deque<core::PoolEvent> events_;
  core::PoolActions known_;
  bool draining_ = false;
  bool stopping_ = false;
  bool config_ok_ = true;
  bool state_kept_ = true;
  core::Time started_{};
};

}  // namespace

int run_failover(FailoverSettings settings, ConfigSources sources) {
  tune_allocator();
  Failover failover{std::move(settings), std::move(sources)};
  return failover.run();
}

}  // namespace sentinel::app
