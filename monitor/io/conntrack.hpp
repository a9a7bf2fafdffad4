#pragma once

// The kernel's connection tracking, as far as failover needs it: flows of one server, told by the
// mark that the NAT table gave them (core/nat.hpp). TCP and UDP, IPv4 and IPv6 alike. Needs
// CAP_NET_ADMIN in the network namespace in which it was opened.
//
// Each call walks the kernel's whole table once, about 0.1 us an entry, and costs 2-4 us for each
// entry that matches.

#include <cstdint>
#include <expected>
#include <map>

#include "core/nat.hpp"
#include "core/time.hpp"
#include "io/error.hpp"
#include "io/netlink.hpp"

namespace sentinel::io {

struct FlowCount {
  std::uint64_t open = 0;     // TCP before its end, and every UDP flow not yet forgotten
  std::uint64_t closing = 0;  // TCP in TIME_WAIT or CLOSE: nobody waits for these any more
  bool operator==(const FlowCount&) const = default;
};

struct TableUse {
  std::uint32_t used = 0;
  std::uint32_t maximum = 0;  // beyond it new connections are dropped
};

class Conntrack {
 public:
  static std::expected<Conntrack, Error> open();

  /// Forgets every flow of the block in one request: the client's next packet is answered by RST
  /// (TCP), or finds another server (UDP). `flushed` is counted just before, so flows that begin or
  /// end meanwhile make it inexact, while the flush itself is not.
  struct Flushed {
    std::uint64_t flows = 0;
    core::Duration took{};  // of the flush alone
  };
  std::expected<Flushed, Error> flush(core::MarkBlock block);

  std::expected<FlowCount, Error> count(core::MarkBlock block);
  /// For several servers in one walk: the flows of every mark within the block.
  std::expected<std::map<core::Mark, FlowCount>, Error> counts(core::MarkBlock block);

  std::expected<TableUse, Error> use();

 private:
  explicit Conntrack(NetlinkSocket socket) : socket_(std::move(socket)) {}

  NetlinkSocket socket_;
};

}  // namespace sentinel::io
