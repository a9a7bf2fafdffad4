#pragma once

#include <catch2/catch_test_macros.hpp>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "io/http_server.hpp"
#include "io_loop.hpp"

namespace sentinel::test {

/// A server on a loop of its own, with pages to try it on.
class Server {
 public:
  explicit Server(io::HttpServerOptions options = {},
                  const std::optional<std::string>& path = std::nullopt) {
    loop_.call([&] {
      server_ = std::make_unique<io::HttpServer>(
          loop_.context(), std::move(options),
          [](const io::HttpRequest& request) { return answer(request); });
      const auto bound = server_->listen_tcp("127.0.0.1:0");
      port = bound.value_or(0);
      ready_ = bound.has_value() && (!path || server_->listen_unix(*path, 0660));
      server_->start();
    });
    REQUIRE(ready_);
  }
  ~Server() {
    loop_.call([this] { server_.reset(); });
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  io::HttpServerStats stats() {
    return loop_.call([this] { return server_->stats(); });
  }
  Loop& loop() { return loop_; }
  io::HttpServer& server() { return *server_; }

  std::uint16_t port = 0;

 private:
  static io::HttpResponse answer(const io::HttpRequest& request) {
    io::HttpResponse response;
    if (request.path == "/echo") {
      response.body =
          request.method + " /echo " + (request.method == "GET" ? request.query : request.body);
    } else if (request.path == "/large") {
      for (int i = 0; response.body.size() < 1'000'000; ++i)
        response.body += "sentinel_line " + std::to_string(i) + "\n";
      response.body.resize(1'000'000);
    } else if (request.path == "/huge") {
      response.body.assign(64 * 1024 * 1024, 'x');
    } else if (request.path == "/local") {
      response.body = request.local ? "local" : "remote";
    } else if (request.path == "/throw") {
      throw std::runtime_error("secret");
    } else if (request.path == "/split") {
      response.headers = {{"X-Bad", "a\r\nX-Evil: 1"}, {"X-Good", "yes"}};
    } else {
      response = io::http_problem(404, "no such page");
    }
    return response;
  }

  Loop loop_;
  std::unique_ptr<io::HttpServer> server_;
  bool ready_ = false;
};

}  // namespace sentinel::test
