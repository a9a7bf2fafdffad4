#pragma once

// Variables inside the values of the file.

#include <cstddef>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/error.hpp"

namespace sentinel::app {

/// Reads an environment variable; nullopt when it is not set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

inline constexpr std::size_t max_interpolated_bytes = 64 * 1024;

/// `${NAME}` is the variable's value, `${NAME:-text}` that or `text` when it is not set or empty,
/// `$$` one dollar sign; any other dollar sign stands for itself. What a variable holds is not
/// looked into again. An error names the variable, never a value.
std::expected<std::string, protocol::Error> interpolate(std::string_view text,
                                                        const Environment& environment);

}  // namespace sentinel::app
