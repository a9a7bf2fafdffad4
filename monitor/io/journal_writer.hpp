#pragma once

// The journal's writing half: what is noted, the thread that writes it, and what becomes of both
// when the disk fails. States: journal.hpp. Private to the folder.

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/journal_file.hpp"
#include "io/journal_queue.hpp"

namespace sentinel::io {

class JournalWriter {
 public:
  /// Called from any thread, the first three with the writer's lock held: they must not call back.
  struct Outlet {
    std::function<void(StoreReport)> report;
    std::function<void(std::vector<std::uint64_t> deliveries, bool durable)> stored;
    std::function<void()> ask_everything;  // to be answered with tell()
    std::function<void()> close_readers;
    std::function<void()> ended;  // the thread has nothing left to do
  };

  JournalWriter(std::string path, JournalLimits limits, Outlet outlet);

  /// Before the thread exists.
  void open();
  /// What open() found.
  const core::AlertsRestored& restored() const { return restored_.alerts; }

  void perform(core::AlertActions actions);
  std::uint64_t append(HistoryEntry entry);
  void sample(std::string_view subject, std::string_view probe, core::WallTime at, bool success,
              core::Duration latency);
  void limit(JournalLimits limits);
  /// Everything that is true now.
  void tell(core::AlertsRestored everything);

  /// So many things were noted so far.
  std::uint64_t noted() const;
  /// Hurries the writer until so many noted things are written; waits for 1 s at most.
  void settle(std::uint64_t noted);
  std::uint64_t last_sequence() const;
  JournalStats stats() const;

  /// The thread's body; returns after stop(), when what was noted is written.
  void run();
  void stop();

 private:
  /// What the file can be trusted with.
  enum class Mode : std::uint8_t {
    durable,
    failing,
    asking,    // the file works again; the loop is asked what is true now
    regained,  // and has told it
  };
  using Lock = std::unique_lock<std::mutex>;

  // Without the lock, by whichever thread owns the file just then.
  std::optional<StoreFault> connect();
  std::optional<StoreFault> read();
  std::optional<StoreFault> close_intervals();
  std::optional<StoreFault> ready_file();

  // With the lock; those that are given it let it go while they touch the file.
  template <typename Action>
  void store(Action action);
  bool writable() const { return mode_ == Mode::durable || mode_ == Mode::regained; }
  bool history_is_due() const;
  void wait_for_work(Lock& lock, core::Time retry_at, core::Time minute_at);
  bool try_again(Lock& lock);
  bool write(Lock& lock, bool last);
  bool trim(Lock& lock);
  void begin_failing(const StoreFault& fault);
  void give_up_waiting();
  void report(std::string text, bool lost = false);

  const std::string path_;
  const Outlet outlet_;
  std::optional<JournalFile> file_;  // open()'s, then the thread's; as are these
  bool loaded_ = false;
  bool intervals_closed_ = false;
  RetryPace pace_;
  JournalContents restored_;  // changes in open() only

  mutable std::mutex mutex_;  // guards the rest
  std::condition_variable wake_;
  std::condition_variable written_;
  JournalQueue queue_;
  std::vector<std::uint64_t> waiting_;  // for their answer
  Mode mode_ = Mode::durable;
  bool hurry_ = false;       // somebody waits for what is noted
  bool incomplete_ = false;  // there was no room to note something
  std::uint64_t next_sequence_ = 1;
  std::uint64_t noted_ = 0;          // so many things were noted,
  std::uint64_t noted_written_ = 0;  // and so many of them are written or given up
  core::Time history_at_ = core::never;
  core::Time trim_at_{};
  JournalLimits limits_;
  bool stopping_ = false;
  JournalStats stats_;
};

}  // namespace sentinel::io
