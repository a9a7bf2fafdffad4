// `probe.NAME` and `probe.NAME.OPTION`, wherever the file has them.

#include <algorithm>
#include <optional>
#include <utility>

#include "app/config_reader.hpp"
#include "app/secret_file.hpp"
#include "app/suggest.hpp"
#include "protocol/probe_settings.hpp"

namespace sentinel::app {

namespace {

constexpr std::string_view probe_prefix = "probe.";

std::expected<void, protocol::Error> expected_form(std::string text) {
  return std::unexpected(protocol::Error{"expected " + std::move(text)});
}

std::expected<void, protocol::Error> set_url(std::string_view text, std::string_view name,
                                             std::vector<core::ProbeSpec>& probes,
                                             const protocol::SettingsLimits& limits) {
  auto good_name = protocol::parse_probe_name(name);
  if (!good_name) return std::unexpected(std::move(good_name.error()));
  const auto at = std::ranges::find(probes, name, &core::ProbeSpec::name);
  if (at != probes.end()) return protocol::set_probe_url(*at, text);
  if (probes.size() >= limits.max_probes)
    return expected_form("at most " + std::to_string(limits.max_probes) + " probes");
  core::ProbeSpec fresh;
  fresh.name = *good_name;
  if (auto set = protocol::set_probe_url(fresh, text); !set) return set;
  // By name, so that a probe keeps its index when another is added behind it.
  probes.insert(std::ranges::lower_bound(probes, name, {}, &core::ProbeSpec::name),
                std::move(fresh));
  return {};
}

/// `body` of `body_file` and `body-file`, when the value is one that may come from a file.
std::optional<std::string_view> without_file(std::string_view option) {
  constexpr std::size_t suffix = 5;
  if (!option.ends_with("_file") && !option.ends_with("-file")) return std::nullopt;
  option.remove_suffix(suffix);
  return protocol::is_probe_option(option) && protocol::option_is_secret(option)
             ? std::optional(option)
             : std::nullopt;
}

ListStyle list_style(const core::ProbeSpec& probe, std::string_view option) {
  switch (protocol::option_list(probe, option)) {
    case protocol::OptionList::none: return ListStyle::none;
    case protocol::OptionList::comma: return ListStyle::comma;
    case protocol::OptionList::lines: return ListStyle::lines;
    case protocol::OptionList::words: return ListStyle::words;
  }
  return ListStyle::none;
}

}  // namespace

bool ProbeKeys::take(const YamlNode& key, const YamlNode& value) {
  const std::string_view name = key.scalar;
  if (!name.starts_with(probe_prefix)) return false;
  const bool option = name.substr(probe_prefix.size()).find('.') != std::string_view::npos;
  (option ? options_ : urls_).emplace_back(&key, &value);
  return true;
}

void ProbeKeys::set_option(FileReader& reader, const std::string& prefix, const YamlNode& key,
                           const YamlNode& value, const protocol::SettingsLimits& limits,
                           std::vector<core::ProbeSpec>& probes) {
  const std::string full = join_key(prefix, key.scalar);
  const std::string_view rest = std::string_view{key.scalar}.substr(probe_prefix.size());
  const auto dot = rest.find('.');
  const std::string_view written = rest.substr(dot + 1);
  const auto probe = std::ranges::find(probes, rest.substr(0, dot), &core::ProbeSpec::name);
  if (probe == probes.end()) {
    // When its URL is bad, that has been said.
    const bool named = std::ranges::any_of(urls_, [&](const auto& url) {
      return url.first->scalar.substr(probe_prefix.size()) == rest.substr(0, dot);
    });
    if (!named) reader.error(key.at, full, "expected a probe of that name: probe.NAME with a URL");
    return;
  }
  const auto from_file = without_file(written);
  const std::string_view option = from_file.value_or(written);
  if (!protocol::is_probe_option(option)) {
    YamlNode last = key;
    last.scalar = written;
    const auto names = protocol::probe_option_names();
    reader.unknown(last, join_key(prefix, key.scalar.substr(0, probe_prefix.size() + dot)),
                   {names.begin(), names.end()});
    return;
  }
  if (const auto fits = protocol::option_fits(*probe, option); !fits) {
    reader.error(key.at, full, fits.error().message);
    return;
  }
  const auto set = [&](std::string_view text) {
    return protocol::set_probe_option(*probe, option, text, limits);
  };
  if (!from_file) {
    reader.value(
        value, full, set,
        {.list = list_style(*probe, option), .secret = protocol::option_is_secret(option)});
    return;
  }
  reader.value(value, full, [&](std::string_view path) -> std::expected<void, protocol::Error> {
    const auto content = read_value_file(std::string{path}, protocol::max_option_bytes);
    if (!content) return expected_form("a file with the value: " + content.error());
    return set(*content);
  });
}

void ProbeKeys::apply(FileReader& reader, const std::string& prefix,
                      const protocol::SettingsLimits& limits,
                      std::vector<core::ProbeSpec>& probes) {
  if (urls_.empty() && options_.empty()) return;
  for (const auto& [key, value] : urls_) {
    const std::string_view name = std::string_view{key->scalar}.substr(probe_prefix.size());
    reader.value(*value, join_key(prefix, key->scalar),
                 [&](std::string_view text) { return set_url(text, name, probes, limits); });
  }
  // After all URLs, whatever the order in the file.
  for (const auto& [key, value] : options_)
    set_option(reader, prefix, *key, *value, limits, probes);
  for (core::ProbeSpec& probe : probes) {
    const auto settled = protocol::settle_probe(probe);
    for (const protocol::ProbeProblem& problem : settled.problems) {
      const std::string name = std::string{probe_prefix} + probe.name;
      reader.error(place_of(name, problem.option), join_key(prefix, name),
                   std::string{problem.option} + ": " + problem.error.message);
    }
  }
}

Position ProbeKeys::place_of(const std::string& probe, std::string_view option) const {
  const std::string full = probe + "." + std::string{option};
  for (const auto& [key, value] : options_) {
    if (key->scalar == full) return value->at;
  }
  for (const auto& [key, value] : urls_) {
    if (key->scalar == probe) return value->at;
  }
  for (const auto& [key, value] : options_) {
    if (key->scalar.starts_with(probe + ".")) return key->at;
  }
  return {};
}

}  // namespace sentinel::app
