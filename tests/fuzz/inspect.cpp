// GET /containers/ID/json.

#include "fuzz.hpp"
#include "protocol/engine_json.hpp"

using namespace sentinel;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const protocol::InspectContext context = [] {
    protocol::InspectContext made;
    made.settings.watch_all = true;
    return made;
  }();
  const std::string_view text = fuzz::view(data, size);
  const auto facts = protocol::parse_inspect(text, context, 1'800'000'000'000'000'000);
  if (facts) {
    const auto& info = *facts->info;
    fuzz::require(!info.name.empty() && fuzz::printable(info.name), "a printable name");
    fuzz::require(fuzz::printable(info.image), "printable image");
    fuzz::require(!info.key.service.empty() && fuzz::printable(info.key.to_string()),
                  "a printable key");
    fuzz::require(
        info.stop_timeout >= core::Duration{} && info.stop_timeout <= std::chrono::hours(1),
        "bounded stop timeout");
    fuzz::require(facts->status.uptime >= core::Duration{}, "no negative uptime");
    fuzz::require(facts->status.health_output.size() <= protocol::health_output_bytes,
                  "bounded health output");
    fuzz::require(facts->status.address.size() <= 45 && fuzz::printable(facts->status.address),
                  "an address");
    for (const auto& warning : info.warnings)
      fuzz::require(fuzz::printable(warning), "printable warning");
    if (info.health_check) {
      fuzz::require(core::default_verify_timeout(info.health_check) > core::Duration{},
                    "no overflow of the verify timeout");
    }
  } else {
    fuzz::require(fuzz::printable(facts.error().message), "printable error");
  }
  if (const auto place = protocol::parse_own_place(text))
    fuzz::require(place->networks.size() <= 256, "bounded networks");
  return 0;
}
