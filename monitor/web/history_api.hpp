#pragma once

// What was: incidents, history, timelines, latencies and availability, from the journal on disk.
// Its answers come later; without a journal these calls are answered 503.

#include <string>
#include <string_view>

#include "io/http_server.hpp"
#include "web/sources.hpp"

namespace sentinel::web {

class HistoryApi {
 public:
  static constexpr std::size_t most_incidents = 200;
  static constexpr std::size_t most_history = 1000;

  /// All outlive it; they may change.
  HistoryApi(const ApiSource& source, const AlertsBackend& alerts, const HistoryBackend& history)
      : source_{source}, alerts_{alerts}, history_{history} {}

  io::HttpResponse incidents(const io::HttpRequest& request) const;
  io::HttpResponse incident(const std::string& id) const;
  io::HttpResponse history(const io::HttpRequest& request) const;
  io::HttpResponse timeline(const io::HttpRequest& request, const core::ServiceView& view) const;
  io::HttpResponse latency(const io::HttpRequest& request, const core::ServiceView& view) const;
  io::HttpResponse availability(const core::ServiceView& view) const;

 private:
  struct Span {
    core::WallTime from;
    core::WallTime to;
  };
  std::expected<Span, std::string> span_of(const io::HttpRequest& request) const;
  io::HttpResponse open_incidents(const io::HttpRequest& request,
                                  const io::IncidentQuery& query) const;
  core::Labels labels() const { return alerts_.labels ? alerts_.labels() : core::Labels{}; }

  const ApiSource& source_;
  const AlertsBackend& alerts_;
  const HistoryBackend& history_;
};

/// The one service of this name, or what to answer instead: 404, 409.
std::expected<core::ServiceView, io::HttpResponse> one_service(const ApiSource& source,
                                                               std::string_view name);

}  // namespace sentinel::web
