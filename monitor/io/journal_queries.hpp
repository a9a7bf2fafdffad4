#pragma once

// Questions to the journal on their way to the thread that answers them: bounded, one at a time.
// Private to the folder.

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>

#include "io/journal_reader.hpp"

namespace sentinel::io {

class JournalQueries {
 public:
  using Ask = std::move_only_function<void(JournalReader&)>;
  /// Returns when so many noted things are written, or will not be. On the thread of run().
  using Settle = std::function<void(std::uint64_t noted)>;

  JournalQueries(std::string path, Settle settle)
      : reader_(std::move(path)), settle_(std::move(settle)) {}

  /// False when too many wait, or after stop().
  bool add(std::uint64_t noted, Ask ask);
  /// The thread's body; returns after stop(). What still waits then is dropped.
  void run();
  void stop();
  /// Closes the file, when the query under way is over; the next one opens it again.
  void close_file();

 private:
  struct Query {
    std::uint64_t noted = 0;
    Ask ask;
  };

  std::mutex reader_mutex_;  // before mutex_ where both are taken
  JournalReader reader_;
  const Settle settle_;
  std::mutex mutex_;
  std::condition_variable asked_;
  std::deque<Query> waiting_;
  bool stopping_ = false;
};

}  // namespace sentinel::io
