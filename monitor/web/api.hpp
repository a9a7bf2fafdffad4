#pragma once

// The monitor's HTTP interface: health, metrics and /api/v1; docs/openapi.yaml describes it.
// Handlers read; the only call that changes anything is maintenance, taken over the Unix socket or
// with the bearer token.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/core.hpp"
#include "io/http_server.hpp"
#include "web/journal.hpp"

namespace sentinel::web {

/// The process as a whole.
struct ProcessView {
  std::string version;
  std::string revision;
  core::Duration uptime{};
  bool has_engine = true;
  bool engine_up = false;
  std::string engine;         // endpoint
  std::string engine_reason;  // why it is down; escaped
  std::string engine_version;
  std::string api_version;
  bool synchronised = false;
  bool store_durable = false;
  std::string store_reason;
  bool storm = false;
  unsigned operations_in_flight = 0;
  unsigned max_concurrent = 0;
  bool config_ok = true;  // of the last load
  std::string config_file;
  std::size_t targets = 0;  // of the file
};

/// Where handlers get what they show. All are called on the server's thread.
struct ApiSource {
  std::function<core::Time()> now;
  std::function<std::int64_t()> unix_ms;
  std::function<ProcessView()> process;
  std::function<std::vector<core::ServiceView>()> services;
  std::function<std::vector<core::ServiceView>(std::string_view)> find;
  std::function<std::string()> metrics;
  std::function<void(const core::ServiceKey&, core::Duration)> set_maintenance;
  const Journal* journal = nullptr;
};

class Api {
 public:
  /// `token`: of those who may change things over TCP; empty: nobody.
  Api(ApiSource source, std::string token) : source_{std::move(source)}, token_{std::move(token)} {}

  void set_token(std::string token) { token_ = std::move(token); }
  io::HttpResponse handle(const io::HttpRequest& request) const;

  static constexpr core::Duration longest_maintenance = std::chrono::days{30};

 private:
  io::HttpResponse livez() const;
  io::HttpResponse readyz() const;
  io::HttpResponse status() const;
  io::HttpResponse services() const;
  io::HttpResponse service(std::string_view name) const;
  io::HttpResponse decisions(const io::HttpRequest& request) const;
  io::HttpResponse maintenance(const io::HttpRequest& request) const;
  std::optional<io::HttpResponse> refuse_change(const io::HttpRequest& request) const;

  ApiSource source_;
  std::string token_;
};

/// In time that does not depend on where the two differ.
bool equal_secrets(std::string_view a, std::string_view b);

}  // namespace sentinel::web
