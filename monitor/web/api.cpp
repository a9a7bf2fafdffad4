#include "web/api.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "io/http_server_parse.hpp"
#include "observe/metrics.hpp"
#include "observe/text.hpp"
#include "protocol/json.hpp"
#include "protocol/relay.hpp"
#include "protocol/settings.hpp"
#include "web/incident_views.hpp"
#include "web/parameters.hpp"
#include "web/relay_api.hpp"
#include "web/ui_asset.hpp"
#include "web/views.hpp"

namespace sentinel::web {

namespace {

using Json = nlohmann::ordered_json;
using io::HttpReply;
using io::HttpRequest;
using io::HttpResponse;

constexpr std::string_view services_prefix = "/api/v1/services/";
constexpr std::string_view incidents_prefix = "/api/v1/incidents/";
constexpr std::string_view drain_path = "/api/v1/drain";
constexpr std::string_view ready_path = "/api/v1/ready";
constexpr std::uint64_t usual_lines = 100;
constexpr std::uint64_t most_lines = 500;
constexpr std::size_t longest_name = 128;
constexpr std::size_t longest_reason = 400;
constexpr std::size_t most_services = 10'000;  // there are no more

HttpResponse index_page() {
  HttpResponse response;
  response.body =
      "Sentinel monitor\n\n"
      "/livez                      the process works\n"
      "/readyz                     it sees the Engine and can keep what it must\n"
      "/metrics                    for Prometheus\n"
      "/status                     the public status page, where one is configured\n"
      "/api/v1/status              the process as JSON\n"
      "/api/v1/services            all services\n"
      "/api/v1/services/NAME       one service\n"
      "/api/v1/explain?service=NAME    one service, with what was decided and why\n"
      "/api/v1/decisions?service=NAME  what was decided lately\n";
  return response;
}

/// A browser gets the dashboard at `/`, other clients the list of what there is.
bool wants_page(const HttpRequest& request) {
  return request.path != "/" || request.field("Accept").contains("text/html");
}

HttpResponse ui_response(const HttpRequest& request, const UiAsset& asset) {
  HttpResponse response;
  response.compressible = false;  // it is compressed already
  response.headers.emplace_back("ETag", asset.etag);
  response.headers.emplace_back("Vary", "Accept, Accept-Encoding");
  response.headers.emplace_back(
      "Cache-Control", asset.immutable ? "public, max-age=31536000, immutable" : "no-cache");
  response.headers.emplace_back("Content-Security-Policy", ui_policy);
  response.headers.emplace_back("Cross-Origin-Opener-Policy", "same-origin");
  if (tag_matches(request.field("If-None-Match"), asset.etag)) {
    response.status = 304;
    return response;
  }
  const std::string_view accepted = request.field("Accept-Encoding");
  // Who says nothing of encodings takes any (RFC 9110, 12.5.3).
  if (!accepted.empty() && !io::accepts_gzip(accepted))
    return io::http_problem(406, "the dashboard is sent with gzip only");
  response.content_type = asset.content_type;
  response.headers.emplace_back("Content-Encoding", "gzip");
  response.body = asset.gzip;
  return response;
}

HttpResponse not_allowed(std::string_view allowed) {
  HttpResponse response = io::http_problem(405, "expected one of " + std::string{allowed});
  response.headers.emplace_back("Allow", allowed);
  return response;
}

/// The last `count` lines; a line feed at its end begins none.
std::string_view last_lines(std::string_view text, std::size_t count) {
  std::size_t begin = text.ends_with('\n') ? text.size() - 1 : text.size();
  while (count-- > 0) {
    begin = text.substr(0, begin).rfind('\n');
    if (begin == std::string_view::npos) return text;
  }
  return text.substr(begin + 1);
}

bool known(std::string_view path) {
  static constexpr std::array<std::string_view, 14> paths{"/",
                                                          "/livez",
                                                          "/readyz",
                                                          "/metrics",
                                                          "/status",
                                                          "/api/v1/status",
                                                          StatusApi::path,
                                                          "/api/v1/services",
                                                          "/api/v1/decisions",
                                                          "/api/v1/engines",
                                                          "/api/v1/pools",
                                                          "/api/v1/events",
                                                          "/api/v1/explain",
                                                          "/api/v1/logs"};
  return std::ranges::contains(paths, path);
}

}  // namespace

HttpResponse Api::handle(const HttpRequest& request) {
  const bool hidden = request.path == "/status" && !status_api_.configured();
  if (const UiAsset* asset = ui_asset(request.path);
      asset != nullptr && wants_page(request) && !hidden) {
    return request.method == "GET" ? ui_response(request, *asset) : not_allowed("GET, HEAD");
  }
  if (request.path == protocol::relay_path) return relay_response(request, source_, guard_);
  if (request.method == "GET") return read(request);
  return change(request);
}

HttpResponse Api::read(const HttpRequest& request) {
  const std::string_view path = request.path;
  if (path == "/livez") return livez();
  if (path == "/readyz") return readyz();
  if (path == "/") return index_page();
  if (path == "/metrics") return spared_metrics_.get({}, [this] { return metrics(); });
  if (path == "/status" || path == StatusApi::path) return status_api_.page(request);
  if (path == "/api/v1/status") return spared_status_.get({}, [this] { return status(); });
  if (path == "/api/v1/services") return services(request);
  if (path == "/api/v1/decisions") return decisions(request);
  if (path == "/api/v1/engines") return engines();
  if (path == "/api/v1/pools") return pools_api_.pools();
  if (path == drain_path || path == ready_path) return not_allowed("POST");
  if (path == "/api/v1/maintenance") return maintained();
  if (path == "/api/v1/logs") return logs(request);
  if (path == "/api/v1/events") return live_.events(request);
  if (path == "/api/v1/explain") {
    const auto name = request.parameter("service");
    if (!name || name->empty()) return io::http_problem(400, "expected ?service=NAME");
    return service(*name);
  }
  if (path.starts_with(services_prefix)) return below_services(request);
  if (path == "/api/v1/incidents") return history_api_.incidents(request);
  if (path.starts_with(incidents_prefix))
    return history_api_.incident(std::string{path.substr(incidents_prefix.size())});
  if (path == "/api/v1/history") return history_api_.history(request);
  if (path == "/api/v1/alerts") return alerts_api_.alerts();
  if (path == "/api/v1/silences") return alerts_api_.silences();
  return io::http_problem(404, "nothing is here; / lists what there is");
}

HttpResponse Api::change(const HttpRequest& request) {
  HttpResponse response = changed(request);
  if (response.status >= 400) return response;  // else whoever is refused could have all made anew
  spared_services_.forget();
  spared_status_.forget();
  return response;
}

HttpResponse Api::changed(const HttpRequest& request) {
  const std::string_view path = request.path;
  if (path == "/api/v1/maintenance")
    return request.method == "POST" ? maintenance(request) : not_allowed("GET, HEAD, POST");
  if (path.starts_with("/api/v1/alerts") || path.starts_with("/api/v1/silences"))
    return alerts_api_.change(request);
  if (path == drain_path || path == ready_path) {
    return request.method == "POST" ? pools_api_.change(request, path == drain_path)
                                    : not_allowed("POST");
  }
  if (path.starts_with(services_prefix)) return act(request);
  if (known(path)) return not_allowed("GET, HEAD");
  return io::http_problem(404, "nothing is here; / lists what there is");
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

HttpResponse Api::metrics() const {
  HttpResponse response;
  response.content_type = observe::metrics_content_type;
  response.body = source_.metrics();
  return response;
}

HttpResponse Api::status() const {
  return json_response(
      status_json(source_.process(), source_.services(), live_.listeners(), live_.stats()));
}

HttpResponse Api::services(const HttpRequest& request) {
  return unless_known(request,
                      spared_services_.get(request.query, [&] { return made_services(request); }));
}

HttpResponse Api::made_services(const HttpRequest& request) {
  const auto limit = limit_of(request, most_services, most_services);
  if (!limit) return io::http_problem(400, limit.error());
  const std::string after = request.parameter("after").value_or("");
  const Moment moment{source_.now(), source_.unix_ms()};
  std::string body = "{\"services\":[";
  std::string seed;  // without what changes by itself
  std::string last;
  bool more = false;
  std::size_t count = 0;
  bool begun = after.empty();
  for (const core::ServiceView& view : source_.services()) {
    const std::string name = view.key.to_string();
    if (!begun) {
      begun = name == after;
      continue;
    }
    if (count == *limit) {
      more = true;
      break;
    }
    if (count++ > 0) body += ',';
    Json json = summary_json(view, live_.links(view.key), moment);
    body += dump_line(json);
    json.erase("for_seconds");
    json.erase("since");  // made of two clocks, it moves by a millisecond
    json.erase("maintenance_until");
    seed +=
        dump_line(json) + std::to_string(view.since.time_since_epoch().count()) + ',' +
        std::to_string(view.maintenance_until.value_or(core::Time{}).time_since_epoch().count());
    last = name;
  }
  if (!begun) return io::http_problem(400, "after: no service is called so any more; begin anew");
  body += "],\"next\":" + dump_line(more ? Json(last) : Json(nullptr)) + "}\n";
  seed += more ? "+" : "";
  return tagged_response({}, std::move(body), seed);
}

/// A name that is a service's own as a whole comes before the views of another.
HttpResponse Api::below_services(const HttpRequest& request) {
  const std::string_view name = std::string_view{request.path}.substr(services_prefix.size());
  const auto at = name.rfind('/');
  const std::string_view last = at == std::string_view::npos ? "" : name.substr(at + 1);
  const bool timeline = last == "timeline";
  const bool latency = last == "latency";
  if ((last == "restart" || last == "release") && source_.find(name).empty())
    return not_allowed("POST");
  if ((!timeline && !latency && last != "availability") || !source_.find(name).empty())
    return service(name);
  const auto view = one_service(source_, name.substr(0, at));
  if (!view) return view.error();
  if (timeline) return history_api_.timeline(request, *view);
  if (latency) return history_api_.latency(request, *view);
  return history_api_.availability(*view);
}

HttpResponse Api::logs(const HttpRequest& request) {
  if (auto refusal = guard_.refuse(request, source_.now())) return std::move(*refusal);
  const auto name = request.parameter("service");
  if (!name || name->empty()) return io::http_problem(400, "expected ?service=NAME");
  const auto lines = number_of(request, "lines", 1);
  if (!lines) return io::http_problem(400, lines.error());
  const auto view = one_service(source_, *name);
  if (!view) return view.error();
  if (!source_.logs || view->container == core::ContainerId{})
    return io::http_problem(409, view->name + " has no container");
  return io::http_later([this, container = view->container, full_name = view->key.to_string(),
                         count =
                             std::min(lines->value_or(usual_lines), most_lines)](HttpReply reply) {
    source_.logs(container,
                 [container, full_name, count, reply = std::move(reply)](const std::string& text) {
                   reply(json_response({{"service", full_name},
                                        {"container", container.hex()},
                                        {"text", last_lines(text, count)}}));
                 });
  });
}

HttpResponse Api::engines() const {
  Json list = Json::array();
  const ProcessView process = source_.process();
  if (process.has_engine) list.push_back(engine_json(process, process.services));
  return json_response({{"engines", std::move(list)}});
}

HttpResponse Api::maintained() const {
  Json list = Json::array();
  const Moment moment{source_.now(), source_.unix_ms()};
  for (const core::ServiceView& view : source_.services()) {
    if (!view.overlays.maintenance) continue;
    const auto& until = view.maintenance_until;
    list.push_back({{"service", view.key.to_string()},
                    {"reason", view.maintenance},
                    {"until", until ? Json(moment.wall(*until)) : Json(nullptr)}});
  }
  return json_response({{"maintenance", std::move(list)}});
}

HttpResponse Api::service(std::string_view name) {
  const auto view = one_service(source_, name);
  if (!view) return view.error();
  Json json = detail_json(*view, live_.links(view->key), {source_.now(), source_.unix_ms()});
  if (source_.journal != nullptr) json["decisions"] = journal_json(source_.journal->of(view->id));
  return json_response(json);
}

HttpResponse Api::decisions(const HttpRequest& request) const {
  if (source_.journal == nullptr) return json_response({{"decisions", Json::array()}});
  const auto name = request.parameter("service");
  if (!name || name->empty())
    return json_response({{"decisions", journal_json(source_.journal->newest(200))}});
  const auto view = one_service(source_, *name);
  if (!view) return view.error();
  return json_response({{"decisions", journal_json(source_.journal->of(view->id))}});
}

/// A restart now, or the end of a quarantine, of one service.
HttpResponse Api::act(const HttpRequest& request) {
  const std::string_view path = std::string_view{request.path}.substr(services_prefix.size());
  const auto slash = path.rfind('/');
  const std::string_view action =
      slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
  const bool restart = action == "restart";
  if (!restart && action != "release") return not_allowed("GET, HEAD");
  if (request.method != "POST") return not_allowed("POST");
  if (auto refusal = guard_.refuse_change(request, source_.now())) return std::move(*refusal);
  const auto body = protocol::json::parse(request.body);
  if (!body || !body->is_object()) return io::http_problem(400, "expected a JSON object");
  const auto view = one_service(source_, path.substr(0, slash));
  if (!view) return view.error();
  const std::string problem =
      restart ? source_.restart_problem(view->id) : source_.release_problem(view->id);
  if (!problem.empty()) {
    return io::http_problem(
        409, view->name + " cannot be " + (restart ? "restarted now: " : "released: ") + problem);
  }
  std::string by = observe::one_line((*body)["by"].text(), longest_name);
  if (const auto why = observe::one_line((*body)["reason"].text(), longest_reason); !why.empty())
    by += (by.empty() ? "somebody: " : ": ") + why;
  if (restart)
    source_.restart({view->key, std::move(by)});
  else
    source_.release({view->key, std::move(by)});
  return json_response(
      {{"text", view->name + (restart ? " will be restarted" : " is released from quarantine")}},
      202);
}

HttpResponse Api::maintenance(const HttpRequest& request) {
  if (auto refusal = guard_.refuse_change(request, source_.now())) return std::move(*refusal);
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
  const auto view = one_service(source_, name);
  if (!view) return view.error();
  source_.set_maintenance(view->key, duration);
  Json json;
  json["service"] = view->key.to_string();
  json["maintenance"] = !end;
  json["for"] = end ? Json(nullptr) : Json(protocol::format_duration(duration));
  return json_response(json);
}

}  // namespace sentinel::web
