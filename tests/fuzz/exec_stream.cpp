// A command's output from the Engine, cut at places the first byte chooses; any cut gives the same.

#include <string>

#include "fuzz.hpp"
#include "protocol/exec_stream.hpp"

using namespace sentinel;

namespace {

constexpr std::size_t keep = 256;

struct Outcome {
  bool failed = false;
  bool whole = false;
  std::string output;
  bool operator==(const Outcome&) const = default;
};

Outcome read(std::string_view text, std::size_t step) {
  protocol::ExecStream stream(keep);
  Outcome out;
  for (std::size_t at = 0; at < text.size() && !out.failed; at += step)
    out.failed = !stream.take(text.substr(at, step));
  out.whole = stream.whole();
  out.output = stream.output();
  return out;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const auto text = fuzz::view(data + 1, size - 1);
  const auto whole = read(text, text.size());
  const auto cut = read(text, 1 + data[0] % 16U);
  fuzz::require(whole == cut, "the same however it arrives");
  fuzz::require(whole.output.size() <= keep, "bounded");
  const auto line = protocol::first_line(whole.output, 100);
  fuzz::require(fuzz::printable(line) && line.size() <= 100, "one short line");
  return 0;
}
