#include "io/local_client.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <format>
#include <string>
#include <thread>

#include "http_server_fixture.hpp"

using namespace sentinel;
using namespace sentinel::io;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

/// Listens, answers the first connection with fixed bytes and closes, or keeps it open.
class Fixed {
 public:
  Fixed(std::string answer, bool keep)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)),
        answer_(std::move(answer)),
        keep_(keep) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(fd_, reinterpret_cast<const sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(fd_, 4) == 0);
    REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    endpoint = std::format("127.0.0.1:{}", ntohs(address.sin_port));
    thread_ = std::thread([this] { serve(); });
  }
  ~Fixed() {
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    ::close(fd_);
  }
  Fixed(const Fixed&) = delete;
  Fixed& operator=(const Fixed&) = delete;

  std::string endpoint;

 private:
  void serve() {
    const int client = ::accept(fd_, nullptr, nullptr);
    if (client < 0) return;
    std::array<char, 4096> request{};
    if (::recv(client, request.data(), request.size(), 0) > 0) {
      ::send(client, answer_.data(), answer_.size(), MSG_NOSIGNAL);
    }
    if (keep_) {  // until the client leaves
      while (::recv(client, request.data(), request.size(), 0) > 0) {
      }
    }
    ::close(client);
  }

  int fd_;
  std::string answer_;
  bool keep_;
  std::thread thread_;
};

LocalClient client_of(const std::string& endpoint, LocalClientOptions options = {}) {
  auto client = LocalClient::to(endpoint, std::move(options));
  REQUIRE(client);
  return *client;
}

}  // namespace

TEST_CASE("the client talks to our server over both kinds of socket") {
  const test::TemporaryDirectory directory;
  const auto path = directory.file("monitor.sock");
  test::Server server({}, path);
  for (const auto& endpoint : {path, "unix://" + path, std::format("127.0.0.1:{}", server.port)}) {
    INFO(endpoint);
    const auto client = client_of(endpoint);
    const auto got = client.get("/echo?x=1");
    REQUIRE(got);
    CHECK(got->status == 200);
    CHECK(got->body == "GET /echo x=1");
    CHECK(got->content_type == "text/plain; charset=utf-8");
    const auto posted = client.post("/echo", "{}");
    REQUIRE(posted);
    CHECK(posted->body == "POST /echo {}");
    const auto missing = client.get("/nothing");
    REQUIRE(missing);
    CHECK(missing->status == 404);
    const auto large = client.get("/large");
    REQUIRE(large);
    CHECK(large->body.size() == 1'000'000);
  }
  const auto limited = client_of(path, {.body_limit = 1000}).get("/large");
  REQUIRE_FALSE(limited);
  CHECK_THAT(limited.error().text, ContainsSubstring("longer than 1000 bytes"));
}

TEST_CASE("endpoints and paths that cannot be are refused") {
  for (const auto* endpoint :
       {"", "localhost:1", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:x", "[::1:80", "relative/path"}) {
    INFO(endpoint);
    CHECK_FALSE(LocalClient::to(endpoint));
  }
  CHECK_FALSE(LocalClient::to("/" + std::string(200, 'x')));
  CHECK_FALSE(LocalClient::to("127.0.0.1:1", {.token = "a\r\nb"}));
  const auto client = client_of("127.0.0.1:1");
  CHECK_FALSE(client.get("x"));
  CHECK_FALSE(client.get("/a b"));
  CHECK_FALSE(client.get("/a\r\nX: y"));
}

TEST_CASE("nobody there is said at once") {
  const test::TemporaryDirectory directory;
  const auto gone = client_of(directory.file("none.sock")).get("/");
  REQUIRE_FALSE(gone);
  CHECK(gone.error().code == ENOENT);
  CHECK_THAT(gone.error().text, ContainsSubstring("none.sock"));
}

TEST_CASE("answers that are none are errors, never hangs") {
  for (const auto* answer :
       {"", "HTTP/1.1", "garbage\r\n\r\n", "HTTP/1.1 099 x\r\n\r\n",
        "HTTP/1.1 2000 x\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx"}) {
    INFO(answer);
    const Fixed server(answer, false);
    CHECK_FALSE(client_of(server.endpoint).get("/"));
  }
  const Fixed whole("HTTP/1.1 200 OK\r\n\r\nuntil the end", false);
  const auto reply = client_of(whole.endpoint).get("/");
  REQUIRE(reply);
  CHECK(reply->body == "until the end");
  for (const auto* answer : {"", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort"}) {
    const Fixed stalled(answer, true);
    const auto late = client_of(stalled.endpoint, {.deadline = 100ms}).get("/");
    REQUIRE_FALSE(late);
    CHECK(late.error().code == ETIMEDOUT);
  }
}
