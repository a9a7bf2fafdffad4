#pragma once

// What must survive this process: intents of operations, and of each service its budget, quarantine
// and maintenance. SQLite (WAL, synchronous=FULL) behind a thread of its own, because an fsync can
// take seconds.
//
// perform() only notes the newest value of a row and wakes the thread, so that what waits is
// bounded by the number of services, and everything noted meanwhile becomes durable in one
// transaction. A whole copy of the (few) rows is kept: when a disk that was full or broken comes
// back, or the file had to be replaced, everything is written again.
//
//   state        left when
//   durable      a write fails -> failing
//   failing      a retry succeeds -> durable; retries begin after 250 ms and double up to 30 s.
//   Intents are answered with
//                durable=false at once.
//
// A corrupt file is moved aside to `NAME.corrupt-TIME` (the three newest are kept) and a new one
// begun. A file written by a newer version is not touched. Either, and each change of state, is
// reported once.

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/action.hpp"
#include "core/event.hpp"
#include "core/time.hpp"
#include "io/error.hpp"
#include "io/storage.hpp"

namespace boost::asio {
class io_context;
}

namespace sentinel::io {

struct StoreStats {
  bool durable = false;
  std::size_t queued = 0;  // rows noted and not yet written
  std::size_t rows = 0;    // kept in all
  std::uint64_t commits = 0;
  std::uint64_t failures = 0;    // failed writes and failed attempts to open
  core::Duration last_commit{};  // wall time of the last transaction
};

class Store {
 public:
  using Sink = std::function<void(core::IntentStored)>;  // both on the io_context's thread
  using ReportSink = std::function<void(StoreReport)>;

  static constexpr std::size_t max_services = 10'000;  // rows kept; the ones changed last win
  static constexpr std::size_t max_intents = 10'000;

  /// Opens or creates the file (its directory must exist), reads what is there and starts the
  /// thread. What is wrong with the file or disk is no error but a report and a store that is not
  /// durable; an error means there is no thread.
  static std::expected<std::unique_ptr<Store>, Error> open(boost::asio::io_context& context,
                                                           std::string path, Sink sink,
                                                           ReportSink report);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  /// What was found at open(): rows with impossible values are left out and counted in a report.
  core::Restored load() const;

  /// Answered with IntentStored, durable or not.
  void perform(const core::StoreIntent& action);
  void perform(const core::ForgetIntent& action);
  void perform(const core::StoreService& action);

  /// Writes what is noted, waits up to 1 s for that, and closes; the sinks are not called any more.
  /// Safe to call twice.
  void stop();

  StoreStats stats() const;

 private:
  class Impl;
  explicit Store(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace sentinel::io
