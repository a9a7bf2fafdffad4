#include "io/journal_rows.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "protocol/alert_json.hpp"
#include "protocol/escape.hpp"
#include "protocol/json.hpp"

namespace sentinel::io {

namespace {

constexpr std::int64_t max_wall_ms = std::int64_t{1} << 52U;
constexpr std::size_t max_word = 64;
constexpr std::size_t max_event = 128;

constexpr std::array kinds{HistoryKind::transition, HistoryKind::notice,   HistoryKind::action,
                           HistoryKind::restart,    HistoryKind::incident, HistoryKind::alert};

/// Reads all rows of `sql` (one number, one text) into `out`; what `parse` refuses is counted.
template <typename Row, typename Parse>
std::expected<void, StoreFault> read_all(sqlite3* database, const char* sql, std::size_t limit,
                                         std::vector<Row>& out, std::size_t& impossible,
                                         Parse parse) {
  Statement query(database, sql);
  if (!query) return std::unexpected(fault_of(database, "reading"));
  query.bind(1, static_cast<std::int64_t>(limit));
  int result = SQLITE_DONE;
  while ((result = query.step()) == SQLITE_ROW) {
    if (auto row = parse(query)) {
      out.push_back(std::move(*row));
    } else {
      ++impossible;
    }
  }
  if (result != SQLITE_DONE) return std::unexpected(fault_of(database, "reading"));
  return {};
}

}  // namespace

std::int64_t number_of(HistoryKind kind) { return static_cast<std::int64_t>(kind); }

std::optional<HistoryKind> history_kind_of(std::int64_t number) {
  const auto* found =
      std::ranges::find_if(kinds, [number](HistoryKind k) { return number_of(k) == number; });
  return found == kinds.end() ? std::nullopt : std::optional{*found};
}

std::optional<core::WallTime> wall_of(std::int64_t ms) {
  if (ms < -max_wall_ms || ms > max_wall_ms) return std::nullopt;
  return core::WallTime{std::chrono::milliseconds{ms}};
}

HistoryEntry bounded(HistoryEntry entry) {
  const auto line = [](std::string& text, std::size_t bytes) {
    text = protocol::one_line(text, bytes);
  };
  entry.at = core::WallTime{std::clamp(entry.at.time_since_epoch(),
                                       std::chrono::milliseconds{-max_wall_ms},
                                       std::chrono::milliseconds{max_wall_ms})};
  line(entry.event, max_event);
  line(entry.subject, max_journal_name);
  line(entry.incident, max_word);
  line(entry.text, HistoryEntry::max_text);
  line(entry.from, max_word);
  line(entry.to, max_word);
  if (!entry.fields.empty()) {
    const auto parsed = protocol::json::parse(
        entry.fields, {.max_bytes = HistoryEntry::max_fields, .max_depth = 8, .max_values = 500});
    if (!parsed || !parsed->is_object()) entry.fields.clear();
  }
  return entry;
}

std::optional<HistoryEntry> history_of(const Statement& row) {
  const auto sequence = row.integer(0);
  const auto at = wall_of(row.integer(1));
  const auto kind = history_kind_of(row.integer(3));
  if (sequence < 0 || !at || !kind) return std::nullopt;
  return bounded({.sequence = static_cast<std::uint64_t>(sequence),
                  .at = *at,
                  .kind = *kind,
                  .event = row.text(4),
                  .subject = row.text(2),
                  .incident = row.text(5),
                  .text = row.text(6),
                  .from = row.text(7),
                  .to = row.text(8),
                  .fields = row.text(9)});
}

std::expected<JournalContents, StoreFault> load_journal(sqlite3* database) {
  JournalContents contents;
  auto& alerts = contents.alerts;
  const auto value_of = [](auto parsed) {
    using T = std::remove_cvref_t<decltype(*parsed)>;
    return parsed ? std::optional<T>{std::move(*parsed)} : std::nullopt;
  };
  // The newest when there are too many, in order of beginning.
  auto read = read_all(
      database, "SELECT body, id FROM incident WHERE closed = 0 ORDER BY id DESC LIMIT ?",
      core::AlertCore::max_incidents, alerts.open, contents.impossible, [&](const Statement& row) {
        auto incident = value_of(protocol::parse_incident(row.view(0)));
        if (incident && (incident->id != row.view(1) || incident->closed)) incident.reset();
        return incident;
      });
  if (!read) return std::unexpected(read.error());
  std::ranges::reverse(alerts.open);
  read = read_all(database, "SELECT body, id FROM delivery ORDER BY id DESC LIMIT ?",
                  core::AlertCore::max_deliveries + core::AlertCore::max_dead, alerts.deliveries,
                  contents.impossible, [&](const Statement& row) {
                    auto delivery = value_of(protocol::parse_delivery(row.view(0)));
                    if (delivery && std::cmp_not_equal(delivery->id, row.integer(1)))
                      delivery.reset();
                    return delivery;
                  });
  if (!read) return std::unexpected(read.error());
  std::ranges::reverse(alerts.deliveries);
  read = read_all(database, "SELECT body, id FROM silence ORDER BY id LIMIT ?",
                  core::AlertCore::max_silences, alerts.silences, contents.impossible,
                  [&](const Statement& row) {
                    auto silence = value_of(protocol::parse_silence(row.view(0)));
                    if (silence && silence->id != row.view(1)) silence.reset();
                    return silence;
                  });
  if (!read) return std::unexpected(read.error());

  const auto number = [database](std::string_view sql) -> std::expected<std::uint64_t, StoreFault> {
    const auto found = number_of(database, sql);
    if (!found) return std::unexpected(found.error());
    return static_cast<std::uint64_t>(std::clamp<std::int64_t>(*found, 0, INT64_MAX / 2));
  };
  const auto next = number(
      "SELECT max(ifnull((SELECT value FROM meta WHERE name = 'next_delivery'), 1), "
      "ifnull((SELECT max(id) FROM delivery), 0) + 1)");
  if (!next) return std::unexpected(next.error());
  alerts.next_delivery = std::max<std::uint64_t>(*next, 1);
  const auto last = number(
      "SELECT max(ifnull((SELECT value FROM meta WHERE name = 'last_sequence'), 0), "
      "ifnull((SELECT max(sequence) FROM history), 0))");
  if (!last) return std::unexpected(last.error());
  contents.last_sequence = *last;
  return contents;
}

}  // namespace sentinel::io
