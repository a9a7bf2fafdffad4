#pragma once

// Names to addresses, without threads: c-ares on the loop.
//
// /etc/hosts and `localhost` (RFC 6761) first, then the servers, search domains and ndots of
// /etc/resolv.conf, which is read again when it has changed; A and AAAA, in the order of RFC 6724.
// Look-ups of one name share one query. Answers are kept for their TTL, at least a second and at
// most a minute; at most 5 s when the server is the Engine's own (127.0.0.11), which promises ten
// minutes for a container's address and gives another one after a restart; failures for a second.
//
// Addresses that a name must not lead us to (link-local, metadata services of clouds) are left out
// of every answer.

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/ip.hpp"
#include "io/error.hpp"

namespace boost::asio {
class io_context;
}

namespace sentinel::io {

/// 169.254.0.0/16, fe80::/10 and metadata services, also when written as IPv6 that maps IPv4.
bool forbidden_address(const core::IpAddress& address);

struct ResolverOptions {
  std::string resolv_conf = "/etc/resolv.conf";
  std::string hosts = "/etc/hosts";
  std::string servers;             // `127.0.0.1:5353,...` instead of resolv.conf's; for tests
  std::size_t cache_limit = 4096;  // names
};

struct ResolverStats {
  std::uint64_t queries = 0;  // sent to c-ares
  std::uint64_t cached = 0;   // answered from the cache
  std::uint64_t failed = 0;
  std::size_t names = 0;  // in the cache
};

class Resolver {
 public:
  using Addresses = std::vector<core::IpAddress>;  // never empty, at most 8
  /// The error is a sentence for people, escaped: "no such name".
  using Answer = std::expected<Addresses, Error>;
  using Handler = std::function<void(const Answer&)>;
  using Ticket = std::uint64_t;

  Resolver(boost::asio::io_context& context, ResolverOptions options);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  /// What is known at once: an address in text, or a name in the cache. nullptr: ask resolve().
  /// Valid until the next call.
  const Answer* known(std::string_view name);
  /// Calls `handler` once, never from inside this call, unless cancelled or the resolver ends. It
  /// has no time limit of its own below that of c-ares (about 6 s): the caller has one.
  Ticket resolve(std::string_view name, Handler handler);
  /// The query itself goes on, for others and for the cache.
  void cancel(Ticket ticket);
  /// Nobody answered at these addresses: ask anew next time.
  void forget(std::string_view name);

  ResolverStats stats() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sentinel::io
