#include "io/journal_reader.hpp"

#include <algorithm>
#include <format>
#include <functional>
#include <optional>
#include <utility>

#include "io/database.hpp"
#include "io/journal_rows.hpp"
#include "io/runtime.hpp"
#include "protocol/alert_json.hpp"
#include "protocol/escape.hpp"

namespace sentinel::io {

namespace {

constexpr core::Duration longest_query = std::chrono::seconds{2};
constexpr int steps_between_looks = 10'000;  // of SQLite's machine
constexpr std::int64_t no_end = INT64_MAX;

std::int64_t ms(core::WallTime t) { return t.time_since_epoch().count(); }

std::int64_t bound(std::size_t limit, std::size_t most) {
  return static_cast<std::int64_t>(std::clamp<std::size_t>(limit, 1, most));
}

std::int64_t number(std::uint64_t value) {
  return static_cast<std::int64_t>(std::min<std::uint64_t>(value, INT64_MAX));
}

struct Span {
  std::int64_t begins = 0;
  std::int64_t ends = 0;
  Standing standing = Standing::other;
};

/// `spans` in order of time.
Availability measure(const std::vector<Span>& spans, std::chrono::hours window, std::int64_t now) {
  Availability out{.window = window};
  const auto from = now - std::chrono::milliseconds{window}.count();
  std::int64_t repaired = 0;
  std::optional<std::int64_t> fell;  // when the outage under way began
  for (const auto& span : spans) {
    const auto length = std::chrono::milliseconds{
        std::max<std::int64_t>(0, std::min(span.ends, now) - std::max(span.begins, from))};
    if (span.standing == Standing::up) {
      out.up += length;
      if (fell && span.begins >= from && span.begins <= now) {
        ++out.outages;
        repaired += span.begins - *fell;
      }
      fell.reset();
    } else if (span.standing == Standing::down) {
      out.down += length;
      if (!fell) fell = span.begins;
    }
  }
  if (out.outages != 0) out.mean_outage = std::chrono::milliseconds{repaired / out.outages};
  return out;
}

}  // namespace

class JournalReader::Impl {
 public:
  explicit Impl(std::string path) : path_(std::move(path)) {}

  /// Runs `query` on an open connection, within its time.
  template <typename T>
  std::expected<T, Error> ask(const std::function<bool(T&)>& query) {
    if (!database_) {
      auto opened = open_for_reading(path_);
      if (!opened) return std::unexpected(Error{opened.error().text});
      database_ = std::move(*opened);
      sqlite3_progress_handler(
          database_.get(), steps_between_looks,
          [](void* self) { return static_cast<const Impl*>(self)->late() ? 1 : 0; }, this);
    }
    deadline_ = now() + longest_query;
    T out{};
    if (query(out)) return out;
    auto text = fault_of(database_.get(), "reading the journal").text;
    const bool slow = (sqlite3_errcode(database_.get()) & 0xFF) == SQLITE_INTERRUPT;
    database_.reset();
    return std::unexpected(Error{slow ? "the journal took too long to answer" : text});
  }

  /// Steps through `statement`; `take` reads a row.
  template <typename Take>
  static bool each(Statement& statement, Take take) {
    int result = SQLITE_DONE;
    while ((result = statement.step()) == SQLITE_ROW) take(statement);
    return result == SQLITE_DONE;
  }

  Statement prepare(std::string_view sql) const { return Statement(database_.get(), sql); }
  void close() { database_.reset(); }

 private:
  bool late() const { return now() > deadline_; }

  std::string path_;
  Database database_;
  core::Time deadline_{};
};

JournalReader::JournalReader(std::string path) : impl_(std::make_unique<Impl>(std::move(path))) {}
JournalReader::~JournalReader() = default;

void JournalReader::close() { impl_->close(); }

std::expected<std::vector<HistoryEntry>, Error> JournalReader::history(const HistoryQuery& query) {
  return impl_->ask<std::vector<HistoryEntry>>([&](auto& out) {
    const auto sql = std::format(
        "SELECT h.sequence, h.at, s.name, h.kind, h.event, h.incident, h.text, h.was, h.became, "
        "h.fields FROM history h JOIN subject s ON s.id = h.subject WHERE h.sequence > ?1 AND "
        "h.sequence < ?2 {}{} ORDER BY h.sequence {} LIMIT ?3",
        query.subject ? "AND h.subject = (SELECT id FROM subject WHERE name = ?4)" : "",
        query.incident ? "AND h.incident = ?5 AND h.incident <> ''" : "",
        query.after ? "ASC" : "DESC");
    auto rows = impl_->prepare(sql);
    if (!rows) return false;
    rows.bind(1, query.after ? number(*query.after) : -1)
        .bind(2, query.before ? number(*query.before) : no_end)
        .bind(3, bound(query.limit, HistoryQuery::max_limit));
    if (query.subject) rows.bind(4, *query.subject);
    if (query.incident) rows.bind(5, *query.incident);
    const bool read = Impl::each(rows, [&out](const Statement& row) {
      if (auto entry = history_of(row)) out.push_back(*std::move(entry));
    });
    if (!query.after) std::ranges::reverse(out);
    return read;
  });
}

std::expected<IncidentPage, Error> JournalReader::incidents(const IncidentQuery& query) {
  return impl_->ask<IncidentPage>([&](IncidentPage& out) {
    const auto limit = bound(query.limit, IncidentQuery::max_limit);
    const auto* const which = query.which == IncidentQuery::Which::open    ? "AND ended IS NULL"
                              : query.which == IncidentQuery::Which::ended ? "AND ended IS NOT NULL"
                                                                           : "";
    const auto sql =
        std::format("SELECT body FROM incident WHERE id < ?1 {} {} {} ORDER BY id DESC LIMIT ?2",
                    which, query.id ? "AND id = ?3" : "",
                    query.subject ? "AND subject = (SELECT id FROM subject WHERE name = ?4)" : "");
    auto rows = impl_->prepare(sql);
    if (!rows) return false;
    // Above any ULID.
    rows.bind(1, query.before.empty() ? std::string_view{"~"} : std::string_view{query.before})
        .bind(2, limit + 1);
    if (query.id) rows.bind(3, *query.id);
    if (query.subject) rows.bind(4, *query.subject);
    std::int64_t seen = 0;
    return Impl::each(rows, [&](const Statement& row) {
      if (++seen > limit) {
        out.more = true;
        return;
      }
      if (auto incident = protocol::parse_incident(row.view(0)))
        out.incidents.push_back(*std::move(incident));
    });
  });
}

std::expected<std::vector<StateInterval>, Error> JournalReader::timeline(
    const TimelineQuery& query) {
  return impl_->ask<std::vector<StateInterval>>([&](auto& out) {
    auto rows = impl_->prepare(
        "SELECT state, begins, ends FROM interval WHERE subject = (SELECT id FROM subject WHERE "
        "name = ?1) AND begins < ?3 AND (ends IS NULL OR ends > ?2) ORDER BY begins DESC LIMIT ?4");
    if (!rows) return false;
    rows.bind(1, query.subject)
        .bind(2, ms(query.from))
        .bind(3, ms(query.to))
        .bind(4, bound(query.limit, TimelineQuery::max_limit));
    const bool read = Impl::each(rows, [&out](const Statement& row) {
      const auto begins = wall_of(row.integer(1));
      const auto ends = wall_of(row.integer(2));
      if (!begins || !ends) return;
      out.push_back({.state = protocol::one_line(row.view(0), 64),
                     .begins = *begins,
                     .ends = row.null(2) ? std::nullopt : ends});
    });
    std::ranges::reverse(out);
    return read;
  });
}

std::expected<std::vector<LatencyPoint>, Error> JournalReader::latency(const LatencyQuery& query) {
  return impl_->ask<std::vector<LatencyPoint>>([&](auto& out) {
    const std::chrono::milliseconds unit = query.hours
                                               ? std::chrono::milliseconds{std::chrono::hours{1}}
                                               : std::chrono::milliseconds{std::chrono::minutes{1}};
    auto rows = impl_->prepare(std::format(
        "SELECT {1}, count, failures, min, mean, max, p95 FROM latency_{1} WHERE series = (SELECT "
        "series.id FROM series JOIN subject ON subject.id = series.subject WHERE subject.name = ?1 "
        "AND series.probe = ?2) AND {1} >= ?3 AND {1} < ?4 ORDER BY {1} DESC LIMIT ?5",
        "", query.hours ? "hour" : "minute"));
    if (!rows) return false;
    // The unit that holds `from` counts, as its middle does.
    rows.bind(1, query.subject)
        .bind(2, query.probe)
        .bind(3, ms(query.from) / unit.count())
        .bind(4, (ms(query.to) + unit.count() - 1) / unit.count())
        .bind(5, bound(query.limit, LatencyQuery::max_limit));
    const bool read = Impl::each(rows, [&out, unit](const Statement& row) {
      const auto number = row.integer(0);
      if (number < 0 || number > INT32_MAX) return;
      const auto count = [&row](int column) {
        return static_cast<std::uint32_t>(
            std::clamp<std::int64_t>(row.integer(column), 0, UINT32_MAX));
      };
      const auto us = [&row](int column) {
        return std::chrono::microseconds{
            std::clamp<std::int64_t>(row.integer(column), 0, UINT32_MAX)};
      };
      out.push_back({.begins = core::WallTime{number * unit},
                     .count = count(1),
                     .failures = count(2),
                     .min = us(3),
                     .mean = us(4),
                     .max = us(5),
                     .p95 = us(6)});
    });
    std::ranges::reverse(out);
    return read;
  });
}

std::expected<std::vector<Availability>, Error> JournalReader::availability(
    const std::string& subject, core::WallTime now) {
  return impl_->ask<std::vector<Availability>>([&](auto& out) {
    const auto oldest = ms(now - availability_windows.back());
    std::vector<Span> spans;
    {
      auto rows = impl_->prepare(
          "SELECT begins, ifnull(ends, ?3), state FROM interval WHERE subject = (SELECT id FROM "
          "subject WHERE name = ?1) AND (ends IS NULL OR ends > ?2) ORDER BY begins DESC LIMIT "
          "100000");
      if (!rows) return false;
      rows.bind(1, subject).bind(2, oldest).bind(3, ms(now));
      if (!Impl::each(rows, [&spans](const Statement& row) {
            spans.push_back({row.integer(0), row.integer(1), standing_of(row.view(2))});
          })) {
        return false;
      }
      std::ranges::reverse(spans);
    }
    auto restarts = impl_->prepare(
        "SELECT count(*) FROM history WHERE subject = (SELECT id FROM subject WHERE name = ?1) AND "
        "kind = 3 AND at >= ?2 AND at <= ?3");
    auto incidents = impl_->prepare(
        "SELECT count(*) FROM incident WHERE subject = (SELECT id FROM subject WHERE name = ?1) "
        "AND began >= ?2 AND began <= ?3");
    if (!restarts || !incidents) return false;
    for (const auto window : availability_windows) {
      auto one = measure(spans, window, ms(now));
      const auto count = [&](Statement& query, unsigned& result) {
        const bool found =
            query.bind(1, subject).bind(2, ms(now - window)).bind(3, ms(now)).step() == SQLITE_ROW;
        if (found) result = static_cast<unsigned>(query.integer(0));
        query.reset();
        return found;
      };
      if (!count(restarts, one.restarts) || !count(incidents, one.incidents)) return false;
      out.push_back(one);
    }
    return true;
  });
}

}  // namespace sentinel::io
