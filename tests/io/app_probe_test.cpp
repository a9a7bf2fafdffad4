// `sentinel probe`, and a monitor that has targets and no Engine.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "app_process.hpp"
#include "io/local_client.hpp"

using namespace app_test;
using Json = nlohmann::json;

namespace {

/// A port of 127.0.0.1 that accepts connections into its backlog and never answers, or, without
/// `listening`, refuses them.
class Port {
 public:
  explicit Port(bool listening) : fd_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    if (listening) REQUIRE(::listen(fd_, 8) == 0);
    REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    number_ = std::to_string(::ntohs(address.sin_port));
  }
  ~Port() { ::close(fd_); }
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;
  const std::string& number() const { return number_; }

 private:
  int fd_;
  std::string number_;
};

/// A monitor of targets alone.
struct Alone {
  explicit Alone(const std::string& file) {
    dir.write("c.yaml", file);
    process.emplace(
        std::vector<std::string>{"monitor", "--engine", "none", "--config", dir.file("c.yaml"),
                                 "--run-dir", dir.path(), "--data-dir", dir.path(), "--listen",
                                 "127.0.0.1:0", "--log-level", "debug"},
        ProcessOptions{.environment = {"SENTINEL_LOG_FORMAT=text"}});
    REQUIRE(process->wait_for_output("listening on port "));
    const auto& output = process->output();
    const auto at = output.find("listening on port ") + 18;
    port = output.substr(at, output.find_first_not_of("0123456789", at) - at);
  }
  std::string get(const std::string& path) const {
    const auto client = sentinel::io::LocalClient::to(dir.file("monitor.sock"));
    REQUIRE(client);
    const auto reply = client->get(path);
    REQUIRE(reply);
    return std::to_string(reply->status) + " " + reply->body;
  }
  bool shows(const std::string& path, const std::string& text) const {
    return eventually([&] { return get(path).find(text) != std::string::npos; });
  }

  Directory dir;
  std::optional<Process> process;
  std::string port;
};

}  // namespace

TEST_CASE("a probe from the command line says what it found") {
  const Port closed{false};
  auto result = run({"probe", "http://127.0.0.1:" + closed.number() + "/"});
  INFO(result.output);
  CHECK(result.status == 1);
  CHECK(result.output.starts_with("fail: connection refused (refused)\n"));

  const Port silent{true};
  result = run({"probe", "http://:" + silent.number() + "/", "--address", "127.0.0.1", "-o",
                "timeout=200ms", "--json"});
  CHECK(result.status == 1);
  auto json = Json::parse(result.output);
  CHECK(json.at("verdict") == "fail");
  CHECK(json.at("reason") == "timeout");
  CHECK(json.at("took_ms").get<double>() >= 200);
  CHECK(json.at("code").is_null());
  CHECK(json.at("cert_not_after").is_null());
  CHECK(json.at("loss").is_null());

  const Alone monitor{"targets: {}\n"};
  result = run({"probe", "http://127.0.0.1:" + monitor.port + "/livez", "-o", "expect.status=200",
                "-o", "header.Accept=application/json", "--json"});
  INFO(result.output);
  CHECK(result.status == 0);
  json = Json::parse(result.output);
  CHECK(json.at("verdict") == "pass");
  CHECK(json.at("reason") == "none");
  CHECK(json.at("code") == 200);
  for (const char* phase : {"resolve_ms", "connect_ms", "tls_ms", "processing_ms", "transfer_ms"})
    CHECK(json.at("phases").at(phase).get<double>() >= 0);
}

TEST_CASE("a probe that is not understood is not run") {
  struct Case {
    std::vector<std::string> arguments;
    const char* says;
  };
  for (const auto& [arguments, says] :
       {Case{{"probe"}, "URL"}, Case{{"probe", "gopher://h"}, "expected a URL such as"},
        Case{{"probe", "tcp://h"}, "with a port from 1 to 65535"},
        Case{{"probe", "exec:ls"}, "exec runs in a container"},
        Case{{"probe", "http://h/", "-o", "timeout"}, "timeout: expected OPTION=VALUE"},
        Case{{"probe", "http://h/", "-o", "timeuot=1s"}, "did you mean timeout?"},
        Case{{"probe", "http://h/", "-o", "timeout=NaN"}, "timeout: expected a duration"},
        Case{{"probe", "http://h/", "-o", "starttls=required"}, "this one belongs to smtp"},
        Case{{"probe", "http://h/", "-o", "slow=5s"}, "slow: expected less than the timeout"},
        Case{{"probe", "http://:80/", "--address", "h"}, "--address: expected an IP address"},
        Case{{"probe", "http://169.254.169.254/"}, "whose host is not a link-local"}}) {
    const auto result = run(arguments);
    INFO(result.output);
    CHECK(result.status == 2);
    CHECK(result.output.find(says) != std::string::npos);
  }
}

TEST_CASE("a monitor with targets and no Engine is ready, and true to that in all it shows") {
  const Alone monitor{"targets: {shop: {probe.http: 'http://127.0.0.1:1/'}}\n"};
  CHECK(monitor.shows("/readyz", "200 "));
  CHECK(monitor.get("/api/v1/status").find("\"configured\":false") != std::string::npos);
  CHECK(monitor.get("/api/v1/status").find("\"targets\":1") != std::string::npos);
  CHECK(monitor.get("/metrics").find("sentinel_engine") == std::string::npos);
  const auto client = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--run-dir", monitor.dir.path()});
    return run(arguments);
  };
  CHECK(client({"healthcheck"}).status == 0);
  const auto status = client({"status"});
  CHECK(status.status == 0);
  CHECK(status.output.find("No Engine is configured") != std::string::npos);
  const auto explained = client({"explain", "shop"});
  CHECK(explained.status == 0);
  CHECK(explained.output.find("targets/shop/1 is ") != std::string::npos);
  CHECK(explained.output.find("probe http:") != std::string::npos);
  CHECK(explained.output.find("Engine says") == std::string::npos);
  CHECK(explained.output.find("container:") == std::string::npos);
}

TEST_CASE("a bad file at a reload leaves the targets as they are") {
  Alone monitor{"targets: {a: {probe.x: 'tcp://127.0.0.1:1'}}\n"};
  CHECK(monitor.shows("/api/v1/status", "\"targets\":1"));
  monitor.dir.write("c.yaml", "targets: {a: {probe.x: 'tcp://127.0.0.1:1'}, b: {probe.y: 'x'}}\n");
  monitor.process->signal(SIGHUP);
  CHECK(monitor.process->wait_for_output("c.yaml:1:59: targets.b.probe.y: expected a URL"));
  CHECK(monitor.shows("/api/v1/status", "\"targets\":1"));
  monitor.dir.write("c.yaml",
                    "targets: {a: {probe.x: 'tcp://127.0.0.1:1'}, b: {probe.y: 'tcp://h:1'}}\n");
  monitor.process->signal(SIGHUP);
  CHECK(monitor.shows("/api/v1/status", "\"targets\":2"));
}
