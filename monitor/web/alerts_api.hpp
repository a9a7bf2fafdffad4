#pragma once

// Who is told of incidents, what is on its way, and silences. Changes stand behind the Guard.

#include <string_view>

#include "io/http_server.hpp"
#include "web/guard.hpp"
#include "web/sources.hpp"

namespace sentinel::web {

class AlertsApi {
 public:
  static constexpr std::size_t most_deliveries = 1000;  // that are listed
  static constexpr core::Duration longest_silence = std::chrono::days{30};

  /// All outlive it; they may change.
  AlertsApi(const ApiSource& source, const AlertsBackend& alerts, Guard& guard)
      : source_{source}, alerts_{alerts}, guard_{guard} {}

  io::HttpResponse alerts() const;
  io::HttpResponse silences() const;
  /// Of everything below /api/v1/alerts and /api/v1/silences that is no GET.
  io::HttpResponse change(const io::HttpRequest& request);

 private:
  io::HttpResponse test(const io::HttpRequest& request);
  io::HttpResponse add_silence(const io::HttpRequest& request);
  io::HttpResponse end_silence(std::string_view id);
  io::HttpResponse delivery(std::string_view id, bool retry);

  const ApiSource& source_;
  const AlertsBackend& alerts_;
  Guard& guard_;
};

}  // namespace sentinel::web
