#include "web/views.hpp"

#include <algorithm>
#include <format>
#include <nlohmann/json.hpp>
#include <utility>

#include "observe/process.hpp"
#include "observe/text.hpp"
#include "protocol/probe_settings.hpp"
#include "protocol/settings.hpp"

namespace sentinel::web {

namespace {

using Json = nlohmann::ordered_json;
using io::HttpRequest;
using io::HttpResponse;

constexpr std::string_view transition_event = "sentinel.service.transition";

Json overlays_json(const core::Overlays& overlays) {
  Json list = Json::array();
  if (overlays.maintenance) list.push_back("maintenance");
  if (overlays.flapping) list.push_back("flapping");
  if (overlays.blind) list.push_back("blind");
  if (overlays.paused) list.push_back("paused");
  return list;
}

Json optional_duration(const std::optional<core::Duration>& d) {
  return d ? Json(protocol::format_duration(*d)) : Json(nullptr);
}

Json optional_moment(const std::optional<core::Time>& t, const Moment& moment) {
  return t ? Json(moment.wall(*t)) : Json(nullptr);
}

Json probes_json(const core::ServiceView& view, const Moment& moment) {
  Json list = Json::array();
  for (const core::ProbeView& probe : view.probes) {
    Json one;
    one["name"] = probe.name;
    one["url"] = probe.url;
    one["result"] = probe.known ? to_string(probe.verdict) : "unknown";
    one["text"] = probe.sentence;
    one["last"] = optional_moment(probe.last, moment);
    one["took_seconds"] = core::in_seconds(probe.took);
    Json phases = Json::object();
    for (const core::ProbePhase& phase : core::probe_phases) {
      if (const core::Duration took = probe.phases.*phase.member; took > core::Duration{})
        phases[phase.name] = core::in_seconds(took);
    }
    one["phases"] = std::move(phases);
    list.push_back(std::move(one));
  }
  return list;
}

Json settings_json(const core::ServiceSettings& s) {
  Json json;
  json["enable"] = s.enabled;
  json["heal"] = protocol::format_ladder(s.ladder);
  json["heal.on"] = protocol::format_failure_set(s.heal_on);
  json["heal.stop-timeout"] = optional_duration(s.stop_timeout);
  json["heal.start-grace"] = optional_duration(s.start_grace);
  json["heal.delay"] = protocol::format_duration(s.delay);
  json["heal.verify-timeout"] = optional_duration(s.verify_timeout);
  json["heal.budget"] = protocol::format_budget(s.budget);
  json["heal.trial"] = protocol::format_duration(s.trial);
  json["heal.backoff"] = protocol::format_backoff(s.backoff);
  json["depends-on"] =
      s.depends_on ? Json(protocol::format_service_list(*s.depends_on)) : Json(nullptr);
  for (const core::ProbeSpec& probe : s.probes) {
    const std::string prefix = "probe." + probe.name;
    json[prefix] = probe.url;
    json[prefix + ".interval"] = protocol::format_duration(probe.interval);
    json[prefix + ".timeout"] = protocol::format_duration(probe.timeout);
    json[prefix + ".fall"] = protocol::format_threshold(probe.fall, probe.fall_of);
    json[prefix + ".rise"] = protocol::format_threshold(probe.rise, probe.rise_of);
  }
  return json;
}

}  // namespace

std::string Moment::wall(core::Time t) const {
  // Counted in milliseconds: differences of two core times fit, whatever they are.
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(t - now).count();
  return observe::rfc3339(unix_ms + ms);
}

Json summary_json(const core::ServiceView& view, const ServiceLinks& links, const Moment& moment) {
  Json json;
  json["name"] = view.name;
  json["full_name"] = view.key.to_string();
  json["project"] = view.key.project;
  json["service"] = view.key.service;
  json["replica"] = view.key.replica;
  json["state"] = core::to_string(view.state);
  json["since"] = moment.wall(view.since);
  json["for_seconds"] = core::in_seconds(moment.now - view.since);
  json["reason"] = view.reason;
  json["overlays"] = overlays_json(view.overlays);
  json["maintenance"] = view.maintenance;
  json["maintenance_until"] = optional_moment(view.maintenance_until, moment);
  json["target"] = view.target;
  json["decision"] = view.decision;
  json["phase"] = view.phase;
  json["next_attempt"] = optional_moment(view.next_attempt, moment);
  json["budget_remaining"] = view.budget_remaining;
  json["restarts"] = view.restarts;
  json["incident"] = links.incident.empty() ? Json(nullptr) : Json(links.incident);
  json["depends_on"] = links.depends_on;
  const bool has_container = view.container != core::ContainerId{};
  json["container"] = has_container ? Json(view.container.hex()) : Json(nullptr);
  json["container_name"] = view.container_name;
  json["image"] = view.image;
  return json;
}

Json detail_json(const core::ServiceView& view, const ServiceLinks& links, const Moment& moment) {
  Json json = summary_json(view, links, moment);
  Json engine;
  engine["run"] = core::to_string(view.status.run);
  engine["health"] = core::to_string(view.status.health);
  engine["health_stale"] = view.status.health_stale;
  engine["health_output"] = view.status.health_output;
  engine["failing_streak"] = view.status.failing_streak;
  engine["exit_code"] = view.status.exit_code;
  engine["oom_killed"] = view.status.oom_killed;
  engine["address"] = view.status.address;
  json["engine"] = std::move(engine);
  json["probes"] = probes_json(view, moment);
  json["settings"] = settings_json(*view.settings);
  return json;
}

Json process_json(const ProcessView& process) {
  Json json;
  json["version"] = process.version;
  json["revision"] = process.revision;
  json["uptime_seconds"] = core::in_seconds(process.uptime);
  Json engine;
  engine["configured"] = process.has_engine;
  engine["endpoint"] = process.engine;
  engine["up"] = process.engine_up;
  engine["reason"] = process.engine_up ? std::string{} : process.engine_reason;
  engine["version"] = process.engine_version;
  engine["api_version"] = process.api_version;
  engine["synchronised"] = process.synchronised;
  json["engine"] = std::move(engine);
  json["store"] = {{"durable", process.store_durable}, {"reason", process.store_reason}};
  json["healing"] = {{"in_flight", process.operations_in_flight},
                     {"max_concurrent", process.max_concurrent},
                     {"storm_hold", process.storm}};
  json["targets"] = process.targets;
  json["config"] = {{"file", process.config_file}, {"ok", process.config_ok}};
  return json;
}

Json status_json(const ProcessView& process, const std::vector<core::ServiceView>& services,
                 std::size_t listeners, const std::optional<io::JournalStats>& journal) {
  Json json = process_json(process);
  Json states = Json::object();
  for (const core::State state : core::all_states) states[std::string{core::to_string(state)}] = 0;
  for (const core::ServiceView& view : services) {
    Json& count = states[std::string{core::to_string(view.state)}];
    count = count.get<int>() + 1;
  }
  json["services"] = services.size();
  json["states"] = std::move(states);
  json["actions"] = Json::array({"maintenance", "silence"});
  if (process.has_engine) {
    for (const char* action : {"restart", "release", "logs"}) json["actions"].push_back(action);
  }
  json["changes"] = process.token ? "token" : "off";
  if (journal) {
    json["journal"] = {{"durable", journal->durable},
                       {"bytes", journal->bytes},
                       {"queued", journal->queued},
                       {"lost", journal->lost}};
  }
  const observe::ProcessFigures figures = observe::process_figures();
  json["process"] = {{"resident_bytes", figures.resident_bytes},
                     {"cpu_seconds", figures.cpu_seconds},
                     {"open_files", figures.open_fds}};
  json["sse_clients"] = listeners;
  return json;
}

Json engine_json(const ProcessView& process, std::size_t services) {
  Json json;
  json["name"] = "engine";
  json["endpoint"] = process.engine;
  json["up"] = process.engine_up;
  json["reason"] = process.engine_up ? std::string{} : process.engine_reason;
  json["version"] = process.engine_version;
  json["api_version"] = process.api_version;
  json["synchronised"] = process.synchronised;
  json["services"] = services;
  json["in_flight"] = process.operations_in_flight;
  json["max_concurrent"] = process.max_concurrent;
  json["storm_hold"] = process.storm;
  json["blind"] = process.blind;
  return json;
}

Json history_json(const JournalEntry& entry) {
  Json json;
  json["sequence"] = entry.sequence;
  json["time"] = observe::rfc3339(entry.unix_ms);
  json["kind"] = entry.event == transition_event ? "transition" : "notice";
  json["event"] = entry.event;
  json["subject"] = entry.service.empty() ? std::string{} : "service:" + entry.service;
  json["service"] = entry.service.empty() ? Json(nullptr) : Json(entry.service);
  json["incident"] = nullptr;
  json["text"] = entry.text;
  return json;
}

Json journal_json(const std::vector<JournalEntry>& entries) {
  Json list = Json::array();
  for (const JournalEntry& entry : entries) {
    list.push_back({{"sequence", entry.sequence},
                    {"time", observe::rfc3339(entry.unix_ms)},
                    {"event", entry.event},
                    {"service", entry.service},
                    {"text", entry.text}});
  }
  return list;
}

HttpResponse json_response(const Json& json, unsigned status) {
  HttpResponse response;
  response.status = status;
  response.content_type = "application/json";
  response.body = dump(json);
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

HttpResponse tagged_response(const HttpRequest& request, std::string body, std::string_view seed,
                             std::string_view cache_control) {
  // FNV-1a: the same in every run of the process, so that a restart does not make all pages anew.
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : seed) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  const std::string tag = std::format("W/\"{:016x}\"", hash);
  HttpResponse response;
  response.headers.emplace_back("ETag", tag);
  response.headers.emplace_back("Cache-Control", cache_control);
  response.content_type = "application/json";
  response.body = std::move(body);
  return unless_known(request, std::move(response));
}

HttpResponse unless_known(const HttpRequest& request, HttpResponse response) {
  const auto tag = std::ranges::find(response.headers, "ETag", &io::HttpFields::value_type::first);
  if (tag == response.headers.end() || !tag_matches(request.field("If-None-Match"), tag->second))
    return response;
  response.status = 304;
  response.content_type = HttpResponse{}.content_type;
  response.body.clear();
  return response;
}

bool tag_matches(std::string_view given, std::string_view tag) {
  const auto strong = [](std::string_view text) {
    if (text.starts_with("W/")) text.remove_prefix(2);
    return text;
  };
  while (!given.empty()) {
    std::string_view one = given.substr(0, given.find(','));
    given.remove_prefix(std::min(one.size() + 1, given.size()));
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    if (one == "*" || (!one.empty() && strong(one) == strong(tag))) return true;
  }
  return false;
}

std::string dump_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string dump(const Json& json) { return dump_line(json) + "\n"; }

}  // namespace sentinel::web
