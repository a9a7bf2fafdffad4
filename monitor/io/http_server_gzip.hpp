#pragma once

// gzip in small steps, so that compressing a megabyte of metrics never holds up the loop.

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace sentinel::io {

class GzipCompressor {
 public:
  /// `input` must stay alive until done.
  explicit GzipCompressor(std::string_view input);
  ~GzipCompressor();
  GzipCompressor(const GzipCompressor&) = delete;
  GzipCompressor& operator=(const GzipCompressor&) = delete;

  enum class Progress { more, done, failed };
  /// Compresses the next 64 KiB of input: well under a millisecond.
  Progress step();
  /// The result, when done.
  std::string take();

 private:
  struct Stream;
  std::unique_ptr<Stream> stream_;
  std::string_view input_;
  std::string output_;
};

}  // namespace sentinel::io
