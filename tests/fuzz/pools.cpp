// What comes from the failover's socket as its pools, and as its refusals.

#include "protocol/pools.hpp"

#include <set>

#include "fuzz.hpp"

using namespace sentinel;

namespace {

void check(const protocol::ReportedServer& server) {
  fuzz::require(protocol::is_reportable_name(server.name), "a server's name");
  fuzz::require(
      fuzz::printable(server.reason) && server.reason.size() <= protocol::max_reported_text,
      "a reason in one line");
  fuzz::require(server.addresses.size() <= protocol::max_reported_addresses, "few addresses");
  fuzz::require(server.share >= 0 && server.share <= 1, "a share");
  fuzz::require(server.hold_down_seconds >= 0, "a duration");
  fuzz::require(!server.port || *server.port <= 65'535, "a port");
  if (server.drain) fuzz::require(fuzz::printable(server.drain->by), "who drains, in one line");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = fuzz::view(data, size);
  fuzz::require(fuzz::printable(protocol::problem_text(text)), "words in one line");
  const auto pools = protocol::parse_pools(text);
  if (!pools) {
    fuzz::require(fuzz::printable(pools.error().message), "an error in one line");
    return 0;
  }
  fuzz::require(pools->size() <= protocol::max_reported_pools, "few pools");
  std::set<std::string> names;
  std::size_t servers = 0;
  for (const protocol::ReportedPool& pool : *pools) {
    fuzz::require(protocol::is_reportable_name(pool.name), "a pool's name");
    fuzz::require(names.insert(pool.name).second, "once each");
    for (const protocol::ReportedServer& server : pool.servers) check(server);
    servers += pool.servers.size();
    protocol::ReportedPool same = pool;
    protocol::settle_times(same, pool);
    fuzz::require(same == pool, "no change of itself");
  }
  fuzz::require(servers <= protocol::max_reported_servers, "few servers");
  return 0;
}
