#include "app/alerting.hpp"

#include <algorithm>
#include <utility>
#include <variant>

#include "app/daemon.hpp"
#include "app/history.hpp"
#include "protocol/escape.hpp"

namespace sentinel::app {

namespace {

/// Deliveries count from 1.
constexpr std::uint64_t heartbeat_id = 0;

core::Moment moment() { return {io::now(), wall_now()}; }

core::AlertConfig seeded(core::AlertConfig config, std::uint64_t seed) {
  config.seed = seed;
  return config;
}

/// Whether it goes to the journal.
bool is_kept(const core::AlertAction& action) {
  return std::holds_alternative<core::StoreIncident>(action) ||
         std::holds_alternative<core::StoreDelivery>(action) ||
         std::holds_alternative<core::ForgetDelivery>(action) ||
         std::holds_alternative<core::StoreSilence>(action) ||
         std::holds_alternative<core::ForgetSilence>(action);
}

}  // namespace

Alerting::Alerting(boost::asio::io_context& context, observe::Log& log, AlertSettings settings,
                   Options options)
    : context_{context},
      log_{log},
      options_{std::move(options)},
      seed_{random_seed()},
      settings_{std::move(settings)},
      core_{seeded(settings_.core, seed_)},
      alarm_{context, [this] { deliver(core::AlertTick{}); }},
      pace_{context, [this] { beat(); }} {}

Alerting::~Alerting() { stop(); }

bool Alerting::start() {
  auto sender = io::Sender::start(context_, [this](core::Sent answer) {
    if (answer.id == heartbeat_id)
      beaten(answer);
    else
      deliver(std::move(answer));
  });
  if (!sender) {
    log_.error("sentinel.alert", "alerts cannot be sent: " + sender.error().text);
    return false;
  }
  sender_ = std::move(*sender);
  auto journal = io::Journal::open(
      context_, options_.journal, options_.limits,
      {.stored = [this](core::DeliveryStored event) { deliver(event); },
       .report = [this](const io::StoreReport& report) { fault("journal", report); },
       .everything = [this] { return everything(); }});
  if (!journal) {
    log_.error("sentinel.journal", "the journal cannot be opened: " + journal.error().text);
    return false;
  }
  journal_ = std::move(*journal);
  tell_receivers();
  deliver(journal_->load());
  beat();
  return true;
}

void Alerting::configure(AlertSettings settings, io::JournalLimits limits) {
  const bool new_pace =
      settings.heartbeat.interval != settings_.heartbeat.interval ||
      settings.heartbeat.request.url.empty() != settings_.heartbeat.request.url.empty();
  settings_ = std::move(settings);
  journal_->limit(limits);
  tell_receivers();
  deliver(core::AlertsConfigured{seeded(settings_.core, seed_)});
  if (new_pace) beat();
}

void Alerting::tell_receivers() {
  std::vector<std::pair<std::string, std::string>> integrations;
  auto receivers = settings_.receivers;
  integrations.reserve(receivers.size());
  for (const io::ReceiverSpec& receiver : receivers)
    integrations.emplace_back(receiver.name, receiver.integration);
  if (!settings_.heartbeat.request.url.empty()) receivers.push_back(settings_.heartbeat.request);
  sender_->configure(std::move(receivers));
  counts_.configure(integrations);
}

void Alerting::tell(core::AlertEvents facts) {
  for (core::AlertEvent& fact : facts) events_.push_back(std::move(fact));
  drain();
}

void Alerting::record(const std::optional<core::Subject>& subject, core::AlertEvents facts,
                      std::optional<io::HistoryEntry> entry, observe::Line line) {
  // Of an incident that ends, the id is known before; of one that begins, after.
  std::string incident = subject ? incident_of(*subject) : std::string{};
  tell(std::move(facts));
  if (subject) {
    if (auto now = incident_of(*subject); !now.empty()) incident = std::move(now);
  }
  if (entry) {
    entry->at = wall_now();
    if (subject) entry->subject = subject->to_string();
    entry->incident = incident;
    append(*std::move(entry));
  }
  if (!incident.empty()) line.fields.push_back({"incident_id", std::move(incident)});
  observe::write(log_, std::move(line));
}

void Alerting::fault(const std::string& what, const std::string& title, bool failed,
                     const std::string& text) {
  const core::Subject subject = core::subject_of_self(what);
  if (failed) {
    deliver(core::SubjectFailed{.subject = subject,
                                .title = title,
                                .severity = core::Severity::warning,
                                .cause = what,
                                .text = text,
                                .container = {},
                                .health_output = {}});
  } else {
    deliver(core::SubjectRecovered{subject, text});
  }
}

void Alerting::fault(const std::string& what, const io::StoreReport& report) {
  const auto level = !report.durable ? observe::LogLevel::error
                     : report.lost   ? observe::LogLevel::warning
                                     : observe::LogLevel::info;
  log_.write({level, "sentinel." + what, report.text, {}});
  fault(what, "Sentinel's " + what, !report.durable, protocol::one_line(report.text, 400));
}

void Alerting::deliver(core::AlertEvent event) {
  events_.push_back(std::move(event));
  const bool first = !draining_;
  drain();
  if (first && !stopping_ && options_.on_settled) options_.on_settled();
}

/// The only way into the core. May be called while actions are being performed: then what is new
/// waits for its turn.
void Alerting::drain() {
  if (stopping_) events_.clear();
  if (events_.empty() || draining_) return;
  draining_ = true;
  while (!events_.empty()) {
    core::AlertEvent next = std::move(events_.front());
    events_.pop_front();
    core::AlertActions actions;
    core_.on(std::move(next), moment(), actions);
    for (core::AlertAction& action : actions) perform(action);
  }
  // One transaction for all of them.
  if (!to_store_.empty()) journal_->perform(std::exchange(to_store_, {}));
  draining_ = false;
  alarm_.set(core_.next_deadline());
}

void Alerting::perform(core::AlertAction& action) {
  if (options_.on_action) options_.on_action(action);
  if (is_kept(action)) {
    to_store_.push_back(std::move(action));
  } else if (const auto* send = std::get_if<core::Send>(&action)) {
    sender_->perform(*send);
  } else if (const auto* gather = std::get_if<core::GatherEvidence>(&action)) {
    core::EvidenceGathered answer{gather->subject, gather->incident, {}};
    if (!options_.logs) {
      deliver(std::move(answer));
      return;
    }
    options_.logs(gather->container, [this, answer = std::move(answer)](std::string text) mutable {
      answer.log_tail = std::move(text);
      deliver(std::move(answer));
    });
  } else if (const auto* told = std::get_if<core::AlertNotice>(&action)) {
    notice(*told);
  }
}

void Alerting::notice(const core::AlertNotice& notice) {
  counts_.on(notice);
  observe::Line line = observe::line_of(notice);
  auto entry = history_of(notice, line);
  entry.at = wall_now();
  append(std::move(entry));
  observe::write(log_, std::move(line));
}

void Alerting::append(io::HistoryEntry entry) {
  if (!options_.on_entry) {
    journal_->append(std::move(entry));
    return;
  }
  entry.sequence = journal_->append(entry);
  options_.on_entry(entry);
}

core::AlertsRestored Alerting::everything() const {
  return {.open = core_.incidents(),
          .deliveries = core_.deliveries(),
          .silences = core_.silences(),
          .next_delivery = 1};
}

/// Its absence is the message: it is neither stored nor repeated before its time.
void Alerting::beat() {
  if (stopping_ || settings_.heartbeat.request.url.empty()) {
    pace_.set(std::nullopt);
    return;
  }
  pace_.set(io::now() + settings_.heartbeat.interval);
  if (beat_waits_) return;  // one that is late is not overtaken
  beat_waits_ = true;
  core::Send send;
  send.delivery.id = heartbeat_id;
  send.delivery.receiver = settings_.heartbeat.request.name;
  send.delivery.key = "heartbeat:" + std::to_string(++beats_);
  send.delivery.message.kind = core::MessageKind::test;
  send.delivery.message.host = settings_.core.host;
  send.delivery.message.note = "Sentinel on " + settings_.core.host + " is alive";
  send.delivery.message.made = send.delivery.created = send.delivery.changed = wall_now();
  sender_->perform(send);
}

void Alerting::beaten(const core::Sent& answer) {
  beat_waits_ = false;
  const bool failed = answer.result != core::SendResult::accepted;
  if (failed) ++failed_beats_;
  if (std::exchange(beat_fails_, failed) == failed) return;
  if (failed)
    log_.warning("sentinel.heartbeat", "the heartbeat was not accepted: " + answer.detail);
  else
    log_.info("sentinel.heartbeat", "the heartbeat is accepted again");
}

std::vector<observe::Sample> Alerting::samples() const {
  using Kind = observe::Sample::Kind;
  auto out = counts_.samples({.receivers = core_.receivers(),
                              .open_incidents = core_.open_incidents().size(),
                              .silences = core_.silences().size(),
                              .refused = core_.counters()});
  const auto stats = journal_->stats();
  const auto add = [&out](Kind kind, const char* name, const char* help, double value) {
    out.push_back({kind, name, help, {}, value});
  };
  add(Kind::gauge, "sentinel_journal_durable", "Whether the journal can be written",
      stats.durable ? 1 : 0);
  add(Kind::gauge, "sentinel_journal_queue_rows", "Rows that wait to be written",
      static_cast<double>(stats.queued));
  add(Kind::gauge, "sentinel_journal_size_bytes", "Size of the journal's file",
      static_cast<double>(stats.bytes));
  add(Kind::gauge, "sentinel_journal_last_commit_seconds", "Wall time of the last transaction",
      core::in_seconds(stats.last_commit));
  add(Kind::counter, "sentinel_journal_commits_total", "Transactions",
      static_cast<double>(stats.commits));
  add(Kind::counter, "sentinel_journal_failures_total", "Failed writes and attempts to open",
      static_cast<double>(stats.failures));
  add(Kind::counter, "sentinel_journal_lost_total", "Entries of history that were never written",
      static_cast<double>(stats.lost));
  if (!settings_.heartbeat.request.url.empty()) {
    add(Kind::counter, "sentinel_heartbeats_total", "Heartbeats that were sent",
        static_cast<double>(beats_));
    add(Kind::counter, "sentinel_heartbeats_failed_total", "Heartbeats that were not accepted",
        static_cast<double>(failed_beats_));
  }
  return out;
}

web::AlertsBackend alerts_backend(Alerting& alerting) {
  const core::AlertCore& core = alerting.core();
  web::AlertsBackend backend;
  backend.incidents = [&core] { return core.incidents(); };
  backend.incident_of = [&core](const core::Subject& subject) { return core.incident_of(subject); };
  backend.receivers = [&core] { return core.receivers(); };
  backend.deliveries = [&core] { return core.deliveries(); };
  backend.silences = [&core] { return core.silences(); };
  backend.silence_problem = [&core](const core::Silence& silence) {
    return core.silence_problem(silence);
  };
  backend.command = [&alerting](core::AlertEvent event) { alerting.command(std::move(event)); };
  backend.receiver_type = [&alerting](std::string_view name) {
    const auto& all = alerting.settings().receivers;
    const auto found = std::ranges::find(all, name, &io::ReceiverSpec::name);
    return found == all.end() ? std::string{} : found->integration;
  };
  backend.labels = [&alerting] {
    core::Labels labels = alerting.settings().core.labels;
    labels["host"] = alerting.settings().core.host;
    return labels;
  };
  return backend;
}

void Alerting::stop() {
  if (std::exchange(stopping_, true)) return;
  alarm_.set(std::nullopt);
  pace_.set(std::nullopt);
  if (sender_) sender_->stop();
  if (journal_) journal_->stop();
}

}  // namespace sentinel::app
