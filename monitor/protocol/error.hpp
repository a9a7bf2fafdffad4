#pragma once

#include <string>

namespace sentinel::protocol {

/// An expected failure. `message` is one escaped, bounded line for people, without a final full
/// stop.
struct Error {
  std::string message;
  bool operator==(const Error&) const = default;
};

}  // namespace sentinel::protocol
