#pragma once

#include <expected>
#include <string>

namespace sentinel::app {

/// The first line of a file of at most 4 KiB, 16 characters at least. An error never holds what was
/// read.
std::expected<std::string, std::string> read_secret_file(const std::string& path);

}  // namespace sentinel::app
