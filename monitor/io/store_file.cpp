#include "io/store_file.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <format>
#include <mutex>
#include <optional>
#include <string_view>
#include <system_error>

namespace sentinel::io {

namespace {

constexpr int application_id = 0x53'4E'54'4C;  // "SNTL"
constexpr int lock_wait_ms = 2000;
constexpr std::size_t max_name = 1024;
constexpr std::size_t max_spent = 1000;  // entries of budget_left; a budget has 100 at most
constexpr unsigned max_replica = 1'000'000;
constexpr core::Duration longest = std::chrono::years{10};
constexpr std::size_t corrupt_files_kept = 3;

// One entry per version; never changed once released.
constexpr std::array migrations{
    R"sql(
CREATE TABLE service (
  project TEXT NOT NULL,
  service TEXT NOT NULL,
  replica INTEGER NOT NULL,
  budget_left TEXT NOT NULL,        -- nanoseconds of healthy time each spent restart still needs, comma separated
  quarantined INTEGER NOT NULL,
  trial_in INTEGER NOT NULL,        -- nanoseconds
  maintenance_left INTEGER NOT NULL,
  changed INTEGER NOT NULL,         -- grows with each change
  PRIMARY KEY (project, service, replica)
) STRICT, WITHOUT ROWID;
CREATE TABLE intent (
  op INTEGER PRIMARY KEY,
  project TEXT NOT NULL,
  service TEXT NOT NULL,
  replica INTEGER NOT NULL,
  container TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  rung TEXT NOT NULL,
  trial INTEGER NOT NULL
) STRICT;
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO counter VALUES ('full_writes', 0);
)sql",
};

constexpr std::array rungs{core::Rung::restart, core::Rung::kill, core::Rung::stop};

std::optional<core::Rung> rung_of(std::string_view text) {
  const auto* found =
      std::ranges::find_if(rungs, [text](core::Rung rung) { return to_string(rung) == text; });
  return found == rungs.end() ? std::nullopt : std::optional{*found};
}

bool plausible(const core::ServiceKey& key) {
  const auto sound = [](const std::string& text) {
    return text.size() <= max_name &&
           std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
  };
  return !key.service.empty() && sound(key.service) && sound(key.project) &&
         key.replica <= max_replica;
}

bool plausible(core::Duration duration) {
  return duration >= core::Duration{} && duration <= longest;
}

std::string join(const std::vector<core::Duration>& durations) {
  std::string text;
  for (const auto duration : durations) {
    if (!text.empty()) text.push_back(',');
    text += std::to_string(duration.count());
  }
  return text;
}

std::optional<std::vector<core::Duration>> split(std::string_view text) {
  std::vector<core::Duration> result;
  while (!text.empty()) {
    const auto part = text.substr(0, text.find(','));
    std::int64_t count = 0;
    const char* const end = part.data() + part.size();
    const auto [stop, error] = std::from_chars(part.data(), end, count);
    if (error != std::errc{} || stop != end || result.size() == max_spent) return std::nullopt;
    result.emplace_back(count);
    text.remove_prefix(std::min(part.size() + 1, text.size()));
  }
  return result;
}

struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
};
struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Database = std::unique_ptr<sqlite3, CloseDatabase>;
using StatementHandle = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

StoreFault fault_of(sqlite3* database, std::string_view doing) {
  const int code = sqlite3_errcode(database) & 0xFF;
  const bool corrupt = code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
  const auto* why =
      code == SQLITE_BUSY ? "another process uses the file" : sqlite3_errmsg(database);
  return {corrupt ? StoreFault::Kind::corrupt : StoreFault::Kind::unavailable,
          std::format("{}: {}", doing, why)};
}

/// A prepared statement. Bound text must live until step().
class Statement {
 public:
  Statement() = default;
  Statement(sqlite3* database, std::string_view sql) {
    sqlite3_stmt* raw = nullptr;
    sqlite3_prepare_v3(database, sql.data(), static_cast<int>(sql.size()),
                       SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
    handle_.reset(raw);
  }

  explicit operator bool() const { return handle_ != nullptr; }

  Statement& bind(int index, std::string_view text) {
    sqlite3_bind_text(handle_.get(), index, text.data(), static_cast<int>(text.size()), nullptr);
    return *this;
  }
  Statement& bind(int index, std::int64_t number) {
    sqlite3_bind_int64(handle_.get(), index, number);
    return *this;
  }

  /// SQLITE_ROW, SQLITE_DONE or an error.
  int step() { return sqlite3_step(handle_.get()); }
  /// For statements without rows: runs and makes ready for the next use.
  bool run() {
    const bool done = step() == SQLITE_DONE;
    sqlite3_reset(handle_.get());
    sqlite3_clear_bindings(handle_.get());
    return done;
  }

  std::int64_t integer(int column) const { return sqlite3_column_int64(handle_.get(), column); }
  std::string text(int column) const {
    const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(handle_.get(), column));
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column));
    return bytes == nullptr ? std::string{} : std::string(bytes, size);
  }

 private:
  StatementHandle handle_;
};

bool execute(sqlite3* database, const char* sql) {
  return sqlite3_exec(database, sql, nullptr, nullptr, nullptr) == SQLITE_OK;
}

void configure_library() {
  static std::once_flag once;
  std::call_once(once, [] {
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 128, 32);  // 4 KiB a connection in place of 48
  });
}

std::expected<void, StoreFault> migrate(sqlite3* database) {
  std::int64_t identity = 0;
  std::int64_t tables = 0;
  {
    Statement query(database, "PRAGMA application_id");
    if (!query || query.step() != SQLITE_ROW)
      return std::unexpected(fault_of(database, "reading the header"));
    identity = query.integer(0);
    Statement count(database, "SELECT count(*) FROM sqlite_schema");
    if (!count || count.step() != SQLITE_ROW)
      return std::unexpected(fault_of(database, "reading the schema"));
    tables = count.integer(0);
  }
  if (identity != application_id && tables != 0) {
    return std::unexpected(
        StoreFault{StoreFault::Kind::foreign, "this is another program's database"});
  }
  if (!execute(database, "BEGIN IMMEDIATE"))
    return std::unexpected(fault_of(database, "beginning"));
  if (!execute(database, std::format("PRAGMA application_id = {}", application_id).c_str()) ||
      !execute(database,
               "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL) STRICT")) {
    return std::unexpected(fault_of(database, "creating the schema"));
  }
  std::int64_t version = 0;
  {
    Statement query(database, "SELECT max(version) FROM schema_version");
    if (!query || query.step() != SQLITE_ROW)
      return std::unexpected(fault_of(database, "reading the schema's version"));
    version = query.integer(0);
  }
  constexpr auto known = static_cast<std::int64_t>(migrations.size());
  if (version < 0 || version > known) {
    return std::unexpected(
        StoreFault{StoreFault::Kind::foreign,
                   std::format("it was written by a newer Sentinel (schema {}, this one knows {})",
                               version, known)});
  }
  for (auto next = version; next < known; ++next) {
    if (!execute(database, migrations.at(static_cast<std::size_t>(next))) ||
        !execute(database,
                 std::format("INSERT INTO schema_version VALUES ({})", next + 1).c_str())) {
      return std::unexpected(fault_of(database, "updating the schema"));
    }
  }
  if (!execute(database, "COMMIT"))
    return std::unexpected(fault_of(database, "committing the schema"));
  return {};
}

}  // namespace

bool storable(const core::ServiceRecord& record) {
  return plausible(record.key) && record.budget_left.size() <= max_spent &&
         std::ranges::all_of(record.budget_left,
                             [](core::Duration left) { return plausible(left); }) &&
         plausible(record.trial_in) && plausible(record.maintenance_left);
}

bool storable(const core::IntentRecord& record) {
  return plausible(record.key) && record.op <= INT64_MAX && record.started_at >= 0;
}

struct StoreFile::Impl {
  Database database;
  std::int64_t changed = 0;
  Statement put_service;
  Statement forget_service;
  Statement put_intent;
  Statement forget_intent;

  StoreFault fault(std::string_view doing) const { return fault_of(database.get(), doing); }

  bool prepare() {
    put_service =
        Statement(database.get(), "INSERT OR REPLACE INTO service VALUES (?,?,?,?,?,?,?,?)");
    forget_service = Statement(database.get(),
                               "DELETE FROM service WHERE project=? AND service=? AND replica=?");
    put_intent =
        Statement(database.get(), "INSERT OR REPLACE INTO intent VALUES (?,?,?,?,?,?,?,?)");
    forget_intent = Statement(database.get(), "DELETE FROM intent WHERE op=?");
    return put_service && forget_service && put_intent && forget_intent;
  }

  bool put(const core::ServiceRecord& record) {
    const auto budget = join(record.budget_left);
    return put_service.bind(1, record.key.project)
        .bind(2, record.key.service)
        .bind(3, std::int64_t{record.key.replica})
        .bind(4, budget)
        .bind(5, std::int64_t{record.quarantined})
        .bind(6, record.trial_in.count())
        .bind(7, record.maintenance_left.count())
        .bind(8, ++changed)
        .run();
  }

  bool put(const core::IntentRecord& record) {
    const auto container = record.container.hex();
    return put_intent.bind(1, static_cast<std::int64_t>(record.op))
        .bind(2, record.key.project)
        .bind(3, record.key.service)
        .bind(4, std::int64_t{record.key.replica})
        .bind(5, container)
        .bind(6, record.started_at)
        .bind(7, to_string(record.rung))
        .bind(8, std::int64_t{record.trial})
        .run();
  }

  bool apply(const StoreBatch& batch) {
    if (batch.prove &&
        !execute(database.get(),
                 "UPDATE counter SET value = value + 1 WHERE name = 'full_writes'")) {
      return false;
    }
    if (batch.replace && !execute(database.get(), "DELETE FROM service; DELETE FROM intent;"))
      return false;
    if (!std::ranges::all_of(batch.services, [this](const auto& record) { return put(record); }))
      return false;
    if (!std::ranges::all_of(batch.forgotten_services, [this](const auto& key) {
          return forget_service.bind(1, key.project)
              .bind(2, key.service)
              .bind(3, std::int64_t{key.replica})
              .run();
        })) {
      return false;
    }
    if (!std::ranges::all_of(batch.intents, [this](const auto& record) { return put(record); }))
      return false;
    return std::ranges::all_of(batch.forgotten_intents, [this](core::OperationId op) {
      return forget_intent.bind(1, static_cast<std::int64_t>(op)).run();
    });
  }
};

StoreFile::StoreFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StoreFile::~StoreFile() = default;
StoreFile::StoreFile(StoreFile&&) noexcept = default;
StoreFile& StoreFile::operator=(StoreFile&&) noexcept = default;

std::expected<StoreFile, StoreFault> StoreFile::open(const std::string& path) {
  configure_library();
  sqlite3* raw = nullptr;
  const int flags =
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int opened = sqlite3_open_v2(path.c_str(), &raw, flags, nullptr);
  auto impl = std::make_unique<Impl>();
  impl->database.reset(raw);
  if (opened != SQLITE_OK) {
    return std::unexpected(StoreFault{StoreFault::Kind::unavailable,
                                      raw == nullptr ? "out of memory" : sqlite3_errmsg(raw)});
  }
  sqlite3_busy_timeout(raw, lock_wait_ms);
  // The exclusive lock comes first: WAL then needs no shared memory, and a second monitor on this
  // file is told so.
  if (!execute(raw,
               "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; "
               "PRAGMA cache_size=-128;"
               "PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY; PRAGMA wal_autocheckpoint=64;"
               "PRAGMA journal_size_limit=1048576; PRAGMA trusted_schema=OFF; PRAGMA "
               "cell_size_check=ON")) {
    return std::unexpected(impl->fault("opening"));
  }
  {
    Statement check(raw, "PRAGMA quick_check(1)");
    if (!check || check.step() != SQLITE_ROW) return std::unexpected(impl->fault("checking"));
    if (const auto verdict = check.text(0); verdict != "ok") {
      return std::unexpected(StoreFault{StoreFault::Kind::corrupt, "checking: " + verdict});
    }
  }
  if (auto migrated = migrate(raw); !migrated) return std::unexpected(migrated.error());
  if (!impl->prepare()) {
    // The schema says it is ours and is not: damaged or tampered with.
    return std::unexpected(StoreFault{StoreFault::Kind::corrupt, impl->fault("preparing").text});
  }
  return StoreFile(std::move(impl));
}

std::expected<StoreContents, StoreFault> StoreFile::load(std::size_t max_services,
                                                         std::size_t max_intents) {
  StoreContents contents;
  auto* const database = impl_->database.get();
  // The newest rows when there are too many, then in order of change.
  Statement services(
      database,
      "SELECT * FROM (SELECT project, service, replica, budget_left, quarantined, trial_in, "
      "maintenance_left, changed FROM service ORDER BY changed DESC LIMIT ?) ORDER BY changed");
  if (!services) return std::unexpected(impl_->fault("reading services"));
  services.bind(1, static_cast<std::int64_t>(max_services));
  const auto narrow = [](std::int64_t replica) {
    return replica < 0 || replica > max_replica ? max_replica + 1 : static_cast<unsigned>(replica);
  };
  int result = SQLITE_DONE;
  while ((result = services.step()) == SQLITE_ROW) {
    impl_->changed = std::max(impl_->changed, services.integer(7));
    auto budget = split(services.text(3));
    core::ServiceRecord record{.key = {.project = services.text(0),
                                       .service = services.text(1),
                                       .replica = narrow(services.integer(2))},
                               .budget_left = budget.value_or(std::vector<core::Duration>{}),
                               .quarantined = services.integer(4) == 1,
                               .trial_in = core::Duration{services.integer(5)},
                               .maintenance_left = core::Duration{services.integer(6)}};
    if (budget && storable(record) && (services.integer(4) == 0 || services.integer(4) == 1)) {
      contents.rows.services.push_back(std::move(record));
    } else {
      ++contents.impossible;
    }
  }
  if (result != SQLITE_DONE) return std::unexpected(impl_->fault("reading services"));

  Statement intents(database,
                    "SELECT op, project, service, replica, container, started_at, rung, trial FROM "
                    "intent ORDER BY op LIMIT ?");
  if (!intents) return std::unexpected(impl_->fault("reading intents"));
  intents.bind(1, static_cast<std::int64_t>(max_intents));
  while ((result = intents.step()) == SQLITE_ROW) {
    const auto container = core::ContainerId::parse(intents.text(4));
    const auto rung = rung_of(intents.text(6));
    const auto op = intents.integer(0);
    core::IntentRecord record{.op = static_cast<core::OperationId>(std::max<std::int64_t>(op, 0)),
                              .key = {.project = intents.text(1),
                                      .service = intents.text(2),
                                      .replica = narrow(intents.integer(3))},
                              .container = container.value_or(core::ContainerId{}),
                              .started_at = intents.integer(5),
                              .rung = rung.value_or(core::Rung::restart),
                              .trial = intents.integer(7) == 1};
    if (op >= 0 && container && rung && storable(record)) {
      contents.rows.intents.push_back(std::move(record));
    } else {
      ++contents.impossible;
    }
  }
  if (result != SQLITE_DONE) return std::unexpected(impl_->fault("reading intents"));
  return contents;
}

std::expected<void, StoreFault> StoreFile::write(const StoreBatch& batch) {
  auto* const database = impl_->database.get();
  const auto failed = [&](std::string_view doing) {
    auto fault = impl_->fault(doing);
    execute(database, "ROLLBACK");
    return std::unexpected(std::move(fault));
  };
  if (!execute(database, "BEGIN IMMEDIATE")) return failed("beginning");
  if (!impl_->apply(batch)) return failed("writing");
  if (!execute(database, "COMMIT")) return failed("committing");
  return {};
}

std::expected<std::string, std::string> move_corrupt_aside(const std::string& path) {
  namespace fs = std::filesystem;
  const auto second = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  const auto target = std::format("{}.corrupt-{:%Y%m%dT%H%M%S}Z", path, second);
  std::error_code error;
  fs::rename(path, target, error);
  if (error) return std::unexpected(std::format("cannot rename {}: {}", path, error.message()));
  // A log left behind would be replayed into the new file.
  std::error_code ignored;
  fs::rename(path + "-wal", target + "-wal", ignored);
  fs::remove(path + "-wal", ignored);
  fs::remove(path + "-shm", ignored);

  const fs::path whole{path};
  const auto prefix = whole.filename().string() + ".corrupt-";
  std::vector<std::string> names;
  for (fs::directory_iterator entry(whole.parent_path().empty() ? "." : whole.parent_path(), error),
       end;
       !error && entry != end; entry.increment(error)) {
    auto name = entry->path().filename().string();
    if (name.starts_with(prefix) && !name.ends_with("-wal")) names.push_back(std::move(name));
  }
  std::ranges::sort(names, std::greater{});
  for (std::size_t i = corrupt_files_kept; i < names.size(); ++i) {
    fs::remove(whole.parent_path() / names[i], ignored);
    fs::remove(whole.parent_path() / (names[i] + "-wal"), ignored);
  }
  return target;
}

}  // namespace sentinel::io
