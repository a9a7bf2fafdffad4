#include "io/journal_queries.hpp"

#include <utility>

namespace sentinel::io {

bool JournalQueries::add(std::uint64_t noted, Ask ask) {
  const std::lock_guard lock(mutex_);
  if (stopping_ || waiting_.size() >= JournalBounds::queries) return false;
  waiting_.push_back({noted, std::move(ask)});
  asked_.notify_one();
  return true;
}

void JournalQueries::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    asked_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (stopping_) break;
    auto query = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    settle_(query.noted);
    {
      const std::lock_guard own(reader_mutex_);
      query.ask(reader_);
    }
    query.ask = nullptr;
    lock.lock();
  }
  waiting_.clear();
  lock.unlock();
  close_file();
}

void JournalQueries::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  asked_.notify_all();
}

void JournalQueries::close_file() {
  const std::lock_guard own(reader_mutex_);
  reader_.close();
}

}  // namespace sentinel::io
