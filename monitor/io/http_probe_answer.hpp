#pragma once

// Reads and judges one answer to an HTTP probe, without sockets.
//
// A peer can make us read the header limit and twice the body limit at most, framing included, and
// what it sends beyond the body limit is not waited for. A compressed body (we never ask for one)
// is judged as it comes: nothing is ever unpacked.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "core/probe_spec.hpp"
#include "io/http_checks.hpp"
#include "protocol/http_response.hpp"

namespace sentinel::io {

/// Fed with bytes as they come; one object serves many answers, one after another.
class ProbeAnswer {
 public:
  ProbeAnswer(std::size_t header_limit, std::size_t body_limit, Regexes& regexes);

  enum class Progress {
    more,  // feed on
    done,  // enough was read to judge
  };

  /// Forgets the last answer. The options must live until the next reset.
  void reset(const core::HttpOptions& options, bool to_head = false);
  Progress feed(std::string_view bytes);
  /// The peer closed the connection.
  void end();

  /// The status of the final answer once its header is in, else 0.
  unsigned status() const;
  /// Whether the header is in and only body is missing.
  bool header_seen() const { return reader_.head_done(); }
  bool anything_seen() const { return received_ > 0; }
  /// Where a redirect leads; empty: it is none, or its status is one that is expected.
  std::string_view redirect() const;
  /// The connection can carry the next request.
  bool reusable() const { return whole_ && left_over_ == 0 && reader_.keep_alive(); }
  /// What it means; after done or end().
  ProbeVerdict judge() const;

 private:
  Progress refuse(std::string text);

  std::size_t header_limit_;
  std::size_t body_limit_;
  Regexes& regexes_;
  const core::HttpOptions* options_;
  protocol::HttpResponseReader reader_;
  std::string first_;  // bytes: is it HTTP at all?
  std::size_t received_ = 0;
  std::size_t left_over_ = 0;  // bytes behind the answer
  std::string body_;
  std::string fault_;    // not HTTP as we know it
  bool closed_ = false;  // in the middle
  bool whole_ = false;   // the body is all there
};

}  // namespace sentinel::io
