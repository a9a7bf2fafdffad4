#include <algorithm>
#include <array>
#include <functional>
#include <span>

#include "protocol/escape.hpp"
#include "protocol/probe_settings.hpp"
#include "protocol/settings.hpp"

namespace sentinel::protocol {
namespace {

constexpr std::string_view prefix = "sentinel.";
constexpr std::string_view probe_prefix = "probe.";
constexpr std::size_t shown_value_bytes = 80;

constexpr std::array<std::string_view, 12> service_keys{"enable",
                                                        "name",
                                                        "heal",
                                                        "heal.on",
                                                        "heal.stop-timeout",
                                                        "heal.start-grace",
                                                        "heal.delay",
                                                        "heal.verify-timeout",
                                                        "heal.budget",
                                                        "heal.trial",
                                                        "heal.backoff",
                                                        "depends-on"};
constexpr std::array<std::string_view, 2> later_keys{"failover.pool", "failover.port"};

/// Levenshtein distance, given up above `most`.
std::size_t distance(std::string_view a, std::string_view b, std::size_t most) {
  if (a.size() > b.size() + most || b.size() > a.size() + most) return most + 1;
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::string_view closest(std::string_view word, std::span<const std::string_view> known) {
  std::string_view best;
  std::size_t least = 3;
  if (word.size() > 64) return best;
  for (const auto candidate : known) {
    const auto d = distance(word, candidate, 2);
    if (d < least) {
      least = d;
      best = candidate;
    }
  }
  return best;
}

class Warnings {
 public:
  explicit Warnings(std::string_view container) : container_(one_line(container, 128)) {}

  void add(std::string_view label, std::string_view value, std::string_view problem) {
    if (lines_.size() >= max_label_warnings) {
      ++more_;
      return;
    }
    lines_.push_back("container " + container_ + ": label " + one_line(label, 128) + "=" +
                     one_line(value, shown_value_bytes) + ": " + std::string(problem));
  }
  void bad(std::string_view label, std::string_view value, const Error& error,
           std::string_view used) {
    add(label, value, error.message + "; " + std::string(used) + " is used");
  }
  std::vector<std::string> take() {
    if (more_ > 0)
      lines_.push_back("container " + container_ + ": " + std::to_string(more_) +
                       " more labels have problems");
    return std::move(lines_);
  }

 private:
  std::string container_;
  std::vector<std::string> lines_;
  std::size_t more_ = 0;
};

struct Applier {
  core::ServiceSettings& settings;
  const SettingsLimits& limits;
  Warnings& warnings;

  template <class T, class Assign>
  void value(const Label& label, const Parsed<T>& parsed, const std::string& used, Assign assign) {
    if (parsed) {
      assign(*parsed);
    } else {
      warnings.bad(label.first, label.second, parsed.error(), used);
    }
  }

  static std::string or_own(const std::optional<Duration>& value, std::string_view own) {
    return value ? format_duration(*value) : std::string(own);
  }

  void service_label(std::string_view key, const Label& label) {
    auto& s = settings;
    const std::string& text = label.second;
    if (key == "enable") {
      value(label, parse_bool(text), s.enabled ? "true" : "false",
            [&s](bool on) { s.enabled = on; });
    } else if (key == "name") {
      value(label, parse_service_name(text), "the Compose service or container name",
            [](const std::string&) {});
    } else if (key == "heal") {
      value(label, parse_ladder(text), format_ladder(s.ladder),
            [&s](const auto& v) { s.ladder = v; });
    } else if (key == "heal.on") {
      value(label, parse_failure_set(text), format_failure_set(s.heal_on),
            [&s](const auto& v) { s.heal_on = v; });
    } else if (key == "heal.stop-timeout") {
      value(label, parse_duration(text, {{}, limits.max_stop_timeout}),
            or_own(s.stop_timeout, "the container's own"),
            [&s](Duration v) { s.stop_timeout = v; });
    } else if (key == "heal.start-grace") {
      value(label, parse_duration(text, {{}, limits.max_start_grace}),
            or_own(s.start_grace, "the container's start period"),
            [&s](Duration v) { s.start_grace = v; });
    } else if (key == "heal.delay") {
      value(label, parse_duration(text, {{}, limits.max_delay}), format_duration(s.delay),
            [&s](Duration v) { s.delay = v; });
    } else if (key == "heal.verify-timeout") {
      value(label, parse_duration(text, limits.verify_timeout),
            or_own(s.verify_timeout, "the time computed from the health check"),
            [&s](Duration v) { s.verify_timeout = v; });
    } else if (key == "heal.budget") {
      value(label, parse_budget(text, limits.budget), format_budget(s.budget),
            [&s](const auto& v) { s.budget = v; });
    } else if (key == "heal.trial") {
      auto parsed = parse_duration(text, {{}, limits.trial.max});
      if (!parsed || (*parsed != Duration{} && *parsed < limits.trial.min)) {
        parsed = std::unexpected(Error{"expected 0 for never, or a duration such as 1h between " +
                                       format_duration(limits.trial.min) + " and " +
                                       format_duration(limits.trial.max)});
      }
      value(label, parsed, format_duration(s.trial), [&s](Duration v) { s.trial = v; });
    } else if (key == "heal.backoff") {
      value(label, parse_backoff(text, limits.backoff), format_backoff(s.backoff),
            [&s](const auto& v) { s.backoff = v; });
    } else if (key == "depends-on") {
      value(label, parse_service_list(text),
            s.depends_on ? format_service_list(*s.depends_on) : "what Compose and the network say",
            [&s](const auto& v) { s.depends_on = v; });
    } else if (std::ranges::find(later_keys, key) != later_keys.end()) {
      warnings.add(label.first, label.second, "this label is not supported yet; it is ignored");
    } else {
      unknown(label, closest(key, service_keys), "");
    }
  }

  void unknown(const Label& label, std::string_view suggestion, std::string_view before) {
    std::string text = "no such label; it is ignored";
    if (!suggestion.empty()) {
      text += "; did you mean " + std::string(prefix) + one_line(before, 80) +
              std::string(suggestion) + "?";
    }
    warnings.add(label.first, label.second, text);
  }

  core::ProbeSpec* find_probe(std::string_view name) {
    const auto at = std::ranges::find(settings.probes, name, &core::ProbeSpec::name);
    return at == settings.probes.end() ? nullptr : &*at;
  }

  /// `sentinel.probe.NAME`
  void probe_url(std::string_view name, const Label& label) {
    const auto good_name = parse_probe_name(name);
    if (!good_name) {
      warnings.add(label.first, label.second,
                   good_name.error().message + "; the probe is left out");
      return;
    }
    core::ProbeSpec* spec = find_probe(name);
    const std::string kept =
        spec != nullptr ? "the probe " + one_line(spec->url, shown_value_bytes) : "no probe";
    core::ProbeSpec fresh = spec != nullptr ? *spec : core::ProbeSpec{};
    fresh.name = *good_name;
    if (const auto set = set_probe_url(fresh, label.second); !set) {
      warnings.bad(label.first, label.second, set.error(), kept);
      return;
    }
    if (!reachable(fresh)) {
      warnings.bad(label.first, label.second,
                   {"expected a URL without a host, which reaches this container, or a host that "
                    "limits.probe-hosts allows"},
                   kept);
      return;
    }
    if (spec != nullptr) {
      *spec = std::move(fresh);
    } else if (settings.probes.size() < limits.max_probes) {
      settings.probes.push_back(std::move(fresh));
    } else {
      warnings.add(label.first, label.second,
                   "expected at most " + std::to_string(limits.max_probes) +
                       " probes; this one is left out");
    }
  }

  /// What a label may choose as a peer.
  bool reachable(const core::ProbeSpec& spec) const {
    return spec.host.empty() || limits.probe_hosts.contains("*") ||
           limits.probe_hosts.contains(spec.host);
  }

  /// `sentinel.probe.NAME.OPTION`
  void probe_option(std::string_view name, std::string_view option, const Label& label) {
    const std::string_view shown =
        option_is_secret(option) ? "..." : std::string_view(label.second);
    if (!is_probe_option(option)) {
      unknown(label, closest(option, probe_option_names()),
              std::string(probe_prefix) + std::string(name) + ".");
      return;
    }
    core::ProbeSpec* spec = find_probe(name);
    if (spec == nullptr) {
      warnings.add(label.first, shown,
                   "there is no usable probe in " + std::string(prefix) + "probe." +
                       one_line(name, 64) + "; it is ignored");
      return;
    }
    if (option_needs_file(option)) {
      warnings.add(label.first, shown, "expected in the configuration file only; it is ignored");
      return;
    }
    // What the file sends to another host, and what it takes for a good answer there, is not the
    // container's to change.
    if (!reachable(*spec) && !option_is_general(option)) {
      warnings.add(label.first, shown,
                   "the probe reaches a host that the file names, and only the file may change "
                   "more than its times; it is ignored");
      return;
    }
    if (const auto set = set_probe_option(*spec, option, label.second, limits); !set)
      warnings.add(label.first, shown, set.error().message + "; it is ignored");
  }

  void settle_probes() {
    std::erase_if(settings.probes, [this](core::ProbeSpec& spec) {
      const SettledProbe settled = settle_probe(spec);
      for (const ProbeProblem& problem : settled.problems) {
        warnings.add(
            std::string(prefix) + std::string(probe_prefix) + spec.name, spec.url,
            std::string(problem.option) + ": " + problem.error.message + "; " + problem.instead);
      }
      return !settled.usable;
    });
  }
};

}  // namespace

bool LabelDefaults::without_label() const {
  return watch_all || defaults.enabled ||
         std::ranges::any_of(services, [](const auto& entry) { return entry.second.enabled; });
}

const core::ServiceSettings& LabelDefaults::for_service(std::string_view project,
                                                        std::string_view service) const {
  if (services.empty()) return defaults;
  if (!project.empty()) {
    const auto longer = services.find(std::string(project) + "/" + std::string(service));
    if (longer != services.end()) return longer->second;
  }
  const auto shorter = services.find(service);
  return shorter != services.end() ? shorter->second : defaults;
}

AppliedLabels apply_labels(const Labels& labels, const core::ServiceSettings& start,
                           const SettingsLimits& limits, std::string_view container_name) {
  AppliedLabels applied{.settings = start, .warnings = {}};
  // Sorted, so that probes get the same index whatever the order of the Engine's map, and a URL
  // comes before its options.
  std::vector<const Label*> ours;
  for (const Label& label : labels) {
    if (label.first.starts_with(prefix)) ours.push_back(&label);
  }
  std::ranges::stable_sort(ours, std::less<>{},
                           [](const Label* label) -> const std::string& { return label->first; });
  Warnings warnings(container_name);
  Applier applier{applied.settings, limits, warnings};
  const auto rest_of = [](const Label& label) {
    return std::string_view(label.first).substr(prefix.size());
  };
  for (const Label* label : ours) {
    if (rest_of(*label) == "enable") applier.service_label("enable", *label);
  }
  // Nobody asked us to look at this container, so its other labels are not ours to judge.
  if (!applied.settings.enabled) {
    applied.warnings = warnings.take();
    return applied;
  }
  if (ours.size() > max_sentinel_labels) {
    warnings.add(
        "sentinel.*", std::to_string(ours.size()) + " labels",
        "expected at most " + std::to_string(max_sentinel_labels) + "; the others are ignored");
    ours.resize(max_sentinel_labels);
  }
  for (const Label* label : ours) {
    std::string_view key = rest_of(*label);
    if (!key.starts_with(probe_prefix)) {
      if (key != "enable") applier.service_label(key, *label);
      continue;
    }
    key.remove_prefix(probe_prefix.size());
    if (key.find('.') == std::string_view::npos) applier.probe_url(key, *label);
  }
  for (const Label* label : ours) {
    std::string_view key = rest_of(*label);
    if (!key.starts_with(probe_prefix)) continue;
    key.remove_prefix(probe_prefix.size());
    const auto dot = key.find('.');
    if (dot != std::string_view::npos)
      applier.probe_option(key.substr(0, dot), key.substr(dot + 1), *label);
  }
  applier.settle_probes();
  applied.warnings = warnings.take();
  return applied;
}

std::optional<std::string> service_name(const Labels& labels) {
  for (const Label& label : labels) {
    if (label.first != "sentinel.name") continue;
    auto name = parse_service_name(label.second);
    if (name) return std::move(*name);
  }
  return std::nullopt;
}

}  // namespace sentinel::protocol
