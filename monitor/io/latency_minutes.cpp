#include "io/latency_minutes.hpp"

#include <algorithm>
#include <utility>

namespace sentinel::io {

namespace {

std::int64_t minute_of(core::WallTime at) {
  return std::chrono::floor<std::chrono::minutes>(at.time_since_epoch()).count();
}

}  // namespace

bool LatencyMinutes::add(std::string_view subject, std::string_view probe, core::WallTime at,
                         bool success, core::Duration latency) {
  auto found = series_.find(View{subject, probe});
  if (found == series_.end()) {
    if (series_.size() >= max_series) return false;
    found = series_.emplace(Key{std::string(subject), std::string(probe)}, Minute{}).first;
  }
  auto& minute = found->second;
  const auto number = minute_of(at);
  if (minute.count != 0 && minute.number != number) {
    if (over_.size() >= max_series) return false;
    over_.push_back(row(found->first, minute));
  }
  const auto us = std::clamp<std::int64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(latency).count(), 0, UINT32_MAX);
  minute.number = number;
  minute.min = minute.count == 0 ? us : std::min(minute.min, us);
  minute.max = std::max(minute.max, us);
  minute.sum += us;
  if (!success) ++minute.failures;
  if (minute.count++ % minute.stride == 0) {
    if (minute.results.size() == kept) {
      // Every second one is enough from here on.
      for (std::size_t i = 0; i < kept / 2; ++i) minute.results[i] = minute.results[2 * i];
      minute.results.resize(kept / 2);
      minute.stride *= 2;
    }
    minute.results.push_back(static_cast<std::uint32_t>(us));
  }
  return true;
}

LatencyRow LatencyMinutes::row(const Key& key, Minute& minute) {
  auto& results = minute.results;
  std::ranges::sort(results);
  // Nearest rank: the smallest that at least 95 of 100 do not exceed.
  const auto rank = (results.size() * 95 + 99) / 100;
  LatencyRow out{.subject = key.subject,
                 .probe = key.probe,
                 .point = {.begins = core::WallTime{std::chrono::minutes{minute.number}},
                           .count = minute.count,
                           .failures = minute.failures,
                           .min = std::chrono::microseconds{minute.min},
                           .mean = std::chrono::microseconds{minute.sum / minute.count},
                           .max = std::chrono::microseconds{minute.max},
                           .p95 = std::chrono::microseconds{results[rank - 1]}}};
  results.clear();
  minute = Minute{.results = std::move(results)};
  return out;
}

std::vector<LatencyRow> LatencyMinutes::take(core::WallTime now, bool all) {
  auto out = std::exchange(over_, {});
  const auto current = minute_of(now);
  for (auto it = series_.begin(); it != series_.end();) {
    auto& minute = it->second;
    if (minute.count == 0) {
      // Quiet since the last time: the probe may be gone.
      it = series_.erase(it);
      continue;
    }
    if (all || minute.number != current) out.push_back(row(it->first, minute));
    ++it;
  }
  return out;
}

}  // namespace sentinel::io
