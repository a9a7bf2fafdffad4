#include "io/runtime.hpp"

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <memory>
#include <vector>

#include "io_loop.hpp"

using namespace sentinel;
using namespace std::chrono_literals;

TEST_CASE("the clock goes forward") {
  const auto first = io::now();
  CHECK(test::eventually([&] { return io::now() > first; }));
}

TEST_CASE("an alarm goes off once, at its time, and not before") {
  test::Loop loop;
  std::atomic<int> fired{0};
  std::atomic<std::int64_t> at{0};
  std::unique_ptr<io::Alarm> alarm;
  const auto due = io::now() + 30ms;
  loop.call([&] {
    alarm = std::make_unique<io::Alarm>(loop.context(), [&] {
      at = io::now().time_since_epoch().count();
      ++fired;
    });
    alarm->set(io::now() + 1h);
    alarm->set(due);
    alarm->set(due);
  });
  CHECK(test::eventually([&] { return fired == 1; }));
  CHECK(core::Time{core::Duration{at}} >= due);
  SECTION("again, also for a time gone by") {
    loop.call([&] { alarm->set(io::now() - 1h); });
    CHECK(test::eventually([&] { return fired == 2; }));
    loop.call([&] { alarm->set(core::Time{}); });
    CHECK(test::eventually([&] { return fired == 3; }));
  }
  SECTION("not when taken back, replaced or destroyed") {
    loop.call([&] {
      alarm->set(io::now());
      alarm->set(std::nullopt);
      alarm->set(io::now());
      alarm->set(core::never);
      alarm->set(io::now());
      alarm.reset();
    });
    loop.call([] {});
    loop.call([] {});
    CHECK(fired == 1);
  }
  loop.call([&] { alarm.reset(); });
}

TEST_CASE("an alarm may be set from its own handler") {
  test::Loop loop;
  std::atomic<int> fired{0};
  std::unique_ptr<io::Alarm> alarm;
  loop.call([&] {
    alarm = std::make_unique<io::Alarm>(loop.context(), [&] {
      if (++fired < 5) alarm->set(io::now() + 1ms);
    });
    alarm->set(io::now());
  });
  CHECK(test::eventually([&] { return fired == 5; }));
  loop.call([&] { alarm.reset(); });
}

TEST_CASE("signals arrive on the loop; a broken pipe is no signal") {
  test::Loop loop;
  std::atomic<int> stopped{0};
  std::atomic<int> reloads{0};
  std::unique_ptr<io::Signals> signals;
  loop.call([&] {
    signals = std::make_unique<io::Signals>(
        loop.context(), [&](int signal) { stopped = signal; }, [&] { ++reloads; });
  });
  ::kill(::getpid(), SIGHUP);
  CHECK(test::eventually([&] { return reloads == 1; }));
  ::kill(::getpid(), SIGHUP);
  CHECK(test::eventually([&] { return reloads == 2; }));
  CHECK(stopped == 0);
  ::kill(::getpid(), SIGPIPE);
  ::kill(::getpid(), SIGTERM);
  CHECK(test::eventually([&] { return stopped == SIGTERM; }));
  loop.call([&] { signals.reset(); });
}

TEST_CASE("a thread of ours takes no signals") {
  sigset_t blocked;
  sigemptyset(&blocked);
  auto thread = io::start_thread([&] { pthread_sigmask(SIG_SETMASK, nullptr, &blocked); });
  REQUIRE(thread);
  thread->join();
  CHECK(sigismember(&blocked, SIGTERM) == 1);
  CHECK(sigismember(&blocked, SIGHUP) == 1);
  sigset_t own;
  pthread_sigmask(SIG_SETMASK, nullptr, &own);
  CHECK(sigismember(&own, SIGTERM) == 0);
}
