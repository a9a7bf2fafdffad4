#pragma once

// The failover beside the monitor: what it tells, and that it says nothing any more, become facts
// of the monitor's own incidents.

#include <functional>

#include "app/alerting.hpp"
#include "core/relay_facts.hpp"
#include "io/runtime.hpp"

namespace sentinel::app {

class Relay {
 public:
  /// `alerting` outlives this; `told` is called after facts were.
  Relay(boost::asio::io_context& context, Alerting& alerting, std::function<void()> told)
      : alerting_{alerting}, told_{std::move(told)}, alarm_{context, [this] { on_silence(); }} {}

  void on(const core::Message& message);
  void stop() { alarm_.set(std::nullopt); }

 private:
  void on_silence();
  void tell(core::AlertEvents facts);

  Alerting& alerting_;
  const std::function<void()> told_;
  core::RelayFacts facts_;
  io::Alarm alarm_;
};

}  // namespace sentinel::app
