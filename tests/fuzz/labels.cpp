// Labels: `key=value` separated by NUL. And every value parser with every value.

#include <string>

#include "fuzz.hpp"
#include "protocol/probe_settings.hpp"

using namespace sentinel;

namespace {

void check_values(std::string_view text) {
  using namespace protocol;
  if (const auto value = parse_duration(text))
    fuzz::require(*value >= Duration{} && *value <= DurationRange{}.max, "a duration in range");
  if (const auto value = parse_budget(text))
    fuzz::require(
        parse_budget(format_budget(*value)).has_value() || value->window % 1ms != Duration{},
        "a budget reads back");
  if (const auto value = parse_backoff(text))
    fuzz::require(value->min <= value->max && value->min > Duration{}, "a back-off in order");
  if (const auto value = parse_ladder(text))
    fuzz::require(parse_ladder(format_ladder(*value)) == *value, "a ladder reads back");
  if (const auto value = parse_failure_set(text))
    fuzz::require(parse_failure_set(format_failure_set(*value)) == *value, "a set reads back");
  if (const auto value = parse_probe_url(text)) {
    fuzz::require(value->http.target.starts_with('/') && fuzz::printable(value->http.target),
                  "a request target");
    fuzz::require(value->http.target.find(' ') == std::string::npos && fuzz::printable(value->host),
                  "no space in the target");
    fuzz::require(value->host.empty() || !forbidden_host(value->host), "no forbidden host");
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  protocol::Labels labels{{"sentinel.enable", "true"}};
  std::string_view text = fuzz::view(data, size);
  while (!text.empty() && labels.size() < 2000) {
    const auto end = text.find('\0');
    const std::string_view label = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const auto equals = label.find('=');
    if (equals == std::string_view::npos) continue;
    check_values(label.substr(equals + 1));
    labels.emplace_back(std::string(label.substr(0, equals)),
                        std::string(label.substr(equals + 1)));
  }
  const protocol::SettingsLimits limits;
  const auto applied = protocol::apply_labels(labels, {}, limits, "fuzz");
  const auto& s = applied.settings;
  fuzz::require(applied.warnings.size() <= protocol::max_label_warnings + 1, "bounded warnings");
  for (const auto& warning : applied.warnings) {
    fuzz::require(fuzz::printable(warning) && warning.size() < 1000, "printable bounded warning");
  }
  fuzz::require(s.probes.size() <= limits.max_probes, "bounded probes");
  for (const auto& probe : s.probes) {
    fuzz::require(probe.host.empty(), "no foreign host from a label");
    fuzz::require(probe.interval >= limits.interval.min && probe.timeout > core::Duration{} &&
                      probe.fall > 0 && probe.rise > 0,
                  "probe in limits");
    fuzz::require(probe.fast_interval <= probe.interval, "fast is not slower");
  }
  fuzz::require(s.budget.restarts >= 1 && s.budget.restarts <= limits.budget.max_restarts,
                "budget in limits");
  fuzz::require(s.ladder.size() <= 8, "bounded ladder");
  return 0;
}
