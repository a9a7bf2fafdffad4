#pragma once

// Many services failing at once have one cause that restarts rarely cure, and restarting all of
// them makes it worse.
//
//   calm --more than `fraction` and at least `min` services turned unhealthy within `window`-->
//   holding holding --`hold` has passed--> calm (what was counted is forgotten)
//
// A hold always ends: failures during it do not prolong it.

#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

#include "core/event.hpp"

namespace sentinel::core {

class Storm {
 public:
  /// A service turned unhealthy. Returns the number of services counted when this begins a hold.
  std::optional<std::size_t> add(ServiceId service, std::size_t watched, const Config& config,
                                 Time now);

  /// Returns true when a hold ends now.
  bool settle(Time now);

  bool holding() const { return until_.has_value(); }
  std::optional<Time> until() const { return until_; }

 private:
  std::deque<std::pair<Time, ServiceId>> recent_;
  std::optional<Time> until_;
};

}  // namespace sentinel::core
