// The parts of the file that speak of services. Keys are the labels' names without `sentinel.`,
// values mean the same.

#include <algorithm>
#include <utility>

#include "app/config_reader.hpp"
#include "app/suggest.hpp"

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

std::expected<void, Error> set_probe_url(std::string_view text, std::string_view name,
                                         core::ServiceSettings& settings,
                                         const protocol::SettingsLimits& limits) {
  auto good_name = protocol::parse_probe_name(name);
  if (!good_name) return std::unexpected(std::move(good_name.error()));
  auto parsed = protocol::parse_probe_url(text);
  if (!parsed) return std::unexpected(std::move(parsed.error()));
  auto at = std::ranges::find(settings.probes, name, &core::ProbeSpec::name);
  if (at == settings.probes.end()) {
    if (settings.probes.size() >= limits.max_probes) {
      return expected_form("at most " + std::to_string(limits.max_probes) + " probes");
    }
    core::ProbeSpec fresh;
    fresh.name = *good_name;
    // By name, so that a probe keeps its index when another is added behind it.
    at = settings.probes.insert(
        std::ranges::lower_bound(settings.probes, name, {}, &core::ProbeSpec::name), fresh);
  }
  at->kind = parsed->kind;
  at->url = std::move(parsed->url);
  at->host = std::move(parsed->host);
  at->port = parsed->port;
  at->http = std::move(parsed->http);
  return {};
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
      {"heal.backoff",
       [&](std::string_view v) { return assign(parse_backoff(v, limits.backoff), s.backoff); }},
  };
}

std::vector<Key> probe_keys(core::ProbeSpec& probe, const protocol::SettingsLimits& limits) {
  using namespace protocol;
  return {
      {"interval",
       [&](std::string_view v) {
         const auto result = assign(parse_duration(v, limits.interval), probe.interval);
         if (result)
           probe.fast_interval =
               std::min<Duration>(probe.interval, core::ProbeSpec{}.fast_interval);
         return result;
       }},
      {"timeout",
       [&](std::string_view v) {
         return assign(parse_duration(v, limits.probe_timeout), probe.timeout);
       }},
      {"fall",
       [&](std::string_view v) { return assign(parse_count(v, 1, limits.max_fall), probe.fall); }},
      {"rise",
       [&](std::string_view v) { return assign(parse_count(v, 1, limits.max_fall), probe.rise); }},
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
  constexpr std::string_view probe_prefix = "probe.";
  const std::vector<Key> keys = service_keys(settings, limits);
  std::vector<std::pair<const YamlNode*, const YamlNode*>>
      options;  // after all URLs, whatever the order in the file
  reader.each(node, prefix, [&](const YamlNode& key, const YamlNode& value) {
    const std::string_view name = key.scalar;
    if (name.starts_with(probe_prefix)) {
      const std::string_view probe = name.substr(probe_prefix.size());
      if (probe.find('.') != std::string_view::npos) {
        options.emplace_back(&key, &value);
      } else {
        reader.value(value, join_key(prefix, name), [&](std::string_view text) {
          return set_probe_url(text, probe, settings, limits);
        });
      }
      return;
    }
    const auto known = std::ranges::find(keys, name, &Key::name);
    if (known == keys.end()) {
      std::vector<std::string_view> all = names(keys);
      all.push_back("probe.NAME");
      reader.unknown(key, prefix, all);
      return;
    }
    reader.value(value, join_key(prefix, name), known->set);
  });
  for (const auto& [key, value] : options) {
    const std::string full = join_key(prefix, key->scalar);
    const std::string_view rest = std::string_view{key->scalar}.substr(probe_prefix.size());
    const auto dot = rest.find('.');
    const auto probe =
        std::ranges::find(settings.probes, rest.substr(0, dot), &core::ProbeSpec::name);
    if (probe == settings.probes.end()) {
      reader.error(key->at, full, "expected a probe of that name: probe.NAME with a URL");
      continue;
    }
    const std::vector<Key> known_options = probe_keys(*probe, limits);
    const auto option = std::ranges::find(known_options, rest.substr(dot + 1), &Key::name);
    if (option == known_options.end()) {
      YamlNode last = *key;
      last.scalar = rest.substr(dot + 1);
      reader.unknown(last, join_key(prefix, key->scalar.substr(0, probe_prefix.size() + dot)),
                     names(known_options));
      continue;
    }
    reader.value(*value, full, option->set);
  }
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
