// Long runs of the alert world: alert_long [--seeds N] [--from S] [--seed S] [--subjects C]
// [--storms D]. At a failure it prints the line that replays it.

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "sim/alert_world.hpp"

namespace {

[[noreturn]] void usage() {
  std::fputs("usage: alert_long [--seeds N] [--from S] [--seed S] [--subjects C] [--storms D]\n",
             stderr);
  std::exit(2);
}

template <typename Number>
Number number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) usage();
  return value;
}

}  // namespace

int main(int count, char** values) {
  std::uint64_t seeds = 1000;
  std::uint64_t from = 1;
  sentinel::sim::AlertWorldOptions options;
  for (int i = 1; i + 1 < count + 1; i += 2) {
    const std::string_view option = values[i];
    if (i + 1 == count) usage();
    const std::string_view value = values[i + 1];
    if (option == "--seeds")
      seeds = number<std::uint64_t>(value);
    else if (option == "--from")
      from = number<std::uint64_t>(value);
    else if (option == "--seed") {
      from = number<std::uint64_t>(value);
      seeds = 1;
    } else if (option == "--subjects")
      options.subjects = number<unsigned>(value);
    else if (option == "--storms")
      options.storms = number<unsigned>(value);
    else
      usage();
  }
  if (options.subjects == 0 || options.subjects > 10'000 || options.storms > 1000) usage();
  sentinel::sim::AlertOutcome sum;
  unsigned failed = 0;
  for (std::uint64_t seed = from; seed < from + seeds; ++seed) {
    options.seed = seed;
    const auto one = sentinel::sim::AlertWorld{options}.run();
    sum.events += one.events;
    sum.incidents += one.incidents;
    sum.joined += one.joined;
    sum.accepted += one.accepted;
    sum.copies += one.copies;
    sum.digests += one.digests;
    sum.suppressed += one.suppressed;
    sum.restarts += one.restarts;
    sum.dead += one.dead;
    if (one.failure.empty()) continue;
    ++failed;
    std::printf("FAILED: %s\n  replay: alert_long --seed %llu --subjects %u --storms %u\n",
                one.failure.c_str(), static_cast<unsigned long long>(seed), options.subjects,
                options.storms);
  }
  const auto n = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
  std::printf(
      "%llu worlds, %u failed; %llu events, %llu incidents, %llu joined, %llu accepted (%llu "
      "copies, %llu digests made), %llu suppressed, %llu dead letters, %llu restarts\n",
      n(seeds), failed, n(sum.events), n(sum.incidents), n(sum.joined), n(sum.accepted),
      n(sum.copies), n(sum.digests), n(sum.suppressed), n(sum.dead), n(sum.restarts));
  return failed == 0 ? 0 : 1;
}
