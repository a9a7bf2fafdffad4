// The event stream, cut at places the first byte chooses.

#include <algorithm>
#include <string>
#include <vector>

#include "fuzz.hpp"
#include "protocol/engine_events.hpp"

using namespace sentinel;

namespace {

std::vector<std::string> lines(std::string_view text, std::size_t step, std::uint64_t& overlong) {
  protocol::LineSplitter splitter(200);
  std::vector<std::string> out;
  while (!text.empty()) {
    splitter.feed(text.substr(0, step), [&out](std::string_view line) { out.emplace_back(line); });
    text.remove_prefix(std::min(step, text.size()));
  }
  overlong = splitter.overlong();
  return out;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t step = 1 + data[0] % 64U;
  const std::string_view text = fuzz::view(data + 1, size - 1);
  std::uint64_t whole_overlong = 0;
  std::uint64_t cut_overlong = 0;
  const auto whole = lines(text, text.size(), whole_overlong);
  const auto cut = lines(text, step, cut_overlong);
  // An overlong last line without its end may be known to be overlong in one way of cutting only.
  fuzz::require(whole == cut, "lines do not depend on how they arrive");
  protocol::EventFilter filter;
  for (const auto& line : whole) {
    const auto event = protocol::parse_event(line);
    if (!event) {
      fuzz::require(fuzz::printable(event.error().message), "printable error");
    } else if (*event) {
      fuzz::require((*event)->time >= 0, "no negative time");
      filter.first_time(**event);
      fuzz::require((*event)->time == 0 || !filter.first_time(**event),
                    "a repeated event is recognised");
    }
  }
  return 0;
}
