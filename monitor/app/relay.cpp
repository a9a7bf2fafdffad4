#include "app/relay.hpp"

#include <utility>

namespace sentinel::app {

void Relay::on(const core::Message& message) {
  core::AlertEvents facts;
  facts_.on(message, io::now(), facts);
  tell(std::move(facts));
}

void Relay::on_silence() {
  core::AlertEvents facts;
  facts_.on_tick(io::now(), facts);
  tell(std::move(facts));
}

void Relay::tell(core::AlertEvents facts) {
  alarm_.set(facts_.next_deadline());
  if (facts.empty()) return;
  alerting_.tell(std::move(facts));
  told_();
}

}  // namespace sentinel::app
