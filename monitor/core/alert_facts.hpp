#pragma once

// From what the deciding cores make known to the facts that incidents are made of. Nothing is
// decided here: which transition means failure, and in which words.
//
//   monitor      unhealthy, quarantined          failed, critical
//                degraded                        failed, warning
//                healthy                         recovered
//                stopped, removed                gone
//                heal notices                    acted
//                engine_down / up, blind / ended failed / recovered of `engine`, `network`
//   failover     a server fails                  failed, warning; the pool is down: critical
//                up / taken out by a person      recovered / gone
//                kernel refuses, blind, backup   failed of `kernel`, `network`, of the pool

#include <map>
#include <string>
#include <vector>

#include "core/alert_core.hpp"
#include "core/core.hpp"
#include "core/failover.hpp"

namespace sentinel::core {

using AlertEvents = std::vector<AlertEvent>;

/// The subject of a service. Its group is the Compose project or the group of targets.
Subject subject_of(const ServiceKey& key);
Subject subject_of_server(std::string pool, std::string server);
Subject subject_of_pool(std::string pool);
Subject subject_of_engine();
/// Of our own: `network`, `store`, `kernel`, ...
Subject subject_of_self(std::string what);

class MonitorFacts {
 public:
  /// `core` is read for what an action does not say; it must outlive this.
  explicit MonitorFacts(const Core& core) : core_(core) {}

  /// Appends what the action means; nothing for most.
  void on(const Action& action, AlertEvents& out);
  /// After a batch of actions: overlays and needs that changed meanwhile. Cheap when there is
  /// nothing to do, else as Core::services().
  void settle(Time now, AlertEvents& out);

 private:
  void on(const Transition& transition, AlertEvents& out);
  void on(const Notice& notice, AlertEvents& out);
  void settle_needs(AlertEvents& out);
  void settle_overlays(Time now, AlertEvents& out);

  const Core& core_;
  // A recreation can end without a notice: what is held is looked at again this often.
  static constexpr Duration look_again = 10s;
  bool overlays_stale_ = false;
  Time look_at_ = never;
  bool needs_stale_ = false;
  std::map<ServiceKey, Overlays> overlays_;   // other than none
  std::map<ServiceKey, ServiceNeeds> needs_;  // as told
};

class FailoverFacts {
 public:
  void on(const PoolAction& action, AlertEvents& out);

 private:
  void on(const ServerTransition& transition, AlertEvents& out);
  void on(const PoolNotice& notice, AlertEvents& out);
};

}  // namespace sentinel::core
