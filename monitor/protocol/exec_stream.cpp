#include "protocol/exec_stream.hpp"

#include <algorithm>

#include "protocol/escape.hpp"

namespace sentinel::protocol {

std::expected<void, Error> ExecStream::take(std::string_view bytes) {
  while (!bytes.empty()) {
    if (left_ > 0) {
      const auto size = std::min<std::size_t>(left_, bytes.size());
      output_ += bytes.substr(0, std::min(size, keep_ - output_.size()));
      left_ -= static_cast<std::uint32_t>(size);
      bytes.remove_prefix(size);
      continue;
    }
    header_.at(header_size_++) = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    if (header_size_ < header_.size()) continue;
    header_size_ = 0;
    if (header_[0] > 2 || header_[1] != 0 || header_[2] != 0 || header_[3] != 0)
      return std::unexpected(Error{"the Engine's output of the command is malformed"});
    for (std::size_t i = 4; i < header_.size(); ++i) left_ = left_ << 8U | header_[i];
  }
  return {};
}

std::string first_line(std::string_view output, std::size_t max_bytes) {
  while (!output.empty()) {
    const auto end = std::min(output.find('\n'), output.size());
    if (auto line = one_line(output.substr(0, end), max_bytes); !line.empty()) return line;
    output.remove_prefix(std::min(end + 1, output.size()));
  }
  return {};
}

}  // namespace sentinel::protocol
