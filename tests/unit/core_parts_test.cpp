// The small machines of the core, each by itself.

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "core/deadlines.hpp"
#include "core/flap.hpp"
#include "core/judgement.hpp"
#include "core/ledger.hpp"
#include "core/probe_judge.hpp"
#include "core/storm.hpp"

using namespace sentinel::core;

namespace {
Time at(Duration d) { return Time{} + d; }
}  // namespace

TEST_CASE("only healthy time forgives a restart") {
  const Budget budget{.restarts = 2, .window = 15min};
  Ledger ledger;
  ledger.charge(at(0s));
  CHECK(ledger.remaining(budget) == 1);

  // A day of failing changes nothing.
  CHECK(ledger.settle(budget, at(24h)) == 0);
  CHECK(ledger.next_forgiveness(budget, at(24h)) == std::nullopt);

  ledger.run(true, at(24h));
  CHECK(ledger.next_forgiveness(budget, at(24h)) == at(24h + 15min));
  ledger.run(false, at(24h + 10min));
  CHECK(ledger.settle(budget, at(48h)) == 0);
  ledger.run(true, at(48h));
  CHECK(ledger.settle(budget, at(48h + 5min - 1ns)) == 0);
  CHECK(ledger.settle(budget, at(48h + 5min)) == 1);
  CHECK(ledger.remaining(budget) == 2);
}

TEST_CASE("restarts spaced by any back-off use up the budget") {
  const Budget budget{.restarts = 5, .window = 15min};
  Ledger ledger;
  for (int i = 0; i < 5; ++i) ledger.charge(at(i * 1h));
  CHECK(ledger.settle(budget, at(100h)) == 0);
  CHECK(ledger.remaining(budget) == 0);
  ledger.charge(at(100h));
  CHECK(ledger.remaining(budget) == 0);  // no wrap below zero
}

TEST_CASE("a refund takes back the latest charge only") {
  const Budget budget{.restarts = 3, .window = 10s};
  Ledger ledger;
  ledger.run(true, at(0s));
  ledger.charge(at(0s));
  ledger.charge(at(8s));
  ledger.refund();
  CHECK(ledger.used() == 1);
  CHECK(ledger.settle(budget, at(10s)) == 1);
  ledger.refund();
  CHECK(ledger.used() == 0);
}

TEST_CASE("a ledger survives a restart of the process, and hostile records") {
  const Budget budget{.restarts = 3, .window = 15min};
  Ledger before;
  before.run(true, at(0s));
  before.charge(at(0s));
  before.charge(at(5min));
  const auto left = before.left(budget, at(6min));
  REQUIRE(left.size() == 2);
  CHECK(left[0] == 9min);
  CHECK(left[1] == 14min);

  Ledger later;
  later.restore(left, budget);
  later.run(true, at(0s));
  CHECK(later.settle(budget, at(9min)) == 1);
  CHECK(later.settle(budget, at(14min)) == 1);

  Ledger hostile;
  hostile.restore({Duration::max(), Duration::min(), Duration{-1}}, budget);
  hostile.run(true, at(0s));
  CHECK(hostile.settle(budget, at(0s)) == 2);     // nothing left of those below zero
  CHECK(hostile.settle(budget, at(15min)) == 1);  // never longer than the window
  Ledger many;
  many.restore(std::vector<Duration>(100'000, 1min), budget);
  CHECK(many.used() == 100);
}

TEST_CASE("back-off: nothing first, then doubling within its bounds") {
  Rng rng{7};
  const Backoff backoff{.min = 1s, .max = 5min};
  CHECK(backoff_delay(backoff, 0, rng) == 0s);
  for (unsigned used = 1; used < 200; ++used) {
    const Duration base =
        used > 9 ? Duration{5min} : std::min<Duration>(1s * (1U << (used - 1)), 5min);
    for (int i = 0; i < 50; ++i) {
      const auto d = backoff_delay(backoff, used, rng);
      CHECK(d >= std::max<Duration>(1s, base * 3 / 4));
      CHECK(d <= std::min<Duration>(5min, base * 5 / 4));
    }
  }
  CHECK(backoff_delay({.min = 2s, .max = 2s}, 50, rng) == 2s);
  CHECK(backoff_delay({.min = 0s, .max = 0s}, 50, rng) == 0s);
  CHECK(backoff_delay({.min = 1s, .max = Duration::max()}, 4'000'000, rng) > 24h);
}

TEST_CASE("back-off spreads services that failed together") {
  Rng rng{1};
  const Backoff backoff{.min = 1s, .max = 5min};
  const auto first = backoff_delay(backoff, 4, rng);
  bool differs = false;
  for (int i = 0; i < 10; ++i) differs = differs || backoff_delay(backoff, 4, rng) != first;
  CHECK(differs);
}

TEST_CASE("a probe's verdict changes after fall failures and rise passes") {
  ProbeJudge judge;
  const JudgeRule rule{.fall = 3, .rise = 2};
  CHECK(judge.pending(rule));
  CHECK_FALSE(judge.add(Verdict::pass, rule));
  CHECK(judge.verdict() == std::nullopt);
  CHECK(judge.add(Verdict::pass, rule));
  CHECK(judge.verdict() == Verdict::pass);
  CHECK_FALSE(judge.pending(rule));

  CHECK_FALSE(judge.add(Verdict::fail, rule));
  CHECK(judge.pending(rule));
  CHECK_FALSE(judge.add(Verdict::fail, rule));
  CHECK_FALSE(judge.add(Verdict::pass, rule));  // starts the count anew
  CHECK_FALSE(judge.add(Verdict::fail, rule));
  CHECK_FALSE(judge.add(Verdict::fail, rule));
  CHECK(judge.add(Verdict::fail, rule));
  CHECK(judge.verdict() == Verdict::fail);

  CHECK_FALSE(judge.add(Verdict::warn, rule));
  CHECK(judge.pending(rule));
  CHECK(judge.add(Verdict::warn, rule));
  CHECK(judge.verdict() == Verdict::warn);
  CHECK_FALSE(judge.add(Verdict::pass, rule));  // one is no evidence, for the better neither
  CHECK(judge.pending(rule));
  CHECK(judge.add(Verdict::pass, rule));
  CHECK(judge.verdict() == Verdict::pass);

  // Neither all warnings nor all failures, but none of them a pass.
  CHECK_FALSE(judge.add(Verdict::warn, rule));
  CHECK_FALSE(judge.add(Verdict::fail, rule));
  CHECK(judge.add(Verdict::warn, rule));
  CHECK(judge.verdict() == Verdict::warn);
}

TEST_CASE("X of Y: a probe that fails now and then is caught at the Xth failure") {
  const JudgeRule rule{.fall = 3, .fall_of = 10, .rise = 4, .rise_of = 5};
  ProbeJudge judge;
  for (int i = 0; i < 3; ++i) CHECK_FALSE(judge.add(Verdict::pass, rule));
  CHECK(judge.add(Verdict::pass, rule));
  const auto passes = [&](int n) {
    for (int i = 0; i < n; ++i) CHECK_FALSE(judge.add(Verdict::pass, rule));
  };
  CHECK_FALSE(judge.add(Verdict::fail, rule));
  passes(2);
  CHECK(judge.pending(rule));  // one of the latest three
  passes(1);
  CHECK_FALSE(judge.pending(rule));
  CHECK_FALSE(judge.add(Verdict::fail, rule));
  passes(4);
  CHECK(judge.add(Verdict::fail, rule));  // the first failure is the tenth result back
  CHECK(judge.verdict() == Verdict::fail);

  // Back with 4 of 5, and what led here is no evidence for falling again.
  passes(2);
  CHECK_FALSE(judge.add(Verdict::fail, rule));
  passes(1);
  CHECK(judge.add(Verdict::pass, rule));
  CHECK(judge.verdict() == Verdict::pass);
  CHECK_FALSE(judge.add(Verdict::fail, rule));
  CHECK_FALSE(judge.add(Verdict::fail, rule));
  passes(8);
  CHECK_FALSE(judge.add(Verdict::fail, rule));  // the first of the two has left the window
  CHECK(judge.verdict() == Verdict::pass);
}

TEST_CASE("X of Y keeps what it promises for any sequence") {
  Rng rng{7};
  for (int round = 0; round < 200; ++round) {
    JudgeRule rule;
    rule.fall_of = 1 + static_cast<unsigned>(rng.below(Duration{64}).count());
    rule.fall = 1 + static_cast<unsigned>(rng.below(Duration{rule.fall_of}).count());
    rule.rise_of = 1 + static_cast<unsigned>(rng.below(Duration{64}).count());
    rule.rise = 1 + static_cast<unsigned>(rng.below(Duration{rule.rise_of}).count());
    ProbeJudge judge;
    std::vector<Verdict> since;  // the latest change
    for (int i = 0; i < 500; ++i) {
      const auto before = judge.verdict();
      const auto drawn = rng.below(Duration{10}).count();
      const auto result = drawn < 5 ? Verdict::pass : drawn < 6 ? Verdict::warn : Verdict::fail;
      since.push_back(result);
      const auto latest = [&](unsigned of, auto&& matches) {
        const auto n = std::min<std::size_t>(of, since.size());
        return static_cast<unsigned>(
            std::count_if(since.end() - static_cast<std::ptrdiff_t>(n), since.end(), matches));
      };
      const unsigned fails = latest(rule.fall_of, [](Verdict v) { return v == Verdict::fail; });
      const unsigned answers = latest(rule.rise_of, [](Verdict v) { return v != Verdict::fail; });
      const bool changed = judge.add(result, rule);
      REQUIRE(changed == (judge.verdict() != before));
      if (before != Verdict::fail && fails >= rule.fall) REQUIRE(judge.verdict() == Verdict::fail);
      if (before == Verdict::fail) {
        REQUIRE((judge.verdict() != Verdict::fail) == (answers >= rule.rise));
      } else if (judge.verdict() == Verdict::fail) {
        REQUIRE(fails >= rule.fall);
      }
      if (changed) {
        REQUIRE(since.size() >= std::min(rule.fall, rule.rise));
        since.clear();
      }
    }
  }
}

TEST_CASE("a storm is more than half and at least five within the window, and its hold ends") {
  const Config config;
  Storm storm;
  for (ServiceId s = 1; s <= 4; ++s) CHECK(storm.add(s, 6, config, at(1s * s)) == std::nullopt);
  CHECK(storm.add(4, 6, config, at(4500ms)) == std::nullopt);  // the same service again is no fifth
  CHECK(storm.add(5, 6, config, at(5s)) == 5U);
  CHECK(storm.holding());
  CHECK(storm.add(6, 6, config, at(6s)) == std::nullopt);  // does not prolong it
  CHECK(storm.until() == at(15s));
  CHECK_FALSE(storm.settle(at(15s) - 1ns));
  CHECK(storm.settle(at(15s)));
  CHECK_FALSE(storm.holding());

  // Five of ten are not more than half; and a slow trickle is no storm.
  for (ServiceId s = 1; s <= 5; ++s) CHECK(storm.add(s, 10, config, at(100s)) == std::nullopt);
  CHECK(storm.add(6, 10, config, at(100s)) == 6U);
  Storm slow;
  for (ServiceId s = 1; s <= 50; ++s) CHECK(slow.add(s, 50, config, at(11s * s)) == std::nullopt);
  Config off;
  off.storm_hold = 0s;
  Storm never_held;
  for (ServiceId s = 1; s <= 50; ++s) CHECK(never_held.add(s, 50, off, at(1s)) == std::nullopt);
}

TEST_CASE("flapping is set at six changes within ten minutes and cleared below three") {
  Flap flap;
  for (int i = 0; i < 5; ++i) flap.add(at(i * 1min));
  CHECK_FALSE(flap.settle(at(4min)));
  flap.add(at(5min));
  CHECK(flap.settle(at(5min)));
  CHECK(flap.active());
  REQUIRE(flap.due());
  CHECK(*flap.due() == at(13min));
  CHECK_FALSE(flap.settle(at(13min) - 1ns));
  CHECK(flap.settle(at(13min)));
  CHECK_FALSE(flap.active());
  CHECK(flap.due() == std::nullopt);
}

TEST_CASE("deadlines are served in order of time, then handle") {
  Deadlines<int> deadlines;
  deadlines.set(3, at(2s));
  deadlines.set(1, at(2s));
  deadlines.set(2, at(1s));
  deadlines.set(2, at(3s));
  CHECK(deadlines.next() == at(2s));
  CHECK(deadlines.pop(at(1s)) == std::nullopt);
  CHECK(deadlines.pop(at(2s)) == 1);
  CHECK(deadlines.pop(at(2s)) == 3);
  CHECK(deadlines.pop(at(2s)) == std::nullopt);
  deadlines.erase(2);
  CHECK(deadlines.next() == std::nullopt);
}

TEST_CASE("container ids are full and lower case") {
  const std::string hex(64, 'a');
  REQUIRE(ContainerId::parse(hex));
  CHECK(ContainerId::parse(hex)->hex() == hex);
  CHECK(ContainerId::parse(std::string(63, 'a')) == std::nullopt);
  CHECK(ContainerId::parse(std::string(65, 'a')) == std::nullopt);
  CHECK(ContainerId::parse(std::string(64, 'A')) == std::nullopt);
  CHECK(ContainerId::parse(std::string(63, 'a') + "/") == std::nullopt);
  CHECK(ContainerId::parse("web") == std::nullopt);
}

TEST_CASE("times do not overflow") {
  CHECK(after(Time{}, Duration::max()) == never);
  CHECK(after(never, 1s) == never);
  CHECK(after(at(5s), 5s) == at(10s));
  HealthCheck mad{.interval = Duration::max(),
                  .timeout = Duration::max(),
                  .start_period = Duration::max(),
                  .retries = 4'000'000'000U};
  CHECK(default_verify_timeout(mad) > 24h);
  CHECK(default_verify_timeout(std::nullopt) == 60s);
  CHECK(default_verify_timeout(HealthCheck{}) == 240s);
  CHECK(default_verify_timeout(
            HealthCheck{.interval = 1s, .timeout = 1s, .start_period = 2s, .retries = 1}) == 60s);
}

TEST_CASE("durations in words") {
  CHECK(in_words(4ms) == "4 ms");
  CHECK(in_words(12'400ms) == "12.4 s");
  CHECK(in_words(60s) == "1 min");
  CHECK(in_words(185s) == "3 min 5 s");
  CHECK(in_words(130min) == "2 h 10 min");
  CHECK(in_words(-1s) == "0 ms");
  CHECK(in_words(10s) == "10 s");
}
