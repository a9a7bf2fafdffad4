#pragma once

#include <string_view>

namespace sentinel::demo {

/// The project's version, such as "0.1.0".
[[nodiscard]] std::string_view version();

/// The source revision this was built from; empty when the build did not say.
[[nodiscard]] std::string_view revision();

}  // namespace sentinel::demo
