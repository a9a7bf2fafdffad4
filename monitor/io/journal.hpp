#pragma once

// What happened, and what is being told of it: history, incidents, deliveries (outbox and dead
// letters), silences, and the series the history views are drawn from. A SQLite file of its own
// (WAL, synchronous=FULL) behind a thread of its own; queries have another thread with a second
// connection, so that neither a slow disk nor a long answer holds up decisions.
//
//   state        left when
//   durable      a write fails -> failing
//   failing      a retry succeeds -> regained; retries begin after 250 ms and double up to 30 s.
//                Deliveries are answered with durable=false at once and not kept
//   regained     Sinks::everything was asked and its answer is written -> durable; a write fails
//                -> failing
//
// Deliveries, incidents and silences are written at once, everything noted meanwhile in one
// transaction; history and latencies alone wait up to half a second for company. What waits is
// bounded; history goes first and is counted in `lost`. A corrupt file is moved aside to
// `NAME.corrupt-TIME` and a new one begun; a file of a newer version is not touched; a second
// process on the same file is refused. Each change of state is reported once.
//
// Kept for: history, incidents that ended, dead letters and series by age and by the size of the
// file, see JournalLimits. Open incidents, deliveries on their way and silences stay in any case.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/alert_core.hpp"
#include "io/error.hpp"
#include "io/journal_model.hpp"
#include "io/storage.hpp"

namespace boost::asio {
class io_context;
}

namespace sentinel::io {

/// All are called on the io_context's thread.
struct JournalSinks {
  std::function<void(core::DeliveryStored)> stored;
  std::function<void(StoreReport)> report;
  /// What is true now: open incidents, deliveries and silences of the core, to be written again
  /// after an outage. `next_delivery` is not used.
  std::function<core::AlertsRestored()> everything;
};

class Journal {
 public:
  /// Opens or creates the file (its directory must exist), reads what is there and starts the
  /// threads. What is wrong with the file or disk is no error but a report and a journal that is
  /// not durable; an error means there is no thread.
  static std::expected<std::unique_ptr<Journal>, Error> open(boost::asio::io_context& context,
                                                             std::string path, JournalLimits limits,
                                                             JournalSinks sinks);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// What was found at open(), for the AlertCore; rows with impossible values are left out and told
  /// in a report.
  core::AlertsRestored load() const;
  /// Of the newest entry, those of earlier processes included.
  std::uint64_t last_sequence() const;

  /// Store* and Forget* among them, in one transaction and in their order; the rest is ignored.
  /// Each StoreDelivery is answered with DeliveryStored, durable or not.
  void perform(core::AlertActions actions);

  /// Gives the entry its sequence number, which grows, restarts included. A transition also goes on
  /// its subject's timeline.
  std::uint64_t append(HistoryEntry entry);
  /// One probe's result. `latency` of a failure is counted too.
  void sample(std::string_view subject, std::string_view probe, core::WallTime at, bool success,
              core::Duration latency);
  /// From a reload.
  void limit(JournalLimits limits);

  /// Queries see everything that was noted before them. The answer comes on the io_context's thread
  /// unless stop() was first; an error says why there is none (busy, no file, too slow).
  template <typename T>
  using Answer = std::function<void(std::expected<T, Error>)>;
  void history(HistoryQuery query, Answer<std::vector<HistoryEntry>> answer);
  void incidents(IncidentQuery query, Answer<IncidentPage> answer);
  void timeline(TimelineQuery query, Answer<std::vector<StateInterval>> answer);
  void latency(LatencyQuery query, Answer<std::vector<LatencyPoint>> answer);
  /// One for each of availability_windows, ending at `now`.
  void availability(std::string subject, core::WallTime now,
                    Answer<std::vector<Availability>> answer);

  /// Writes what is noted, waits up to 1 s for that, and closes; the sinks are not called any more.
  /// Safe to call twice.
  void stop();

  JournalStats stats() const;

 private:
  class Impl;
  explicit Journal(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace sentinel::io
