#include "version.hpp"

// The one file that a new revision compiles anew.

namespace sentinel::demo {

std::string_view version() { return SENTINEL_VERSION; }

std::string_view revision() { return SENTINEL_REVISION; }

}  // namespace sentinel::demo
