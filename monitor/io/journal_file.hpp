#pragma once

// The journal's SQLite file: schema, rows, checks, and the trimming of what is old. Used by one
// thread at a time; knows nothing of queues and retries.

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "core/alert_core.hpp"
#include "io/journal_model.hpp"
#include "io/storage.hpp"

namespace sentinel::io {

/// A minute of one probe.
struct LatencyRow {
  std::string subject;
  std::string probe;
  LatencyPoint point;
};

/// One transaction. Of deliveries and silences the ones to be forgotten have no value.
struct JournalBatch {
  bool replace = false;  // no deliveries and silences but these are left
  bool prove = false;    // write something even when there is nothing to be written
  std::vector<core::Incident> incidents{};
  std::vector<core::Delivery> deliveries{};
  std::vector<std::uint64_t> forgotten_deliveries{};
  std::vector<core::Silence> silences{};
  std::vector<std::string> forgotten_silences{};
  std::vector<HistoryEntry> history{};
  std::vector<LatencyRow> latencies{};
  core::WallTime now{};  // noted as the last moment at which this process was alive

  bool empty() const {
    return incidents.empty() && deliveries.empty() && forgotten_deliveries.empty() &&
           silences.empty() && forgotten_silences.empty() && history.empty() && latencies.empty();
  }
  std::size_t size() const {
    return incidents.size() + deliveries.size() + forgotten_deliveries.size() + silences.size() +
           forgotten_silences.size() + history.size() + latencies.size();
  }
};

struct JournalContents {
  core::AlertsRestored alerts;
  std::uint64_t last_sequence = 0;
  std::size_t impossible = 0;  // rows left out
};

/// The kind as it is written.
std::int64_t number_of(HistoryKind kind);
std::optional<HistoryKind> history_kind_of(std::int64_t number);

class JournalFile {
 public:
  /// Opens or creates, checks, brings the schema up to date. Another process on the same file makes
  /// it `unavailable`.
  static std::expected<JournalFile, StoreFault> open(const std::string& path);
  ~JournalFile();
  JournalFile(JournalFile&&) noexcept;
  JournalFile& operator=(JournalFile&&) noexcept;

  std::expected<JournalContents, StoreFault> load();
  /// Intervals that were open when the last process ended, end at the moment it was last alive.
  std::expected<void, StoreFault> close_intervals();
  /// Durable when it returns without a fault; unchanged otherwise.
  std::expected<void, StoreFault> write(const JournalBatch& batch);

  /// One step of trimming: a few hundred rows, or a few dozen pages given back. `done` when there
  /// was nothing left to do; call again until then, then after a while.
  struct Trimmed {
    std::size_t rows = 0;
    bool done = false;
  };
  std::expected<Trimmed, StoreFault> trim(const JournalLimits& limits, core::WallTime now);
  std::uint64_t bytes() const;
  double age_share() const;

 private:
  struct Impl;
  explicit JournalFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sentinel::io
