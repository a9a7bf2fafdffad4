#pragma once

#include <cstddef>
#include <expected>
#include <string>

namespace sentinel::app {

/// The first `most` bytes of a regular file. Anything else (a FIFO, a device, a folder) is refused
/// unread: it could block for ever or never end. An error is a phrase: "No such file or directory".
std::expected<std::string, std::string> read_regular_file(const std::string& path,
                                                          std::size_t most);

}  // namespace sentinel::app
