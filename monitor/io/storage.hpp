#pragma once

// What the files that must survive this process have in common: how their faults are told, when a
// disk is tried again, what becomes of a damaged file.

#include <algorithm>
#include <chrono>
#include <expected>
#include <format>
#include <string>
#include <utility>

#include "core/time.hpp"

namespace sentinel::io {

struct StoreFault {
  enum class Kind {
    unavailable,  // full, read-only, broken, locked: may get better
    corrupt,      // no database, or a damaged one
    foreign,      // a newer version's or another program's: not ours to touch
  };
  Kind kind = Kind::unavailable;
  std::string text;
};

/// A change worth telling people about. Texts are sentences; they hold paths and SQLite's messages.
struct StoreReport {
  bool durable = false;  // whether what is stored is durable from now on
  std::string text;
  bool lost = false;  // what was stored earlier is gone, wholly or in part
};

/// When a disk that failed is tried again: after 250 ms, then twice as long each time, 30 s at
/// most.
class RetryPace {
 public:
  static constexpr core::Duration first = std::chrono::milliseconds{250};
  static constexpr core::Duration last = std::chrono::seconds{30};

  core::Duration next() { return std::exchange(wait_, std::min(wait_ * 2, last)); }
  void reset() { wait_ = first; }

 private:
  core::Duration wait_ = first;
};

/// Renames a damaged file and its log to `PATH.corrupt-TIME` and keeps the three newest of those.
/// Gives the new name.
std::expected<std::string, std::string> move_corrupt_aside(const std::string& path);

/// Opens with `open(path)`; a damaged file is moved aside, told of by `report(text)`, and a new one
/// begun.
template <typename Open, typename Report>
auto open_or_replace(const std::string& path, Open open, Report report) -> decltype(open(path)) {
  auto opened = open(path);
  if (opened || opened.error().kind != StoreFault::Kind::corrupt) return opened;
  const auto aside = move_corrupt_aside(path);
  if (!aside) {
    return std::unexpected(
        StoreFault{StoreFault::Kind::corrupt, opened.error().text + "; " + aside.error()});
  }
  report(std::format("the data in {} was damaged ({}): moved to {}, beginning anew", path,
                     opened.error().text, *aside));
  return open(path);
}

}  // namespace sentinel::io
