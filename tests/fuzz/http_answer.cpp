// An answer to an HTTP probe and what is asked of it: the first byte chooses the question, the
// second where the answer is cut. However it arrives, the verdict is the same.

#include <string>

#include "fuzz.hpp"
#include "io/http_probe_answer.hpp"

using namespace sentinel;

namespace {

constexpr std::size_t header_limit = 4096;
constexpr std::size_t body_limit = 4096;

core::HttpOptions options_of(unsigned choice) {
  core::HttpOptions options;
  if ((choice & 1U) != 0) options.body_contains = "needle";
  if ((choice & 2U) != 0) options.body_regex = "(a*)*b|[^x]{3,9}$";
  if ((choice & 4U) != 0) {
    using Op = core::JsonCheck::Op;
    options.json = {{.pointer = "/a/0/b~1c", .op = Op::equal, .value = "1"},
                    {.pointer = "", .op = Op::exists, .value = {}},
                    {.pointer = "/n", .op = Op::at_least, .value = "-0.5"}};
  }
  if ((choice & 8U) != 0) options.status = {{.from = 100, .to = 599}};
  if ((choice & 16U) != 0) options.max_redirects = 3;
  return options;
}

struct Found {
  io::ProbeVerdict verdict;
  unsigned status = 0;
  std::string redirect;
  std::size_t taken = 0;
};

Found read(const core::HttpOptions& options, bool head, std::string_view text, std::size_t step) {
  static io::Regexes regexes;
  static io::ProbeAnswer answer(header_limit, body_limit, regexes);
  answer.reset(options, head);
  Found found;
  bool done = false;
  while (!text.empty() && !done) {
    const auto part = text.substr(0, step);
    text.remove_prefix(part.size());
    found.taken += part.size();
    done = answer.feed(part) == io::ProbeAnswer::Progress::done;
  }
  if (!done) answer.end();
  found.verdict = answer.judge();
  found.status = answer.status();
  found.redirect = answer.redirect();
  return found;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const auto options = options_of(data[0]);
  const bool head = (data[0] & 32U) != 0;
  const auto text = fuzz::view(data + 2, size - 2);
  const std::size_t step = 1 + data[1] % 64U;
  const auto one = read(options, head, text, 1);
  const auto cut = read(options, head, text, step);
  fuzz::require(one.verdict.verdict == cut.verdict.verdict &&
                    one.verdict.reason == cut.verdict.reason && one.status == cut.status &&
                    one.redirect == cut.redirect,
                "the same however it arrives");
  fuzz::require(cut.taken <= header_limit + 2 * body_limit + step + 1, "bounded bytes");
  fuzz::require(fuzz::printable(cut.verdict.sentence) && cut.verdict.sentence.size() < 1000,
                "one line");
  fuzz::require((cut.verdict.verdict == core::Verdict::pass) ==
                    (cut.verdict.reason == core::ProbeReason::none),
                "a reason unless it passes");
  fuzz::require(cut.status == 0 || (cut.status >= 100 && cut.status <= 599), "a status");
  return 0;
}
