#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "app_process.hpp"
#include "io/local_client.hpp"

using namespace app_test;

namespace {

std::size_t count(const std::string& text, const std::string& needle) {
  std::size_t n = 0;
  for (auto at = text.find(needle); at != std::string::npos; at = text.find(needle, at + 1)) ++n;
  return n;
}

/// A monitor whose Engine does not exist.
struct Lonely {
  explicit Lonely(std::vector<std::string> more = {}, bool read_output = true)
      : process{arguments(std::move(more)),
                {.environment = {"SENTINEL_LOG_FORMAT=text"}, .read_output = read_output}} {}

  std::vector<std::string> arguments(std::vector<std::string> more) const {
    std::vector<std::string> all{"monitor",   "--engine", "unix://" + dir.file("absent.sock"),
                                 "--run-dir", dir.path(), "--data-dir",
                                 dir.path(),  "--listen", "127.0.0.1:0"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  std::expected<sentinel::io::LocalReply, sentinel::io::Error> get(const std::string& path) const {
    const auto client = sentinel::io::LocalClient::to(dir.file("monitor.sock"));
    REQUIRE(client);
    return client->get(path);
  }
  bool up() const {
    return eventually([this] {
      const auto reply = get("/livez");
      return reply && reply->status == 200;
    });
  }

  Directory dir;
  Process process;
};

}  // namespace

TEST_CASE("without an Engine the monitor runs, says so once, and is alive but not ready") {
  Lonely monitor;
  REQUIRE(monitor.up());
  CHECK(monitor.process.wait_for_output("info Sentinel monitor started\n"));
  CHECK(monitor.process.wait_for_output(" error "));
  CHECK(eventually(
      [&] { return monitor.get("/readyz")->body.find("absent.sock") != std::string::npos; }));
  CHECK(monitor.get("/readyz")->status == 503);
  const auto client = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--run-dir", monitor.dir.path()});
    return run(arguments);
  };
  CHECK(client({"healthcheck"}).status == 0);
  const auto status = client({"status"});
  CHECK(status.status == 0);
  CHECK(status.output.find("is down: ") != std::string::npos);
  CHECK(client({"status", "--json"}).output.starts_with("{\"monitor\":{"));
  const auto explain = client({"explain", "nobody"});
  CHECK(explain.status == 1);
  CHECK(explain.output.find("no service is called 'nobody'") != std::string::npos);
  const auto metrics = monitor.get("/metrics");
  REQUIRE(metrics);
  CHECK(metrics->content_type == "text/plain; version=0.0.4; charset=utf-8");
  CHECK(metrics->body.find("\nsentinel_engine_up{engine=\"default\"} 0\n") != std::string::npos);
  // Several attempts later it is still one line.
  CHECK(eventually([&] {
    const auto body = monitor.get("/metrics")->body;
    const auto at = body.find("operation=\"version\",code=\"error\"} ");
    return at != std::string::npos && std::stoi(body.substr(body.find("} ", at) + 2)) >= 3;
  }));
  CHECK(count(monitor.process.output(), " error ") == 1);
}

TEST_CASE("SIGTERM ends it at once and leaves no socket behind") {
  Lonely monitor;
  REQUIRE(monitor.up());
  monitor.process.signal(SIGTERM);
  CHECK(monitor.process.wait() == 0);
  CHECK(monitor.process.output().find("Sentinel monitor stops\n") != std::string::npos);
  CHECK(::access(monitor.dir.file("monitor.sock").c_str(), F_OK) != 0);
}

TEST_CASE("a stdout that nobody reads holds up neither work nor stop") {
  Directory files;
  files.write("c.yaml", "heal: {max-concurrent: 2}\n");
  Lonely monitor{{"--config", files.file("c.yaml")}, false};
  REQUIRE(monitor.up());
  // A hundred errors are a hundred lines, more than the pipe takes.
  std::string bad;
  for (int i = 0; i < 100; ++i) bad += "some-unknown-key-number-" + std::to_string(i) + ": 1\n";
  files.write("c.yaml", bad);
  monitor.process.signal(SIGHUP);
  CHECK(eventually([&] {
    return monitor.get("/metrics")->body.find("\nsentinel_config_last_reload_successful 0\n") !=
           std::string::npos;
  }));
  CHECK(monitor.up());
  monitor.process.signal(SIGTERM);
  CHECK(monitor.process.wait() == 0);
}

TEST_CASE("SIGHUP loads the file anew; a bad one changes nothing but the metric") {
  Directory files;
  files.write("c.yaml", "heal: {max-concurrent: 2}\n");
  Lonely monitor{{"--config", files.file("c.yaml")}};
  REQUIRE(monitor.up());
  const auto shows = [&](const std::string& path, const std::string& text) {
    return eventually([&] { return monitor.get(path)->body.find(text) != std::string::npos; });
  };
  CHECK(shows("/api/v1/status", "\"max_concurrent\":2"));
  CHECK(shows("/metrics", "\nsentinel_config_last_reload_successful 1\n"));

  files.write("c.yaml", "heal: {max-concurrent: 0}\n");
  monitor.process.signal(SIGHUP);
  CHECK(shows("/metrics", "\nsentinel_config_last_reload_successful 0\n"));
  CHECK(monitor.process.wait_for_output(
      "c.yaml:1:24: heal.max-concurrent: expected a number from 1 to 1000, got '0'"));
  CHECK(shows("/api/v1/status", "\"max_concurrent\":2"));

  files.write("c.yaml", "heal: {max-concurrent: 5}\nlisten: 127.0.0.1:1\n");
  monitor.process.signal(SIGHUP);
  CHECK(shows("/metrics", "\nsentinel_config_last_reload_successful 1\n"));
  CHECK(shows("/api/v1/status", "\"max_concurrent\":5"));
}

TEST_CASE("a second monitor on the same socket is refused and harms nothing") {
  Lonely first;
  REQUIRE(first.up());
  const auto second = run(first.arguments({}));
  CHECK(second.status == 1);
  CHECK(second.output.find("cannot listen on " + first.dir.file("monitor.sock")) !=
        std::string::npos);
  CHECK(first.get("/livez")->status == 200);
}

TEST_CASE("a data directory that cannot be used is told, and the monitor still works") {
  Directory files;
  files.write("plain", "a file where a directory should be");
  Lonely monitor{{"--data-dir", files.file("plain/x")}};
  REQUIRE(monitor.up());
  CHECK(eventually([&] {
    return monitor.get("/metrics")->body.find("\nsentinel_store_durable 0\n") != std::string::npos;
  }));
  CHECK(monitor.get("/readyz")->body.find("reasons") != std::string::npos);
}
