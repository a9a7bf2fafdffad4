#include "io/engine_queue.hpp"

namespace sentinel::io {

bool InspectQueue::push(const core::ContainerId& id, std::uint64_t token) {
  const auto known = latest_.find(id);
  if (known != latest_.end() && known->second->tokens.size() < tokens_per_answer) {
    known->second->tokens.push_back(token);
    return true;
  }
  if (waiting_.size() >= limit_) return false;
  waiting_.push_back({id, {token}});
  latest_[id] = &waiting_.back();
  return true;
}

std::optional<WaitingInspect> InspectQueue::pop() {
  if (waiting_.empty()) return std::nullopt;
  // A second entry of the same container exists when the first had its fill of tokens.
  const auto known = latest_.find(waiting_.front().id);
  if (known != latest_.end() && known->second == &waiting_.front()) latest_.erase(known);
  WaitingInspect next = std::move(waiting_.front());
  waiting_.pop_front();
  return next;
}

std::vector<EngineStats::Requests> RequestCounters::all() const {
  auto counts = counts_;
  for (const std::string_view quick : {"version", "ping", "events", "list", "inspect"}) {
    counts.try_emplace({quick, 200});
  }
  for (const std::string_view step : {"restart", "kill", "start", "stop"}) {
    counts.try_emplace({step, 204});
  }
  std::vector<EngineStats::Requests> requests;
  for (const auto& [key, count] : counts) {
    std::string code = std::to_string(key.second);
    if (key.second == code_error) code = "error";
    if (key.second == code_timeout) code = "timeout";
    requests.push_back({key.first, std::move(code), count});
  }
  return requests;
}

}  // namespace sentinel::io
