// What comes to the monitor's socket in failover's name, as far as the facts of incidents.

#include <variant>

#include "core/relay_facts.hpp"
#include "fuzz.hpp"
#include "protocol/relay.hpp"

using namespace sentinel;

namespace {

void check(const core::Subject& subject) {
  fuzz::require(
      subject.kind != core::SubjectKind::service && subject.kind != core::SubjectKind::engine,
      "of servers, pools and failover alone");
  fuzz::require(fuzz::printable(subject.to_string()), "a name that can be printed");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto message = protocol::parse_relay(fuzz::view(data, size));
  if (!message) {
    fuzz::require(fuzz::printable(message.error().message), "an error in one line");
    return 0;
  }
  core::RelayFacts relay;
  core::AlertEvents first;
  relay.on(*message, core::Time{}, first);
  for (const core::AlertEvent& event : first) {
    if (const auto* failed = std::get_if<core::SubjectFailed>(&event)) {
      check(failed->subject);
      fuzz::require(fuzz::printable(failed->title) && fuzz::printable(failed->text) &&
                        fuzz::printable(failed->cause),
                    "texts in one line");
    } else if (const auto* acted = std::get_if<core::SubjectActed>(&event)) {
      check(acted->subject);
      fuzz::require(fuzz::printable(acted->text), "a line");
    }
  }
  core::AlertEvents again;
  relay.on(*message, core::Time{}, again);
  fuzz::require(again.size() <= first.size(), "a copy says no more");
  return 0;
}
