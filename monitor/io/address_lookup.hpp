#pragma once

// The one address that a probe without a connection asks: that of its host, or the container's own.

#include <expected>
#include <functional>
#include <optional>

#include "core/ip.hpp"
#include "core/probe_spec.hpp"
#include "io/probe_run.hpp"
#include "io/resolver.hpp"

namespace sentinel::io {

class AddressLookup {
 public:
  /// The error is the probe's outcome: no_address, resolve or unreachable.
  using Found = std::expected<core::IpAddress, core::ProbeOutcome>;
  /// `took` is zero when nobody had to be asked.
  using Handler = std::function<void(Found found, core::Duration took)>;

  explicit AddressLookup(Resolver& resolver) : resolver_(resolver) {}
  ~AddressLookup() { cancel(); }
  AddressLookup(const AddressLookup&) = delete;
  AddressLookup& operator=(const AddressLookup&) = delete;

  /// Calls `handler` once unless cancelled: from inside this call when nobody has to be asked.
  void begin(const ProbeTask& task, Handler handler);
  void cancel();
  bool pending() const { return ticket_.has_value(); }

 private:
  static Found first_of(const Resolver::Answer& answer);

  Resolver& resolver_;
  std::optional<Resolver::Ticket> ticket_;
};

}  // namespace sentinel::io
