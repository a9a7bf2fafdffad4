#pragma once

// HTTP/1.1 as a client of the Engine needs it: one request at a time, answers read piece by piece
// within a byte budget. Strict where laxness has hurt others: exactly one framing, no folded lines,
// no chunked HTTP/1.0, chunk extensions and trailers only within the budget (RFC 9112, sections 5
// to 7).

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "protocol/error.hpp"

namespace sentinel::protocol {

struct HttpLimits {
  std::size_t max_head = std::size_t{32} << 10U;  // status line and fields, and trailer fields
  std::size_t max_chunk_line = 256;               // a chunk's size and extensions
  std::uint64_t max_body = UINT64_MAX;            // decoded bytes
};

/// Reads one answer. Feed it with take() until done(); what is left in the input then does not
/// belong to this answer.
class HttpResponseReader {
 public:
  explicit HttpResponseReader(HttpLimits limits = {}) : limits_(limits) {}

  /// Forgets the last answer and keeps the memory. An answer to HEAD has no body.
  void reset(bool to_head = false);

  /// Consumes from the front of `input`; returns the next piece of the body, a view into `input`,
  /// possibly empty. Call again while input is left and the answer is not done. After an error the
  /// connection is of no use.
  std::expected<std::string_view, Error> take(std::string_view& input);

  /// The peer closed its side: true when that completes the answer.
  bool finish();

  bool head_done() const { return state_ >= State::sized_body; }
  bool done() const { return state_ == State::done; }
  /// 200..599, once head_done().
  unsigned status() const { return status_; }
  const std::string& date() const { return date_; }
  /// Of the final answer; empty when absent or longer than 256 bytes.
  const std::string& content_type() const { return content_type_; }
  /// Empty when absent or longer than 2048 bytes.
  const std::string& location() const { return location_; }
  /// Whether a Content-Length gave the body's size, and which.
  bool sized() const { return sized_; }
  std::uint64_t length() const { return length_; }
  /// The connection can carry another request, once done().
  bool keep_alive() const { return keep_alive_ && done(); }

 private:
  enum class State : std::uint8_t {
    status_line,
    fields,
    sized_body,
    body_to_end,
    chunk_size,
    chunk_data,
    chunk_end,
    trailer,
    done
  };

  std::expected<void, Error> on_line(std::string_view line);
  std::expected<void, Error> on_status_line(std::string_view line);
  std::expected<void, Error> on_field(std::string_view line);
  std::expected<void, Error> on_head_end();
  std::expected<void, Error> on_chunk_size(std::string_view line);
  std::expected<void, Error> count_body(std::uint64_t bytes);

  HttpLimits limits_;
  State state_ = State::status_line;
  std::string line_;
  std::size_t head_bytes_ = 0;
  unsigned status_ = 0;
  unsigned interim_ = 0;
  bool http_1_0_ = false;
  bool keep_alive_ = true;
  bool chunked_ = false;
  bool sized_ = false;
  std::uint64_t length_ = 0;
  std::uint64_t left_ = 0;
  std::uint64_t body_bytes_ = 0;
  std::string date_;
  std::string content_type_;
  std::string location_;
  bool to_head_ = false;
};

/// `host` goes into the Host field; a body is JSON and goes with POST only.
std::string http_request(std::string_view method, std::string_view target, std::string_view host,
                         std::string_view body = {});

}  // namespace sentinel::protocol
