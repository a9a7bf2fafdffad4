#pragma once

// Keeps the journal within its ages and its size, and sums minutes up to hours. Each step is one
// short transaction, so that a delivery that is to be stored never waits for long. Private to the
// folder.
//
// A round goes through all tables: hours summed up, then what is too old goes, oldest first, then
// names nobody uses. When the file is too large after a round, all ages shrink by a fifth and the
// next round follows at once; when there is ample room they grow again. At last free pages are
// given back, a few dozen at a time.

#include <cstddef>
#include <cstdint>
#include <expected>

#include "io/database.hpp"
#include "io/journal_model.hpp"

namespace sentinel::io {

class JournalTrim {
 public:
  static constexpr std::int64_t rows_a_step = 500;

  explicit JournalTrim(sqlite3* database);
  bool ready() const { return ready_; }

  struct Step {
    std::size_t rows = 0;
    bool done = false;  // a round is over and the file fits
  };
  std::expected<Step, StoreFault> step(const JournalLimits& limits, core::WallTime now);

  std::uint64_t bytes() const { return bytes_; }
  double age_share() const { return share_; }

 private:
  enum class Task : std::uint8_t {
    hours,
    history,
    intervals,
    minutes,
    hours_age,
    incidents,
    dead,
    silences,
    series,
    subjects,
    size,
    vacuum,
  };
  /// Rows of one piece of a task; `more`: the task is not over.
  struct Piece {
    std::size_t rows = 0;
    bool more = false;
  };
  std::expected<Step, StoreFault> perform(const JournalLimits& limits, core::WallTime now);
  std::expected<Piece, StoreFault> trim(const JournalLimits& limits, core::WallTime now);
  std::expected<Piece, StoreFault> sum_hour(core::WallTime now, const JournalLimits& limits);
  std::expected<Piece, StoreFault> old_history(std::int64_t before);
  std::expected<Piece, StoreFault> old_of_series(Statement& oldest, Statement& remove,
                                                 std::int64_t before);
  std::expected<Piece, StoreFault> old_by(Statement& remove, std::int64_t before,
                                          std::int64_t rows);
  std::expected<Piece, StoreFault> unused(Statement& remove, Statement& highest);
  std::expected<void, StoreFault> measure();
  std::int64_t cutoff(JournalLimits::Age age, core::WallTime now) const;
  StoreFault fault() const { return fault_of(database_, "trimming"); }
  std::size_t changes() const;

  sqlite3* database_;
  Statement oldest_history_;
  Statement remove_history_;
  Statement remove_intervals_;
  Statement next_series_;
  Statement sum_series_;
  Statement rolled_;
  Statement set_rolled_;
  Statement oldest_minute_;
  Statement remove_minutes_;
  Statement oldest_hour_;
  Statement remove_hours_;
  Statement remove_incidents_;
  Statement remove_dead_;
  Statement remove_silences_;
  Statement remove_series_;
  Statement highest_series_;
  Statement remove_subjects_;
  Statement highest_subject_;
  bool ready_ = false;

  Task task_ = Task::hours;
  std::int64_t cursor_ = 0;  // within a task: the last id that was looked at
  double share_ = 1;
  std::uint64_t bytes_ = 0;
  std::uint64_t free_bytes_ = 0;
};

}  // namespace sentinel::io
