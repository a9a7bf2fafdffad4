#include "io/watchdog.hpp"

#include <fcntl.h>
#include <sys/wait.h>

#include <array>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <csignal>
#include <memory>
#include <optional>
#include <string>

#include "io/runtime.hpp"
#include "io_loop.hpp"

using namespace sentinel;
using namespace std::chrono_literals;

namespace {

struct Watched {
  test::Loop loop;
  std::atomic<int> stalls{0};
  std::unique_ptr<io::Watchdog> watchdog;

  Watched(core::Duration limit, core::Duration interval) {
    loop.call([&] {
      watchdog = std::make_unique<io::Watchdog>(
          loop.context(),
          io::WatchdogOptions{
              .limit = limit, .interval = interval, .on_stall = [this] { ++stalls; }});
    });
  }
  ~Watched() {
    loop.call([this] { watchdog.reset(); });
  }
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;
};

/// watchdog_target as a child; its output and error output are read from one pipe.
class Target {
 public:
  explicit Target(const char* mode) {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    child_ = ::fork();
    if (child_ == 0) {
      ::dup2(ends[1], STDOUT_FILENO);
      ::dup2(ends[1], STDERR_FILENO);
      ::execl(WATCHDOG_TARGET, WATCHDOG_TARGET, mode, nullptr);
      ::_exit(127);
    }
    ::close(ends[1]);
    pipe_ = ends[0];
    std::array<char, 6> ready{};
    REQUIRE(::read(pipe_, ready.data(), ready.size()) == 6);
  }
  ~Target() {
    if (child_ > 0) {
      ::kill(child_, SIGKILL);
      ::waitpid(child_, nullptr, 0);
    }
    ::close(pipe_);
  }
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;

  void signal(int number) const { ::kill(child_, number); }
  std::optional<int> ended() {
    int status = 0;
    if (child_ <= 0 || ::waitpid(child_, &status, WNOHANG) != child_) return std::nullopt;
    child_ = -1;
    return status;
  }
  std::string output() const {
    std::array<char, 4096> buffer{};
    const auto count = ::read(pipe_, buffer.data(), buffer.size());
    return {buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0))};
  }

 private:
  pid_t child_ = -1;
  int pipe_ = -1;
};

}  // namespace

TEST_CASE("a process whose loop has stalled says so and aborts") {
  Target target("stall");
  std::optional<int> status;
  REQUIRE(test::eventually([&] { return (status = target.ended()).has_value(); }));
  CHECK(WIFSIGNALED(*status));
  CHECK(WTERMSIG(*status) == SIGABRT);
  CHECK_THAT(target.output(), Catch::Matchers::StartsWith("the main loop has not moved for "));
}

TEST_CASE("a process that was itself stopped longer than the limit is forgiven") {
  Target target("run");
  for (int round = 0; round < 2; ++round) {
    target.signal(SIGSTOP);
    const auto until = io::now() + 1500ms;  // the limit is 1 s
    CHECK(test::eventually([&] { return io::now() > until; }));
    target.signal(SIGCONT);
    const auto awake = io::now() + 300ms;  // several looks
    CHECK(test::eventually([&] { return io::now() > awake; }));
    CHECK_FALSE(target.ended());
  }
  target.signal(SIGTERM);
  std::optional<int> status;
  REQUIRE(test::eventually([&] { return (status = target.ended()).has_value(); }));
  CHECK(WIFEXITED(*status));
  CHECK(WEXITSTATUS(*status) == 0);
}

TEST_CASE("a loop that moves is left alone and its age stays small") {
  Watched watched(10s, 10ms);
  const auto until = io::now() + 200ms;
  CHECK(test::eventually([&] { return io::now() > until; }));
  CHECK(watched.stalls == 0);
  CHECK(test::eventually([&] { return watched.watchdog->age() < 100ms; }));
}

TEST_CASE("a loop that does not move is noticed") {
  Watched watched(100ms, 40ms);
  watched.loop.call([&] {
    CHECK(test::eventually([&] { return watched.stalls > 0; }));  // this blocks the loop
  });
  CHECK(watched.stalls > 0);
}

TEST_CASE("stopping twice is harmless") {
  Watched watched(10s, 10ms);
  watched.loop.call([&] {
    watched.watchdog->stop();
    watched.watchdog->stop();
  });
  CHECK(watched.stalls == 0);
}
