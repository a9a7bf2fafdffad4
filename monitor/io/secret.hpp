#pragma once

#include <string>
#include <utility>

namespace sentinel::io {

/// Text that must not be seen: it has no formatter and no stream operator, and converts to nothing.
/// Whoever calls reveal() hands it to a peer, and to nobody else.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string text) : text_(std::move(text)) {}

  const std::string& reveal() const { return text_; }
  bool empty() const { return text_.empty(); }
  bool operator==(const Secret&) const = default;

 private:
  std::string text_;
};

}  // namespace sentinel::io
