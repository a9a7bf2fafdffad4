#include "app/client_commands.hpp"

#include <string_view>
#include <utility>
#include <vector>

#include "app/client_tools.hpp"
#include "app/command_line.hpp"
#include "io/local_client.hpp"
#include "observe/text.hpp"
#include "protocol/json.hpp"

namespace sentinel::app {

namespace {

std::string state_text(const Value& service) {
  std::string text = safe(service["state"].text());
  for (const Value& overlay : service["overlays"].array()) text += "+" + safe(overlay.text());
  return text;
}

/// "asked for, 12 min left, until 2026-11-26T12:30:00.000Z"; empty: it is not in maintenance.
std::string maintenance_text(const Value& service) {
  std::string text = safe(service["maintenance"].text());
  const std::string until = safe(service["maintenance_until"].text());
  if (!text.empty() && !until.empty()) text += ", until " + until;
  return text;
}

/// What a person wants done with one service.
int act(const std::string& socket, const std::string& service, const std::string& action,
        const std::string& reason) {
  using protocol::json::quote;
  return change(socket, "/api/v1/services/" + encode(service) + "/" + action,
                "{\"by\":" + quote(who()) + ",\"reason\":" + quote(reason) + "}",
                safe(service) + ": " + action);
}

}  // namespace

int command_healthcheck(const std::string& socket) {
  const auto client = io::LocalClient::to(socket, {.deadline = std::chrono::seconds{2}});
  if (!client) return complain(client.error().text);
  const auto body = body_of(socket, client->get("/livez"));
  if (!body) return complain(body.error());
  print_line("alive");
  return exit_done;
}

int command_status(const std::string& socket, bool json, const std::string& more) {
  if (json) {
    const auto status = get(socket, "/api/v1/status");
    if (!status) return complain(status.error());
    const auto services = get(socket, "/api/v1/services");
    if (!services) return complain(services.error());
    // Two documents of ours, joined as they are: {"monitor": ..., "services": [...]}.
    const auto list = services->find('[');
    const auto end = services->rfind(']');
    if (list == std::string::npos || end == std::string::npos || end < list)
      return complain("the monitor's answer is no list");
    std::string monitor = *status;
    while (monitor.ends_with('\n')) monitor.pop_back();
    print_line("{\"monitor\":" + monitor + ",\"services\":" +
               services->substr(list, end - list + 1) + (more.empty() ? "" : "," + more) + "}");
    return exit_done;
  }
  const auto status = get_json(socket, "/api/v1/status");
  if (!status) return complain(status.error());
  const auto services = get_json(socket, "/api/v1/services");
  if (!services) return complain(services.error());
  const Value& engine = (*status)["engine"];
  const bool up = engine["up"].boolean().value_or(false);
  std::string about = up ? "up, version " + safe(engine["version"].text()) + ", API " +
                               safe(engine["api_version"].text())
                         : "down: " + safe(engine["reason"].text());
  if (up && !engine["synchronised"].boolean().value_or(true)) about += ", first list under way";
  print_line("Sentinel " + safe((*status)["version"].text()) + ", up " +
             age((*status)["uptime_seconds"]));
  if (engine["configured"].boolean().value_or(true)) {
    print_line("Engine " + safe(engine["endpoint"].text()) + " is " + about);
  } else {
    print_line("No Engine is configured; the file's targets are watched");
  }
  const Value& store = (*status)["store"];
  if (!store["durable"].boolean().value_or(true))
    print_line("Store is not durable: " + safe(store["reason"].text()));
  if ((*status)["healing"]["storm_hold"].boolean().value_or(false)) {
    print_line("Healing is held: many services failed at once");
  }
  const auto& list = (*services)["services"].array();
  if (list.empty()) {
    print_line(
        "No services are watched; label a container with sentinel.enable=true, or name "
        "targets in the file");
    return exit_done;
  }
  print_line("");
  std::vector<std::vector<std::string>> rows{{"SERVICE", "STATE", "FOR", "BUDGET", "DECISION"}};
  for (const Value& service : list) {
    std::string decision = safe(service["decision"].text());
    if (const auto why = maintenance_text(service); !why.empty())
      decision += (decision.empty() ? "in maintenance: " : "; in maintenance: ") + why;
    rows.push_back({safe(service["name"].text()), state_text(service), age(service["for_seconds"]),
                    std::to_string(service["budget_remaining"].integer(0, 1000).value_or(0)),
                    std::move(decision)});
  }
  print_table(rows);
  return exit_done;
}

int command_explain(const std::string& socket, const std::string& service, bool json) {
  const std::string target = "/api/v1/explain?service=" + encode(service);
  if (json) {
    const auto body = get(socket, target);
    if (!body) return complain(body.error());
    print(stdout, *body);
    return exit_done;
  }
  const auto view = get_json(socket, target);
  if (!view) return complain(view.error());
  const Value& v = *view;
  const Value& engine = v["engine"];
  const Value& settings = v["settings"];
  print_line(safe(v["full_name"].text()) + " is " + state_text(v) + " for " +
             age(v["for_seconds"]) +
             (v["reason"].text().empty() ? "" : ": " + safe(v["reason"].text())));
  print_fact("decision", safe(v["decision"].text()));
  print_fact("next attempt", safe(v["next_attempt"].text()));
  print_fact("maintenance", maintenance_text(v));
  if (!v["target"].boolean().value_or(false)) {
    print_fact("container", safe(v["container_name"].text()) + " " +
                                safe(v["container"].text().substr(0, 12)) + " (" +
                                safe(v["image"].text()) + ")");
    print_fact("Engine says",
               safe(engine["run"].text()) + ", health " + safe(engine["health"].text()) +
                   (engine["health_stale"].boolean().value_or(false) ? " (stale)" : ""));
    print_fact("health output", safe(engine["health_output"].text()));
  }
  for (const Value& probe : v["probes"].array()) {
    print_fact("probe " + safe(probe["name"].text()),
               safe(probe["url"].text()) + " " + safe(probe["result"].text()) +
                   (probe["text"].text().empty() ? "" : ": " + safe(probe["text"].text())));
  }
  print_fact("healing", safe(settings["heal"].text()) + " on " + safe(settings["heal.on"].text()) +
                            ", budget " + safe(settings["heal.budget"].text()) + " (" +
                            std::to_string(v["budget_remaining"].integer(0, 1000).value_or(0)) +
                            " left), back-off " + safe(settings["heal.backoff"].text()));
  const auto& decisions = v["decisions"].array();
  if (!decisions.empty()) print_line("lately:");
  for (const Value& entry : decisions)
    print_line("  " + safe(entry["time"].text()) + " " + safe(entry["text"].text()));
  return exit_done;
}

int command_maintenance(const std::string& socket, const std::string& service,
                        const std::string& length) {
  const auto client = io::LocalClient::to(socket);
  if (!client) return complain(client.error().text);
  std::string body = "{\"service\":" + protocol::json::quote(service);
  body += length.empty() ? ",\"end\":true}" : ",\"for\":" + protocol::json::quote(length) + "}";
  const auto reply = body_of(socket, client->post("/api/v1/maintenance", body));
  if (!reply) return complain(reply.error());
  const auto answer = protocol::json::parse(*reply);
  const std::string name = answer ? safe((*answer)["service"].text()) : safe(service);
  print_line(length.empty() ? "maintenance of " + name + " has ended"
                            : name + " is in maintenance for " + length);
  return exit_done;
}

int command_restart(const std::string& socket, const std::string& service,
                    const std::string& reason) {
  return act(socket, service, "restart", reason);
}

int command_release(const std::string& socket, const std::string& service,
                    const std::string& reason) {
  return act(socket, service, "release", reason);
}

}  // namespace sentinel::app
