// Long simulations by hand: sim_long --seeds N --from S --containers C --days D. At a failure it
// prints the line that replays it, and the last events of the container concerned.

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <string>
#include <string_view>

#include "sim/world.hpp"

namespace {

using sentinel::sim::Outcome;
using sentinel::sim::World;
using sentinel::sim::WorldOptions;

#ifndef SENTINEL_SIM_REVISION
#define SENTINEL_SIM_REVISION "unknown"
#endif

struct Arguments {
  std::uint64_t seeds = 1000;
  std::uint64_t from = 1;
  unsigned containers = 300;
  unsigned hours = 72;
  unsigned keep_going = 0;
  bool trace = false;
  bool measure = false;
  long trace_only = -1;
};

[[noreturn]] void usage() {
  std::fputs(
      "usage: sim_long [--seeds N] [--from S] [--seed S] [--containers C] [--days D | --hours H] "
      "[--measure]\n"
      "                [--keep-going] [--trace] [--only CONTAINER]\n",
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

Arguments parse(int count, char** values) {
  Arguments a;
  for (int i = 1; i < count; ++i) {
    const std::string_view option = values[i];
    if (option == "--trace") {
      a.trace = true;
      continue;
    }
    if (option == "--measure") {
      a.measure = true;
      continue;
    }
    if (option == "--keep-going") {
      a.keep_going = 1;
      continue;
    }
    if (++i == count) usage();
    const std::string_view value = values[i];
    if (option == "--seeds")
      a.seeds = number<std::uint64_t>(value);
    else if (option == "--from")
      a.from = number<std::uint64_t>(value);
    else if (option == "--containers")
      a.containers = number<unsigned>(value);
    else if (option == "--days")
      a.hours = 24 * std::min(number<unsigned>(value), 10'000U);
    else if (option == "--hours")
      a.hours = number<unsigned>(value);
    else if (option == "--only")
      a.trace_only = number<long>(value);
    else if (option == "--seed") {
      a.from = number<std::uint64_t>(value);
      a.seeds = 1;
    } else {
      usage();
    }
  }
  if (a.containers == 0 || a.containers > 100'000 || a.hours > 365 * 24) usage();
  return a;
}

WorldOptions options_for(const Arguments& a, std::uint64_t seed) {
  WorldOptions options;
  options.seed = seed;
  options.containers = a.containers;
  options.faulty = std::chrono::hours{a.hours};
  options.measure = a.measure;
  return options;
}

void print_line(sentinel::core::Time at, const std::string& line) {
  const auto ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count();
  std::printf("  %12lld.%03lld %s\n", static_cast<long long>(ms / 1000),
              static_cast<long long>(ms % 1000), line.c_str());
}

void show_end_of(const Arguments& a, std::uint64_t seed, sentinel::sim::Index culprit) {
  std::deque<std::pair<sentinel::core::Time, std::string>> last;
  WorldOptions options = options_for(a, seed);
  options.trace_only = culprit;
  options.trace = [&](sentinel::core::Time at, const std::string& line) {
    last.emplace_back(at, line);
    if (last.size() > 80) last.pop_front();
  };
  World{options}.run();
  for (const auto& [at, line] : last) print_line(at, line);
}

}  // namespace

int main(int count, char** values) {
  const Arguments a = parse(count, values);
  if (a.trace) {
    WorldOptions options = options_for(a, a.from);
    if (a.trace_only >= 0) options.trace_only = static_cast<sentinel::sim::Index>(a.trace_only);
    options.trace = print_line;
    const Outcome outcome = World{options}.run();
    std::printf("%s\n", outcome.failure.empty() ? "held" : outcome.failure.c_str());
    return outcome.failure.empty() ? 0 : 1;
  }
  std::uint64_t events = 0;
  std::uint64_t items = 0;
  std::uint64_t failures = 0;
  std::chrono::nanoseconds inside{};
  sentinel::sim::Counters sum;
  sentinel::core::Duration longest{};
  const auto began = std::chrono::steady_clock::now();
  const std::clock_t cpu_began = std::clock();
  for (std::uint64_t seed = a.from; seed < a.from + a.seeds; ++seed) {
    const Outcome outcome = World{options_for(a, seed)}.run();
    events += outcome.core_events;
    items += outcome.items;
    inside += outcome.inside_core;
    longest = std::max(longest, outcome.settled_after);
    sum.operations += outcome.counters.operations;
    sum.trials += outcome.counters.trials;
    sum.healed += outcome.counters.healed;
    sum.quarantined += outcome.counters.quarantined;
    sum.storms += outcome.counters.storms;
    if (outcome.failure.empty()) continue;
    ++failures;
    std::printf(
        "FAILED: %s\n  replay: sim_long --seed %llu --containers %u --hours %u   (revision %s)\n",
        outcome.failure.c_str(), static_cast<unsigned long long>(seed), a.containers, a.hours,
        SENTINEL_SIM_REVISION);
    if (a.keep_going == 0) {
      show_end_of(a, seed, outcome.culprit);
      return 1;
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  std::printf("%llu worlds, %u containers, %u hours of faults each; %llu failed\n",
              static_cast<unsigned long long>(a.seeds), a.containers, a.hours,
              static_cast<unsigned long long>(failures));
  // Processor time as well: on a busy machine the wall says more about the neighbours.
  const double cpu =
      static_cast<double>(std::clock() - cpu_began) / static_cast<double>(CLOCKS_PER_SEC);
  std::printf("%llu core events, %llu steps in %.1f s: %.0f events/s, %.0f per CPU second\n",
              static_cast<unsigned long long>(events), static_cast<unsigned long long>(items),
              took.count(), static_cast<double>(events) / took.count(),
              static_cast<double>(events) / cpu);
  if (a.measure) {
    const double seconds = std::chrono::duration<double>(inside).count();
    std::printf("inside the core: %.1f s, %.0f ns an event, %.0f events/s\n", seconds,
                seconds * 1e9 / static_cast<double>(events), static_cast<double>(events) / seconds);
  }
  std::printf(
      "%llu operations, %llu trials, %llu healed, %llu quarantined, %llu storms; settled within "
      "%lld s of calm at most\n",
      static_cast<unsigned long long>(sum.operations), static_cast<unsigned long long>(sum.trials),
      static_cast<unsigned long long>(sum.healed), static_cast<unsigned long long>(sum.quarantined),
      static_cast<unsigned long long>(sum.storms),
      static_cast<long long>(std::chrono::duration_cast<std::chrono::seconds>(longest).count()));
  return failures == 0 ? 0 : 1;
}
