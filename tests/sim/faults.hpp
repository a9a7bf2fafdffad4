#pragma once

// What goes wrong in a simulated world, and how often. Rates are per million; periods are means.
// Everything here stops at the world's time of calm, after which the liveness bound runs.

#include <cstdint>

#include "core/time.hpp"
#include "sim/prng.hpp"

namespace sentinel::sim {

struct FaultRates {
  std::uint32_t hint_lost = 0;
  std::uint32_t hint_late = 0;  // up to a minute
  std::uint32_t hint_repeated = 0;
  std::uint32_t hint_reordered = 0;  // overtaken by later ones

  std::uint32_t inspect_lost = 0;  // never answered
  std::uint32_t inspect_late = 0;  // up to 30 s
  std::uint32_t inspect_failed = 0;
  std::uint32_t inspect_stale = 0;  // the snapshot is old when it arrives

  std::uint32_t answer_lost = 0;     // of an operation: never answered
  std::uint32_t answer_unknown = 0;  // the connection breaks; the operation goes on
  std::uint32_t answer_late = 0;
  std::uint32_t answer_repeated = 0;
  std::uint32_t answer_denies = 0;    // "failed", though it is done
  std::uint32_t answer_pretends = 0;  // "done", though nothing was

  std::uint32_t store_silent = 0;  // no answer; stored or not
  std::uint32_t store_late = 0;    // up to 2 s
  std::uint32_t store_fails = 0;

  std::uint32_t list_late = 0;  // up to 10 s
  std::uint32_t probe_lost = 0;
  std::uint32_t probe_late = 0;

  // 0: never
  core::Duration engine_fault_every{};
  core::Duration process_kill_every{};
  core::Duration process_pause_every{};
  core::Duration person_acts_every{};  // over the whole fleet

  static FaultRates none() { return {}; }

  /// Some worlds are calm in most respects, some are wild in all: each rate is drawn on its own.
  static FaultRates drawn(Prng& prng, std::uint32_t containers) {
    FaultRates rates;
    const auto draw = [&](std::uint32_t high) {
      return prng.chance(400'000) ? prng.below(high) : 0;
    };
    const auto draw_period = [&](core::Duration low, core::Duration high) {
      return prng.chance(600'000) ? prng.between(low, high) : core::Duration{0};
    };
    rates.hint_lost = draw(100'000);
    rates.hint_late = draw(50'000);
    rates.hint_repeated = draw(50'000);
    rates.hint_reordered = draw(50'000);
    rates.inspect_lost = draw(50'000);
    rates.inspect_late = draw(50'000);
    rates.inspect_failed = draw(100'000);
    rates.inspect_stale = draw(50'000);
    rates.answer_lost = draw(50'000);
    rates.answer_unknown = draw(100'000);
    rates.answer_late = draw(100'000);
    rates.answer_repeated = draw(100'000);
    rates.answer_denies = draw(100'000);
    rates.answer_pretends = draw(50'000);
    rates.store_silent = draw(50'000);
    rates.store_late = draw(200'000);
    rates.store_fails = draw(50'000);
    rates.list_late = draw(300'000);
    rates.probe_lost = draw(10'000);
    rates.probe_late = draw(10'000);
    using std::chrono::hours;
    using std::chrono::minutes;
    rates.engine_fault_every = draw_period(minutes{30}, hours{12});
    rates.process_kill_every = draw_period(minutes{20}, hours{12});
    rates.process_pause_every = draw_period(minutes{30}, hours{12});
    rates.person_acts_every = draw_period(minutes{10}, hours{8}) * 10 / (containers + 1);
    return rates;
  }
};

}  // namespace sentinel::sim
