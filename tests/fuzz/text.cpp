// The one-line sanitizer, and JSON in general.

#include <string>

#include "fuzz.hpp"
#include "protocol/escape.hpp"
#include "protocol/json.hpp"

using namespace sentinel;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::size_t most = data[0];
  const std::string_view text = fuzz::view(data + 1, size - 1);
  const std::string line = protocol::one_line(text, most);
  fuzz::require(line.size() <= most && fuzz::printable(line), "bounded and printable");
  fuzz::require(protocol::one_line(line, most) == line, "safe text stays as it is");
  fuzz::require(protocol::many_lines(text, most).size() <= most, "bounded block");
  // Valid UTF-8 is what JSON accepts inside a string.
  fuzz::require(protocol::json::parse(protocol::json::quote(line))->text() == line, "valid UTF-8");
  const auto value = protocol::json::parse(text);
  if (!value) fuzz::require(fuzz::printable(value.error().message), "printable error");
  fuzz::require(protocol::json::parse(protocol::json::quote(text)).has_value(),
                "quoted text parses");
  return 0;
}
