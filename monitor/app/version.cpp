#include "app/version.hpp"

namespace sentinel::app {

// The only file that a new revision compiles again.
std::string_view version() { return SENTINEL_VERSION; }

std::string_view revision() { return SENTINEL_REVISION; }

}  // namespace sentinel::app
