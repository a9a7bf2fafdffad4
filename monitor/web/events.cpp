#include "web/events.hpp"

#include <utility>

namespace sentinel::web {

std::string event_text(std::string_view kind, std::uint64_t id, std::string_view line) {
  std::string text;
  text.reserve(kind.size() + line.size() + 48);
  text.append("event: ").append(kind);
  text.append("\nid: ").append(std::to_string(id));
  text.append("\ndata: ").append(line).append("\n\n");
  return text;
}

void Events::attach(io::HttpStream stream, std::shared_ptr<const std::string> first) {
  // Who left in silence gives its place back here.
  std::erase_if(streams_, [](const io::HttpStream& other) { return !other(nullptr); });
  if (stream(std::move(first))) streams_.push_back(std::move(stream));
}

void Events::add(std::string_view kind, std::uint64_t id, std::string_view line) {
  if (!streams_.empty()) pending_ += event_text(kind, id, line);
}

void Events::flush() {
  if (pending_.empty()) return;
  const auto text = std::make_shared<const std::string>(std::exchange(pending_, {}));
  std::erase_if(streams_, [&text](const io::HttpStream& stream) { return !stream(text); });
}

}  // namespace sentinel::web
