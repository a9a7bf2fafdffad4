#pragma once

// Reads and judges one answer to a probe, without sockets.

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "core/types.hpp"

namespace sentinel::io {

struct ProbeVerdict {
  core::Verdict verdict = core::Verdict::fail;
  core::ProbeReason reason = core::ProbeReason::none;
  std::string sentence;  // escaped, one line
};

/// Fed with bytes as they come; one object serves many answers, one after another.
class ProbeAnswer {
 public:
  ProbeAnswer(std::size_t header_limit, std::size_t body_limit);
  ~ProbeAnswer();
  ProbeAnswer(const ProbeAnswer&) = delete;
  ProbeAnswer& operator=(const ProbeAnswer&) = delete;

  enum class Progress {
    more,  // feed on
    done,  // enough was read to judge
  };

  /// Forgets the last answer.
  void reset();
  Progress feed(std::string_view bytes);
  /// The peer closed the connection.
  void end();

  /// The status of the final answer once its header is in, else 0.
  unsigned status() const;
  /// Whether the header is in and only body is missing.
  bool header_seen() const;
  /// What it means; after done or end().
  ProbeVerdict judge() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sentinel::io
