#include "io/journal_queue.hpp"

#include <iterator>
#include <utility>

#include "io/journal_rows.hpp"

namespace sentinel::io {

namespace {

std::size_t bytes_of(const HistoryEntry& entry) {
  return sizeof entry + entry.event.size() + entry.subject.size() + entry.incident.size() +
         entry.text.size() + entry.from.size() + entry.to.size() + entry.fields.size();
}

}  // namespace

template <typename Key, typename Value, typename Given>
bool JournalQueue::put(std::map<Key, Value>& into, const Key& key, Given value) {
  if (into.size() >= JournalBounds::changes && !into.contains(key)) return false;
  into.insert_or_assign(key, std::move(value));
  return true;
}

bool JournalQueue::note(core::StoreIncident action) {
  auto id = action.incident.id;
  return put(incidents_, id, std::move(action.incident));
}

bool JournalQueue::note(core::StoreDelivery action) {
  const auto id = action.delivery.id;
  return id <= INT64_MAX / 2 && put(deliveries_, id, std::optional{std::move(action.delivery)});
}

bool JournalQueue::note(const core::ForgetDelivery& action) {
  return action.id > INT64_MAX / 2 || put(deliveries_, action.id, std::nullopt);
}

bool JournalQueue::note(core::StoreSilence action) {
  auto id = action.silence.id;
  return put(silences_, id, std::optional{std::move(action.silence)});
}

bool JournalQueue::note(const core::ForgetSilence& action) {
  return put(silences_, action.id, std::nullopt);
}

void JournalQueue::note(HistoryEntry entry) {
  history_bytes_ += bytes_of(entry);
  history_.push_back(std::move(entry));
  shorten_history();
}

void JournalQueue::shorten_history() {
  while (history_.size() > JournalBounds::history ||
         history_bytes_ > JournalBounds::history_bytes) {
    history_bytes_ -= bytes_of(history_.front());
    history_.pop_front();
    ++lost_;
  }
}

void JournalQueue::note(std::string_view subject, std::string_view probe, core::WallTime at,
                        bool success, core::Duration latency) {
  if (!minutes_.add(subject, probe, at, success, latency)) ++lost_;
}

void JournalQueue::drop_alerts() {
  deliveries_.clear();
  silences_.clear();
}

void JournalQueue::start_anew(core::AlertsRestored everything) {
  drop_alerts();
  // One that is noted is as new as what is told now, or ended meanwhile.
  for (auto& incident : everything.open) {
    if (!incidents_.contains(incident.id)) note(core::StoreIncident{std::move(incident)});
  }
  for (auto& delivery : everything.deliveries) note(core::StoreDelivery{std::move(delivery)});
  for (auto& silence : everything.silences) note(core::StoreSilence{std::move(silence)});
}

JournalBatch JournalQueue::take(core::WallTime now, bool all) {
  JournalBatch batch{.now = now};
  for (auto& [id, incident] : std::exchange(incidents_, {}))
    batch.incidents.push_back(std::move(incident));
  for (auto& [id, delivery] : std::exchange(deliveries_, {})) {
    if (delivery) {
      batch.deliveries.push_back(*std::move(delivery));
    } else {
      batch.forgotten_deliveries.push_back(id);
    }
  }
  for (auto& [id, silence] : std::exchange(silences_, {})) {
    if (silence) {
      batch.silences.push_back(*std::move(silence));
    } else {
      batch.forgotten_silences.push_back(id);
    }
  }
  batch.history.assign(std::move_iterator(history_.begin()), std::move_iterator(history_.end()));
  history_.clear();
  history_bytes_ = 0;
  batch.latencies = minutes_.take(now, all);
  return batch;
}

void JournalQueue::put_back(JournalBatch batch) {
  for (auto& incident : batch.incidents) {
    auto id = incident.id;
    if (!incidents_.contains(id)) put(incidents_, id, std::move(incident));
  }
  for (const auto& entry : batch.history) history_bytes_ += bytes_of(entry);
  history_.insert(history_.begin(), std::move_iterator(batch.history.begin()),
                  std::move_iterator(batch.history.end()));
  shorten_history();
  lost_ += batch.latencies.size();
}

}  // namespace sentinel::io
