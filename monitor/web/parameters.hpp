#pragma once

// Query parameters, checked. Errors are sentences for the client.

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "core/alert_model.hpp"
#include "io/http_server.hpp"

namespace sentinel::web {

template <typename T>
using Parameter = std::expected<T, std::string>;

/// `limit`: a number of at least 1; more than `most` counts as that.
Parameter<std::size_t> limit_of(const io::HttpRequest& request, std::size_t unless_given,
                                std::size_t most);
/// A whole number of at least `least`; nullopt: not given.
Parameter<std::optional<std::uint64_t>> number_of(const io::HttpRequest& request,
                                                  std::string_view name, std::uint64_t least);
/// Nothing but decimal digits; nullopt: that is no such number, or too large.
std::optional<std::uint64_t> parse_number(std::string_view text);
/// RFC 3339, in any zone; nullopt: not given.
Parameter<std::optional<core::WallTime>> time_of(const io::HttpRequest& request,
                                                 std::string_view name);
std::optional<core::WallTime> parse_time(std::string_view text);
/// 26 characters of Crockford's base 32.
bool is_ulid(std::string_view text);

}  // namespace sentinel::web
