#pragma once

// What failover tells the monitor beside it, over the monitor's Unix socket: a message about
// incidents as the journal keeps it (alert_json.hpp), in one request.

#include <cstddef>
#include <expected>
#include <string_view>

#include "core/alert_model.hpp"
#include "protocol/alert_request.hpp"
#include "protocol/error.hpp"

namespace sentinel::protocol {

inline constexpr std::string_view relay_path = "/api/v1/relay";
/// What the monitor's HTTP server takes.
inline constexpr std::size_t max_relay_body = std::size_t{60} * 1024;

/// Lines and members that do not fit are left out: the newest lines and the first members stay.
AlertRequest relay_request(const core::Delivery& delivery);

/// The message of such a body. An error says what was wrong: anything that relay_request() would
/// not write, incidents of what is neither a server nor a pool nor Sentinel itself, and names of
/// these that are empty, longer than 128 bytes or not fit to print.
std::expected<core::Message, Error> parse_relay(std::string_view body);

}  // namespace sentinel::protocol
