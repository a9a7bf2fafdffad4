#include "demo-service/address.hpp"
#include "demo-service/options.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cstdlib>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace sentinel::demo;

std::expected<Options, int> read(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "demo-service");
  std::vector<char*> pointers;
  pointers.reserve(arguments.size());
  for (auto& argument : arguments) {
    pointers.push_back(argument.data());
  }
  return read_options(static_cast<int>(pointers.size()), pointers.data());
}

/// Sets a variable for one test.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_{name} { setenv(name, value, 1); }
  ~Variable() { unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
};

TEST_CASE("demo options: the defaults serve on 8080 and ask themselves", "[demo]") {
  const auto options = read({});
  REQUIRE(options);
  CHECK(options->command == Options::Command::serve);
  CHECK(options->listen.host == "0.0.0.0");
  CHECK(options->listen.port == 8080);
  CHECK_FALSE(options->name.empty());
  CHECK_FALSE(options->start_unhealthy);
  CHECK_FALSE(options->ignore_sigterm);
  CHECK(options->url.address.host == "127.0.0.1");
  CHECK(options->url.path == "/health");
}

TEST_CASE("demo options: a flag wins over its variable", "[demo]") {
  const Variable listen{"DEMO_LISTEN", "127.0.0.1:81"};
  const Variable name{"DEMO_NAME", "from-environment"};
  const Variable ignore{"SENTINEL_DEMO_IGNORE_SIGTERM", "1"};
  auto options = read({});
  REQUIRE(options);
  CHECK(options->listen.port == 81);
  CHECK(options->name == "from-environment");
  CHECK(options->ignore_sigterm);
  options = read({"--listen", "[::]:82", "--name", "web-2"});
  REQUIRE(options);
  CHECK(options->listen.host == "::");
  CHECK(options->listen.port == 82);
  CHECK(options->url.address.host == "::1");
  CHECK(options->name == "web-2");
}

TEST_CASE("demo options: unhealthy from the start, with and without a duration", "[demo]") {
  auto options = read({"--start-unhealthy"});
  REQUIRE(options);
  CHECK(options->start_unhealthy == 0ms);
  options = read({"--start-unhealthy=90s"});
  REQUIRE(options);
  CHECK(options->start_unhealthy == 90s);
  const Variable variable{"DEMO_START_UNHEALTHY", "2m"};
  options = read({});
  REQUIRE(options);
  CHECK(options->start_unhealthy == 2min);
}

TEST_CASE("demo options: the health check can ask elsewhere", "[demo]") {
  const auto options =
      read({"healthcheck", "--url", "http://localhost:9/x?y", "--timeout", "250ms"});
  REQUIRE(options);
  CHECK(options->command == Options::Command::healthcheck);
  CHECK(options->url.address.host == "127.0.0.1");
  CHECK(options->url.address.port == 9);
  CHECK(options->url.path == "/x?y");
  CHECK(options->timeout == 250ms);
}

TEST_CASE("demo options: usage errors exit with 2, help and version with 0", "[demo]") {
  const auto arguments = GENERATE(
      std::vector<std::string>{"--bogus"}, std::vector<std::string>{"--listen", "example.org:1"},
      std::vector<std::string>{"--listen", "127.0.0.1"},
      std::vector<std::string>{"--listen", "127.0.0.1:70000"},
      std::vector<std::string>{"--start-unhealthy=5"},
      std::vector<std::string>{"--leak-cap-mb", "0"},
      std::vector<std::string>{"--log-format", "xml"},
      std::vector<std::string>{"healthcheck", "--url", "https://127.0.0.1/"},
      std::vector<std::string>{"healthcheck", "--url", "http://127.0.0.1:0/"},
      std::vector<std::string>{"healthcheck", "--url", "http://127.0.0.1:1/a b"},
      std::vector<std::string>{"healthcheck", "--timeout", "0s"});
  CAPTURE(arguments);
  const auto options = read(arguments);
  REQUIRE_FALSE(options);
  CHECK(options.error() == 2);
  CHECK(read({"--help"}).error() == 0);
  CHECK(read({"--version"}).error() == 0);
}

TEST_CASE("demo options: the instance's name is short and printable", "[demo]") {
  const auto options = read({"--name", std::string(100, 'a') + "\n"});
  REQUIRE(options);
  CHECK(options->name == std::string(63, 'a'));
  CHECK(read({"--name", "a\x1b[31m\nb"})->name == "a?[31m?b");
}

TEST_CASE("demo options: URLs of a health check", "[demo]") {
  CHECK(HealthUrl::parse("http://127.0.0.1")->address.port == 80);
  CHECK(HealthUrl::parse("http://127.0.0.1")->path == "/");
  CHECK(HealthUrl::parse("http://[::1]:8080/health")->address.host == "::1");
  CHECK(HealthUrl::parse("http://[::1]/")->address.port == 80);
  for (const auto* bad : {"", "http://", "http://:80/", "http://::1:80/", "ftp://127.0.0.1/",
                          "http://user@127.0.0.1/", "http://127.0.0.1:/", "http://[127.0.0.1]/",
                          "http://127.0.0.1:80\r\n/"}) {
    CAPTURE(bad);
    CHECK_FALSE(HealthUrl::parse(bad));
  }
}

}  // namespace
