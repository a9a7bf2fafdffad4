#pragma once

// What the API is told of services, from a list that a test may change.

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

#include "web/sources.hpp"

namespace sentinel::test {

/// `services` outlives it.
inline web::ApiSource source_of(const std::vector<core::ServiceView>& services) {
  web::ApiSource source;
  source.services = [&services] { return services; };
  source.find = [&services](std::string_view name) {
    std::vector<core::ServiceView> found;
    for (const auto& view : services)
      if (view.key.to_string() == name || view.name == name) found.push_back(view);
    return found;
  };
  source.service = [&services](core::ServiceId id) {
    const auto found = std::ranges::find(services, id, &core::ServiceView::id);
    return found == services.end() ? std::nullopt : std::optional(*found);
  };
  return source;
}

}  // namespace sentinel::test
