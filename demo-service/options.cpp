#include "options.hpp"

#include "duration.hpp"
#include "version.hpp"

#include <CLI/CLI.hpp>

#include <unistd.h>

#include <array>
#include <format>
#include <iostream>

namespace sentinel::demo {
namespace {

constexpr std::size_t longest_name = 63;

// What the command line holds before it has a meaning.
struct Texts {
  std::string listen = "0.0.0.0:8080";
  std::string name;
  std::string start_unhealthy;
  std::string log_format = "auto";
  std::string url;
  std::string timeout = "1s";
};

std::string host_name() {
  std::array<char, 256> buffer{};
  return gethostname(buffer.data(), buffer.size() - 1) == 0 ? std::string{buffer.data()}
                                                            : std::string{"demo-service"};
}

std::expected<std::chrono::milliseconds, std::string> duration_option(std::string_view option,
                                                                      std::string_view text) {
  const auto duration = parse_duration(text);
  if (!duration) {
    return std::unexpected(std::format("{}: '{}' {}", option, text, duration.error()));
  }
  if (duration->count() == 0) {
    return std::unexpected(std::format("{}: must be more than zero", option));
  }
  return *duration;
}

// Fills in what needs more than CLI11's own checks.
std::expected<void, std::string> interpret(const Texts& texts, Options& options) {
  auto listen = Address::parse(texts.listen);
  if (!listen) {
    return std::unexpected(
        std::format("--listen or DEMO_LISTEN: '{}': {}", texts.listen, listen.error()));
  }
  options.listen = std::move(*listen);
  options.name = printable(texts.name.empty() ? host_name() : texts.name).substr(0, longest_name);
  // "true" is how a flag without a value arrives.
  if (texts.start_unhealthy == "true" || texts.start_unhealthy == "1") {
    options.start_unhealthy = std::chrono::milliseconds{0};
  } else if (!texts.start_unhealthy.empty() && texts.start_unhealthy != "0" &&
             texts.start_unhealthy != "false") {
    const auto duration =
        duration_option("--start-unhealthy or DEMO_START_UNHEALTHY", texts.start_unhealthy);
    if (!duration) {
      return std::unexpected(duration.error());
    }
    options.start_unhealthy = *duration;
  }
  if (texts.log_format == "text") {
    options.log_format = LogFormat::text;
  } else if (texts.log_format == "json") {
    options.log_format = LogFormat::json;
  } else if (texts.log_format != "auto" && !texts.log_format.empty()) {
    return std::unexpected(
        std::format("--log-format or SENTINEL_LOG_FORMAT: '{}': expected auto, text or json",
                    texts.log_format));
  }
  const auto timeout = duration_option("--timeout", texts.timeout);
  if (!timeout) {
    return std::unexpected(timeout.error());
  }
  options.timeout = *timeout;
  options.url = HealthUrl::of(options.listen);
  if (!texts.url.empty()) {
    auto url = HealthUrl::parse(texts.url);
    if (!url) {
      return std::unexpected(std::format("--url: '{}': {}", texts.url, url.error()));
    }
    options.url = std::move(*url);
  }
  return {};
}

}  // namespace

std::expected<Options, int> read_options(int argc, char** argv) {
  Options options;
  Texts texts;
  CLI::App cli{"demo-service: a service that fails on demand", "demo-service"};
  cli.set_version_flag("--version", std::format("demo-service {}", version()));
  cli.add_option("--listen", texts.listen, "HOST:PORT to listen on")
      ->envname("DEMO_LISTEN")
      ->capture_default_str();
  cli.add_option("--name", texts.name, "the instance's name (default: the host's name)")
      ->envname("DEMO_NAME");
  cli.add_option("--leak-cap-mb", options.leak_cap_mib, "most MiB that leaks may hold in all")
      ->envname("DEMO_LEAK_CAP_MB")
      ->check(CLI::Range(std::size_t{1}, std::size_t{65'536}))
      ->capture_default_str();
  cli.add_flag("--ignore-sigterm", options.ignore_sigterm,
               "go on running on SIGTERM, as a hung process does")
      ->envname("SENTINEL_DEMO_IGNORE_SIGTERM");
  cli.add_flag("--start-unhealthy", texts.start_unhealthy,
               "be unhealthy from the start, with =DURATION only so long")
      ->envname("DEMO_START_UNHEALTHY");
  cli.add_option("--log-format", texts.log_format, "auto, text or json")
      ->envname("SENTINEL_LOG_FORMAT")
      ->capture_default_str();
  cli.add_flag("--debug", options.debug, "log more")->envname("DEMO_DEBUG");
  auto* const check = cli.add_subcommand(
      "healthcheck", "ask a running demo-service; exit status 0 when it is healthy, else 1");
  check->add_option("--url", texts.url, "http://HOST:PORT/PATH to ask instead of its own");
  check->add_option("--timeout", texts.timeout, "for the whole check")->capture_default_str();
  try {
    cli.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return std::unexpected(cli.exit(error) == 0 ? 0 : 2);
  }
  if (check->parsed()) {
    options.command = Options::Command::healthcheck;
  }
  if (const auto understood = interpret(texts, options); !understood) {
    std::cerr << "demo-service: " << printable(understood.error()) << '\n';
    return std::unexpected(2);
  }
  return options;
}

}  // namespace sentinel::demo
