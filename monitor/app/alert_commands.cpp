#include "app/alert_commands.hpp"

#include <string_view>

#include "app/client_tools.hpp"
#include "app/command_line.hpp"
#include "core/alert_model.hpp"
#include "io/local_client.hpp"
#include "protocol/json.hpp"
#include "protocol/matchers.hpp"

namespace sentinel::app {

namespace {

using protocol::json::quote;

int print_json(const std::string& socket, const std::string& target) {
  const auto body = get(socket, target);
  if (!body) return complain(body.error());
  print(stdout, *body);
  return exit_done;
}

std::string number(const Value& value) {
  return std::to_string(value.integer(0, 1'000'000'000).value_or(0));
}

std::string matchers_text(const Value& list) {
  core::Matchers matchers;
  for (const Value& one : list.array()) {
    matchers.push_back({safe(one["label"].text()),
                        protocol::parse_op(one["op"].text()).value_or(core::Matcher::Op::equal),
                        safe(one["value"].text())});
  }
  return protocol::format_matchers(matchers);
}

}  // namespace

int command_incidents(const std::string& socket, bool all, bool json) {
  const std::string target =
      std::string{"/api/v1/incidents?limit=100&state="} + (all ? "all" : "open");
  if (json) return print_json(socket, target);
  const auto answer = get_json(socket, target);
  if (!answer) return complain(answer.error());
  const auto& list = (*answer)["incidents"].array();
  if (list.empty()) {
    print_line(all ? "No incident is known" : "No incident is open");
    return exit_done;
  }
  std::vector<std::vector<std::string>> rows{{"INCIDENT", "SEVERITY", "BEGAN", "ENDED", "WHAT"}};
  for (const Value& one : list) {
    const bool ended = !one["ended"].is_null();
    const auto members = one["members"].array().size();
    std::string what = safe(one["title"].text()) + ": " +
                       safe(ended && !one["end_text"].text().empty() ? one["end_text"].text()
                                                                     : one["text"].text());
    if (members > 0) what += " (and " + std::to_string(members) + " that need it)";
    rows.push_back({safe(one["id"].text()), safe(one["severity"].text()), safe(one["began"].text()),
                    ended ? safe(one["ended"].text()) : "open", std::move(what)});
  }
  print_table(rows);
  return exit_done;
}

int command_alerts(const std::string& socket, bool json) {
  if (json) return print_json(socket, "/api/v1/alerts");
  const auto alerts = get_json(socket, "/api/v1/alerts");
  if (!alerts) return complain(alerts.error());
  const auto silences = get_json(socket, "/api/v1/silences");
  if (!silences) return complain(silences.error());
  const auto& receivers = (*alerts)["receivers"].array();
  if (receivers.empty()) {
    print_line("No receiver is configured: nobody is told of incidents");
  } else {
    std::vector<std::vector<std::string>> rows{
        {"RECEIVER", "PENDING", "GIVEN UP", "LAST ACCEPTED", "LAST ERROR"}};
    for (const Value& one : receivers) {
      rows.push_back({safe(one["name"].text()), number(one["pending"]), number(one["dead"]),
                      one["last_accepted"].is_null() ? "never" : safe(one["last_accepted"].text()),
                      safe(one["last_error"].text())});
    }
    print_table(rows);
  }
  const auto& deliveries = (*alerts)["deliveries"].array();
  if (!deliveries.empty()) {
    print_line("");
    std::vector<std::vector<std::string>> rows{{"DELIVERY", "RECEIVER", "STATE", "TRIES", "WHAT"}};
    for (const Value& one : deliveries) {
      const bool dead = !one["dead"].is_null();
      rows.push_back({number(one["id"]), safe(one["receiver"].text()),
                      dead ? "given up" : "pending", number(one["attempts"]),
                      safe(one["text"].text()) +
                          (one["error"].text().empty() ? "" : ": " + safe(one["error"].text()))});
    }
    print_table(rows);
  }
  const auto& list = (*silences)["silences"].array();
  if (!list.empty()) {
    print_line("");
    std::vector<std::vector<std::string>> rows{{"SILENCE", "ENDS", "BY", "MATCHES", "COMMENT"}};
    for (const Value& one : list) {
      rows.push_back({safe(one["id"].text()), safe(one["ends"].text()), safe(one["by"].text()),
                      matchers_text(one["match"]), safe(one["comment"].text())});
    }
    print_table(rows);
  }
  return exit_done;
}

int command_alert_test(const std::string& socket, const std::string& receiver) {
  return change(socket, "/api/v1/alerts/test", "{\"receiver\":" + quote(receiver) + "}",
                "sent to " + receiver);
}

int command_silence(const std::string& socket, const SilenceRequest& request) {
  const auto client = io::LocalClient::to(socket);
  if (!client) return complain(client.error().text);
  if (!request.end.empty()) {
    const auto reply = body_of(socket, client->remove("/api/v1/silences/" + encode(request.end)));
    if (!reply) return complain(reply.error());
    print_line("silence " + safe(request.end) + " has ended");
    return exit_done;
  }
  std::string match;
  for (const std::string& text : request.match) {
    const auto matcher = protocol::parse_matcher(text);
    if (!matcher) {
      complain(text + ": " + matcher.error().message);
      return exit_usage;
    }
    if (!match.empty()) match += ',';
    match += "{\"label\":" + quote(matcher->label) +
             ",\"op\":" + quote(protocol::word_of(matcher->op)) +
             ",\"value\":" + quote(matcher->value) + "}";
  }
  const std::string body = "{\"match\":[" + match + "],\"for\":" + quote(request.length) +
                           ",\"by\":" + quote(who()) + ",\"comment\":" + quote(request.comment) +
                           "}";
  const auto reply = body_of(socket, client->post("/api/v1/silences", body));
  if (!reply) return complain(reply.error());
  const auto answer = protocol::json::parse(*reply);
  if (!answer) return complain("the answer is no JSON: " + answer.error().message);
  print_line("silence " + safe((*answer)["id"].text()) + " holds until " +
             safe((*answer)["ends"].text()));
  return exit_done;
}

}  // namespace sentinel::app
