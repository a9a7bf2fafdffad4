#pragma once

// Answers to what is asked of the journal, from a connection of its own that can only read. Private
// to the folder; used by one thread at a time.

#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "io/error.hpp"
#include "io/journal_model.hpp"

namespace sentinel::io {

class JournalReader {
 public:
  explicit JournalReader(std::string path);
  ~JournalReader();
  JournalReader(const JournalReader&) = delete;
  JournalReader& operator=(const JournalReader&) = delete;

  std::expected<std::vector<HistoryEntry>, Error> history(const HistoryQuery& query);
  std::expected<IncidentPage, Error> incidents(const IncidentQuery& query);
  std::expected<std::vector<StateInterval>, Error> timeline(const TimelineQuery& query);
  std::expected<std::vector<LatencyPoint>, Error> latency(const LatencyQuery& query);
  std::expected<std::vector<Availability>, Error> availability(const std::string& subject,
                                                               core::WallTime now);
  /// The next query opens the file again.
  void close();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sentinel::io
