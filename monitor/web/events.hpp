#pragma once

// The stream of /api/v1/events: what is sent to all that listen, and the text of it. A client
// begins with a snapshot and what it missed, then gets each change once, in order.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/http_server.hpp"

namespace sentinel::web {

/// `event: KIND`, `id: ID`, `data: LINE`; `line` has no line feed.
std::string event_text(std::string_view kind, std::uint64_t id, std::string_view line);

class Events {
 public:
  /// `first` is sent at once.
  void attach(io::HttpStream stream, std::shared_ptr<const std::string> first);
  /// Those that listen; ones that went away are noticed by the next event.
  std::size_t size() const { return streams_.size(); }
  bool any() const { return !streams_.empty(); }

  /// Kept back until flush(): changes that belong together are one write to each client.
  void add(std::string_view kind, std::uint64_t id, std::string_view line);
  void flush();

 private:
  std::vector<io::HttpStream> streams_;
  std::string pending_;
};

}  // namespace sentinel::web
