#pragma once

// Programs as receivers: the generic webhook, in the shape that Alertmanager's webhooks have
// (version "4") plus a `sentinel` object, and Alertmanager itself (API v2).

#include "protocol/alert_request.hpp"

namespace sentinel::protocol {

/// `Idempotency-Key` is the delivery's. The signature is added when it is sent, for it holds the
/// time.
AlertRequest webhook_request(const core::Delivery& delivery);

/// `POST /api/v2/alerts`. What goes on ends 5 minutes after `now` unless it is sent again; what has
/// ended ends when it did. Labels that change while an incident lasts (`cause`) are annotations
/// there: labels are an alert's identity.
AlertRequest alertmanager_request(const core::Delivery& delivery, core::WallTime now);

/// What `X-Sentinel-Signature` signs: `SECONDS.BODY`.
std::string signed_text(std::int64_t unix_seconds, const std::string& body);

}  // namespace sentinel::protocol
