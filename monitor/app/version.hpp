#pragma once

#include <string_view>

namespace sentinel::app {

/// Of the project, "0.1.0".
std::string_view version();
/// Of the source, as the build was told; empty: unknown.
std::string_view revision();

}  // namespace sentinel::app
