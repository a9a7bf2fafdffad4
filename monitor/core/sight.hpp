#pragma once

// Do we see? When our own network or resolver fails, probes of everything fail at once, and none of
// that says anything about what is probed.
//
// Counted are hosts that probes name (not containers' own addresses, which need no uplink), each
// once however many probes it has, and only those probed at least every 10 s. A result `resolve`,
// `unreachable` or `internal` - with witnesses also `timeout` - means the host is lost; any other
// result, a refusal too, proves that we see it.
//
//   seeing       a host is newly lost (and there are 5 hosts, or a witness)      -> suspecting
//   suspecting   at least 5 hosts, and 80 % of those not lost for longer,
//                are lost within 10 s                                            -> blind
//                all witnesses are lost, and another host
//                (until 20 % of the hosts have answered)                         -> blind
//                more than 20 % of the hosts, or 10 s have passed                -> seeing
//                have answered probes that began after the suspicion
//   blind        half of the hosts that were lost answer again, or a witness     -> seeing
//                `limit` has passed: judged as it is from then on                -> exhausted
//   exhausted    as from blind                                                   -> seeing
//
// While suspecting, results of lost hosts wait, for 10 s from the loss at most: then, or when the
// suspicion has gone, they count. While blind they do not count at all, nor for 10 s after the end
// for hosts that have not answered since. So a real outage is told 10 s later at most where there
// are several hosts, and everything behind one host is one host and told as ever. A real outage of
// nearly everything is told at once as ours, and after `limit` as theirs.
//
// Witnesses are targets of the file whose only purpose this is: the gateway, a public resolver. A
// few are enough. Where there are fewer than 5 hosts only they can tell.

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "core/types.hpp"

namespace sentinel::core {

class Sight {
 public:
  static constexpr Duration window = 10s;
  static constexpr unsigned min_hosts = 5;
  static constexpr unsigned lost_percent = 80;

  struct Host {
    std::string name;
    unsigned probes = 0;
    bool witness = false;
    bool lost = false;
    Time lost_at{};              // when lost
    std::uint32_t counted = 0;   // the suspicion in which it was counted last
    std::uint32_t returned = 0;  // the blindness after whose begin it answered
  };

  enum class Change : std::uint8_t {
    none,
    cleared,    // no longer suspecting: what waited counts
    blinded,    // what waited is dropped
    regained,   // blind, or exhausted, no longer
    exhausted,  // blind for `limit`
  };

  explicit Sight(Duration limit) : limit_(limit) {}
  /// Longest time of holding judgement; zero: never hold.
  void set_limit(Duration limit) { limit_ = limit; }

  /// A probe of this host exists from now on. nullptr: it says nothing about our sight.
  Host* attach(const ProbeSpec& spec, bool witness);
  void detach(Host* host);

  /// A probe has ended; it began at `began`.
  Change add(Host& host, ProbeReason reason, Verdict verdict, Time began, Time now);
  /// Time passes.
  Change settle(Time now);
  std::optional<Time> due() const;

  bool blind() const { return state_ == State::blind; }
  bool suspecting() const { return state_ == State::suspecting; }
  /// Would this result, if it failed, say more about us than about the host?
  bool is_loss(ProbeReason reason) const;
  /// A loss of this host is not to be judged now.
  bool holds(const Host& host, Time now) const;
  /// It waits rather than being dropped.
  bool waits(const Host& host, Time now) const;

  Time since() const { return since_; }
  /// "9 of 10 hosts cannot be resolved or reached".
  const std::string& account() const { return account_; }

 private:
  enum class State : std::uint8_t { seeing, suspecting, blind, exhausted };
  bool possible() const {
    return limit_ > Duration{} && (hosts_.size() >= min_hosts || witnesses_ > 0);
  }
  void suspect(Time now);
  void count_lost(Host& host);
  bool by_witnesses() const;
  bool evident() const;
  Change see(Time now);

  Duration limit_;
  State state_ = State::seeing;
  Time since_{};  // of the state
  Time ended_ = Time::min();
  std::unordered_map<std::string, Host> hosts_;
  unsigned witnesses_ = 0;
  std::size_t lost_ = 0;                              // hosts
  std::deque<std::pair<Time, Host*>> recently_lost_;  // oldest first, of the window
  std::uint32_t suspicion_ = 0;
  std::size_t lost_in_ = 0;  // of this suspicion
  unsigned witnesses_in_ = 0;
  std::size_t good_in_ = 0;
  std::uint32_t blindness_ = 0;
  std::size_t lost_then_ = 0;  // when it began
  std::size_t returned_ = 0;
  bool by_witness_ = false;
  std::string account_;
};

}  // namespace sentinel::core
