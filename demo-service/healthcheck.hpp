#pragma once

#include "address.hpp"

#include <chrono>
#include <string>

namespace sentinel::demo {

/// What a health check found. The line is what the Engine keeps as the check's output: printable,
/// one line, at most 500 characters.
struct HealthResult {
  bool healthy = false;
  std::string line;
};

/// Asks once over HTTP; connecting, asking and the whole answer have `timeout` together. Healthy
/// means a 2xx whose body, where it is JSON with a `status`, does not say "fail". At most 8 KiB
/// of header and 64 KiB of body are read; redirects are not followed.
[[nodiscard]] HealthResult check_health(const HealthUrl& url, std::chrono::milliseconds timeout);

}  // namespace sentinel::demo
