// An HTTP answer, cut at places the first byte chooses; any cut gives the same.

#include <algorithm>
#include <string>

#include "fuzz.hpp"
#include "protocol/http_response.hpp"

using namespace sentinel;

namespace {

struct Outcome {
  bool failed = false;
  bool done = false;
  unsigned status = 0;
  bool keep_alive = false;
  std::string body;
  bool operator==(const Outcome&) const = default;
};

constexpr protocol::HttpLimits limits{.max_head = 4096, .max_chunk_line = 64, .max_body = 4096};

Outcome read(std::string_view text, std::size_t step) {
  protocol::HttpResponseReader reader(limits);
  Outcome out;
  while (!text.empty() && !reader.done()) {
    std::string_view part = text.substr(0, step);
    const std::size_t offered = part.size();
    while (!part.empty() && !reader.done()) {
      const std::size_t before = part.size();
      const auto piece = reader.take(part);
      if (!piece) {
        Outcome refused;
        refused.failed = true;
        return refused;
      }
      fuzz::require(part.size() < before || reader.done(), "progress");
      out.body += *piece;
    }
    text.remove_prefix(offered - part.size());
  }
  reader.finish();
  out.done = reader.done();
  if (reader.head_done()) out.status = reader.status();
  out.keep_alive = reader.keep_alive();
  return out;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view text = fuzz::view(data + 1, size - 1);
  const Outcome whole = read(text, text.size());
  const Outcome cut = read(text, 1 + data[0] % 32U);
  fuzz::require(whole == cut, "the same however it arrives");
  fuzz::require(whole.body.size() <= limits.max_body, "bounded body");
  fuzz::require(whole.failed || whole.status == 0 || (whole.status >= 200 && whole.status <= 599),
                "a final status");
  return 0;
}
