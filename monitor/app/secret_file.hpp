#pragma once

#include <cstddef>
#include <expected>
#include <string>

namespace sentinel::app {

// An error never holds what was read.

/// The first line of a file of at most 4 KiB, 16 characters at least.
std::expected<std::string, std::string> read_secret_file(const std::string& path);

/// A file's content without the line feed at its end, 1 to `max_bytes` bytes.
std::expected<std::string, std::string> read_value_file(const std::string& path,
                                                        std::size_t max_bytes);

}  // namespace sentinel::app
