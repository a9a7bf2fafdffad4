// GET /containers/json, and the versions and error bodies around it.

#include "fuzz.hpp"
#include "protocol/engine_json.hpp"

using namespace sentinel;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::view(data, size);
  if (const auto rows = protocol::parse_list(text)) {
    // A row takes at least its id, so the answer bounds what we keep.
    fuzz::require(rows->size() <= size / 64, "a row for every id");
  } else {
    fuzz::require(fuzz::printable(rows.error().message), "printable error");
  }
  if (const auto version = protocol::parse_version(text)) {
    fuzz::require(fuzz::printable(version->engine), "printable version");
    if (const auto api = protocol::negotiate(*version)) {
      fuzz::require(*api >= protocol::lowest_api && *api <= protocol::highest_api,
                    "a version we speak");
      fuzz::require(*api >= version->lowest && *api <= version->highest, "a version it speaks");
    }
  }
  const auto message = protocol::error_message(text);
  fuzz::require(fuzz::printable(message) && message.size() <= 300, "bounded printable message");
  return 0;
}
