#include "io/address_lookup.hpp"

#include <utility>

#include "io/probe_text.hpp"
#include "io/runtime.hpp"

namespace sentinel::io {

using core::ProbeReason;

AddressLookup::Found AddressLookup::first_of(const Resolver::Answer& answer) {
  if (!answer) return std::unexpected(failed(ProbeReason::resolve, answer.error().text));
  if (forbidden_address(answer->front())) {
    return std::unexpected(
        failed(ProbeReason::unreachable, "link-local and metadata addresses are not probed"));
  }
  return answer->front();
}

void AddressLookup::begin(const ProbeTask& task, Handler handler) {
  const auto& host = task.spec->host;
  if (host.empty()) {
    const auto own = core::IpAddress::parse(task.address);
    handler(
        own ? Found{*own}
            : std::unexpected(failed(ProbeReason::no_address, "no address on a shared network")),
        {});
    return;
  }
  if (const auto* known = resolver_.known(host)) {
    handler(first_of(*known), {});
    return;
  }
  ticket_ = resolver_.resolve(
      host, [this, began = now(), handler = std::move(handler)](const Resolver::Answer& answer) {
        ticket_.reset();
        handler(first_of(answer), now() - began);
      });
}

void AddressLookup::cancel() {
  if (ticket_) resolver_.cancel(*std::exchange(ticket_, std::nullopt));
}

}  // namespace sentinel::io
