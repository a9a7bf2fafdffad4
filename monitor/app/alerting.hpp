#pragma once

// Incidents and alerts of a daemon: carries facts into the AlertCore and its actions out to the
// journal, the senders, the log and the metrics. Monitor and failover have one each.
//
//   facts, commands, answers -> queue -> core.on() -> journal first, then senders
//
// A journal that cannot be written stops nothing: deliveries are sent without it, and the fault is
// an incident of its own.

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/alert_settings.hpp"
#include "core/alert_core.hpp"
#include "core/alert_facts.hpp"
#include "io/journal.hpp"
#include "io/runtime.hpp"
#include "io/sender.hpp"
#include "observe/alert_observer.hpp"
#include "observe/log.hpp"
#include "web/sources.hpp"

namespace sentinel::app {

class Alerting {
 public:
  struct Options {
    std::string journal;  // path of the file
    io::JournalLimits limits;
    // Who shows what happens; may be empty.
    std::function<void(const core::AlertAction&)> on_action{};
    std::function<void(const io::HistoryEntry&)> on_entry{};
    std::function<void()> on_settled{};  // after however many of these
    /// The last lines of a container, for the first message of its incident; empty: there are
    /// none. Calls back once, or not at all after a stop.
    std::function<void(const std::string& container, std::function<void(std::string)>)> logs{};
  };

  Alerting(boost::asio::io_context& context, observe::Log& log, AlertSettings settings,
           Options options);
  ~Alerting();
  Alerting(const Alerting&) = delete;
  Alerting& operator=(const Alerting&) = delete;

  /// Opens the journal, takes up what it holds, starts the senders. False, with a line of the log:
  /// there is no thread to be had.
  bool start();
  /// From a reload.
  void configure(AlertSettings settings, io::JournalLimits limits);
  /// What was not seen by now is not there; see core::AlertsSynchronised. Once.
  void synchronised() { deliver(core::AlertsSynchronised{}); }
  /// Facts, in order. Whoever tells them settles what is shown; on_settled is for what comes by
  /// itself.
  void tell(core::AlertEvents facts);
  /// One thing that a core made known: its facts are told, its entry is kept, and its line is
  /// written with the id of its incident.
  void record(const std::optional<core::Subject>& subject, core::AlertEvents facts,
              std::optional<io::HistoryEntry> entry, observe::Line line);
  /// A fault of our own, or its end.
  void fault(const std::string& what, const std::string& title, bool failed,
             const std::string& text);
  /// What a file of ours has to say: `store` or `journal`.
  void fault(const std::string& what, const io::StoreReport& report);
  void stop();

  /// A person's: what it changes is to be seen when this returns.
  void command(core::AlertEvent event) { deliver(std::move(event)); }

  /// The open incident the subject belongs to; empty: none.
  std::string incident_of(const core::Subject& subject) const { return core_.incident_of(subject); }
  const core::AlertCore& core() const { return core_; }
  const AlertSettings& settings() const { return settings_; }
  /// Valid between start() and the end.
  io::Journal& journal() { return *journal_; }

  std::vector<observe::Sample> samples() const;
  std::vector<observe::HistogramSample> histograms() const { return counts_.histograms(); }

 private:
  void deliver(core::AlertEvent event);
  void drain();
  void append(io::HistoryEntry entry);
  void perform(core::AlertAction& action);
  void notice(const core::AlertNotice& notice);
  void tell_receivers();
  void beat();
  void beaten(const core::Sent& answer);
  core::AlertsRestored everything() const;

  boost::asio::io_context& context_;
  observe::Log& log_;
  const Options options_;
  const std::uint64_t seed_;
  AlertSettings settings_;
  core::AlertCore core_;
  observe::AlertCounts counts_;
  std::unique_ptr<io::Journal> journal_;
  std::unique_ptr<io::Sender> sender_;
  io::Alarm alarm_;
  io::Alarm pace_;

  std::deque<core::AlertEvent> events_;
  core::AlertActions to_store_;
  bool draining_ = false;
  bool stopping_ = false;
  std::uint64_t beats_ = 0;
  std::uint64_t failed_beats_ = 0;
  bool beat_fails_ = false;
  bool beat_waits_ = false;
};

/// For the API; `alerting` outlives it.
web::AlertsBackend alerts_backend(Alerting& alerting);

}  // namespace sentinel::app
