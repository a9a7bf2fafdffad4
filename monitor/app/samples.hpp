#pragma once

// What the parts of the shell count, as samples for a scrape.

#include <vector>

#include "io/engine_client.hpp"
#include "io/http_server.hpp"
#include "io/prober.hpp"
#include "io/store.hpp"
#include "observe/log.hpp"
#include "observe/metrics.hpp"

namespace sentinel::app {

struct ShellFigures {
  std::optional<io::EngineStats> engine;  // none: there is no Engine
  io::ProberStats prober;
  io::HttpServerStats http;
  io::StoreStats store;
  std::uint64_t log_dropped = 0;
  std::uint64_t log_suppressed = 0;
  unsigned operations_in_flight = 0;
  bool storm = false;
};

std::vector<observe::Sample> samples_of(const ShellFigures& figures);

observe::HistogramSample probe_lag_of(const io::ProberStats& prober);

}  // namespace sentinel::app
