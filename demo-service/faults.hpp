#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sentinel::demo {

/// What the service pretends to suffer from. Each fault is off, on for ever, or on until a time;
/// several may be on together. A new process starts with none.
///
///   fault      GET /health says            what else changes
///   unhealthy  fail                        nothing
///   degraded   warn                        nothing
///   slow       warn                        GET / and GET /health are answered after a delay
///   hang       (no answer)                 connections are accepted, nothing is answered
///   flap       fail, pass, fail, ...       each half period, beginning with fail
///   leak       warn                        memory is held
///   refuse     (no connection)             the listening socket is closed
///
/// The worst applies. A fault that is turned on again starts anew with the new figures.
enum class Fault : std::size_t { unhealthy, degraded, slow, hang, flap, leak, refuse };

inline constexpr std::array<std::string_view, 7> fault_names{
    "unhealthy", "degraded", "slow", "hang", "flap", "leak", "refuse"};

[[nodiscard]] constexpr std::string_view name_of(Fault fault) {
  return fault_names[static_cast<std::size_t>(fault)];
}

/// The three values of the health+json draft, best first.
enum class Health { pass, warn, fail };

[[nodiscard]] constexpr std::string_view name_of(Health health) {
  switch (health) {
    case Health::pass: return "pass";
    case Health::warn: return "warn";
    case Health::fail: break;
  }
  return "fail";
}

/// The set of faults that are on. Knows no clock: the caller says what time it is.
class Faults {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  using Milliseconds = std::chrono::milliseconds;

  /// Turns a fault on, for `duration` or, without one, until `recover`. `amount` is the delay of
  /// `slow` and the full period of `flap` (at least 2 ms); the other faults ignore it.
  void start(Fault fault, TimePoint now, std::optional<Milliseconds> duration,
             Milliseconds amount = {});

  /// Turns every fault off.
  void recover();

  /// Turns off the faults whose time is over and names them.
  std::vector<Fault> expire(TimePoint now);

  /// When `expire` next has something to do.
  [[nodiscard]] std::optional<TimePoint> next_expiry() const;

  [[nodiscard]] bool is_on(Fault fault, TimePoint now) const;

  /// When the fault ends: no value when it is off, `TimePoint::max()` when it never ends.
  [[nodiscard]] std::optional<TimePoint> end_of(Fault fault, TimePoint now) const;

  [[nodiscard]] Health health(TimePoint now) const;

  /// How long an answer is to be held back; zero unless `slow` is on.
  [[nodiscard]] Milliseconds delay(TimePoint now) const;

  /// The faults that are on, for people: "slow, degraded", or "none".
  [[nodiscard]] std::string describe(TimePoint now) const;

 private:
  struct Active {
    TimePoint since;
    TimePoint until;
    Milliseconds amount;
  };

  [[nodiscard]] const Active* find(Fault fault, TimePoint now) const;

  std::array<std::optional<Active>, fault_names.size()> active_;
};

}  // namespace sentinel::demo
