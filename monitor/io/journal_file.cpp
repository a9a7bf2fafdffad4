#include "io/journal_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <system_error>
#include <utility>

#include "io/database.hpp"
#include "io/journal_rows.hpp"
#include "io/journal_schema.hpp"
#include "io/journal_trim.hpp"
#include "protocol/alert_json.hpp"

namespace sentinel::io {

namespace {

/// Keeps other processes out: readers of this one need SQLite's own lock to be shared.
class ProcessLock {
 public:
  static std::expected<ProcessLock, StoreFault> take(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return fault("opening " + path + ": ");
    ProcessLock lock(fd);
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return lock;
    if (errno == EWOULDBLOCK) {
      return std::unexpected(
          StoreFault{StoreFault::Kind::unavailable, "opening: another process uses the file"});
    }
    return fault("locking " + path + ": ");
  }
  ProcessLock() = default;
  ~ProcessLock() {
    if (fd_ >= 0) ::close(fd_);
  }
  ProcessLock(ProcessLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ProcessLock& operator=(ProcessLock&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }

 private:
  explicit ProcessLock(int fd) : fd_(fd) {}
  static std::unexpected<StoreFault> fault(std::string doing) {
    return std::unexpected(StoreFault{StoreFault::Kind::unavailable,
                                      std::move(doing) + std::generic_category().message(errno)});
  }
  int fd_ = -1;
};

std::int64_t ms(core::WallTime t) { return t.time_since_epoch().count(); }

}  // namespace

struct JournalFile::Impl {
  ProcessLock lock;  // given up after the database is closed
  Database database;
  Statement put_incident;
  Statement put_delivery;
  Statement forget_delivery;
  Statement put_silence;
  Statement forget_silence;
  Statement add_subject;
  Statement find_subject;
  Statement put_history;
  Statement end_interval;
  Statement begin_interval;
  Statement add_series;
  Statement find_series;
  Statement put_minute;
  Statement raise_meta;
  Statement set_meta;
  std::optional<JournalTrim> trim;

  StoreFault fault(std::string_view doing) const { return fault_of(database.get(), doing); }

  bool prepare() {
    const auto make = [this](Statement& statement, std::string_view sql) {
      statement = Statement(database.get(), sql);
      return static_cast<bool>(statement);
    };
    if (!make(put_incident,
              "INSERT INTO incident (id, subject, began, ended, closed, body) VALUES (?,?,?,?,?,?) "
              "ON CONFLICT (id) DO UPDATE SET subject=excluded.subject, began=excluded.began, "
              "ended=excluded.ended, closed=excluded.closed, body=excluded.body") ||
        !make(put_delivery, "INSERT OR REPLACE INTO delivery VALUES (?,?,?)") ||
        !make(forget_delivery, "DELETE FROM delivery WHERE id=?") ||
        !make(put_silence, "INSERT OR REPLACE INTO silence VALUES (?,?,?)") ||
        !make(forget_silence, "DELETE FROM silence WHERE id=?") ||
        !make(add_subject, "INSERT OR IGNORE INTO subject (name) VALUES (?)") ||
        !make(find_subject, "SELECT id FROM subject WHERE name=?") ||
        !make(put_history, "INSERT OR REPLACE INTO history VALUES (?,?,?,?,?,?,?,?,?,?)") ||
        !make(end_interval,
              "UPDATE interval SET ends=max(begins, ?) WHERE subject=? AND ends IS NULL") ||
        !make(begin_interval, "INSERT OR REPLACE INTO interval VALUES (?,?,NULL,?)") ||
        !make(add_series, "INSERT OR IGNORE INTO series (subject, probe) VALUES (?,?)") ||
        !make(find_series, "SELECT id FROM series WHERE subject=? AND probe=?") ||
        !make(put_minute,
              "INSERT INTO latency_minute VALUES (?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET "
              "mean=(mean*count+excluded.mean*excluded.count)/(count+excluded.count), "
              "count=count+excluded.count, failures=failures+excluded.failures, "
              "min=min(min, excluded.min), max=max(max, excluded.max), "
              "p95=max(p95, excluded.p95)") ||
        !make(raise_meta, "UPDATE meta SET value=max(value, ?) WHERE name=?") ||
        !make(set_meta, "UPDATE meta SET value=? WHERE name=?")) {
      return false;
    }
    trim.emplace(database.get());
    return trim->ready();
  }

  /// The id of a name, given when it has none yet.
  std::optional<std::int64_t> subject_of(std::string_view name) {
    return id_of(
        find_subject.bind(1, name), [&] { return add_subject.bind(1, name).run(); },
        [&] { find_subject.bind(1, name); });
  }
  std::optional<std::int64_t> series_of(std::string_view subject, std::string_view probe) {
    const auto owner = subject_of(subject);
    if (!owner) return std::nullopt;
    return id_of(
        find_series.bind(1, *owner).bind(2, probe),
        [&] { return add_series.bind(1, *owner).bind(2, probe).run(); },
        [&] { find_series.bind(1, *owner).bind(2, probe); });
  }
  template <typename Add, typename Again>
  static std::optional<std::int64_t> id_of(Statement& find, Add add, Again again) {
    for (int tries = 0; tries < 2; ++tries) {
      const int result = find.step();
      const auto id = result == SQLITE_ROW ? std::optional{find.integer(0)} : std::nullopt;
      find.reset();
      if (id) return id;
      if (result != SQLITE_DONE || !add()) return std::nullopt;
      again();
    }
    return std::nullopt;
  }

  bool put(const core::Incident& incident) {
    const auto subject = subject_of(incident.root.to_string());
    if (!subject) return false;
    const auto body = protocol::format_incident(incident);
    put_incident.bind(1, incident.id).bind(2, *subject).bind(3, ms(incident.began));
    incident.ended ? put_incident.bind(4, ms(*incident.ended)) : put_incident.bind_null(4);
    return put_incident.bind(5, std::int64_t{incident.closed}).bind(6, body).run();
  }

  bool put(const core::Delivery& delivery) {
    const auto body = protocol::format_delivery(delivery);
    put_delivery.bind(1, static_cast<std::int64_t>(delivery.id));
    delivery.dead ? put_delivery.bind(2, ms(*delivery.dead)) : put_delivery.bind_null(2);
    return put_delivery.bind(3, body).run() &&
           raise_meta.bind(1, static_cast<std::int64_t>(delivery.id) + 1)
               .bind(2, std::string_view{"next_delivery"})
               .run();
  }

  bool put(const core::Silence& silence) {
    const auto body = protocol::format_silence(silence);
    return put_silence.bind(1, silence.id).bind(2, ms(silence.ends)).bind(3, body).run();
  }

  bool put(const HistoryEntry& entry) {
    const auto subject = subject_of(entry.subject);
    if (!subject) return false;
    const bool put = put_history.bind(1, static_cast<std::int64_t>(entry.sequence))
                         .bind(2, ms(entry.at))
                         .bind(3, *subject)
                         .bind(4, number_of(entry.kind))
                         .bind(5, entry.event)
                         .bind(6, entry.incident)
                         .bind(7, entry.text)
                         .bind(8, entry.from)
                         .bind(9, entry.to)
                         .bind(10, entry.fields)
                         .run();
    if (!put || entry.kind != HistoryKind::transition || entry.subject.empty() ||
        entry.to.empty()) {
      return put;
    }
    return end_interval.bind(1, ms(entry.at)).bind(2, *subject).run() &&
           begin_interval.bind(1, *subject).bind(2, ms(entry.at)).bind(3, entry.to).run();
  }

  bool put(const LatencyRow& row) {
    const auto series = series_of(row.subject, row.probe);
    if (!series) return false;
    const auto& point = row.point;
    return put_minute.bind(1, *series)
        .bind(2, ms(point.begins) / 60'000)
        .bind(3, std::int64_t{point.count})
        .bind(4, std::int64_t{point.failures})
        .bind(5, point.min.count())
        .bind(6, point.mean.count())
        .bind(7, point.max.count())
        .bind(8, point.p95.count())
        .run();
  }

  template <typename Rows>
  bool put_all(const Rows& rows) {
    return std::ranges::all_of(rows, [this](const auto& row) { return this->put(row); });
  }

  bool apply(const JournalBatch& batch) {
    if (batch.prove &&
        !execute(database.get(), "UPDATE meta SET value = value + 1 WHERE name = 'proved'")) {
      return false;
    }
    if (batch.replace && !execute(database.get(), "DELETE FROM delivery; DELETE FROM silence"))
      return false;
    const auto forget_all = [](Statement& statement, const auto& keys, auto bind) {
      return std::ranges::all_of(keys, [&](const auto& key) {
        bind(statement, key);
        return statement.run();
      });
    };
    if (!put_all(batch.incidents) || !put_all(batch.deliveries) || !put_all(batch.silences))
      return false;
    if (!forget_all(
            forget_delivery, batch.forgotten_deliveries,
            [](Statement& s, std::uint64_t id) { s.bind(1, static_cast<std::int64_t>(id)); }) ||
        !forget_all(forget_silence, batch.forgotten_silences,
                    [](Statement& s, const std::string& id) { s.bind(1, id); })) {
      return false;
    }
    if (!put_all(batch.history) || !put_all(batch.latencies)) return false;
    if (!batch.history.empty() &&
        !raise_meta.bind(1, static_cast<std::int64_t>(batch.history.back().sequence))
             .bind(2, std::string_view{"last_sequence"})
             .run()) {
      return false;
    }
    return set_meta.bind(1, ms(batch.now)).bind(2, std::string_view{"alive"}).run();
  }
};

JournalFile::JournalFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
JournalFile::~JournalFile() = default;
JournalFile::JournalFile(JournalFile&&) noexcept = default;
JournalFile& JournalFile::operator=(JournalFile&&) noexcept = default;

std::expected<JournalFile, StoreFault> JournalFile::open(const std::string& path) {
  auto lock = ProcessLock::take(path + "-lock");
  if (!lock) return std::unexpected(lock.error());
  auto opened = open_database(path, {.application_id = journal_application_id,
                                     .migrations = journal_migrations,
                                     .alone = false,
                                     .check = false,
                                     .incremental_vacuum = true,
                                     .cache_kib = 256});
  if (!opened) return std::unexpected(opened.error());
  auto impl = std::make_unique<Impl>();
  impl->lock = std::move(*lock);
  impl->database = std::move(*opened);
  // What alerts depend on; the long tables would take their time, and show damage when it is met.
  for (const auto* table : {"meta", "subject", "incident", "delivery", "silence"}) {
    Statement check(impl->database.get(), std::format("PRAGMA quick_check('{}')", table));
    if (!check || check.step() != SQLITE_ROW) return std::unexpected(impl->fault("checking"));
    if (const auto verdict = check.text(0); verdict != "ok") {
      return std::unexpected(StoreFault{StoreFault::Kind::corrupt, "checking: " + verdict});
    }
  }
  if (!impl->prepare()) {
    // The schema says it is ours and is not: damaged or tampered with.
    return std::unexpected(StoreFault{StoreFault::Kind::corrupt, impl->fault("preparing").text});
  }
  return JournalFile(std::move(impl));
}

std::expected<JournalContents, StoreFault> JournalFile::load() {
  return load_journal(impl_->database.get());
}

std::expected<void, StoreFault> JournalFile::close_intervals() {
  return in_transaction(impl_->database.get(), [this] {
    return execute(impl_->database.get(),
                   "UPDATE interval SET ends = max(begins, (SELECT value FROM meta WHERE name = "
                   "'alive')) WHERE ends IS NULL");
  });
}

std::expected<void, StoreFault> JournalFile::write(const JournalBatch& batch) {
  return in_transaction(impl_->database.get(), [&] { return impl_->apply(batch); });
}

std::expected<JournalFile::Trimmed, StoreFault> JournalFile::trim(const JournalLimits& limits,
                                                                  core::WallTime now) {
  const auto step = impl_->trim->step(limits, now);
  if (!step) return std::unexpected(step.error());
  return Trimmed{.rows = step->rows, .done = step->done};
}

std::uint64_t JournalFile::bytes() const { return impl_->trim->bytes(); }

double JournalFile::age_share() const { return impl_->trim->age_share(); }

}  // namespace sentinel::io
