// What judgement promises for any pattern of answers, not for a chosen one: how many changes are
// shown, and how soon a failure is caught.

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <random>

#include "sim/scripted.hpp"

using namespace sentinel::sim;
using namespace std::chrono_literals;

namespace {

using Random = std::mt19937_64;

unsigned between(Random& random, unsigned low, unsigned high) {
  return std::uniform_int_distribution{low, high}(random);
}

ProbeOutcome refused() {
  ProbeOutcome outcome;
  outcome.reason = ProbeReason::refused;
  outcome.sentence = "connection refused";
  return outcome;
}

ProbeOutcome slow() {
  ProbeOutcome outcome;
  outcome.verdict = Verdict::warn;
  outcome.reason = ProbeReason::slow;
  outcome.sentence = "slow";
  return outcome;
}

void say(Script& s, unsigned what) {
  if (what == 0) {
    s.host_says.erase("h");
  } else {
    s.host_says["h"] = what == 1 ? refused() : slow();
  }
}

/// The most of these times that any `window` holds.
std::size_t most_within(const std::vector<Time>& times, Duration window) {
  std::size_t most = 0;
  for (std::size_t first = 0, last = 0; last < times.size(); ++last) {
    while (times[last] - times[first] >= window) ++first;
    most = std::max(most, last - first + 1);
  }
  return most;
}

constexpr std::size_t most_in_ten_minutes = 14;

/// When changes of the one target are shown.
struct Watch {
  explicit Watch(Script& script) : s(script), known(s.transitions.size()) {}

  void run(Duration duration) {
    s.run_until(
        [&] {
          look();
          return false;
        },
        duration);
  }

  void look() {
    for (; told < s.notices.size(); ++told) {
      if (s.notices[told].kind == NoticeKind::flapping) improvements = 0;
    }
    for (; known < s.transitions.size(); ++known) {
      const Transition& change = s.transitions[known];
      shown.push_back(s.now());
      const bool better = change.to == State::healthy ||
                          (change.to == State::degraded && change.from == State::unhealthy);
      if (better && s.view("t").overlays.flapping && ++improvements > 3)
        late_improvements.push_back(s.now());
    }
  }

  Script& s;
  std::size_t known;
  std::size_t told = 0;
  unsigned improvements = 0;  // of this flapping
  std::vector<Time> shown;
  std::vector<Time> late_improvements;  // from the fourth of a flapping on
};

}  // namespace

TEST_CASE("no pattern of answers shows more changes than promised") {
  std::size_t changes = 0;
  std::size_t flapped = 0;
  std::size_t most = 0;
  for (unsigned seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    Random random{seed};
    Script s;
    SetTargets all;
    all.targets.push_back(Script::target("t", "h", [&](TargetInfo& t) {
      auto& spec = t.settings.probes[0];
      spec.interval = std::chrono::seconds{between(random, 1, 10)};
      spec.fall = between(random, 1, 3);
      spec.rise = between(random, 1, 3);
    }));
    s.feed(all);
    s.run(30s);
    const unsigned longest = between(random, 2, 240);
    const unsigned kinds = between(random, 1, 2);
    Watch seen{s};
    const Time end = s.now() + 3h;
    while (s.now() < end) {
      say(s, between(random, 0, kinds));
      seen.run(std::chrono::seconds{between(random, 1, longest)});
    }
    CHECK(most_within(seen.shown, 10min) <= most_in_ten_minutes);
    CHECK(most_within(seen.late_improvements, 10min) <= 2);
    most = std::max(most, most_within(seen.shown, 10min));
    changes += seen.shown.size();
    flapped += s.count(NoticeKind::flapping);
    // And silence follows: what holds for good is shown in the end.
    say(s, 0);
    s.run(10min);
    CHECK(s.state("t") == State::healthy);
    CHECK(s.count(NoticeKind::flapping) == s.count(NoticeKind::flapping_ended));
  }
  // They were rough enough to mean something.
  CHECK(changes > 400);
  CHECK(flapped > 20);
  CHECK(most > 6);
}

TEST_CASE("a probe that fails X of Y is caught within Y of its intervals, whatever came before") {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    Random random{seed};
    const unsigned of = between(random, 2, 8);
    const unsigned fall = between(random, 1, of);
    const Duration interval = std::chrono::seconds{between(random, 2, 20)};
    Script s;
    SetTargets all;
    all.targets.push_back(Script::target("t", "h", [&](TargetInfo& t) {
      auto& spec = t.settings.probes[0];
      spec.interval = interval;
      spec.fall = fall;
      spec.fall_of = of;
      spec.rise = 1;
    }));
    s.feed(all);
    s.run(5 * interval + 30s);
    REQUIRE(s.state("t") == State::healthy);
    // Exactly `fall` of the next `of` answers are failures, in a random order.
    std::vector<unsigned> pattern(of, 0);
    std::fill_n(pattern.begin(), fall, 1U);
    std::ranges::shuffle(pattern, random);
    const Time begin = s.now();
    std::size_t begun = s.probes.size();
    std::size_t next = 0;
    const bool caught = s.run_until(
        [&] {
          if (s.probes.size() > begun) {
            begun = s.probes.size();
            say(s, next < of ? pattern[next] : 0);  // what it will find
            ++next;
          }
          return s.state("t") == State::unhealthy;
        },
        of * (interval + interval / 20) + 2s);
    INFO("fall " << fall << " of " << of);
    CHECK(caught);
    CHECK(next <= of);
    CHECK(s.now() - begin <= of * (interval + interval / 20) + 2s);
  }
}

TEST_CASE("not even answers chosen by what is shown make more changes than promised") {
  Script s;
  SetTargets all;
  all.targets.push_back(Script::target("t", "h", [](TargetInfo& t) {
    auto& spec = t.settings.probes[0];
    spec.interval = 1s;
    spec.fast_interval = 1s;
    spec.fall = 1;
    spec.rise = 1;
  }));
  s.feed(all);
  s.run(30s);
  REQUIRE(s.state("t") == State::healthy);
  Watch seen{s};
  const Time end = s.now() + 3h;
  while (s.now() < end) {
    const State state = s.state("t");
    say(s, state == State::healthy ? 2 : state == State::degraded ? 1 : 0);
    seen.run(100ms);
  }
  CHECK(most_within(seen.shown, 10min) <= most_in_ten_minutes);
  CHECK(most_within(seen.shown, 10min) > 12);  // it tries hard
  CHECK(most_within(seen.late_improvements, 10min) == 2);
  CHECK(s.count(NoticeKind::flapping) == 1);
}
