// The parts of the file that speak of hosts that are no containers, and of maintenance windows.

#include <algorithm>
#include <set>
#include <utility>

#include "app/config_reader.hpp"
#include "protocol/escape.hpp"
#include "protocol/settings_text.hpp"

namespace sentinel::app {

namespace {

using protocol::Error;
using protocol::text::expected_form;
using namespace std::chrono_literals;

constexpr std::size_t max_targets = 10'000;
constexpr std::size_t max_windows = 256;
constexpr std::size_t max_patterns = 64;

template <class Parsed, class Target>
std::expected<void, Error> assign(Parsed&& parsed, Target& target) {
  if (!parsed) return std::unexpected(std::move(parsed.error()));
  target = std::move(*parsed);
  return {};
}

void read_target(FileReader& reader, const YamlNode& name, const YamlNode& node,
                 const protocol::SettingsLimits& limits, core::TargetInfo& target) {
  const std::string prefix = join_key("targets", name.scalar);
  target.key = {.project = "targets", .service = name.scalar, .replica = 1};
  target.settings.enabled = true;
  target.settings.ladder.clear();
  ProbeKeys probes;
  const bool mapping = reader.each(node, prefix, [&](const YamlNode& key, const YamlNode& value) {
    if (probes.take(key, value)) return;
    if (key.scalar == "group") {
      reader.value(value, join_key(prefix, "group"),
                   [&](std::string_view v) -> std::expected<void, Error> {
                     auto group = protocol::parse_service_name(v);
                     if (!group) return std::unexpected(std::move(group.error()));
                     target.key.project = std::move(*group);
                     return {};
                   },
                   {.list = ListStyle::none});
    } else if (key.scalar == "depends-on") {
      reader.value(value, join_key(prefix, "depends-on"), [&](std::string_view v) {
        return assign(protocol::parse_service_list(v), target.settings.depends_on);
      });
    } else if (key.scalar.starts_with("heal")) {
      reader.error(key.at, join_key(prefix, key.scalar),
                   "expected in services only: a target is watched and never healed");
    } else {
      reader.unknown(key, prefix, {"group", "depends-on", "probe.NAME"});
    }
  });
  if (!mapping) return;
  probes.apply(reader, prefix, limits, target.settings.probes);
  for (const core::ProbeSpec& probe : target.settings.probes) {
    if (!probe.host.empty() || probe.kind == core::ProbeKind::exec) continue;
    const std::string key = "probe." + probe.name;
    reader.error(probes.place_of(key, ""), join_key(prefix, key),
                 "expected a URL with a host: a target has no address of its own");
  }
  for (const core::ProbeSpec& probe : target.settings.probes) {
    if (probe.kind != core::ProbeKind::exec) continue;
    const std::string key = "probe." + probe.name;
    reader.error(
        probes.place_of(key, ""), join_key(prefix, key),
        "expected a probe over the network: exec runs in a container, and a target is none");
  }
  if (!probes.any()) reader.error(name.at, prefix, "expected at least one probe.NAME with a URL");
}

void read_window(FileReader& reader, const YamlNode& node, const std::string& prefix,
                 MaintenanceRule& rule) {
  std::set<std::string_view, std::less<>> seen;
  if (node.kind != YamlNode::Kind::mapping) {
    reader.error(node.at, prefix, "expected a mapping with services, start and duration");
    return;
  }
  reader.mapping(
      node, prefix,
      {{"name",
        [&](std::string_view v) -> std::expected<void, Error> {
          if (v.empty() || v.size() > 128) return expected_form("a text of at most 128 bytes");
          rule.name = protocol::one_line(v);
          return {};
        }},
       {"services", [&](std::string_view v) { return set_patterns(v, rule.services); }},
       {"days", [&](std::string_view v) { return assign(parse_days(v), rule.days); }},
       {"start", [&](std::string_view v) { return assign(parse_time_of_day(v), rule.start); }},
       {"duration",
        [&](std::string_view v) {
          return assign(protocol::parse_duration(v, {1min, 7 * 24h}), rule.duration);
        }},
       {"timezone", [&](std::string_view v) -> std::expected<void, Error> {
          if (v != "UTC" && v != "local") return expected_form("UTC or local");
          rule.local = v == "local";
          return {};
        }}});
  for (const auto& [key, value] : node.entries) seen.insert(key.scalar);
  for (const std::string_view needed : {"services", "start", "duration"}) {
    if (!seen.contains(needed))
      reader.error(node.at, join_key(prefix, needed), "expected this key in a window");
  }
}

}  // namespace

std::expected<void, Error> set_patterns(std::string_view text, std::vector<std::string>& target) {
  const auto words = protocol::text::split(text, ',', max_patterns + 1);
  const bool good = words.size() <= max_patterns && std::ranges::all_of(words, [](auto word) {
                      return !word.empty() && word.size() <= 256 &&
                             std::ranges::all_of(word, protocol::text::is_visible);
                    });
  if (!good)
    return expected_form(
        "a list of services such as shop/*, in which * stands for anything, at "
        "most " +
        std::to_string(max_patterns) + " of them");
  target.assign(words.begin(), words.end());
  return {};
}

void read_targets(FileReader& reader, const YamlNode& node, const protocol::SettingsLimits& limits,
                  std::vector<core::TargetInfo>& targets) {
  if (node.entries.size() > max_targets) {
    reader.error(node.at, "targets",
                 "expected at most " + std::to_string(max_targets) + " targets, got " +
                     std::to_string(node.entries.size()));
    return;
  }
  targets.reserve(node.entries.size());
  reader.each(node, "targets", [&](const YamlNode& name, const YamlNode& value) {
    if (const auto good = protocol::parse_service_name(name.scalar); !good) {
      reader.error(name.at, join_key("targets", name.scalar), good.error().message);
      return;
    }
    read_target(reader, name, value, limits, targets.emplace_back());
  });
}

void read_maintenance(FileReader& reader, const YamlNode& node,
                      std::vector<MaintenanceRule>& rules) {
  if (node.items.size() > max_windows) {
    reader.error(node.at, "maintenance",
                 "expected at most " + std::to_string(max_windows) + " windows");
    return;
  }
  reader.items(node, "maintenance", [&](const YamlNode& item) {
    const std::string prefix = "maintenance[" + std::to_string(rules.size()) + "]";
    MaintenanceRule& rule = rules.emplace_back();
    rule.name = prefix;
    read_window(reader, item, prefix, rule);
  });
}

}  // namespace sentinel::app
