#pragma once

// POST /api/v1/relay: what the failover beside this monitor has to tell. Over the Unix socket only.

#include "core/time.hpp"
#include "io/http_server.hpp"
#include "web/guard.hpp"
#include "web/sources.hpp"

namespace sentinel::web {

io::HttpResponse relay_response(const io::HttpRequest& request, const ApiSource& source,
                                Guard& guard);

}  // namespace sentinel::web
