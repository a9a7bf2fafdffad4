#include "web/pool_views.hpp"

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "observe/text.hpp"

namespace sentinel::web {

namespace {

using Json = nlohmann::ordered_json;

Json wall(const std::optional<protocol::WallMs>& at) {
  return at ? Json(observe::rfc3339(*at)) : Json(nullptr);
}

Json server_json(const protocol::ReportedServer& server, const std::string& pool) {
  Json json;
  json["name"] = server.name;
  json["pool"] = pool;
  json["state"] = to_string(server.state);
  json["reason"] = server.reason;
  json["since"] = wall(server.since);
  json["in_use"] = server.in_use;
  json["kept"] = server.kept;
  Json addresses = Json::array();
  for (const core::IpAddress& address : server.addresses) addresses.push_back(address.to_string());
  json["addresses"] = std::move(addresses);
  json["port"] = server.port ? Json(*server.port) : Json(nullptr);
  json["weight"] = server.weight;
  json["role"] = to_string(server.role);
  json["share"] = server.share;
  json["slots"] = server.slots;
  json["flows"] = server.flows ? Json(*server.flows) : Json(nullptr);
  json["hold_down_seconds"] = server.hold_down_seconds;
  json["drain"] = nullptr;
  if (const auto& drain = server.drain) {
    json["drain"] = {{"by", drain->by},
                     {"since", wall(drain->since)},
                     {"until", wall(drain->until)},
                     {"deadline", wall(drain->deadline)},
                     {"finished", drain->finished}};
  }
  return json;
}

}  // namespace

Json failover_json(const FailoverState& state) {
  return {{"configured", state.configured},
          {"up", state.up},
          {"reason", state.reason},
          {"as_of", wall(state.as_of)}};
}

Json pool_json(const protocol::ReportedPool& pool) {
  Json json;
  json["name"] = pool.name;
  json["state"] = to_string(pool.state);
  Json listen = Json::array();
  for (const protocol::ReportedListener& one : pool.listen) {
    listen.push_back({{"address", one.address.to_string()},
                      {"protocol", one.protocol == core::L4::tcp ? "tcp" : "udp"},
                      {"port", one.port}});
  }
  json["listen"] = std::move(listen);
  json["schedule"] = to_string(pool.schedule);
  json["slots"] = pool.slots;
  Json servers = Json::array();
  for (const protocol::ReportedServer& server : pool.servers)
    servers.push_back(server_json(server, pool.name));
  json["servers"] = std::move(servers);
  return json;
}

Json pools_json(const FailoverState& state) {
  Json list = Json::array();
  for (const protocol::ReportedPool& pool : state.pools) list.push_back(pool_json(pool));
  return list;
}

const FailoverState& state_of(const FailoverBackend& failover) {
  static const FailoverState none{.reason = "this monitor looks for no failover"};
  return failover.any() ? failover.state() : none;
}

}  // namespace sentinel::web
