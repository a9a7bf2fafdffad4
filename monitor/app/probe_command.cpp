#include "app/probe_command.hpp"

#include <array>
#include <boost/asio/io_context.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "app/command_line.hpp"
#include "app/suggest.hpp"
#include "app/version.hpp"
#include "core/ip.hpp"
#include "io/prober.hpp"
#include "observe/text.hpp"
#include "protocol/escape.hpp"
#include "protocol/probe_settings.hpp"

namespace sentinel::app {

namespace {

void print(std::FILE* file, const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), file);
}

int misunderstood(const std::string& text) {
  print(stderr, "sentinel probe: " + protocol::one_line(text) + "\n");
  return exit_usage;
}

double milliseconds(core::Duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

struct Phase {
  const char* name;
  core::Duration core::ProbePhases::* value;
};
constexpr std::array<Phase, 5> phases{{{"resolve", &core::ProbePhases::resolve},
                                       {"connect", &core::ProbePhases::connect},
                                       {"tls", &core::ProbePhases::tls},
                                       {"processing", &core::ProbePhases::processing},
                                       {"transfer", &core::ProbePhases::transfer}}};

std::string as_json(const core::ProbeOutcome& outcome) {
  nlohmann::ordered_json json;
  json["verdict"] = to_string(outcome.verdict);
  json["reason"] = core::to_string(outcome.reason);
  json["sentence"] = outcome.sentence;
  json["took_ms"] = milliseconds(outcome.took);
  for (const Phase& phase : phases)
    json["phases"][std::string{phase.name} + "_ms"] = milliseconds(outcome.phases.*phase.value);
  using Json = nlohmann::ordered_json;
  json["code"] = outcome.code == 0 ? Json(nullptr) : Json(outcome.code);
  json["cert_not_after"] = outcome.cert_not_after ? Json(*outcome.cert_not_after) : Json(nullptr);
  json["loss"] = outcome.loss ? Json(*outcome.loss) : Json(nullptr);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string with_decimals(double value, int decimals) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.*f", decimals, value);
  return text.data();
}

std::string ms_text(core::Duration d) { return with_decimals(milliseconds(d), 3) + " ms"; }

std::string as_text(const core::ProbeOutcome& outcome) {
  std::string out{to_string(outcome.verdict)};
  if (!outcome.sentence.empty()) out += ": " + protocol::one_line(outcome.sentence);
  if (outcome.reason != core::ProbeReason::none)
    out += " (" + std::string{core::to_string(outcome.reason)} + ")";
  out += "\ntook " + ms_text(outcome.took);
  for (const Phase& phase : phases) {
    const core::Duration took = outcome.phases.*phase.value;
    if (took != core::Duration{}) out += ", " + std::string{phase.name} + " " + ms_text(took);
  }
  out += "\n";
  if (outcome.cert_not_after) {
    // Years beyond what a time stamp can write are cut to its last one.
    const std::int64_t end = std::min(*outcome.cert_not_after, std::int64_t{253'402'300'799});
    out += "certificate ends " + observe::rfc3339(end * 1000) + "\n";
  }
  if (outcome.loss) out += with_decimals(*outcome.loss * 100, 0) + " % of the packets were lost\n";
  return out;
}

/// A sentence about what is wrong, else nullopt.
std::optional<std::string> apply(core::ProbeSpec& spec, const ProbeRequest& request) {
  const protocol::SettingsLimits limits;
  for (const std::string& text : request.options) {
    const auto equals = text.find('=');
    const std::string option = text.substr(0, equals);
    if (equals == std::string::npos) return option + ": expected OPTION=VALUE";
    if (!protocol::is_probe_option(option)) {
      const auto best = closest(option, protocol::probe_option_names());
      return option + ": no such option" +
             (best.empty() ? "" : "; did you mean " + std::string{best} + "?");
    }
    if (const auto set = protocol::set_probe_option(
            spec, option, std::string_view{text}.substr(equals + 1), limits);
        !set)
      return option + ": " + set.error().message;
  }
  const auto settled = protocol::settle_probe(spec);
  if (!settled.problems.empty()) {
    const auto& first = settled.problems.front();
    return std::string{first.option} + ": " + first.error.message;
  }
  return std::nullopt;
}

}  // namespace

int command_probe(const ProbeRequest& request) {
  core::ProbeSpec spec;
  spec.name = "probe";
  if (const auto set = protocol::set_probe_url(spec, request.url); !set)
    return misunderstood(request.url + ": " + set.error().message);
  if (spec.kind == core::ProbeKind::exec)
    return misunderstood("exec runs in a container, which the monitor alone reaches");
  if (const auto problem = apply(spec, request)) return misunderstood(*problem);
  if (!request.address.empty() && !core::IpAddress::parse(request.address))
    return misunderstood("--address: expected an IP address");

  boost::asio::io_context context{1};
  std::optional<core::ProbeOutcome> outcome;
  io::ProberOptions options;
  options.user_agent = "Sentinel/" + std::string{version()};
  io::Prober prober{context, std::move(options), [&](core::ProbeFinished finished) {
                      outcome = std::move(finished.outcome);
                      context.stop();
                    }};
  prober.perform({.token = {},
                  .spec = std::make_shared<const core::ProbeSpec>(std::move(spec)),
                  .address = request.address,
                  .container = {},
                  .lag = {}});
  context.run();
  prober.stop();
  if (!outcome) {
    print(stderr, "sentinel probe: the probe ended without a result\n");
    return exit_failed;
  }
  print(stdout, request.json ? as_json(*outcome) : as_text(*outcome));
  return outcome->verdict == core::Verdict::fail ? exit_failed : exit_done;
}

}  // namespace sentinel::app
