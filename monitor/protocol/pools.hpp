#pragma once

// What the failover beside the monitor answers to GET /api/v1/pools (docs/openapi-failover.yaml),
// as far as the monitor shows it. Whoever answers at that socket is not trusted: only fields that
// are known are taken, each of its type and within its limits, and texts are made safe to print.

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/ip.hpp"
#include "core/nat.hpp"
#include "core/pool_config.hpp"
#include "core/pool_event.hpp"
#include "protocol/error.hpp"

namespace sentinel::protocol {

inline constexpr std::size_t max_reported_body = std::size_t{1} << 20U;
inline constexpr std::size_t max_reported_pools = 256;
inline constexpr std::size_t max_reported_servers = 1024;  // of all pools
inline constexpr std::size_t max_reported_listeners = 1024;
inline constexpr std::size_t max_reported_addresses = 16;  // of a server
inline constexpr std::size_t max_reported_name = 128;      // bytes
inline constexpr std::size_t max_reported_text = 400;

using WallMs = std::int64_t;  // since 1970

struct ReportedDrain {
  std::string by{};
  std::optional<WallMs> since{};
  std::optional<WallMs> until{};
  std::optional<WallMs> deadline{};
  bool finished = false;
  bool operator==(const ReportedDrain&) const = default;
};

struct ReportedServer {
  std::string name{};  // one of its pool
  core::ServerState state = core::ServerState::unknown;
  std::string reason{};
  std::optional<WallMs> since{};
  bool in_use = false;
  bool kept = false;
  std::vector<core::IpAddress> addresses{};
  std::optional<unsigned> port{};
  unsigned weight = 0;
  core::Role role = core::Role::active;
  double share = 1.0;
  unsigned slots = 0;
  std::optional<std::uint64_t> flows{};
  double hold_down_seconds = 0;
  std::optional<ReportedDrain> drain{};
  bool operator==(const ReportedServer&) const = default;
};

struct ReportedListener {
  core::IpAddress address{};
  core::L4 protocol = core::L4::tcp;
  unsigned port = 0;
  bool operator==(const ReportedListener&) const = default;
};

struct ReportedPool {
  std::string name{};  // one of all
  core::PoolState state = core::PoolState::pending;
  std::vector<ReportedListener> listen{};
  core::Schedule schedule = core::Schedule::round_robin;
  unsigned slots = 0;
  std::vector<ReportedServer> servers{};
  bool operator==(const ReportedPool&) const = default;
};

/// All or nothing, in the order of the text. An error names the field.
std::expected<std::vector<ReportedPool>, Error> parse_pools(std::string_view body);

/// Where each time of `fresh` is that of `before` but for some milliseconds, takes the latter: the
/// failover makes them of two clocks, so that they move by a millisecond without any change.
void settle_times(ReportedPool& fresh, const ReportedPool& before);

/// A name of at most 128 bytes that can stand in a page or a log line as it is.
bool is_reportable_name(std::string_view name);

/// What an answer other than 200 says: `detail` of a problem document, else its title; made safe,
/// may be empty.
std::string problem_text(std::string_view body);

}  // namespace sentinel::protocol
