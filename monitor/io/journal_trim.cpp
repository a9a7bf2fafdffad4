#include "io/journal_trim.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace sentinel::io {

namespace {

constexpr std::int64_t minute_ms = 60'000;
constexpr std::int64_t hour_ms = 60 * minute_ms;
constexpr std::int64_t late = 2 * minute_ms;  // a minute's row may come so late
constexpr std::int64_t large_rows = 50;       // a step, of rows that hold documents
constexpr std::int64_t series_a_step = 50;
constexpr std::int64_t ids_a_step = 200;
constexpr double least_share = 0.001;
constexpr double room = 0.7;  // of the size, below which ages grow again

std::int64_t ms(core::WallTime t) { return t.time_since_epoch().count(); }

}  // namespace

JournalTrim::JournalTrim(sqlite3* database) : database_(database) {
  const auto make = [database](Statement& statement, std::string_view sql) {
    statement = Statement(database, sql);
    return static_cast<bool>(statement);
  };
  ready_ =
      make(oldest_history_, "SELECT sequence, at FROM history ORDER BY sequence LIMIT ?") &&
      make(remove_history_, "DELETE FROM history WHERE sequence <= ?") &&
      make(remove_intervals_, "DELETE FROM interval WHERE subject = ? AND ends < ?") &&
      make(next_series_, "SELECT id FROM series WHERE id > ? ORDER BY id LIMIT 1") &&
      make(sum_series_,
           "INSERT OR REPLACE INTO latency_hour SELECT series, ?2, sum(count), sum(failures), "
           "min(min), sum(mean*count)/sum(count), max(max), sum(p95*count)/sum(count) FROM "
           "latency_minute WHERE series = ?1 AND minute >= ?2 * 60 AND minute < ?2 * 60 + 60 "
           "GROUP BY series HAVING sum(count) > 0") &&
      make(rolled_, "SELECT value FROM meta WHERE name = 'rolled'") &&
      make(set_rolled_, "UPDATE meta SET value = ? WHERE name = 'rolled'") &&
      make(oldest_minute_, "SELECT min(minute) FROM latency_minute WHERE series = ?") &&
      make(remove_minutes_, "DELETE FROM latency_minute WHERE series = ? AND minute < ?") &&
      make(oldest_hour_, "SELECT min(hour) FROM latency_hour WHERE series = ?") &&
      make(remove_hours_, "DELETE FROM latency_hour WHERE series = ? AND hour < ?") &&
      make(remove_incidents_,
           "DELETE FROM incident WHERE rowid IN (SELECT rowid FROM incident WHERE closed = 1 AND "
           "ended < ? ORDER BY ended LIMIT ?)") &&
      make(remove_dead_,
           "DELETE FROM delivery WHERE id IN (SELECT id FROM delivery WHERE dead < ? ORDER BY "
           "dead LIMIT ?)") &&
      make(remove_silences_,
           "DELETE FROM silence WHERE rowid IN (SELECT rowid FROM silence WHERE ends < ? LIMIT "
           "?)") &&
      make(remove_series_,
           "DELETE FROM series WHERE id > ? AND id <= ? AND NOT EXISTS (SELECT 1 FROM "
           "latency_minute WHERE series = series.id) AND NOT EXISTS (SELECT 1 FROM latency_hour "
           "WHERE series = series.id)") &&
      make(highest_series_, "SELECT ifnull(max(id), 0) FROM series") &&
      make(remove_subjects_,
           "DELETE FROM subject WHERE id > ? AND id <= ? AND NOT EXISTS (SELECT 1 FROM history "
           "WHERE subject = subject.id) AND NOT EXISTS (SELECT 1 FROM interval WHERE subject = "
           "subject.id) AND NOT EXISTS (SELECT 1 FROM incident WHERE subject = subject.id) AND NOT "
           "EXISTS (SELECT 1 FROM series WHERE subject = subject.id)") &&
      make(highest_subject_, "SELECT ifnull(max(id), 0) FROM subject") && measure();
}

std::size_t JournalTrim::changes() const {
  return static_cast<std::size_t>(std::max(sqlite3_changes(database_), 0));
}

std::int64_t JournalTrim::cutoff(JournalLimits::Age age, core::WallTime now) const {
  const auto span = static_cast<double>(std::chrono::milliseconds{age}.count()) * share_;
  return ms(now) - static_cast<std::int64_t>(span);
}

std::expected<void, StoreFault> JournalTrim::measure() {
  const auto page = number_of(database_, "PRAGMA page_size");
  const auto pages = number_of(database_, "PRAGMA page_count");
  const auto free = number_of(database_, "PRAGMA freelist_count");
  if (!page || !pages || !free) return std::unexpected(fault());
  bytes_ = static_cast<std::uint64_t>(*page * *pages);
  free_bytes_ = static_cast<std::uint64_t>(*page * *free);
  return {};
}

std::expected<JournalTrim::Step, StoreFault> JournalTrim::step(const JournalLimits& limits,
                                                               core::WallTime now) {
  Step result;
  std::optional<StoreFault> fault;
  const auto written = in_transaction(database_, [&] {
    auto performed = perform(limits, now);
    if (!performed) {
      fault = std::move(performed.error());
      return false;
    }
    result = *performed;
    return true;
  });
  if (fault) return std::unexpected(*std::move(fault));
  if (!written) return std::unexpected(written.error());
  return result;
}

std::expected<JournalTrim::Step, StoreFault> JournalTrim::perform(const JournalLimits& limits,
                                                                  core::WallTime now) {
  if (task_ == Task::size) {
    if (auto measured = measure(); !measured) return std::unexpected(measured.error());
    const auto used = static_cast<double>(bytes_ - free_bytes_);
    const auto most = static_cast<double>(limits.bytes);
    Step step;
    if (used > most && share_ > least_share) {
      share_ = std::max(share_ * 0.8, least_share);
      task_ = Task::history;
    } else if (used > most) {
      // Clocks that were wrong keep rows young: the oldest go by their number.
      const auto piece = old_history(INT64_MAX);
      if (!piece) return std::unexpected(piece.error());
      step.rows = piece->rows;
      task_ = Task::vacuum;
    } else {
      if (used < most * room) share_ = std::min(share_ * 1.05, 1.0);
      task_ = Task::vacuum;
    }
    return step;
  }
  if (task_ == Task::vacuum) {
    if (auto measured = measure(); !measured) return std::unexpected(measured.error());
    const bool give_back = free_bytes_ > 0 && (free_bytes_ > bytes_ / 4 || bytes_ > limits.bytes);
    if (give_back && !execute(database_, "PRAGMA incremental_vacuum(64)"))
      return std::unexpected(fault());
    if (!give_back) task_ = Task::hours;
    return Step{.rows = 0, .done = !give_back};
  }
  const auto piece = trim(limits, now);
  if (!piece) return std::unexpected(piece.error());
  if (!piece->more) {
    task_ = static_cast<Task>(std::to_underlying(task_) + 1);
    cursor_ = 0;
  }
  return Step{.rows = piece->rows, .done = false};
}

std::expected<JournalTrim::Piece, StoreFault> JournalTrim::trim(const JournalLimits& limits,
                                                                core::WallTime now) {
  const auto history = cutoff(limits.history, now);
  switch (task_) {
    case Task::hours: return sum_hour(now, limits);
    case Task::history: return old_history(history);
    case Task::intervals: {
      // By subject, whose rows lie together.
      const auto highest = number_of(database_, "SELECT ifnull(max(id), 0) FROM subject");
      if (!highest) return std::unexpected(highest.error());
      Piece piece;
      const auto end = std::min(cursor_ + ids_a_step, *highest);
      while (cursor_ < end) {
        if (!remove_intervals_.bind(1, ++cursor_).bind(2, history).run())
          return std::unexpected(fault());
        piece.rows += changes();
      }
      piece.more = cursor_ < *highest;
      return piece;
    }
    case Task::minutes:
      return old_of_series(oldest_minute_, remove_minutes_,
                           cutoff(limits.minutes, now) / minute_ms);
    case Task::hours_age:
      return old_of_series(oldest_hour_, remove_hours_, cutoff(limits.hours, now) / hour_ms);
    case Task::incidents:
      return old_by(remove_incidents_, cutoff(limits.incidents, now), large_rows);
    case Task::dead: return old_by(remove_dead_, cutoff(limits.dead, now), large_rows);
    case Task::silences: return old_by(remove_silences_, cutoff(limits.dead, now), rows_a_step);
    case Task::series: return unused(remove_series_, highest_series_);
    case Task::subjects: return unused(remove_subjects_, highest_subject_);
    case Task::size:
    case Task::vacuum: break;
  }
  return Piece{};
}

std::expected<JournalTrim::Piece, StoreFault> JournalTrim::sum_hour(core::WallTime now,
                                                                    const JournalLimits& limits) {
  if (rolled_.step() != SQLITE_ROW) return std::unexpected(fault());
  auto rolled = rolled_.integer(0);
  rolled_.reset();
  const auto whole = (ms(now) - late) / hour_ms - 1;  // the newest hour that is over
  if (rolled == 0) {
    // A new file: few rows, one look at all of them.
    const auto first =
        number_of(database_, "SELECT ifnull(min(minute), 0) / 60 - 1 FROM latency_minute");
    if (!first) return std::unexpected(first.error());
    if (*first < 0) return Piece{};
    rolled = *first;
  }
  const auto earliest = cutoff(limits.minutes, now) / hour_ms;
  const auto hour = std::max(rolled + 1, earliest);
  if (hour > whole) return Piece{};
  Piece piece{.rows = 0, .more = true};
  for (std::int64_t n = 0; n < series_a_step; ++n) {
    const int found = next_series_.bind(1, cursor_).step();
    const auto series = found == SQLITE_ROW ? next_series_.integer(0) : 0;
    next_series_.reset();
    if (found == SQLITE_DONE) {
      cursor_ = 0;
      if (!set_rolled_.bind(1, hour).run()) return std::unexpected(fault());
      piece.more = hour < whole;
      return piece;
    }
    if (found != SQLITE_ROW || !sum_series_.bind(1, series).bind(2, hour).run())
      return std::unexpected(fault());
    cursor_ = series;
  }
  return piece;
}

std::expected<JournalTrim::Piece, StoreFault> JournalTrim::old_history(std::int64_t before) {
  // In order of sequence, up to the first that is young enough.
  std::int64_t last = -1;
  std::int64_t count = 0;
  int result = SQLITE_DONE;
  oldest_history_.bind(1, rows_a_step);
  while ((result = oldest_history_.step()) == SQLITE_ROW) {
    if (oldest_history_.integer(1) >= before) break;
    last = oldest_history_.integer(0);
    ++count;
  }
  oldest_history_.reset();
  if (result != SQLITE_ROW && result != SQLITE_DONE) return std::unexpected(fault());
  if (count == 0) return Piece{};
  if (!remove_history_.bind(1, last).run()) return std::unexpected(fault());
  return Piece{.rows = changes(), .more = count == rows_a_step && before != INT64_MAX};
}

std::expected<JournalTrim::Piece, StoreFault> JournalTrim::old_of_series(Statement& oldest,
                                                                         Statement& remove,
                                                                         std::int64_t before) {
  Piece piece{.rows = 0, .more = true};
  for (std::int64_t n = 0; n < series_a_step; ++n) {
    const int found = next_series_.bind(1, cursor_).step();
    const auto series = found == SQLITE_ROW ? next_series_.integer(0) : 0;
    next_series_.reset();
    if (found == SQLITE_DONE) return Piece{.rows = piece.rows, .more = false};
    if (found != SQLITE_ROW || oldest.bind(1, series).step() != SQLITE_ROW)
      return std::unexpected(fault());
    const auto first = oldest.null(0) ? before : oldest.integer(0);
    oldest.reset();
    const auto until = std::min(before, first + rows_a_step);
    if (first < before) {
      if (!remove.bind(1, series).bind(2, until).run()) return std::unexpected(fault());
      piece.rows += changes();
    }
    if (until >= before) cursor_ = series;
    if (std::cmp_greater_equal(piece.rows, rows_a_step)) break;
  }
  return piece;
}

std::expected<JournalTrim::Piece, StoreFault> JournalTrim::old_by(Statement& remove,
                                                                  std::int64_t before,
                                                                  std::int64_t rows) {
  if (!remove.bind(1, before).bind(2, rows).run()) return std::unexpected(fault());
  const auto removed = changes();
  return Piece{.rows = removed, .more = std::cmp_equal(removed, rows)};
}

std::expected<JournalTrim::Piece, StoreFault> JournalTrim::unused(Statement& remove,
                                                                  Statement& highest) {
  const int found = highest.step();
  const auto last = found == SQLITE_ROW ? highest.integer(0) : 0;
  highest.reset();
  if (found != SQLITE_ROW) return std::unexpected(fault());
  const auto end = std::min(cursor_ + ids_a_step, last);
  if (!remove.bind(1, cursor_).bind(2, end).run()) return std::unexpected(fault());
  cursor_ = end;
  return Piece{.rows = changes(), .more = end < last};
}

}  // namespace sentinel::io
