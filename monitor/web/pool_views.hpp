#pragma once

// The failover beside the monitor as JSON: schemas Pools and Pool of docs/openapi.yaml.

#include <nlohmann/json_fwd.hpp>

#include "web/failover_backend.hpp"

namespace sentinel::web {

nlohmann::ordered_json failover_json(const FailoverState& state);
nlohmann::ordered_json pool_json(const protocol::ReportedPool& pool);
/// A list.
nlohmann::ordered_json pools_json(const FailoverState& state);
/// Of a monitor that looks for none: not configured.
const FailoverState& state_of(const FailoverBackend& failover);

}  // namespace sentinel::web
