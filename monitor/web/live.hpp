#pragma once

// What changes, as it does: gathered from the actions of the cores, told to all that listen to
// /api/v1/events. Nothing is kept that the cores and the journal do not hold.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/action.hpp"
#include "core/alert_core.hpp"
#include "io/http_server.hpp"
#include "web/events.hpp"
#include "web/failover_backend.hpp"
#include "web/sources.hpp"
#include "web/views.hpp"

namespace sentinel::web {

class Live {
 public:
  /// All of them outlive it; they may change.
  Live(const ApiSource& source, const AlertsBackend& alerts, const HistoryBackend& history,
       const FailoverBackend& failover)
      : source_{source}, alerts_{alerts}, history_{history}, failover_{failover} {}

  // What happened. It is sent by tell(), once for however many of these.
  void on(const core::Action& action);
  void on(const core::AlertAction& action);
  /// Of the journal on disk where there is one, else of the one in memory.
  void on(const io::HistoryEntry& entry);
  void on(const JournalEntry& entry);
  void on(const PoolChanges& changes);
  void tell();

  io::HttpResponse events(const io::HttpRequest& request);
  std::size_t listeners() const { return events_.size(); }
  std::optional<io::JournalStats> stats() const;

  ServiceLinks links(const core::ServiceKey& key);
  /// Of the service's open incident; empty: none.
  std::string incident_of(const core::ServiceKey& key) const;

 private:
  std::uint64_t sequence() const;
  std::string snapshot();
  void begin(io::HttpStream stream, std::string missed);
  std::string missed_in_memory(std::uint64_t after) const;
  void tell_services();
  void tell_alerts();
  void tell_pools();
  void note(std::uint64_t sequence, std::string line);

  const ApiSource& source_;
  const AlertsBackend& alerts_;
  const HistoryBackend& history_;
  const FailoverBackend& failover_;
  Events events_;

  std::map<core::ServiceKey, core::ServiceId> changed_;
  std::vector<core::ServiceKey> gone_;
  std::map<std::string, core::Incident> incidents_;  // that changed, by id
  bool engine_changed_ = false;
  bool receivers_changed_ = false;
  bool silences_changed_ = false;
  bool failover_changed_ = false;
  std::set<std::string> pools_;  // that changed, or are gone

  // Which services need which. Asked for anew when it may have changed and somebody wants to know.
  std::map<core::ServiceKey, std::vector<std::string>> needs_;
  bool needs_known_ = false;

  /// The newest entries of the history: while the journal is asked for what a client missed, more
  /// come.
  std::deque<std::pair<std::uint64_t, std::string>> recent_;
};

}  // namespace sentinel::web
