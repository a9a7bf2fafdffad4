// What a crowd over TCP asks for does not keep the loop from its other work.

#include <atomic>
#include <boost/asio/post.hpp>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/http_server.hpp"
#include "io_loop.hpp"

using namespace sentinel;
using namespace sentinel::test;
using namespace std::chrono_literals;

TEST_CASE("between two pieces of work for clients the loop has a turn for everything else") {
  Loop loop;
  std::unique_ptr<io::HttpServer> server;
  std::uint16_t port = 0;
  std::atomic<bool> ticking = true;
  std::uint64_t ticks = 0;  // of the loop; all three are its own
  std::vector<std::uint64_t> seen;
  std::function<void()> tick = [&] {
    ++ticks;
    if (ticking) boost::asio::post(loop.context(), tick);
  };
  loop.call([&] {
    server = std::make_unique<io::HttpServer>(
        loop.context(), io::HttpServerOptions{}, [&](const io::HttpRequest&) {
          seen.push_back(ticks);
          const auto end = std::chrono::steady_clock::now() + 5ms;
          while (std::chrono::steady_clock::now() < end) {
          }
          return io::HttpResponse{};
        });
    port = server->listen_tcp("127.0.0.1:0").value_or(0);
    server->start();
    tick();
  });
  REQUIRE(port != 0);
  constexpr std::string_view get = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
  std::vector<std::unique_ptr<RawClient>> clients;
  clients.reserve(16);
  for (int i = 0; i < 16; ++i) clients.push_back(std::make_unique<RawClient>(port));
  for (const auto& client : clients) REQUIRE(client->send(std::string{get} + std::string{get}));
  for (const auto& client : clients) {
    CHECK(client->response().starts_with("HTTP/1.1 200 "));
    CHECK(client->response().starts_with("HTTP/1.1 200 "));
  }
  ticking = false;
  loop.call([&] { server.reset(); });
  loop.call([] {});  // the last tick is over
  REQUIRE(seen.size() == 32);
  // Without turns, all that had come in was worked on in one go round.
  for (std::size_t i = 1; i < seen.size(); ++i) CHECK(seen[i] > seen[i - 1] + 1);
}
