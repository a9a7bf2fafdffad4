#pragma once

// Pools and servers of the failover beside this monitor, and changes of them, which are passed on
// to it. Changes stand behind the Guard.

#include "io/http_server.hpp"
#include "web/failover_backend.hpp"
#include "web/guard.hpp"
#include "web/sources.hpp"

namespace sentinel::web {

class PoolsApi {
 public:
  static constexpr core::Duration longest_drain = std::chrono::days{30};

  /// All outlive it; they may change.
  PoolsApi(const ApiSource& source, const FailoverBackend& failover, Guard& guard)
      : source_{source}, failover_{failover}, guard_{guard} {}

  io::HttpResponse pools() const;
  /// POST /api/v1/drain and, without `drain`, /api/v1/ready.
  io::HttpResponse change(const io::HttpRequest& request, bool drain);

 private:
  const ApiSource& source_;
  const FailoverBackend& failover_;
  Guard& guard_;
};

}  // namespace sentinel::web
