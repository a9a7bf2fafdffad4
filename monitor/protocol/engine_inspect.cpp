// One container's inspect as ContainerFacts.

#include <algorithm>

#include "protocol/engine_json.hpp"
#include "protocol/escape.hpp"
#include "protocol/settings_text.hpp"

namespace sentinel::protocol {
namespace {

/// A stop timeout beyond this, and Docker's "wait for ever" (negative), are taken as this: every
/// operation has a deadline.
constexpr Duration longest_stop_timeout = 1h;
constexpr Duration longest_check_time = 7 * 24h;

Labels read_labels(const json::Value& config) {
  Labels labels;
  for (const auto& [key, value] : config["Labels"].object()) {
    if (value.is_string()) labels.emplace_back(key, value.text());
  }
  return labels;
}

std::string_view find_label(const Labels& labels, std::string_view key) {
  for (const auto& [name, value] : labels) {
    if (name == key) return value;
  }
  return {};
}

/// Compose's identity when all of it is sound, else the container's name. One-off containers
/// (`compose run`) carry their service's name and a number of their own: taking those would mix
/// them up with the service's replicas.
core::ServiceKey read_key(const Labels& labels, const std::string& container_name) {
  core::ServiceKey key;
  const auto project = parse_service_name(find_label(labels, "com.docker.compose.project"));
  const auto service = parse_service_name(find_label(labels, "com.docker.compose.service"));
  const bool one_off = parse_bool(find_label(labels, "com.docker.compose.oneoff")).value_or(false);
  if (project && service && !one_off) {
    key.project = *project;
    key.service = *service;
    key.replica =
        parse_count(find_label(labels, "com.docker.compose.container-number"), 1, 1'000'000)
            .value_or(1);
  } else {
    key.service = container_name;
  }
  if (auto name = service_name(labels)) key.service = std::move(*name);
  return key;
}

/// Compose writes `db:service_healthy:true,cache:service_started:false` (compose-go,
/// types.DependsOnConfig). What is no service's name is left out.
std::vector<std::string> read_depends_on(std::string_view text) {
  constexpr std::size_t most = 64;
  std::vector<std::string> out;
  for (const std::string_view entry : text::split(text, ',', most)) {
    if (auto name = parse_service_name(entry.substr(0, entry.find(':'))); name && out.size() < most)
      out.push_back(std::move(*name));
  }
  return out;
}

/// `container:ID`, which the Engine writes as a full id whatever was asked for.
std::optional<core::ContainerId> read_network_of(std::string_view mode) {
  constexpr std::string_view prefix = "container:";
  if (!mode.starts_with(prefix)) return std::nullopt;
  return core::ContainerId::parse(mode.substr(prefix.size()));
}

/// Docker writes 0 for "inherit", and its defaults are 30 s, 30 s, 0 s and 3 (moby,
/// daemon/health.go).
std::optional<core::HealthCheck> read_health_check(const json::Value& config) {
  const json::Value& check = config["Healthcheck"];
  const auto& test = check["Test"].array();
  if (test.empty() || test.front().text() == "NONE") return std::nullopt;
  core::HealthCheck result;
  const auto time = [&check](std::string_view key, Duration otherwise) {
    const auto value = check[key].integer(0);
    return value && *value > 0 ? std::min(Duration{*value}, longest_check_time) : otherwise;
  };
  result.interval = time("Interval", result.interval);
  result.timeout = time("Timeout", result.timeout);
  result.start_period = time("StartPeriod", result.start_period);
  const auto retries = check["Retries"].integer(1, 10'000);
  if (retries) result.retries = static_cast<unsigned>(*retries);
  return result;
}

core::RestartPolicy read_policy(std::string_view name) {
  using enum core::RestartPolicy;
  if (name == "always") return always;
  if (name == "unless-stopped") return unless_stopped;
  if (name == "on-failure") return on_failure;
  return no;
}

std::string read_address(const json::Value& root, const OwnPlace& own) {
  const json::Value& networks = root["NetworkSettings"]["Networks"];
  if (own.host_network && root["HostConfig"]["NetworkMode"].text() == "host") return "127.0.0.1";
  // By network name, so that the choice does not depend on the order of the Engine's map.
  std::string_view best_name;
  std::string_view best;
  for (const auto& [name, network] : networks.object()) {
    if (!own.host_network && !own.networks.contains(network["NetworkID"].text())) continue;
    std::string_view address = network["IPAddress"].text();
    if (address.empty()) address = network["GlobalIPv6Address"].text();
    const bool sound =
        !address.empty() && address.size() <= 45 && std::ranges::all_of(address, [](char c) {
          return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') ||
                 c == '.' || c == ':';
        });
    if (!sound || (!best.empty() && name >= best_name)) continue;
    best_name = name;
    best = address;
  }
  return std::string(best);
}

core::EngineHealth read_health(std::string_view text) {
  if (text == "healthy") return core::EngineHealth::healthy;
  if (text == "unhealthy") return core::EngineHealth::unhealthy;
  if (text == "starting") return core::EngineHealth::starting;
  return core::EngineHealth::none;
}

core::ContainerStatus read_status(const json::Value& root, const core::ContainerInfo& info,
                                  const OwnPlace& own, std::int64_t engine_now) {
  const json::Value& state = root["State"];
  core::ContainerStatus status;
  status.run = parse_run_state(state["Status"].text());
  status.exit_code = static_cast<int>(state["ExitCode"].integer(INT32_MIN, INT32_MAX).value_or(0));
  status.oom_killed = state["OOMKilled"].boolean().value_or(false);
  status.started_at = parse_rfc3339(state["StartedAt"].text()).value_or(0);
  const bool runs = status.run == core::RunState::running || status.run == core::RunState::paused;
  if (runs && status.started_at > 0)
    status.uptime = Duration{std::max<std::int64_t>(0, engine_now - status.started_at)};
  if (runs) status.address = read_address(root, own);

  const json::Value& health = state["Health"];
  status.health = read_health(health["Status"].text());
  status.failing_streak =
      static_cast<unsigned>(health["FailingStreak"].integer(0, 1'000'000'000).value_or(0));
  const auto& log = health["Log"].array();
  std::int64_t last_check = status.started_at;
  if (!log.empty()) {
    status.health_output = many_lines(log.back()["Output"].text(), health_output_bytes);
    last_check = std::max(last_check, parse_rfc3339(log.back()["End"].text()).value_or(0));
  }
  // A check that should have run long ago: 20.10 with live-restore stops checking when the daemon
  // restarts.
  if (status.run == core::RunState::running && status.health != core::EngineHealth::none &&
      info.health_check && last_check > 0) {
    const core::HealthCheck& check = *info.health_check;
    const Duration patience = 3 * (check.interval + check.timeout);
    status.health_stale = engine_now - last_check > patience.count();
  }
  return status;
}

}  // namespace

std::expected<core::ContainerFacts, Error> parse_inspect(std::string_view text,
                                                         const InspectContext& context,
                                                         std::int64_t engine_now) {
  auto parsed =
      json::parse(text, inspect_limits,
                  {"Id", "Name", "Created", "Config", "HostConfig", "NetworkSettings", "State"});
  if (!parsed) return std::unexpected(Error{"inspect: " + parsed.error().message});
  const json::Value& root = *parsed;
  const auto id = core::ContainerId::parse(root["Id"].text());
  if (!id) return std::unexpected(Error{"inspect: no full container id in the answer"});
  if (!root["State"].is_object() || !root["State"]["Status"].is_string() ||
      !root["Config"].is_object()) {
    return std::unexpected(Error{"inspect: no State or Config in the answer"});
  }
  const json::Value& config = root["Config"];
  const json::Value& host = root["HostConfig"];

  auto info = std::make_shared<core::ContainerInfo>();
  info->id = *id;
  std::string_view name = root["Name"].text();
  if (name.starts_with('/')) name.remove_prefix(1);
  info->name = one_line(name, 128);
  if (info->name.empty()) info->name = id->short_hex();
  info->image = one_line(config["Image"].text(), 256);
  info->created = parse_rfc3339(root["Created"].text()).value_or(0);
  info->auto_remove = host["AutoRemove"].boolean().value_or(false);
  info->restart_policy = read_policy(host["RestartPolicy"]["Name"].text());
  info->health_check = read_health_check(config);
  if (const auto seconds = config["StopTimeout"].integer()) {
    constexpr std::int64_t cap =
        std::chrono::duration_cast<std::chrono::seconds>(longest_stop_timeout).count();
    info->stop_timeout =
        *seconds < 0 || *seconds > cap ? longest_stop_timeout : std::chrono::seconds(*seconds);
  }
  const Labels labels = read_labels(config);
  info->swarm_task = !find_label(labels, "com.docker.swarm.task.id").empty() ||
                     !find_label(labels, "com.docker.swarm.service.id").empty();
  info->own = context.own.container == *id;
  info->key = read_key(labels, info->name);
  if (!info->key.project.empty())
    info->depends_on = read_depends_on(find_label(labels, "com.docker.compose.depends_on"));
  info->network_of = read_network_of(host["NetworkMode"].text());
  core::ServiceSettings start = context.settings.for_service(info->key.project, info->key.service);
  start.enabled = start.enabled || context.settings.watch_all;
  AppliedLabels applied = apply_labels(labels, start, context.settings.limits, info->name);
  info->settings = std::move(applied.settings);
  info->warnings = std::move(applied.warnings);

  core::ContainerFacts facts;
  facts.status = read_status(root, *info, context.own, engine_now);
  facts.info = std::move(info);
  return facts;
}

std::expected<OwnPlace, Error> parse_own_place(std::string_view text) {
  auto parsed = json::parse(text, inspect_limits, {"Id", "HostConfig", "NetworkSettings"});
  if (!parsed)
    return std::unexpected(Error{"inspect of our own container: " + parsed.error().message});
  const json::Value& root = *parsed;
  OwnPlace place;
  place.container = core::ContainerId::parse(root["Id"].text());
  if (!place.container)
    return std::unexpected(Error{"inspect of our own container: no full id in the answer"});
  place.host_network = root["HostConfig"]["NetworkMode"].text() == "host";
  for (const auto& [name, network] : root["NetworkSettings"]["Networks"].object()) {
    const std::string_view network_id = network["NetworkID"].text();
    if (!network_id.empty() && place.networks.size() < 256) place.networks.emplace(network_id);
  }
  return place;
}

}  // namespace sentinel::protocol
