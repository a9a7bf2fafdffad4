#pragma once

// The output of a command run through the Engine (Engine API reference, "Attach to a container",
// stream format): frames of eight bytes - 0, 1 or 2 for stdin, stdout, stderr, three zeros, the
// length in network order - and that many bytes.

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "protocol/error.hpp"

namespace sentinel::protocol {

class ExecStream {
 public:
  /// At most `keep` bytes of output, both streams in order of arrival, are remembered; what follows
  /// is read and dropped.
  explicit ExecStream(std::size_t keep) : keep_(keep) {}

  std::expected<void, Error> take(std::string_view bytes);
  const std::string& output() const { return output_; }
  /// The stream ended where a frame does.
  bool whole() const { return left_ == 0 && header_size_ == 0; }

 private:
  std::size_t keep_;
  std::string output_;
  std::array<unsigned char, 8> header_{};
  std::size_t header_size_ = 0;
  std::uint32_t left_ = 0;  // of the frame
};

/// The first line that says something, escaped and bounded; empty: there is none.
std::string first_line(std::string_view output, std::size_t max_bytes);

}  // namespace sentinel::protocol
