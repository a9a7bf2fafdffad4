#pragma once

// What is noted for the journal and not written yet: the newest value of each incident, delivery
// and silence, and a queue of history. Bounded; has no lock of its own. Private to the folder.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/alert_core.hpp"
#include "io/journal_file.hpp"
#include "io/latency_minutes.hpp"

namespace sentinel::io {

class JournalQueue {
 public:
  /// False when there is no room: what was noted is not complete any more (see `start_anew`).
  bool note(core::StoreIncident action);
  bool note(core::StoreDelivery action);
  bool note(const core::ForgetDelivery& action);
  bool note(core::StoreSilence action);
  bool note(const core::ForgetSilence& action);
  void note(HistoryEntry entry);
  void note(std::string_view subject, std::string_view probe, core::WallTime at, bool success,
            core::Duration latency);

  /// Deliveries and silences are going to be told anew: what is noted of them is dropped.
  void drop_alerts();
  /// Everything that is true now takes their place.
  void start_anew(core::AlertsRestored everything);

  /// All of it, with the minutes that are over at `now` (`all`: every minute).
  JournalBatch take(core::WallTime now, bool all);
  /// What a batch held that was not written: kept unless something newer was noted meanwhile.
  /// Alerts are left out: they are told anew.
  void put_back(JournalBatch batch);

  bool urgent() const { return !incidents_.empty() || !deliveries_.empty() || !silences_.empty(); }
  bool empty() const { return !urgent() && history_.empty(); }
  std::size_t size() const {
    return incidents_.size() + deliveries_.size() + silences_.size() + history_.size();
  }
  std::uint64_t lost() const { return lost_; }

 private:
  template <typename Key, typename Value, typename Given>
  static bool put(std::map<Key, Value>& into, const Key& key, Given value);
  void shorten_history();

  std::map<std::string, core::Incident> incidents_;
  std::map<std::uint64_t, std::optional<core::Delivery>> deliveries_;  // none: forgotten
  std::map<std::string, std::optional<core::Silence>> silences_;
  std::deque<HistoryEntry> history_;
  std::size_t history_bytes_ = 0;
  LatencyMinutes minutes_;
  std::uint64_t lost_ = 0;
};

}  // namespace sentinel::io
