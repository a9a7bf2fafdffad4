#pragma once
#include <cstdint>
#include <expected>
#include <memory>
#include <vector>
#include "core/nat.hpp"
#include "io/error.hpp"
namespace sentinel::io {
class Conntrack {
 public:
  static std::expected<std::unique_ptr<Conntrack>, Error> open() { return std::make_unique<Conntrack>(); }
  std::expected<std::uint64_t, Error> flush(const core::MarkBlock&) { return 0; }
  std::expected<std::vector<std::uint64_t>, Error> count(const std::vector<core::MarkBlock>& blocks) { return std::vector<std::uint64_t>(blocks.size()); }
};
}  // namespace sentinel::io
