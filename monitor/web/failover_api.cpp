#include "web/failover_api.hpp"

#include <nlohmann/json.hpp>

#include "observe/metrics.hpp"
#include "observe/text.hpp"
#include "protocol/json.hpp"
#include "protocol/settings.hpp"
#include "web/views.hpp"

namespace sentinel::web {

namespace {

using Json = nlohmann::ordered_json;
using core::Time;
using io::HttpRequest;
using io::HttpResponse;

constexpr std::size_t longest_name = 128;

HttpResponse index_page() {
  HttpResponse response;
  response.body =
      "Sentinel failover\n\n"
      "/livez            the process works\n"
      "/readyz           the kernel holds what is wanted\n"
      "/metrics          for Prometheus\n"
      "/api/v1/status    the process as JSON\n"
      "/api/v1/pools     all pools with their servers\n"
      "/api/v1/servers   all servers with their checks\n";
  return response;
}

Json wall(const Moment& moment, const std::optional<Time>& t) {
  return t && *t != Time{} && *t != core::never ? Json(moment.wall(*t)) : Json(nullptr);
}

Json check_json(const core::CheckView& check, const Moment& moment) {
  Json json;
  json["name"] = check.name;
  json["url"] = check.url;
  json["address"] = check.address;
  json["of_host"] = check.of_host;
  json["result"] = check.verdict ? to_string(*check.verdict) : "unknown";
  json["reason"] = to_string(check.reason);
  json["text"] = check.sentence;
  json["last"] = wall(moment, check.last);
  json["last_good"] = wall(moment, check.last_good);
  json["took_seconds"] = core::in_seconds(check.took);
  return json;
}

Json server_json(const core::ServerView& s, const Moment& moment, bool checks) {
  Json json;
  json["name"] = s.server;
  json["pool"] = s.pool;
  json["state"] = to_string(s.state);
  json["reason"] = s.reason;
  json["since"] = wall(moment, s.since);
  json["for_seconds"] = core::in_seconds(moment.now - s.since);
  json["in_use"] = s.in_use;
  json["kept"] = s.kept;
  Json addresses = Json::array();
  for (const auto& address : s.addresses) addresses.push_back(address.to_string());
  json["addresses"] = std::move(addresses);
  json["port"] = s.port == 0 ? Json(nullptr) : Json(s.port);
  json["weight"] = s.weight;
  json["role"] = to_string(s.role);
  json["share"] = s.share / 1000.0;
  json["slots"] = s.slots;
  json["flows"] = s.flows ? Json(*s.flows) : Json(nullptr);
  json["ejections"] = s.ejections;
  json["hold_down_seconds"] = core::in_seconds(s.hold_down);
  json["mark"] = s.block.value;
  json["mark_mask"] = s.block.mask;
  if (s.drain) {
    json["drain"] = {{"by", s.drain->by},
                     {"since", wall(moment, s.drain->since)},
                     {"until", wall(moment, s.drain->until)},
                     {"deadline", wall(moment, s.drain->deadline)},
                     {"finished", s.drain->finished}};
  } else {
    json["drain"] = nullptr;
  }
  if (checks) {
    Json list = Json::array();
    for (const core::CheckView& check : s.checks) list.push_back(check_json(check, moment));
    json["checks"] = std::move(list);
  }
  return json;
}

Json listener_json(const core::VipKey& key) {
  return {{"address", key.address.to_string()},
          {"protocol", key.protocol == core::L4::tcp ? "tcp" : "udp"},
          {"port", key.port}};
}

Json pool_json(const core::PoolView& pool, const Moment& moment) {
  Json json;
  json["name"] = pool.name;
  json["state"] = to_string(pool.state);
  Json listen = Json::array();
  for (const core::VipKey& key : pool.listeners) listen.push_back(listener_json(key));
  json["listen"] = std::move(listen);
  json["schedule"] = to_string(pool.schedule);
  json["eject"] = to_string(pool.eject);
  json["all_down"] = to_string(pool.all_down);
  json["masquerade"] = pool.masquerade;
  json["slots"] = static_cast<unsigned>(pool.slots);
  Json servers = Json::array();
  for (const core::ServerView& server : pool.servers)
    servers.push_back(server_json(server, moment, false));
  json["servers"] = std::move(servers);
  return json;
}

}  // namespace

HttpResponse FailoverApi::handle(const HttpRequest& request) const {
  const std::string_view path = request.path;
  const bool drain = path == "/api/v1/drain";
  if (drain || path == "/api/v1/ready") {
    if (request.method == "POST") return change(request, drain);
    HttpResponse response = io::http_problem(405, "expected POST");
    response.headers.emplace_back("Allow", "POST");
    return response;
  }
  const bool known = path == "/" || path == "/livez" || path == "/readyz" || path == "/metrics" ||
                     path == "/api/v1/status" || path == "/api/v1/pools" ||
                     path == "/api/v1/servers";
  if (!known) return io::http_problem(404, "nothing is here; / lists what there is");
  if (request.method != "GET") {
    HttpResponse response = io::http_problem(405, "expected GET or HEAD");
    response.headers.emplace_back("Allow", "GET, HEAD");
    return response;
  }
  if (path == "/livez") return json_response({{"status", "alive"}});
  if (path == "/readyz") return readyz();
  if (path == "/api/v1/status") return status();
  if (path == "/api/v1/pools") return pools();
  if (path == "/api/v1/servers") return servers();
  if (path == "/") return index_page();
  HttpResponse response;
  response.content_type = observe::metrics_content_type;
  response.body = source_.metrics();
  return response;
}

HttpResponse FailoverApi::readyz() const {
  const FailoverProcess process = source_.process();
  Json reasons = Json::array();
  if (!process.kernel_problem.empty()) reasons.push_back(process.kernel_problem);
  if (!process.core.adopted) reasons.push_back("the kernel's table has not been read yet");
  if (process.core.refused)
    reasons.push_back("the kernel refused a change: " + process.core.refused_reason);
  if (reasons.empty()) return json_response({{"status", "ready"}});
  return json_response({{"status", "not ready"}, {"reasons", std::move(reasons)}}, 503);
}

HttpResponse FailoverApi::status() const {
  const FailoverProcess process = source_.process();
  Json json;
  json["process"] = "failover";
  json["version"] = process.version;
  json["revision"] = process.revision;
  json["uptime_seconds"] = core::in_seconds(process.uptime);
  json["config"] = {{"file", process.config_file}, {"ok", process.config_ok}};
  json["kernel"] = {{"table", process.table},
                    {"adopted", process.core.adopted},
                    {"refused", process.core.refused},
                    {"reason", process.kernel_problem.empty() ? process.core.refused_reason
                                                              : process.kernel_problem}};
  json["blind"] = process.core.blind;
  json["blind_reason"] = process.core.blind_reason;
  json["state_kept"] = process.state_kept;
  return json_response(json);
}

HttpResponse FailoverApi::pools() const {
  const Moment moment{source_.now(), source_.unix_ms()};
  Json list = Json::array();
  for (const core::PoolView& pool : source_.pools()) list.push_back(pool_json(pool, moment));
  return json_response({{"pools", std::move(list)}});
}

HttpResponse FailoverApi::servers() const {
  const Moment moment{source_.now(), source_.unix_ms()};
  Json list = Json::array();
  for (const core::PoolView& pool : source_.pools())
    for (const core::ServerView& server : pool.servers)
      list.push_back(server_json(server, moment, true));
  return json_response({{"servers", std::move(list)}});
}

HttpResponse FailoverApi::change(const HttpRequest& request, bool drain) const {
  if (!request.local) return io::http_problem(403, "changes are taken over the Unix socket only");
  const auto body = protocol::json::parse(request.body);
  if (!body) return io::http_problem(400, "expected JSON: " + body.error().message);
  const auto name = [&](const char* key) {
    return observe::one_line((*body)[key].text(), longest_name);
  };
  const std::string server = name("server");
  if (server.empty()) return io::http_problem(400, "expected the server's name");
  std::string problem;
  if (!drain) {
    problem = source_.ready({name("pool"), server, name("by")});
  } else {
    core::DrainServer command{name("pool"), server, name("by"), {}, {}};
    const auto time = [&](const char* key, core::Duration min) {
      return protocol::parse_duration((*body)[key].text(), {min, longest_drain});
    };
    if (!(*body)["for"].text().empty()) {
      const auto length = time("for", std::chrono::seconds{1});
      if (!length) return io::http_problem(400, "for: " + length.error().message);
      command.length = *length;
    }
    if (!(*body)["deadline"].text().empty()) {
      const auto deadline = time("deadline", {});
      if (!deadline) return io::http_problem(400, "deadline: " + deadline.error().message);
      command.deadline = *deadline;
    }
    problem = source_.drain(std::move(command), (*body)["force"].boolean().value_or(false));
  }
  if (!problem.empty()) return io::http_problem(409, problem);
  return json_response({{"pool", name("pool")}, {"server", server}});
}

}  // namespace sentinel::web
