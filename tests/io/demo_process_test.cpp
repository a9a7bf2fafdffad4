#include "demo_client.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <csignal>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace demo_test;
using Json = nlohmann::json;

/// The real program, its standard output in a pipe.
class Process {
 public:
  explicit Process(std::vector<std::string> arguments) {
    int ends[2] = {-1, -1};
    if (pipe2(ends, O_CLOEXEC) != 0) {
      return;
    }
    output_ = ends[0];
    arguments.insert(arguments.begin(), DEMO_SERVICE_PROGRAM);
    std::vector<char*> pointers;
    pointers.reserve(arguments.size() + 1);
    for (auto& argument : arguments) {
      pointers.push_back(argument.data());
    }
    pointers.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn(&pid_, DEMO_SERVICE_PROGRAM, &actions, nullptr, pointers.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
  }
  ~Process() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    close(output_);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  /// The next line of output; empty when none came within 20 s.
  std::string line() {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (pending_.find('\n') == std::string::npos) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          deadline - std::chrono::steady_clock::now());
      pollfd waiting{.fd = output_, .events = POLLIN, .revents = 0};
      char buffer[1024];
      if (left.count() <= 0 || poll(&waiting, 1, static_cast<int>(left.count())) != 1) {
        return {};
      }
      const auto got = read(output_, buffer, sizeof buffer);
      if (got <= 0) {
        return {};
      }
      pending_.append(buffer, static_cast<std::size_t>(got));
    }
    const auto end = pending_.find('\n');
    auto text = pending_.substr(0, end);
    pending_.erase(0, end + 1);
    return text;
  }

  /// Reads the line that says where it listens.
  std::uint16_t port() {
    const auto started = Json::parse(line(), nullptr, false);
    return started.is_object() ? started.value("server.port", std::uint16_t{0}) : std::uint16_t{0};
  }

  void signal(int number) const { kill(pid_, number); }

  [[nodiscard]] bool running() { return pid_ > 0 && waitpid(pid_, &status_, WNOHANG) == 0; }

  /// Waits for the end, 20 s at most, and returns the wait status; -1 when it still runs.
  int wait() {
    if (!eventually([this] { return !running(); }, 20s)) {
      return -1;
    }
    pid_ = -1;
    return status_;
  }

 private:
  pid_t pid_ = -1;
  int output_ = -1;
  int status_ = 0;
  std::string pending_;
};

std::vector<std::string> serving(std::vector<std::string> more = {}) {
  more.insert(more.end(), {"--listen", "127.0.0.1:0", "--log-format", "json", "--name", "web-1"});
  return more;
}

TEST_CASE("demo process: SIGTERM ends it in under a second, whatever it simulates", "[demo]") {
  const auto mode = GENERATE("recover", "hang", "refuse", "slow?ms=60000", "leak?mb=64");
  CAPTURE(mode);
  Process demo{serving()};
  const auto port = demo.port();
  REQUIRE(port != 0);
  REQUIRE(status_of(port, "POST", std::string{"/simulate/"} + mode) == 200);
  Connection waiting{port};
  waiting.send(request_text("GET", "/health"));
  const auto before = std::chrono::steady_clock::now();
  demo.signal(SIGTERM);
  const auto status = demo.wait();
  CHECK(std::chrono::steady_clock::now() - before < 1s);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("demo process: told to ignore SIGTERM, it goes on", "[demo]") {
  Process demo{serving({"--ignore-sigterm"})};
  const auto port = demo.port();
  REQUIRE(port != 0);
  demo.signal(SIGTERM);
  CHECK(status_of(port, "GET", "/health") == 200);
  CHECK(demo.running());
  demo.signal(SIGKILL);
  CHECK(WIFSIGNALED(demo.wait()));
}

TEST_CASE("demo process: crash aborts and exit exits", "[demo]") {
  Process crash{serving()};
  const auto crash_port = crash.port();
  CHECK(status_of(crash_port, "POST", "/simulate/crash") == 202);
  const auto crashed = crash.wait();
  REQUIRE(WIFSIGNALED(crashed));
  CHECK(WTERMSIG(crashed) == SIGABRT);

  Process exit{serving()};
  const auto exit_port = exit.port();
  CHECK(status_of(exit_port, "POST", "/simulate/exit?code=9") == 202);
  const auto exited = exit.wait();
  REQUIRE(WIFEXITED(exited));
  CHECK(WEXITSTATUS(exited) == 9);
}

TEST_CASE("demo process: the health check's exit status and line", "[demo]") {
  Process demo{serving({"--start-unhealthy"})};
  const auto port = demo.port();
  REQUIRE(port != 0);
  const auto url = std::format("http://127.0.0.1:{}/health", port);
  Process failing{{"healthcheck", "--url", url}};
  CHECK(failing.line() == "503 Service Unavailable, status fail: simulating unhealthy");
  CHECK(WEXITSTATUS(failing.wait()) == 1);
  CHECK(status_of(port, "POST", "/simulate/recover") == 200);
  Process passing{{"healthcheck", "--url", url}};
  CHECK(passing.line() == "200 OK, status pass");
  CHECK(WEXITSTATUS(passing.wait()) == 0);
}

TEST_CASE("demo process: each change is one JSON line", "[demo]") {
  Process demo{serving()};
  const auto port = demo.port();
  REQUIRE(port != 0);
  CHECK(status_of(port, "POST", "/simulate/degraded?for=100ms") == 200);
  const auto began = Json::parse(demo.line(), nullptr, false);
  REQUIRE(began.is_object());
  CHECK(began.at("msg") == "simulating degraded for 100ms");
  CHECK(began.at("event") == "demo.simulation.changed");
  CHECK(began.at("level") == "info");
  const auto ended = Json::parse(demo.line(), nullptr, false);
  REQUIRE(ended.is_object());
  CHECK(ended.at("event") == "demo.simulation.ended");
  CHECK(ended.at("simulation") == "degraded");
}

}  // namespace
