#include "io/watchdog.hpp"

#include <sys/wait.h>

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <memory>

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
      watchdog = std::make_unique<io::Watchdog>(loop.context(),
                                                io::WatchdogOptions{.limit = limit, .interval = interval, .on_stall = [this] { ++stalls; }});
    });
  }
  ~Watched() {
    loop.call([this] { watchdog.reset(); });
  }
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;
};

}  // namespace

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
