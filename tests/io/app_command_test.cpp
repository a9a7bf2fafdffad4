#include <catch2/catch_test_macros.hpp>

#include "app_process.hpp"

using namespace app_test;

namespace {

bool has(const Result& result, const std::string& text) {
  return result.output.find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("the program tells its version and what it can do") {
  const auto version = run({"--version"});
  CHECK(version.status == 0);
  CHECK(version.output.starts_with("sentinel "));
  const auto help = run({"--help"});
  CHECK(help.status == 0);
  CHECK(has(help, "monitor"));
  CHECK(has(help, "failover"));
  CHECK(has(help, "silence"));
}

TEST_CASE("wrong usage ends with 2 before anything is started") {
  CHECK(run({}).status == 2);
  CHECK(run({"nonsense"}).status == 2);
  CHECK(run({"monitor", "--nonsense"}).status == 2);
  CHECK(run({"explain"}).status == 2);
  CHECK(run({"maintenance", "web"}).status == 2);
  CHECK(run({"maintenance", "web", "--for", "30m", "--end"}).status == 2);
  const auto length = run({"maintenance", "web", "--for", "lots"});
  CHECK(length.status == 2);
  CHECK(has(length, "expected a duration"));
}

TEST_CASE("configuration errors end with 2 and are all listed") {
  const Directory dir;
  dir.write("bad.yaml", "lisen: 1\nheal:\n  max-concurrent: many\n");
  dir.write("good.yaml", "heal: {max-concurrent: 2}\n");
  const auto bad = run({"config", "check", dir.file("bad.yaml")});
  CHECK(bad.status == 2);
  CHECK(has(bad, dir.file("bad.yaml") + ":1:1: lisen: unknown key; did you mean 'listen'?"));
  CHECK(has(bad, dir.file("bad.yaml") + ":3:19: heal.max-concurrent: expected a number"));
  CHECK(has(bad, "2 errors"));
  CHECK(run({"config", "check", dir.file("good.yaml")}).status == 0);
  CHECK(run({"config", "check", dir.file("missing.yaml")}).status == 2);
  CHECK(run({"monitor", "--config", dir.file("bad.yaml")}).status == 2);
  const auto variable = run({"monitor"}, {.environment = {"SENTINEL_LISTEN=nowhere"}});
  CHECK(variable.status == 2);
  CHECK(has(variable, "SENTINEL_LISTEN: expected ADDRESS:PORT"));
  CHECK(run({"monitor", "--engine", "ftp://x"}).status == 2);
}

TEST_CASE("without a monitor its clients end with 1 and say where they looked") {
  const Directory dir;
  for (const std::vector<std::string>& command : {std::vector<std::string>{"healthcheck"},
                                                  {"status"},
                                                  {"status", "--json"},
                                                  {"explain", "web"},
                                                  {"maintenance", "web", "--end"}}) {
    auto arguments = command;
    arguments.insert(arguments.end(), {"--run-dir", dir.path()});
    const auto result = run(arguments);
    INFO(result.output);
    CHECK(result.status == 1);
    CHECK(has(result, dir.file("monitor.sock")));
  }
}
