#include "app/failover_commands.hpp"

#include <array>
#include <cstdlib>
#include <format>

#include "app/client_tools.hpp"
#include "app/command_line.hpp"

namespace sentinel::app {

namespace {

/// `{"pool":...,"server":...,"by":...`, open at its end.
std::string target(const std::string& server) {
  using protocol::json::quote;
  const auto slash = server.find('/');
  const std::string pool = slash == std::string::npos ? std::string{} : server.substr(0, slash);
  const std::string name = slash == std::string::npos ? server : server.substr(slash + 1);
  return "{\"pool\":" + quote(pool) + ",\"server\":" + quote(name) + ",\"by\":" + quote(who());
}

int change(const std::string& socket, const char* path, const std::string& body,
           const std::string& done) {
  const auto client = io::LocalClient::to(socket);
  if (!client) return complain(client.error().text);
  const auto reply = body_of(socket, client->post(path, body));
  if (!reply) return complain(reply.error());
  print_line(done);
  return exit_done;
}

std::string listen_text(const Value& pool) {
  std::string out;
  const auto& listeners = pool["listen"].array();
  for (std::size_t i = 0; i < listeners.size() && i < 2; ++i) {
    const Value& one = listeners[i];
    const std::string address = safe(one["address"].text());
    const bool v6 = address.find(':') != std::string::npos;
    if (!out.empty()) out += ", ";
    out += (v6 ? "[" : "") + address + (v6 ? "]:" : ":") +
           std::to_string(one["port"].integer(0, 65'535).value_or(0)) + "/" +
           safe(one["protocol"].text());
  }
  if (listeners.size() > 2) out += " and " + std::to_string(listeners.size() - 2) + " more";
  return out;
}

std::string server_note(const Value& server) {
  if (!server["drain"]["by"].text().empty()) {
    std::string out = "by " + safe(server["drain"]["by"].text());
    const std::string until = safe(server["drain"]["until"].text());
    return until.empty() ? out : out + " until " + until;
  }
  return safe(server["reason"].text());
}

}  // namespace

int command_drain(const std::string& socket, const DrainRequest& request) {
  using protocol::json::quote;
  std::string body = target(request.server);
  if (!request.length.empty()) body += ",\"for\":" + quote(request.length);
  if (!request.deadline.empty()) body += ",\"deadline\":" + quote(request.deadline);
  if (request.force) body += ",\"force\":true";
  return change(socket, "/api/v1/drain", body + "}",
                safe(request.server) + " gets no new connections" +
                    (request.length.empty() ? "" : " for " + safe(request.length)) +
                    "; `sentinel status` shows how many are left");
}

int command_ready(const std::string& socket, const std::string& server) {
  return change(socket, "/api/v1/ready", target(server) + "}",
                safe(server) + " gets connections again as soon as its checks pass");
}

int command_failover_status(const std::string& socket) {
  const auto status = get_json(socket, "/api/v1/status");
  if (!status) return complain(status.error());
  const auto pools = get_json(socket, "/api/v1/pools");
  if (!pools) return complain(pools.error());
  print_line("Sentinel failover " + safe((*status)["version"].text()) + ", up " +
             age((*status)["uptime_seconds"]));
  const std::string refused = safe((*status)["kernel"]["reason"].text());
  if (!refused.empty()) print_line("The kernel does not hold what is wanted: " + refused);
  if ((*status)["blind"].boolean().value_or(false))
    print_line("Nothing is taken out: our own network seems to be down (" +
               safe((*status)["blind_reason"].text()) + ")");
  std::vector<std::vector<std::string>> rows{
      {"SERVER", "STATE", "FOR", "SHARE", "FLOWS", "", "NOTE"}};
  for (const Value& pool : (*pools)["pools"].array()) {
    rows.push_back(
        {safe(pool["name"].text()), safe(pool["state"].text()), "", "", "", "", listen_text(pool)});
    for (const Value& server : pool["servers"].array()) {
      const double slots = server["slots"].number().value_or(0);
      const double all = pool["slots"].number().value_or(1);
      const auto flows = server["flows"].integer(0, std::int64_t{1} << 52U);
      rows.push_back({"  " + safe(pool["name"].text()) + "/" + safe(server["name"].text()),
                      safe(server["state"].text()), age(server["for_seconds"]),
                      std::format("{:.0f} %", all > 0 ? slots * 100 / all : 0.0),
                      flows ? std::to_string(*flows) : "-",
                      server["kept"].boolean().value_or(false) ? "kept" : "", server_note(server)});
    }
  }
  print_line("");
  print_table(rows);
  return exit_done;
}

std::expected<std::string, std::string> failover_status_json(const std::string& socket) {
  auto status = get(socket, "/api/v1/status");
  if (!status) return status;
  const auto pools = get(socket, "/api/v1/pools");
  if (!pools) return pools;
  // Two documents of ours, joined as they are.
  const auto list = pools->find('[');
  const auto end = pools->rfind(']');
  const auto close = status->rfind('}');
  if (list == std::string::npos || end == std::string::npos || end < list ||
      close == std::string::npos)
    return std::unexpected(std::string{"the failover's answer is no list"});
  return "\"failover\":" + status->substr(0, close) +
         ",\"pools\":" + pools->substr(list, end - list + 1) + "}";
}

int command_failover_healthcheck(const std::string& socket, bool ready) {
  const auto client = io::LocalClient::to(socket, {.deadline = std::chrono::seconds{2}});
  if (!client) return complain(client.error().text);
  if (!ready) {
    const auto body = body_of(socket, client->get("/livez"));
    if (!body) return complain(body.error());
    print_line("alive");
    return exit_done;
  }
  const auto reply = client->get("/readyz");
  if (reply && reply->status == 503) {
    const auto json = protocol::json::parse(reply->body);
    std::string reasons;
    if (json)
      for (const Value& reason : (*json)["reasons"].array())
        reasons += (reasons.empty() ? "" : "; ") + safe(reason.text());
    return complain("not ready: " + reasons);
  }
  const auto body = body_of(socket, reply);
  if (!body) return complain(body.error());
  print_line("ready");
  return exit_done;
}

}  // namespace sentinel::app
