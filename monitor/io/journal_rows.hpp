#pragma once

// Rows of the journal on their way back: every one is checked, because the file may have been
// edited, or written by a bug. Private to the folder.

#include <cstdint>
#include <expected>
#include <optional>

#include "io/database.hpp"
#include "io/journal_file.hpp"

namespace sentinel::io {

/// Longest texts of history and latency rows.
inline constexpr std::size_t max_journal_name = 1200;  // a subject's identity, with its kind

/// A time as it is written; none for what no clock shows.
std::optional<core::WallTime> wall_of(std::int64_t ms);

/// Of columns sequence, at, subject's name, kind, event, incident, text, was, became, fields.
std::optional<HistoryEntry> history_of(const Statement& row);

/// The entry within its bounds, as it can be read back.
HistoryEntry bounded(HistoryEntry entry);

std::expected<JournalContents, StoreFault> load_journal(sqlite3* database);

}  // namespace sentinel::io
