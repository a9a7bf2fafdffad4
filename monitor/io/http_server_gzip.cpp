#include "io/http_server_gzip.hpp"

#define ZLIB_CONST  // input pointers are const then
#include <zlib.h>

#include <algorithm>
#include <array>
#include <utility>

namespace sentinel::io {

namespace {

constexpr std::size_t step_size = 64 * 1024;
constexpr int gzip_window_bits = 15 + 16;  // 16 asks zlib for the gzip wrapper
constexpr int memory_level = 7;            // 192 KiB while compressing
constexpr int level =
    3;  // metrics shrink to a tenth; more costs three times the CPU for a few percent

}  // namespace

struct GzipCompressor::Stream {
  z_stream z{};
  bool usable = false;
};

GzipCompressor::GzipCompressor(std::string_view input)
    : stream_(std::make_unique<Stream>()), input_(input) {
  stream_->usable = deflateInit2(&stream_->z, level, Z_DEFLATED, gzip_window_bits, memory_level,
                                 Z_DEFAULT_STRATEGY) == Z_OK;
}

GzipCompressor::~GzipCompressor() {
  if (stream_->usable) deflateEnd(&stream_->z);
}

GzipCompressor::Progress GzipCompressor::step() {
  if (!stream_->usable) return Progress::failed;
  auto& z = stream_->z;
  const auto size = std::min(step_size, input_.size());
  z.next_in = reinterpret_cast<const Bytef*>(input_.data());
  z.avail_in = static_cast<uInt>(size);
  input_.remove_prefix(size);
  const int flush = input_.empty() ? Z_FINISH : Z_NO_FLUSH;
  std::array<char, 16 * 1024> out{};
  int result = Z_OK;
  do {
    z.next_out = reinterpret_cast<Bytef*>(out.data());
    z.avail_out = static_cast<uInt>(out.size());
    result = deflate(&z, flush);
    if (result == Z_STREAM_ERROR) return Progress::failed;
    output_.append(out.data(), out.size() - z.avail_out);
  } while (z.avail_out == 0);
  if (flush != Z_FINISH) return Progress::more;
  return result == Z_STREAM_END ? Progress::done : Progress::failed;
}

std::string GzipCompressor::take() { return std::move(output_); }

}  // namespace sentinel::io
