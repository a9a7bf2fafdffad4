// The parts of the file that speak of services. Keys are the labels' names without `sentinel.`,
// values mean the same.

#include <algorithm>
#include <utility>

#include "app/config_reader.hpp"

namespace sentinel::app {

namespace {

using protocol::Duration;
using protocol::DurationRange;
using protocol::Error;
using namespace std::chrono_literals;

template <typename Parsed, typename Target>
std::expected<void, Error> assign(Parsed&& parsed, Target& target) {
  if (!parsed) return std::unexpected(std::move(parsed.error()));
  target = std::move(*parsed);
  return {};
}

std::expected<void, Error> expected_form(std::string text) {
  return std::unexpected(Error{"expected " + std::move(text)});
}

std::vector<Key> service_keys(core::ServiceSettings& s, const protocol::SettingsLimits& limits) {
  using namespace protocol;
  return {
      {"heal", [&s](std::string_view v) { return assign(parse_ladder(v), s.ladder); }},
      {"heal.on", [&s](std::string_view v) { return assign(parse_failure_set(v), s.heal_on); }},
      {"heal.stop-timeout",
       [&](std::string_view v) {
         return assign(parse_duration(v, {{}, limits.max_stop_timeout}), s.stop_timeout);
       }},
      {"heal.start-grace",
       [&](std::string_view v) {
         return assign(parse_duration(v, {{}, limits.max_start_grace}), s.start_grace);
       }},
      {"heal.delay",
       [&](std::string_view v) {
         return assign(parse_duration(v, {{}, limits.max_delay}), s.delay);
       }},
      {"heal.verify-timeout",
       [&](std::string_view v) {
         return assign(parse_duration(v, limits.verify_timeout), s.verify_timeout);
       }},
      {"heal.budget",
       [&](std::string_view v) { return assign(parse_budget(v, limits.budget), s.budget); }},
      {"heal.trial",
       [&](std::string_view v) -> std::expected<void, Error> {
         const auto parsed = parse_duration(v, {{}, limits.trial.max});
         if (!parsed || (*parsed != Duration{} && *parsed < limits.trial.min)) {
           return expected_form("0 for never, or a duration such as 1h between " +
                                format_duration(limits.trial.min) + " and " +
                                format_duration(limits.trial.max));
         }
         s.trial = *parsed;
         return {};
       }},
      {"depends-on",
       [&s](std::string_view v) { return assign(parse_service_list(v), s.depends_on); }},
      {"heal.backoff",
       [&](std::string_view v) { return assign(parse_backoff(v, limits.backoff), s.backoff); }},
  };
}

std::vector<std::string_view> names(const std::vector<Key>& keys) {
  std::vector<std::string_view> out;
  out.reserve(keys.size());
  for (const Key& key : keys) out.push_back(key.name);
  return out;
}

}  // namespace

void read_limits(FileReader& reader, const YamlNode& node, protocol::SettingsLimits& limits) {
  using namespace protocol;
  constexpr DurationRange any{};
  const auto longest = [](Duration& target, Duration min, Duration max) -> ValueSetter {
    return [&target, min, max](std::string_view v) {
      return assign(parse_duration(v, {min, max}), target);
    };
  };
  reader.mapping(
      node, "limits",
      {
          {"max-probes",
           [&](std::string_view v) { return assign(parse_count(v, 0, 64), limits.max_probes); }},
          {"max-fall",
           [&](std::string_view v) { return assign(parse_count(v, 1, 1000), limits.max_fall); }},
          {"min-probe-interval", longest(limits.interval.min, 100ms, 1h)},
          {"max-probe-interval", longest(limits.interval.max, 1s, any.max)},
          {"max-probe-timeout", longest(limits.probe_timeout.max, 10ms, 10min)},
          {"max-restarts",
           [&](std::string_view v) {
             return assign(parse_count(v, 1, 100), limits.budget.max_restarts);
           }},
          {"min-budget-window", longest(limits.budget.min_window, 1s, 30 * 24h)},
          {"max-budget-window", longest(limits.budget.max_window, 1s, 30 * 24h)},
          {"min-backoff", longest(limits.backoff.min, 100ms, 24h)},
          {"max-backoff", longest(limits.backoff.max, 100ms, 24h)},
          {"max-stop-timeout", longest(limits.max_stop_timeout, 0s, 1h)},
          {"max-start-grace", longest(limits.max_start_grace, 0s, 24h)},
          {"max-delay", longest(limits.max_delay, 0s, 24h)},
          {"max-verify-timeout", longest(limits.verify_timeout.max, 1s, 24h)},
          {"min-trial", longest(limits.trial.min, 1s, 30 * 24h)},
          {"probe-hosts",
           [&](std::string_view v) -> std::expected<void, Error> {
             limits.probe_hosts.clear();
             while (!v.empty()) {
               const auto comma = std::min(v.find(','), v.size());
               std::string host{v.substr(0, comma)};
               v.remove_prefix(std::min(comma + 1, v.size()));
               std::ranges::transform(host, host.begin(), [](char c) {
                 return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
               });
               const bool good =
                   !host.empty() && host.size() <= 253 && std::ranges::all_of(host, [](char c) {
                     return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
                            c == '.' || c == ':' || c == '_';
                   });
               if (host != "*" && (!good || forbidden_host(host))) {
                 return expected_form(
                     "a list of host names and addresses, or '*'; link-local and metadata hosts "
                     "are refused");
               }
               limits.probe_hosts.insert(std::move(host));
             }
             return {};
           }},
      });
  const auto ordered = [&](Duration low, Duration high, const char* low_key, const char* high_key) {
    if (low > high) {
      reader.error(node.at, std::string{"limits."} + low_key,
                   std::string{"expected at most "} + high_key + ", " + format_duration(high));
    }
  };
  ordered(limits.interval.min, limits.interval.max, "min-probe-interval", "max-probe-interval");
  ordered(limits.budget.min_window, limits.budget.max_window, "min-budget-window",
          "max-budget-window");
  ordered(limits.backoff.min, limits.backoff.max, "min-backoff", "max-backoff");
}

void read_service_settings(FileReader& reader, const YamlNode& node, const std::string& prefix,
                           const protocol::SettingsLimits& limits,
                           core::ServiceSettings& settings) {
  const std::vector<Key> keys = service_keys(settings, limits);
  ProbeKeys probes;
  reader.each(node, prefix, [&](const YamlNode& key, const YamlNode& value) {
    if (probes.take(key, value)) return;
    const auto known = std::ranges::find(keys, std::string_view{key.scalar}, &Key::name);
    if (known != keys.end()) {
      reader.value(value, join_key(prefix, key.scalar), known->set);
      return;
    }
    std::vector<std::string_view> all = names(keys);
    all.push_back("probe.NAME");
    reader.unknown(key, prefix, all);
  });
  probes.apply(reader, prefix, limits, settings.probes);
}

void read_services(FileReader& reader, const YamlNode& node, protocol::LabelDefaults& labels) {
  reader.each(node, "services", [&](const YamlNode& key, const YamlNode& value) {
    const std::string_view name = key.scalar;
    const auto slash = name.find('/');
    const bool good = slash == std::string_view::npos
                          ? protocol::parse_service_name(name).has_value()
                          : protocol::parse_service_name(name.substr(0, slash)) &&
                                protocol::parse_service_name(name.substr(slash + 1));
    if (!good) {
      reader.error(key.at, join_key("services", name), "expected a service or project/service");
      return;
    }
    core::ServiceSettings settings = labels.defaults;
    read_service_settings(reader, value, join_key("services", name), labels.limits, settings);
    labels.services.insert_or_assign(std::string{name}, std::move(settings));
  });
}

}  // namespace sentinel::app
