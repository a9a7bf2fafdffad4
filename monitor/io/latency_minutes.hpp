#pragma once

// Probe results summed up by the minute, before they are rows of the journal.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/time.hpp"
#include "io/journal_file.hpp"

namespace sentinel::io {

class LatencyMinutes {
 public:
  static constexpr std::size_t max_series = 20'000;
  static constexpr std::size_t kept = 120;  // results of a minute its p95 is taken from

  /// False when there are too many series: the result is not counted.
  bool add(std::string_view subject, std::string_view probe, core::WallTime at, bool success,
           core::Duration latency);
  /// Those of minutes before the one of `now`; all with `all`.
  std::vector<LatencyRow> take(core::WallTime now, bool all);
  std::size_t size() const { return series_.size(); }

 private:
  struct Minute {
    std::int64_t number = 0;
    std::uint32_t count = 0;
    std::uint32_t failures = 0;
    std::int64_t sum = 0;
    std::int64_t min = 0;
    std::int64_t max = 0;
    std::vector<std::uint32_t> results;  // microseconds; evenly spread when there were more
    std::uint32_t stride = 1;            // one of so many is kept
  };
  struct Key {
    std::string subject;
    std::string probe;
    bool operator==(const Key&) const = default;
  };
  struct View {
    std::string_view subject;
    std::string_view probe;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(const Key& key) const { return (*this)(View{key.subject, key.probe}); }
    std::size_t operator()(const View& key) const {
      const std::hash<std::string_view> hash;
      return hash(key.subject) * 31 + hash(key.probe);
    }
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const Key& a, const Key& b) const { return a == b; }
    bool operator()(const View& a, const Key& b) const {
      return a.subject == b.subject && a.probe == b.probe;
    }
    bool operator()(const Key& a, const View& b) const { return (*this)(b, a); }
  };
  static LatencyRow row(const Key& key, Minute& minute);

  std::unordered_map<Key, Minute, Hash, Equal> series_;
  std::vector<LatencyRow> over_;  // minutes that ended, not taken yet
};

}  // namespace sentinel::io
