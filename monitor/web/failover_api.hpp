#pragma once

// The failover's HTTP interface: health, metrics and /api/v1; docs/openapi.yaml describes it.
// Changes (drain, ready) are taken over the Unix socket only.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/failover.hpp"
#include "io/http_server.hpp"

namespace sentinel::web {

/// The process as a whole.
struct FailoverProcess {
  std::string version;
  std::string revision;
  core::Duration uptime{};
  core::FailoverView core;
  bool config_ok = true;  // of the last load
  std::string config_file;
  std::string table;
  std::string kernel_problem;  // why the kernel cannot be used; empty: it can
  bool state_kept = true;      // drains were written to disk
};

struct FailoverSource {
  std::function<core::Time()> now;
  std::function<std::int64_t()> unix_ms;
  std::function<FailoverProcess()> process;
  std::function<std::vector<core::PoolView>()> pools;
  std::function<std::string()> metrics;
  /// A sentence about what is wrong; empty: done.
  std::function<std::string(core::DrainServer, bool force)> drain;
  std::function<std::string(core::ReadyServer)> ready;
};

class FailoverApi {
 public:
  explicit FailoverApi(FailoverSource source) : source_{std::move(source)} {}
  io::HttpResponse handle(const io::HttpRequest& request) const;

  static constexpr core::Duration longest_drain = std::chrono::days{30};

 private:
  io::HttpResponse readyz() const;
  io::HttpResponse status() const;
  io::HttpResponse pools() const;
  io::HttpResponse servers() const;
  io::HttpResponse change(const io::HttpRequest& request, bool drain) const;

  FailoverSource source_;
};

}  // namespace sentinel::web
