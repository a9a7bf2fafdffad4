#pragma once

// The series of services, from what the core shows and what was counted.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/core.hpp"
#include "observe/series_writer.hpp"
#include "observe/service_counts.hpp"

namespace sentinel::observe {

struct ServiceRow {
  const core::ServiceView* view = nullptr;
  const ServiceCounts* counts = nullptr;
};

void write_services(SeriesWriter& w, std::span<const ServiceRow> rows, core::Time now,
                    std::int64_t unix_ns, const Distribution& other_recovery_time);

}  // namespace sentinel::observe
