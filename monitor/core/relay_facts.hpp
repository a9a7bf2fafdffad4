#pragma once

// What `sentinel failover` beside a monitor has to tell, as facts to the monitor's own AlertCore:
// one of the two sends, never both. Its incidents arrive as they are on its side, again and again
// while they go on (AlertReceiver::stateful), and their ends at least once.
//
//   an incident goes on     its root and its members failed; its lines, each once
//   it ended                they recovered, or are gone; not what a later incident has failing
//   nothing for `silence`   `sentinel:failover` failed, until it is heard again
//
// Telling the same again, and an end or a beginning that comes late, changes nothing.

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/alert_facts.hpp"

namespace sentinel::core {

/// The receiver by which failover tells its monitor, and the pace at which it says that it lives.
inline constexpr std::string_view relay_receiver = "monitor";
inline constexpr Duration relay_heartbeat = 30s;

class RelayFacts {
 public:
  static constexpr Duration silence = 2min;
  static constexpr std::size_t max_incidents = 10'000;  // known; the oldest are forgotten first

  /// Appends what a message means. Of its items only those whose root is a server, a pool or
  /// failover itself (`sentinel:WHAT` becomes `sentinel:failover-WHAT`) count.
  void on(const Message& message, Time now, AlertEvents& out);
  /// Appends what its silence means, at or after next_deadline().
  void on_tick(Time now, AlertEvents& out);
  std::optional<Time> next_deadline() const { return deadline_; }

 private:
  struct Known {
    bool ended = false;
    std::set<std::pair<WallTime, std::size_t>> lines;  // of the latest message
  };
  void on(const Incident& incident, AlertEvents& out);
  void lines(const Incident& incident, const Subject& root, Known& known, AlertEvents& out);
  void forget_oldest();

  std::map<std::string, Known> incidents_;  // by id, which is their order of beginning
  std::map<Subject, std::string> latest_;   // the incident that had it failing last
  std::optional<Time> deadline_;            // none: never heard, or silent already
  bool silent_ = false;
};

}  // namespace sentinel::core
