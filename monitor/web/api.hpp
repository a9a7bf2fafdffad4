#pragma once

// The monitor's HTTP interface: dashboard, health, metrics and /api/v1; docs/openapi.yaml describes
// it. Handlers read; what changes something is taken over the Unix socket or with the bearer token.

#include <string>
#include <string_view>

#include "io/http_server.hpp"
#include "web/alerts_api.hpp"
#include "web/failover_backend.hpp"
#include "web/guard.hpp"
#include "web/history_api.hpp"
#include "web/live.hpp"
#include "web/pools_api.hpp"
#include "web/sources.hpp"
#include "web/spared.hpp"
#include "web/status_api.hpp"

namespace sentinel::web {

class Api {
 public:
  /// `token`: of those who may change things over TCP; empty: nobody. `dear`: what costs as much
  /// processor time to make is given again for a moment (Spared); as it stands, nothing is.
  Api(ApiSource source, std::string token, Spared::Cost dear = Spared::Cost::max())
      : source_{std::move(source)},
        guard_{std::move(token)},
        spared_status_{dear},
        spared_services_{dear},
        spared_metrics_{dear},
        live_{source_, alerts_, history_, failover_},
        history_api_{source_, alerts_, history_},
        alerts_api_{source_, alerts_, guard_},
        pools_api_{source_, failover_, guard_},
        status_api_{source_, alerts_, history_} {}
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  void set_token(std::string token) { guard_.set_token(std::move(token)); }
  void set_alerts(AlertsBackend alerts) { alerts_ = std::move(alerts); }
  void set_history(HistoryBackend history) { history_ = std::move(history); }
  void set_failover(FailoverBackend failover) { failover_ = std::move(failover); }
  void set_status_page(StatusPageSettings settings) { status_api_.configure(std::move(settings)); }
  io::HttpResponse handle(const io::HttpRequest& request);
  /// Is to be told of everything that changes.
  Live& live() { return live_; }

  static constexpr core::Duration longest_maintenance = std::chrono::days{30};

 private:
  io::HttpResponse livez() const;
  io::HttpResponse readyz() const;
  io::HttpResponse status() const;
  io::HttpResponse services(const io::HttpRequest& request);
  io::HttpResponse made_services(const io::HttpRequest& request);
  io::HttpResponse metrics() const;
  io::HttpResponse service(std::string_view name);
  io::HttpResponse below_services(const io::HttpRequest& request);
  io::HttpResponse decisions(const io::HttpRequest& request) const;
  io::HttpResponse engines() const;
  io::HttpResponse maintained() const;
  io::HttpResponse maintenance(const io::HttpRequest& request);
  io::HttpResponse logs(const io::HttpRequest& request);
  io::HttpResponse act(const io::HttpRequest& request);
  io::HttpResponse read(const io::HttpRequest& request);
  io::HttpResponse change(const io::HttpRequest& request);
  io::HttpResponse changed(const io::HttpRequest& request);

  ApiSource source_;
  AlertsBackend alerts_;
  HistoryBackend history_;
  FailoverBackend failover_;
  Guard guard_;
  Spared spared_status_;
  Spared spared_services_;
  Spared spared_metrics_;
  Live live_;
  HistoryApi history_api_;
  AlertsApi alerts_api_;
  PoolsApi pools_api_;
  StatusApi status_api_;
};

}  // namespace sentinel::web
