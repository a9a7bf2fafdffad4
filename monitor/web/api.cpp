#include "web/api.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "observe/metrics.hpp"
#include "protocol/json.hpp"
#include "protocol/settings.hpp"
#include "web/views.hpp"

namespace sentinel::web {

namespace {

using Json = nlohmann::ordered_json;
using io::HttpRequest;
using io::HttpResponse;

constexpr std::string_view services_prefix = "/api/v1/services/";

HttpResponse index_page() {
  HttpResponse response;
  response.body =
      "Sentinel monitor\n\n"
      "/livez                      the process works\n"
      "/readyz                     it sees the Engine and can keep what it must\n"
      "/metrics                    for Prometheus\n"
      "/api/v1/status              the process as JSON\n"
      "/api/v1/services            all services\n"
      "/api/v1/services/NAME       one service\n"
      "/api/v1/explain?service=NAME    one service, with what was decided and why\n"
      "/api/v1/decisions?service=NAME  what was decided lately\n";
  return response;
}

std::string_view media_type(std::string_view field) {
  field = field.substr(0, field.find(';'));
  while (!field.empty() && field.back() == ' ') field.remove_suffix(1);
  return field;
}

HttpResponse not_found(std::string_view name) {
  return io::http_problem(
      404, "no service is called '" + std::string{name} + "'; /api/v1/services lists all");
}

HttpResponse ambiguous(const std::vector<core::ServiceView>& found) {
  std::string text = "several services go by that name: ";
  for (std::size_t i = 0; i < found.size() && i < 10; ++i) {
    if (i > 0) text += ", ";
    text += found[i].key.to_string();
  }
  if (found.size() > 10) text += ", ...";
  return io::http_problem(409, text);
}

}  // namespace

bool equal_secrets(std::string_view a, std::string_view b) {
  // The loop runs over what was given, so that its time tells nothing about the secret.
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const char other = b.empty() ? '\0' : b[i % b.size()];
    difference |=
        static_cast<unsigned>(static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(other));
  }
  return difference == 0;
}

HttpResponse Api::handle(const HttpRequest& request) const {
  const std::string_view path = request.path;
  if (path == "/api/v1/maintenance") {
    if (request.method == "POST") return maintenance(request);
    HttpResponse response = io::http_problem(405, "expected POST");
    response.headers.emplace_back("Allow", "POST");
    return response;
  }
  HttpResponse (Api::*page)() const = nullptr;
  if (path == "/livez") page = &Api::livez;
  if (path == "/readyz") page = &Api::readyz;
  if (path == "/api/v1/status") page = &Api::status;
  if (path == "/api/v1/services") page = &Api::services;
  const bool known = page != nullptr || path == "/" || path == "/metrics" ||
                     path == "/api/v1/explain" || path == "/api/v1/decisions" ||
                     path.starts_with(services_prefix);
  if (!known) return io::http_problem(404, "nothing is here; / lists what there is");
  if (request.method != "GET") {
    HttpResponse response = io::http_problem(405, "expected GET or HEAD");
    response.headers.emplace_back("Allow", "GET, HEAD");
    return response;
  }
  if (page != nullptr) return (this->*page)();
  if (path == "/") return index_page();
  if (path == "/metrics") {
    HttpResponse response;
    response.content_type = observe::metrics_content_type;
    response.body = source_.metrics();
    return response;
  }
  if (path == "/api/v1/decisions") return decisions(request);
  if (path == "/api/v1/explain") {
    const auto name = request.parameter("service");
    if (!name || name->empty()) return io::http_problem(400, "expected ?service=NAME");
    return service(*name);
  }
  return service(path.substr(services_prefix.size()));
}

HttpResponse Api::livez() const {
  // That this runs is the proof.
  return json_response({{"status", "alive"}});
}

HttpResponse Api::readyz() const {
  const ProcessView process = source_.process();
  Json reasons = Json::array();
  // Without an Engine there is nothing to wait for: targets are known from the start.
  if (process.has_engine && !process.engine_up) {
    reasons.push_back(process.engine_reason.empty() ? "the Engine does not answer"
                                                    : process.engine_reason);
  } else if (process.has_engine && !process.synchronised) {
    reasons.push_back("the first list of containers is still being worked through");
  }
  if (!process.store_durable) {
    reasons.push_back(process.store_reason.empty() ? "what is decided cannot be kept durably"
                                                   : process.store_reason);
  }
  if (reasons.empty()) return json_response({{"status", "ready"}});
  return json_response({{"status", "not ready"}, {"reasons", std::move(reasons)}}, 503);
}

HttpResponse Api::status() const {
  Json json = process_json(source_.process());
  Json states = Json::object();
  for (const core::State state : core::all_states) states[std::string{core::to_string(state)}] = 0;
  const auto all = source_.services();
  for (const core::ServiceView& view : all) {
    Json& count = states[std::string{core::to_string(view.state)}];
    count = count.get<int>() + 1;
  }
  json["services"] = all.size();
  json["states"] = std::move(states);
  return json_response(json);
}

HttpResponse Api::services() const {
  const Moment moment{source_.now(), source_.unix_ms()};
  Json list = Json::array();
  for (const core::ServiceView& view : source_.services())
    list.push_back(summary_json(view, moment));
  return json_response({{"services", std::move(list)}});
}

HttpResponse Api::service(std::string_view name) const {
  const auto found = source_.find(name);
  if (found.empty()) return not_found(name);
  if (found.size() > 1) return ambiguous(found);
  Json json = detail_json(found.front(), {source_.now(), source_.unix_ms()});
  if (source_.journal != nullptr)
    json["decisions"] = journal_json(source_.journal->of(found.front().id));
  return json_response(json);
}

HttpResponse Api::decisions(const HttpRequest& request) const {
  if (source_.journal == nullptr) return json_response({{"decisions", Json::array()}});
  const auto name = request.parameter("service");
  if (!name || name->empty())
    return json_response({{"decisions", journal_json(source_.journal->newest(200))}});
  const auto found = source_.find(*name);
  if (found.empty()) return not_found(*name);
  if (found.size() > 1) return ambiguous(found);
  return json_response({{"decisions", journal_json(source_.journal->of(found.front().id))}});
}

std::optional<HttpResponse> Api::refuse_change(const HttpRequest& request) const {
  if (media_type(request.field("Content-Type")) != "application/json") {
    return io::http_problem(415, "expected Content-Type: application/json");
  }
  if (request.local) return std::nullopt;
  if (token_.empty()) {
    return io::http_problem(
        403, "changes over TCP are off: no token is configured (SENTINEL_TOKEN_FILE)");
  }
  const std::string_view origin = request.field("Origin");
  if (!origin.empty() && origin != "http://" + std::string{request.field("Host")} &&
      origin != "https://" + std::string{request.field("Host")}) {
    return io::http_problem(403, "changes from pages of another origin are refused");
  }
  constexpr std::string_view scheme = "Bearer ";
  const std::string_view given = request.field("Authorization");
  if (!given.starts_with(scheme) || !equal_secrets(given.substr(scheme.size()), token_)) {
    HttpResponse response =
        io::http_problem(401, "expected Authorization: Bearer with the configured token");
    response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"sentinel\"");
    return response;
  }
  return std::nullopt;
}

HttpResponse Api::maintenance(const HttpRequest& request) const {
  if (auto refusal = refuse_change(request)) return std::move(*refusal);
  const auto body = protocol::json::parse(request.body);
  if (!body || !body->is_object()) return io::http_problem(400, "expected a JSON object");
  const std::string_view name = (*body)["service"].text();
  const std::string_view length = (*body)["for"].text();
  const bool end = (*body)["end"].boolean().value_or(false);
  if (name.empty()) return io::http_problem(400, "service: expected the name of a service");
  if (length.empty() != end)
    return io::http_problem(400, "expected either \"for\": \"30m\" or \"end\": true");
  core::Duration duration{};
  if (!end) {
    const auto parsed =
        protocol::parse_duration(length, {std::chrono::seconds{1}, longest_maintenance});
    if (!parsed) return io::http_problem(400, "for: " + parsed.error().message);
    duration = *parsed;
  }
  const auto found = source_.find(name);
  if (found.empty()) return not_found(name);
  if (found.size() > 1) return ambiguous(found);
  source_.set_maintenance(found.front().key, duration);
  Json json;
  json["service"] = found.front().key.to_string();
  json["maintenance"] = !end;
  json["for"] = end ? Json(nullptr) : Json(protocol::format_duration(duration));
  return json_response(json);
}

}  // namespace sentinel::web
