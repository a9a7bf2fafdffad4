#pragma once

// Answers of the Engine's HTTP API, versions 1.41 to 1.52, as values of the core. Everything is
// optional until seen; what is missing or of another type reads as "not there", except ids: an
// answer whose id is wrong is no answer.
//
// Sources: Docker Engine API reference v1.41-v1.52; State of a container from moby's
// container/state.go.

#include <compare>
#include <cstdint>
#include <expected>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/event.hpp"
#include "core/types.hpp"
#include "protocol/error.hpp"
#include "protocol/json.hpp"
#include "protocol/settings.hpp"

namespace sentinel::protocol {

inline constexpr json::Limits list_limits{
    .max_bytes = std::size_t{32} << 20U, .max_depth = 64, .max_values = 8'000'000};
inline constexpr json::Limits inspect_limits{
    .max_bytes = std::size_t{4} << 20U, .max_depth = 64, .max_values = 200'000};
inline constexpr json::Limits small_limits{
    .max_bytes = std::size_t{256} << 10U, .max_depth = 16, .max_values = 10'000};
inline constexpr std::size_t health_output_bytes = 4096;

// --- versions
// ---------------------------------------------------------------------------------------------------------

struct ApiVersion {
  unsigned major = 1;
  unsigned minor = 0;
  auto operator<=>(const ApiVersion&) const = default;
  std::string to_string() const;  // "1.41"
};
inline constexpr ApiVersion lowest_api{1, 41};
inline constexpr ApiVersion highest_api{1, 52};

std::optional<ApiVersion> parse_api_version(std::string_view text);

struct EngineVersion {
  std::string engine;  // escaped
  ApiVersion lowest;   // 1.24 when the answer does not say
  ApiVersion highest;
};
/// The answer of GET /version.
std::expected<EngineVersion, Error> parse_version(std::string_view text);

/// The highest version both sides speak; the error names both ranges.
std::expected<ApiVersion, Error> negotiate(const EngineVersion& engine);

/// `message` of an error answer, else the body itself; escaped, at most 300 bytes.
std::string error_message(std::string_view body);

// --- time
// -------------------------------------------------------------------------------------------------------------

/// RFC 3339 with up to 9 fractional digits, as ns since 1970. nullopt: malformed or outside
/// 1970..2261 (Docker's "never" is the year 1).
std::optional<std::int64_t> parse_rfc3339(std::string_view text);

/// An HTTP date of the preferred form (RFC 9110, 5.6.7), as seconds since 1970.
std::optional<std::int64_t> parse_http_date(std::string_view text);

/// The Engine's clock at the moment of an answer: ours while the answer's Date agrees within 2 s
/// (Date has whole seconds and the Engine normally runs on our kernel), else Date's.
std::int64_t engine_clock(std::int64_t our_clock_ns, std::string_view date_header);

// --- lists
// ------------------------------------------------------------------------------------------------------------

/// The answer of GET /containers/json. One row without a full id spoils the list: half a list would
/// read as removals.
std::expected<std::vector<core::ListedContainer>, Error> parse_list(std::string_view text);

core::RunState parse_run_state(
    std::string_view text);  // unknown words: created, nothing is done to such a container

/// The health in `Status`, e.g. "Up 5 minutes (unhealthy)"; API < 1.52 says it nowhere else in a
/// list.
core::EngineHealth health_from_status_text(std::string_view text);

// --- inspect
// ----------------------------------------------------------------------------------------------------------

/// Where we stand ourselves.
struct OwnPlace {
  std::optional<core::ContainerId> container;  // the container this process runs in
  bool host_network = true;  // we see the host's networks: every container address is within reach
  std::set<std::string, std::less<>>
      networks;  // ids of the networks we are in, when not host_network
  bool operator==(const OwnPlace&) const = default;
};

struct InspectContext {
  OwnPlace own;
  LabelDefaults settings;
};

/// The answer of GET /containers/ID/json; `engine_now` as from engine_clock().
std::expected<core::ContainerFacts, Error> parse_inspect(std::string_view text,
                                                         const InspectContext& context,
                                                         std::int64_t engine_now);

/// Our own inspect: the networks we are in.
std::expected<OwnPlace, Error> parse_own_place(std::string_view text);

}  // namespace sentinel::protocol
