#include "core/storm.hpp"

#include <algorithm>

namespace sentinel::core {

std::optional<std::size_t> Storm::add(ServiceId service, std::size_t watched, const Config& config,
                                      Time now) {
  if (until_ || config.storm_hold <= Duration{}) return std::nullopt;
  while (!recent_.empty() && now - recent_.front().first > config.storm_window) recent_.pop_front();
  std::erase_if(recent_, [&](const auto& entry) { return entry.second == service; });
  recent_.emplace_back(now, service);
  const auto count = recent_.size();
  if (count < config.storm_min ||
      static_cast<double>(count) <= config.storm_fraction * static_cast<double>(watched)) {
    return std::nullopt;
  }
  until_ = after(now, config.storm_hold);
  recent_.clear();
  return count;
}

bool Storm::settle(Time now) {
  if (!until_ || now < *until_) return false;
  until_.reset();
  return true;
}

}  // namespace sentinel::core
