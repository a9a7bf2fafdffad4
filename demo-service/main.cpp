#include "healthcheck.hpp"
#include "options.hpp"
#include "service.hpp"

#include <iostream>

int main(int argc, char** argv) {
  using namespace sentinel::demo;
  const auto options = read_options(argc, argv);
  if (!options) {
    return options.error();
  }
  if (options->command == Options::Command::healthcheck) {
    const auto result = check_health(options->url, options->timeout);
    std::cout << result.line << '\n';
    return result.healthy ? 0 : 1;
  }
  return run_service(*options);
}
