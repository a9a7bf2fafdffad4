#include "web/journal.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "observe/observer.hpp"

namespace sentinel::web {

Journal::Rank Journal::rank(core::ServiceId service, const Own& own) {
  return {own.size(), ~own.back().sequence, service};
}

void Journal::forget(core::ServiceId service) {
  const auto it = entries_.find(service);
  if (it == entries_.end()) return;
  ranks_.erase(rank(service, it->second));
  size_ -= it->second.size();
  entries_.erase(it);
}

std::optional<JournalEntry> Journal::on(const core::Action& action, std::int64_t unix_ms) {
  core::ServiceId service = 0;
  const core::ServiceKey* key = nullptr;
  if (const auto* transition = std::get_if<core::Transition>(&action)) {
    service = transition->service;
    key = &transition->key;
  } else if (const auto* notice = std::get_if<core::Notice>(&action)) {
    service = notice->service;
    key = &notice->key;
    if (notice->kind == core::NoticeKind::service_removed) {
      forget(service);
      return std::nullopt;
    }
  } else {
    return std::nullopt;
  }
  auto line = observe::line_of(action);
  if (!line) return std::nullopt;
  Own& own = entries_[service];
  if (!own.empty()) ranks_.erase(rank(service, own));
  JournalEntry entry{++sequence_, unix_ms, std::move(line->event),
                     key->service.empty() ? std::string{} : key->to_string(), std::move(line->msg)};
  own.push_back(entry);
  ++size_;
  if (own.size() > per_service_) {
    own.pop_front();
    --size_;
  }
  ranks_.insert(rank(service, own));
  if (size_ <= in_all_) return entry;
  // The fullest gives up its oldest entry. The order makes that cheap when thousands of services
  // change at once.
  const core::ServiceId fullest = std::get<core::ServiceId>(*ranks_.rbegin());
  Own& most = entries_.at(fullest);
  ranks_.erase(std::prev(ranks_.end()));
  most.pop_front();
  --size_;
  if (most.empty()) {
    entries_.erase(fullest);
  } else {
    ranks_.insert(rank(fullest, most));
  }
  return entry;
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
