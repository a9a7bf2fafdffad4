#include "io/database.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <format>
#include <functional>
#include <mutex>
#include <system_error>
#include <vector>

namespace sentinel::io {

namespace {

constexpr int lock_wait_ms = 2000;
constexpr std::size_t corrupt_files_kept = 3;

void configure_library() {
  static std::once_flag once;
  std::call_once(once, [] {
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 128, 32);  // 4 KiB a connection in place of 48
  });
}

std::expected<Database, StoreFault> connect(const std::string& path, int flags) {
  configure_library();
  sqlite3* raw = nullptr;
  const int opened = sqlite3_open_v2(path.c_str(), &raw,
                                     flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  Database database(raw);
  if (opened != SQLITE_OK) {
    return std::unexpected(StoreFault{StoreFault::Kind::unavailable,
                                      raw == nullptr ? "out of memory" : sqlite3_errmsg(raw)});
  }
  sqlite3_busy_timeout(raw, lock_wait_ms);
  return database;
}

StoreFault newer(std::int64_t version, std::int64_t known) {
  return {StoreFault::Kind::foreign,
          std::format("it was written by a newer Sentinel (schema {}, this one knows {})", version,
                      known)};
}

/// The version of the schema, 0 for an empty file.
std::expected<std::int64_t, StoreFault> version_of(sqlite3* database, int application_id) {
  const auto identity = number_of(database, "PRAGMA application_id");
  if (!identity) return identity;
  const auto tables = number_of(database, "SELECT count(*) FROM sqlite_schema");
  if (!tables) return tables;
  if (*tables == 0) return 0;
  if (*identity != application_id) {
    return std::unexpected(
        StoreFault{StoreFault::Kind::foreign, "this is another program's database"});
  }
  return number_of(database, "SELECT ifnull(max(version), 0) FROM schema_version");
}

std::expected<void, StoreFault> migrate(sqlite3* database, const DatabaseOptions& options) {
  const auto known = static_cast<std::int64_t>(options.migrations.size());
  const auto found = version_of(database, options.application_id);
  if (!found) return std::unexpected(found.error());
  if (*found < 0 || *found > known) return std::unexpected(newer(*found, known));
  if (*found == known) return {};
  return in_transaction(database, [&] {
    // Asked again: another process may have been quicker.
    const auto version = version_of(database, options.application_id);
    if (!version || *version < *found ||
        !execute(database,
                 std::format("PRAGMA application_id = {}", options.application_id).c_str()) ||
        !execute(database,
                 "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL) STRICT")) {
      return false;
    }
    for (auto next = *version; next < known; ++next) {
      const auto note = std::format("INSERT INTO schema_version VALUES ({})", next + 1);
      if (!execute(database, options.migrations[static_cast<std::size_t>(next)]) ||
          !execute(database, note.c_str())) {
        return false;
      }
    }
    return true;
  });
}

}  // namespace

StoreFault fault_of(sqlite3* database, std::string_view doing) {
  const int code = sqlite3_errcode(database) & 0xFF;
  const bool corrupt = code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
  const auto* why =
      code == SQLITE_BUSY ? "another process uses the file" : sqlite3_errmsg(database);
  return {corrupt ? StoreFault::Kind::corrupt : StoreFault::Kind::unavailable,
          std::format("{}: {}", doing, why)};
}

Statement::Statement(sqlite3* database, std::string_view sql) {
  sqlite3_stmt* raw = nullptr;
  sqlite3_prepare_v3(database, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                     &raw, nullptr);
  handle_.reset(raw);
}

Statement& Statement::bind(int index, std::string_view text) {
  // A null pointer would be NULL, not an empty text.
  sqlite3_bind_text(handle_.get(), index, text.empty() ? "" : text.data(),
                    static_cast<int>(text.size()), nullptr);
  return *this;
}

Statement& Statement::bind(int index, std::int64_t number) {
  sqlite3_bind_int64(handle_.get(), index, number);
  return *this;
}

Statement& Statement::bind_null(int index) {
  sqlite3_bind_null(handle_.get(), index);
  return *this;
}

void Statement::reset() {
  sqlite3_reset(handle_.get());
  sqlite3_clear_bindings(handle_.get());
}

bool Statement::run() {
  const bool done = step() == SQLITE_DONE;
  reset();
  return done;
}

std::string_view Statement::view(int column) const {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(handle_.get(), column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column));
  return bytes == nullptr ? std::string_view{} : std::string_view(bytes, size);
}

bool execute(sqlite3* database, const char* sql) {
  return sqlite3_exec(database, sql, nullptr, nullptr, nullptr) == SQLITE_OK;
}

std::expected<std::int64_t, StoreFault> number_of(sqlite3* database, std::string_view sql) {
  Statement query(database, sql);
  if (!query || query.step() != SQLITE_ROW) return std::unexpected(fault_of(database, "reading"));
  return query.integer(0);
}

std::expected<Database, StoreFault> open_database(const std::string& path,
                                                  const DatabaseOptions& options) {
  auto connected = connect(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  if (!connected) return connected;
  auto* const raw = connected->get();
  // The exclusive lock comes first: WAL then needs no shared memory, and a second process on this
  // file is told so. How free pages are kept must be said before the first table.
  const auto settings = std::format(
      "{}{}PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-{};"
      "PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY; PRAGMA wal_autocheckpoint=64;"
      "PRAGMA journal_size_limit=1048576; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON",
      options.alone ? "PRAGMA locking_mode=EXCLUSIVE;" : "",
      options.incremental_vacuum ? "PRAGMA auto_vacuum=INCREMENTAL;" : "", options.cache_kib);
  if (!execute(raw, settings.c_str())) return std::unexpected(fault_of(raw, "opening"));
  if (options.check) {
    Statement check(raw, "PRAGMA quick_check(1)");
    if (!check || check.step() != SQLITE_ROW) return std::unexpected(fault_of(raw, "checking"));
    if (const auto verdict = check.text(0); verdict != "ok") {
      return std::unexpected(StoreFault{StoreFault::Kind::corrupt, "checking: " + verdict});
    }
  }
  if (auto migrated = migrate(raw, options); !migrated) return std::unexpected(migrated.error());
  return connected;
}

std::expected<Database, StoreFault> open_for_reading(const std::string& path) {
  auto connected = connect(path, SQLITE_OPEN_READONLY);
  if (!connected) return connected;
  if (!execute(connected->get(),
               "PRAGMA query_only=ON; PRAGMA cache_size=-256; PRAGMA mmap_size=0;"
               "PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON")) {
    return std::unexpected(fault_of(connected->get(), "opening"));
  }
  return connected;
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
