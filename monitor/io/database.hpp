#pragma once

// SQLite as the files of this room use it: opening with checks, schema versions, faults in three
// kinds, damaged files put aside. Private to the folder: includes SQLite's header.

#include <sqlite3.h>

#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "io/storage.hpp"

namespace sentinel::io {

struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
};
struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Database = std::unique_ptr<sqlite3, CloseDatabase>;

/// The latest error of a connection.
StoreFault fault_of(sqlite3* database, std::string_view doing);

/// A prepared statement. Bound text must live until step().
class Statement {
 public:
  Statement() = default;
  /// False when it could not be prepared; the connection says why.
  Statement(sqlite3* database, std::string_view sql);

  explicit operator bool() const { return handle_ != nullptr; }

  Statement& bind(int index, std::string_view text);
  Statement& bind(int index, std::int64_t number);
  Statement& bind_null(int index);

  /// SQLITE_ROW, SQLITE_DONE or an error.
  int step() { return sqlite3_step(handle_.get()); }
  void reset();
  /// For statements without rows: runs and makes ready for the next use.
  bool run();

  std::int64_t integer(int column) const { return sqlite3_column_int64(handle_.get(), column); }
  bool null(int column) const { return sqlite3_column_type(handle_.get(), column) == SQLITE_NULL; }
  /// Lives until the next step or reset.
  std::string_view view(int column) const;
  std::string text(int column) const { return std::string(view(column)); }

 private:
  std::unique_ptr<sqlite3_stmt, FinalizeStatement> handle_;
};

bool execute(sqlite3* database, const char* sql);
/// One number of one row; none when there is no row or an error.
std::expected<std::int64_t, StoreFault> number_of(sqlite3* database, std::string_view sql);

struct DatabaseOptions {
  int application_id = 0;                   // whose file it is
  std::span<const char* const> migrations;  // one per version; never changed once released
  /// Alone: SQLite itself keeps every other connection out, and WAL needs no shared memory.
  /// Otherwise readers of this process may open it too, and the caller keeps other processes out.
  bool alone = true;
  bool check = true;  // all of it, before use; takes as long as reading the file
  bool incremental_vacuum = false;
  int cache_kib = 128;
};

/// Opens or creates a file in WAL mode, synchronous=FULL; checks it and brings its schema up to
/// date. Writes nothing when there is nothing to bring up to date. May wait 2 s for another's lock.
std::expected<Database, StoreFault> open_database(const std::string& path,
                                                  const DatabaseOptions& options);
/// A second connection to a file that is open in this process, for reading.
std::expected<Database, StoreFault> open_for_reading(const std::string& path);

/// Runs `write` in one transaction. Durable when it returns without a fault, unchanged otherwise.
template <typename Write>
std::expected<void, StoreFault> in_transaction(sqlite3* database, Write write) {
  const auto failed = [&](std::string_view doing) {
    auto fault = fault_of(database, doing);
    execute(database, "ROLLBACK");
    return std::unexpected(std::move(fault));
  };
  if (!execute(database, "BEGIN IMMEDIATE")) return failed("beginning");
  if (!write()) return failed("writing");
  if (!execute(database, "COMMIT")) return failed("committing");
  return {};
}

}  // namespace sentinel::io
