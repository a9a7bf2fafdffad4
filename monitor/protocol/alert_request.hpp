#pragma once

// What is asked of a receiver over HTTP, and what every channel is told besides the message.

#include <string>
#include <utility>
#include <vector>

#include "core/alert_model.hpp"

namespace sentinel::protocol {

/// A request without its receiver's URL, credentials and signature. Header values hold visible
/// ASCII and spaces only.
struct AlertRequest {
  std::string path;  // appended to the URL's; empty: nothing
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
};

/// At most so many bytes leave us in one request.
inline constexpr std::size_t max_alert_body = std::size_t{512} * 1024;

}  // namespace sentinel::protocol
