#pragma once

// The store's SQLite file: schema, rows, checks. Used by one thread at a time; knows nothing of
// queues and retries.
//
// Every row is checked when read: the file may have been edited, or written by a bug. Ranges are
// those of core/types.hpp.

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/event.hpp"
#include "core/types.hpp"
#include "io/storage.hpp"

namespace sentinel::io {

/// One transaction.
struct StoreBatch {
  bool replace = false;  // the tables hold nothing but this afterwards
  bool prove = false;    // write something even when there is nothing to be written
  std::vector<core::ServiceRecord> services{};
  std::vector<core::ServiceKey> forgotten_services{};
  std::vector<core::IntentRecord> intents{};
  std::vector<core::OperationId> forgotten_intents{};
};

struct StoreContents {
  core::Restored rows;         // services: oldest transaction first
  std::size_t impossible = 0;  // rows left out
};

/// Whether a record can be stored and read back: lengths and ranges.
bool storable(const core::ServiceRecord& record);
bool storable(const core::IntentRecord& record);

class StoreFile {
 public:
  /// Opens or creates, checks, brings the schema up to date. May wait 2 s for another process's
  /// lock.
  static std::expected<StoreFile, StoreFault> open(const std::string& path);
  ~StoreFile();
  StoreFile(StoreFile&&) noexcept;
  StoreFile& operator=(StoreFile&&) noexcept;

  std::expected<StoreContents, StoreFault> load(std::size_t max_services, std::size_t max_intents);
  /// Durable when it returns without a fault; unchanged otherwise.
  std::expected<void, StoreFault> write(const StoreBatch& batch);

 private:
  struct Impl;
  explicit StoreFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sentinel::io
