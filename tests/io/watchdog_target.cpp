// A process under the watchdog. `stall`: its loop blocks for ever. `run`: its loop runs until
// SIGTERM, then exit status 0.

#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <future>
#include <string_view>

#include "io/runtime.hpp"
#include "io/watchdog.hpp"

using namespace sentinel;
using namespace std::chrono_literals;

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  boost::asio::io_context context;
  const auto guard = boost::asio::make_work_guard(context);
  const io::Signals signals(context, [&](int) { context.stop(); }, [] {});
  io::Watchdog watchdog(context, {.limit = 1s, .interval = 100ms});
  if (::write(STDOUT_FILENO, "ready\n", 6) != 6) return 3;
  if (std::string_view{argv[1]} == "stall") {
    boost::asio::post(context, [] { std::promise<void>().get_future().wait_for(1h); });
  }
  context.run();
  watchdog.stop();
  return 0;
}
