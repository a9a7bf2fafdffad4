#include "app/alerts_config.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <functional>
#include <set>
#include <utility>

#include "app/alerts_receivers.hpp"
#include "core/relay_facts.hpp"
#include "protocol/escape.hpp"
#include "protocol/matchers.hpp"
#include "protocol/relay.hpp"
#include "protocol/settings.hpp"
#include "protocol/settings_text.hpp"

namespace sentinel::app {

namespace {

using namespace std::chrono_literals;
using protocol::Error;
using protocol::text::expected_form;
using Set = std::expected<void, Error>;

constexpr std::size_t max_labels = 16;
constexpr std::size_t max_runbooks = 256;
constexpr std::uint64_t least_journal = std::uint64_t{8} << 20U;
constexpr std::uint64_t most_journal = std::uint64_t{64} << 30U;

template <class Parsed, class Target>
Set assign(Parsed&& parsed, Target& target) {
  if (!parsed) return std::unexpected(std::move(parsed.error()));
  target = std::forward<Parsed>(parsed).value();
  return {};
}

Set set_words(std::string_view text, std::vector<std::string>& target,
              const std::function<protocol::Parsed<std::string>(std::string_view)>& parse) {
  std::vector<std::string> words;
  if (!text.empty()) {
    for (const std::string_view word : protocol::text::split(text, ',', max_labels + 1)) {
      auto parsed = parse(word);
      if (!parsed) return std::unexpected(std::move(parsed.error()));
      if (words.size() >= max_labels)
        return expected_form("at most " + std::to_string(max_labels) + " of them");
      words.push_back(std::move(*parsed));
    }
  }
  target = std::move(words);
  return {};
}

Set set_labels(std::string_view text, std::vector<std::string>& target) {
  return set_words(text, target, protocol::parse_label_name);
}

Set set_plain(std::string_view text, std::string& target, std::size_t most) {
  if (text.empty() || text.size() > most || protocol::one_line(text, 4 * most) != text)
    return expected_form("a text of at most " + std::to_string(most) + " bytes in one line");
  target = text;
  return {};
}

Set set_url(std::string_view text, std::string& target) {
  const bool good = (text.starts_with("https://") || text.starts_with("http://")) &&
                    text.size() <= 1024 && std::ranges::all_of(text, [](char c) {
                      return protocol::text::is_visible(c) && c != '"' && c != '<' && c != '>';
                    });
  if (!good) return expected_form("a URL that begins with https:// or http://");
  target = text;
  return {};
}

/// `64MiB`, `2GiB`.
Set set_size(std::string_view text, std::uint64_t& target) {
  constexpr unsigned mebi = 20;
  constexpr unsigned gibi = 30;
  const bool large = text.ends_with("GiB");
  if (large || text.ends_with("MiB")) {
    const auto count = protocol::parse_count(text.substr(0, text.size() - 3), 1, 1'000'000);
    const std::uint64_t bytes = count ? std::uint64_t{*count} << (large ? gibi : mebi) : 0;
    if (bytes >= least_journal && bytes <= most_journal) {
      target = bytes;
      return {};
    }
  }
  return expected_form("a size from 8MiB to 64GiB");
}

class AlertsReader {
 public:
  AlertsReader(FileReader& reader, const Environment& environment, AlertSettings& settings)
      : reader_(reader), environment_(environment), settings_(settings) {}

  void read(const YamlNode& node) {
    const YamlNode* receivers = nullptr;
    const YamlNode* routes = nullptr;
    const YamlNode* heartbeat = nullptr;
    core::AlertConfig& c = settings_.core;
    const std::vector<Key> own{
        {"host", [&c](std::string_view v) { return set_plain(v, c.host, 128); }},
        {"dashboard", [&c](std::string_view v) { return set_url(v, c.dashboard); }},
        {"resolve-hold", [&c](std::string_view v) {
           return assign(protocol::parse_duration(v, {0s, 1h}), c.resolve_hold);
         }}};
    reader_.each(node, "alerts", [&](const YamlNode& key, const YamlNode& value) {
      const auto known = std::ranges::find(own, std::string_view{key.scalar}, &Key::name);
      if (known != own.end())
        reader_.value(value, join_key("alerts", key.scalar), known->set, {.list = ListStyle::none});
      else if (key.scalar == "receivers")
        receivers = &value;
      else if (key.scalar == "routes")
        routes = &value;
      else if (key.scalar == "inhibit")
        inhibitions(value);
      else if (key.scalar == "labels")
        labels(value);
      else if (key.scalar == "runbooks")
        runbooks(value);
      else if (key.scalar == "heartbeat")
        heartbeat = &value;
      else
        reader_.unknown(key, "alerts",
                        {"receivers", "routes", "inhibit", "labels", "runbooks", "heartbeat",
                         "host", "dashboard", "resolve-hold"});
    });
    if (heartbeat != nullptr) read_heartbeat(*heartbeat);
    if (receivers != nullptr) {
      AlertReceivers found;
      read_receivers(reader_, *receivers, "alerts.receivers", environment_, c.host, found);
      c.receivers = std::move(found.core);
      settings_.receivers = std::move(found.io);
    }
    if (routes != nullptr) {
      read_routes(*routes);
    } else {
      core::AlertRoute all;
      for (const core::AlertReceiver& receiver : c.receivers)
        all.receivers.push_back(receiver.name);
      c.routes.push_back(std::move(all));
    }
  }

 private:
  /// A receiver `webhook` with a pace.
  void read_heartbeat(const YamlNode& node) {
    const std::string prefix = "alerts.heartbeat";
    YamlNode request = node;
    request.entries.clear();
    const bool mapping =
        reader_.each(node, prefix, [&](const YamlNode& key, const YamlNode& value) {
          if (key.scalar == "webhook")
            request.entries.emplace_back(key, value);
          else if (key.scalar == "interval")
            reader_.value(value, join_key(prefix, key.scalar),
                          duration(settings_.heartbeat.interval, {10s, 1h}));
          else
            reader_.unknown(key, prefix, {"webhook", "interval"});
        });
    if (!mapping) return;
    if (request.entries.empty()) {
      reader_.error(node.at, join_key(prefix, "webhook"), "expected this key, with its url");
      return;
    }
    YamlNode name;
    name.at = node.at;
    name.scalar = "heartbeat";
    YamlNode all = node;
    all.entries.assign(1, {std::move(name), std::move(request)});
    AlertReceivers found;
    read_receivers(reader_, all, "alerts", environment_, settings_.core.host, found);
    if (found.io.size() == 1) settings_.heartbeat.request = std::move(found.io.front());
  }

  void read_routes(const YamlNode& node) {
    reader_.items(node, "alerts.routes", [&](const YamlNode& item) {
      if (settings_.core.routes.size() == max_routes) {
        reader_.error(item.at, "alerts.routes",
                      "expected at most " + std::to_string(max_routes) + " routes");
      }
      if (settings_.core.routes.size() < max_routes) read_route(item);
    });
    if (settings_.core.routes.empty())
      reader_.error(node.at, "alerts.routes", "expected at least one route, or no such key");
  }

  void read_route(const YamlNode& node) {
    core::AlertRoute route;
    const std::string prefix = "alerts.routes";
    const YamlNode* receivers = nullptr;
    const std::vector<Key> own{
        {"match", matchers(route.match)},
        {"group-by", [&](std::string_view v) { return set_labels(v, route.group_by); }},
        {"group-wait", duration(route.group_wait, {0s, 1h})},
        {"group-interval", duration(route.group_interval, {1s, 24h})},
        {"repeat",
         [&](std::string_view v) -> Set {
           const auto parsed = protocol::parse_duration(v, {0s, 30 * 24h});
           if (!parsed || (*parsed != 0s && *parsed < 1min))
             return expected_form("0 for never, or a duration from 1m to 30d");
           route.repeat = *parsed;
           return {};
         }},
        {"continue",
         [&](std::string_view v) { return assign(protocol::parse_bool(v), route.go_on); }}};
    const bool mapping =
        reader_.each(node, prefix, [&](const YamlNode& key, const YamlNode& value) {
          const auto known = std::ranges::find(own, std::string_view{key.scalar}, &Key::name);
          if (known != own.end()) {
            reader_.value(value, join_key(prefix, key.scalar), known->set);
          } else if (key.scalar == "receivers") {
            receivers = &value;
          } else {
            std::vector<std::string_view> names{"receivers"};
            for (const Key& one : own) names.push_back(one.name);
            reader_.unknown(key, prefix, names);
          }
        });
    if (!mapping) return;
    if (receivers == nullptr) {
      reader_.error(node.at, join_key(prefix, "receivers"),
                    "expected the names of receivers, or [] for nobody");
      return;
    }
    route_receivers(*receivers, route);
    settings_.core.routes.push_back(std::move(route));
  }

  void route_receivers(const YamlNode& node, core::AlertRoute& route) {
    if (node.kind == YamlNode::Kind::sequence && node.items.empty()) return;  // nobody
    reader_.value(node, "alerts.routes.receivers", [&](std::string_view v) -> Set {
      for (const std::string_view name : protocol::text::split(v, ',', io::max_receivers + 1)) {
        const auto& known = settings_.core.receivers;
        if (std::ranges::find(known, name, &core::AlertReceiver::name) == known.end()) {
          std::string all;
          for (const core::AlertReceiver& one : known) all += (all.empty() ? "" : ", ") + one.name;
          return expected_form("names of alerts.receivers (" + all + ")");
        }
        if (std::ranges::find(route.receivers, name) == route.receivers.end())
          route.receivers.emplace_back(name);
      }
      return {};
    });
  }

  void inhibitions(const YamlNode& node) {
    const std::string prefix = "alerts.inhibit";
    reader_.items(node, prefix, [&](const YamlNode& item) {
      core::InhibitRule rule;
      reader_.mapping(item, prefix,
                      {{"source", matchers(rule.source)},
                       {"target", matchers(rule.target)},
                       {"equal", [&](std::string_view v) { return set_labels(v, rule.equal); }}});
      if (item.kind != YamlNode::Kind::mapping) return;
      if (rule.source.empty() || rule.target.empty())
        reader_.error(item.at, prefix, "expected matchers in source and in target");
      else if (settings_.core.inhibit.size() < max_routes)
        settings_.core.inhibit.push_back(std::move(rule));
      else
        reader_.error(item.at, prefix, "expected at most " + std::to_string(max_routes) + " rules");
    });
  }

  void labels(const YamlNode& node) {
    const std::string prefix = "alerts.labels";
    reader_.each(node, prefix, [&](const YamlNode& key, const YamlNode& value) {
      const std::string full = join_key(prefix, key.scalar);
      const auto name = protocol::parse_label_name(key.scalar);
      if (!name || settings_.core.labels.size() >= max_labels) {
        reader_.error(key.at, full,
                      name ? "expected at most " + std::to_string(max_labels) + " labels"
                           : name.error().message);
        return;
      }
      reader_.value(
          value, full,
          [&](std::string_view v) { return set_plain(v, settings_.core.labels[*name], 256); },
          {.list = ListStyle::none});
    });
  }

  void runbooks(const YamlNode& node) {
    const std::string prefix = "alerts.runbooks";
    reader_.each(node, prefix, [&](const YamlNode& key, const YamlNode& value) {
      const std::string full = join_key(prefix, key.scalar);
      if (settings_.core.runbooks.size() >= max_runbooks) {
        reader_.error(key.at, full,
                      "expected at most " + std::to_string(max_runbooks) + " runbooks");
        return;
      }
      reader_.value(
          value, full,
          [&](std::string_view v) { return set_url(v, settings_.core.runbooks[key.scalar]); },
          {.list = ListStyle::none});
    });
  }

  static ValueSetter matchers(core::Matchers& target) {
    return [&target](std::string_view v) { return assign(protocol::parse_matchers(v), target); };
  }
  static ValueSetter duration(core::Duration& target, protocol::DurationRange range) {
    return [&target, range](std::string_view v) {
      return assign(protocol::parse_duration(v, range), target);
    };
  }

  FileReader& reader_;
  const Environment& environment_;
  AlertSettings& settings_;
};

}  // namespace

AlertSettings default_alerts() {
  AlertSettings settings;
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) == 0)
    settings.core.host = protocol::one_line(name.data(), 128);
  return settings;
}

AlertSettings alerts_through_monitor(const std::string& socket) {
  AlertSettings settings = default_alerts();
  core::AlertReceiver receiver;
  receiver.name = core::relay_receiver;
  receiver.stateful = true;
  receiver.refresh = 5s;
  receiver.refresh_ended = 0s;  // the outbox sees to it
  receiver.longest_pause = 30s;
  settings.core.receivers.push_back(receiver);
  core::AlertRoute route;
  route.receivers.push_back(receiver.name);
  settings.core.routes.push_back(std::move(route));
  io::ReceiverSpec spec;
  spec.name = receiver.name;
  spec.integration = "monitor";
  spec.kind = io::ReceiverKind::relay;
  spec.unix_socket = socket;
  spec.url = io::Secret{"http://localhost" + std::string{protocol::relay_path}};
  settings.receivers.push_back(spec);
  spec.name = "heartbeat";
  settings.heartbeat = {.request = std::move(spec), .interval = core::relay_heartbeat};
  return settings;
}

void read_alerts(FileReader& reader, const YamlNode& node, const Environment& environment,
                 AlertSettings& settings) {
  AlertsReader(reader, environment, settings).read(node);
}

void read_journal(FileReader& reader, const YamlNode& node, io::JournalLimits& limits) {
  const auto age = [](io::JournalLimits::Age& target) {
    return [&target](std::string_view v) -> Set {
      const auto parsed = protocol::parse_duration(v, {24h, 10 * 365 * 24h});
      if (!parsed) return std::unexpected(parsed.error());
      target = std::chrono::duration_cast<io::JournalLimits::Age>(*parsed);
      return {};
    };
  };
  reader.mapping(
      node, std::string{journal_key},
      {{"history", age(limits.history)},
       {"minutes", age(limits.minutes)},
       {"hours", age(limits.hours)},
       {"incidents", age(limits.incidents)},
       {"dead-letters", age(limits.dead)},
       {"max-size", [&limits](std::string_view v) { return set_size(v, limits.bytes); }}});
}

}  // namespace sentinel::app
