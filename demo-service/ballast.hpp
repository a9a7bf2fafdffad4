#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace sentinel::demo {

/// Memory that is held for no purpose, in steps of one MiB, every page of it in use.
class Ballast {
 public:
  /// Takes `mib` more. False when the system refuses; what was taken until then stays.
  bool grow(std::size_t mib);

  /// Gives everything back to the system.
  void release();

  [[nodiscard]] std::size_t mib() const { return blocks_.size(); }

 private:
  struct Unmap {
    void operator()(void* block) const;
  };
  std::vector<std::unique_ptr<void, Unmap>> blocks_;
};

}  // namespace sentinel::demo
