#include "web/journal.hpp"

#include <algorithm>

#include "observe/observer.hpp"

namespace sentinel::web {

void Journal::on(const core::Action& action, std::int64_t unix_ms) {
  core::ServiceId service = 0;
  const core::ServiceKey* key = nullptr;
  if (const auto* transition = std::get_if<core::Transition>(&action)) {
    service = transition->service;
    key = &transition->key;
  } else if (const auto* notice = std::get_if<core::Notice>(&action)) {
    service = notice->service;
    key = &notice->key;
    if (notice->kind == core::NoticeKind::service_removed) {
      if (const auto it = entries_.find(service); it != entries_.end()) {
        size_ -= it->second.size();
        entries_.erase(it);
      }
      return;
    }
  } else {
    return;
  }
  auto line = observe::line_of(action);
  if (!line) return;
  std::deque<JournalEntry>& own = entries_[service];
  own.push_back({++sequence_, unix_ms, std::move(line->event),
                 key->service.empty() ? std::string{} : key->to_string(), std::move(line->msg)});
  ++size_;
  if (own.size() > per_service_) {
    own.pop_front();
    --size_;
  }
  if (size_ > in_all_) {
    // Rare: so many services that a linear search is cheap beside what they cost otherwise. Of
    // equals the one that was quiet for the longest time gives up an entry.
    const auto fullest = std::ranges::max_element(entries_, {}, [](const auto& e) {
      return std::pair{e.second.size(), ~e.second.back().sequence};
    });
    fullest->second.pop_front();
    --size_;
    if (fullest->second.empty()) entries_.erase(fullest);
  }
}

std::vector<JournalEntry> Journal::of(core::ServiceId service) const {
  const auto it = entries_.find(service);
  if (it == entries_.end()) return {};
  return {it->second.begin(), it->second.end()};
}

std::vector<JournalEntry> Journal::newest(std::size_t limit) const {
  std::vector<JournalEntry> all;
  all.reserve(size_);
  for (const auto& [service, own] : entries_) all.insert(all.end(), own.begin(), own.end());
  std::ranges::sort(all, {}, &JournalEntry::sequence);
  if (all.size() > limit) all.erase(all.begin(), all.end() - static_cast<std::ptrdiff_t>(limit));
  return all;
}

}  // namespace sentinel::web
