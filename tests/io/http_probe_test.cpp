#include "io/http_probe.hpp"

#include <catch2/catch_test_macros.hpp>
#include <condition_variable>
#include <format>
#include <mutex>
#include <set>

#include "http_server_fixture.hpp"

using namespace sentinel;
using namespace sentinel::io;
using namespace std::chrono_literals;
using core::ProbeReason;
using core::Verdict;

namespace {

core::StartProbe probe(std::uint16_t port, std::string target = "/echo",
                       core::Duration timeout = 10s, std::string address = "127.0.0.1",
                       std::string host = {}) {
  core::ProbeSpec spec;
  spec.name = "web";
  spec.host = std::move(host);
  spec.port = port;
  spec.http.target = std::move(target);
  spec.timeout = timeout;
  return {.token = {.service = 1, .probe = 0, .sequence = 1},
          .spec = std::make_shared<const core::ProbeSpec>(std::move(spec)),
          .address = std::move(address),
          .container = {}};
}

class Probing {
 public:
  explicit Probing(ProberOptions options = {}) {
    loop_.call([&] {
      prober_ = std::make_unique<Prober>(loop_.context(), std::move(options),
                                         [this](core::ProbeFinished finished) {
                                           const std::lock_guard lock(mutex_);
                                           finished_.push_back(std::move(finished));
                                           changed_.notify_all();
                                         });
    });
  }
  ~Probing() {
    loop_.call([this] { prober_.reset(); });
  }
  Probing(const Probing&) = delete;
  Probing& operator=(const Probing&) = delete;

  void start(core::StartProbe what) {
    loop_.call([&] { prober_->perform(what); });
  }
  std::vector<core::ProbeFinished> wait(std::size_t count) {
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, test::patience, [&] { return finished_.size() >= count; }));
    return finished_;
  }
  core::ProbeFinished run(core::StartProbe what) {
    {
      const std::lock_guard lock(mutex_);
      finished_.clear();
    }
    start(std::move(what));
    return wait(1).front();
  }
  std::size_t finished() {
    const std::lock_guard lock(mutex_);
    return finished_.size();
  }
  ProberStats stats() {
    return loop_.call([this] { return prober_->stats(); });
  }
  test::Loop& loop() { return loop_; }
  Prober& prober() { return *prober_; }

 private:
  test::Loop loop_;
  std::unique_ptr<Prober> prober_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<core::ProbeFinished> finished_;
};

/// Listens and never accepts nor answers.
class Silent {
 public:
  explicit Silent(int kind = AF_INET) : fd_(::socket(kind, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(fd_, reinterpret_cast<const sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(fd_, 512) == 0);
    REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port = ntohs(address.sin_port);
  }
  ~Silent() { ::close(fd_); }
  Silent(const Silent&) = delete;
  Silent& operator=(const Silent&) = delete;
  int fd() const { return fd_; }
  std::uint16_t port = 0;

 private:
  int fd_;
};

}  // namespace

TEST_CASE("a probe of a healthy server passes") {
  test::Server server;
  Probing probing;
  const auto finished = probing.run(probe(server.port));
  CHECK(finished.outcome.verdict == Verdict::pass);
  CHECK(finished.outcome.code == 200);
  CHECK(finished.outcome.took > 0ns);
  CHECK(finished.token == core::ProbeToken{.service = 1, .probe = 0, .sequence = 1});
  const auto missing = probing.run(probe(server.port, "/nothing"));
  CHECK(missing.outcome.verdict == Verdict::fail);
  CHECK(missing.outcome.sentence == "expected 2xx, got 404");
  CHECK(missing.outcome.code == 404);
  CHECK(server.stats().accepted == 2);
}

TEST_CASE("the request is what it should be") {
  Silent listener;
  Probing probing({.user_agent = "Sentinel/1.2.3"});
  probing.start(probe(listener.port, "/health?full=1"));
  const int client = ::accept(listener.fd(), nullptr, nullptr);
  REQUIRE(client >= 0);
  std::string request;
  std::array<char, 4096> buffer{};
  while (!request.contains("\r\n\r\n")) {
    const auto count = ::recv(client, buffer.data(), buffer.size(), 0);
    REQUIRE(count > 0);
    request.append(buffer.data(), static_cast<std::size_t>(count));
  }
  CHECK(request ==
        std::format(
            "GET /health?full=1 HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nUser-Agent: Sentinel/1.2.3\r\n"
            "Accept: application/health+json, application/json;q=0.9, */*;q=0.8\r\nConnection: "
            "close\r\n\r\n",
            listener.port));
  SECTION("an answer in two parts") {
    for (const std::string_view part :
         {"HTTP/1.1 200 OK\r\nContent-Type: application/health+json\r\nContent-Le",
          "ngth: 17\r\n\r\n{\"status\":\"warn\"}"}) {
      REQUIRE(::send(client, part.data(), part.size(), MSG_NOSIGNAL) ==
              static_cast<ssize_t>(part.size()));
    }
    const auto finished = probing.wait(1).front();
    CHECK(finished.outcome.verdict == Verdict::warn);
    CHECK(finished.outcome.sentence == "reports warn");
    ::close(client);
  }
  SECTION("closed without an answer") {
    ::close(client);
    const auto finished = probing.wait(1).front();
    CHECK(finished.outcome.reason == ProbeReason::reset);
    CHECK(finished.outcome.sentence == "the connection was closed without an answer");
  }
  SECTION("reset") {
    const linger now{.l_onoff = 1, .l_linger = 0};
    REQUIRE(::setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
    ::close(client);
    CHECK(probing.wait(1).front().outcome.reason == ProbeReason::reset);
  }
}

TEST_CASE("network failures have their reasons and sentences") {
  Probing probing;
  std::uint16_t closed = 0;
  {
    Silent listener;
    closed = listener.port;
  }
  const auto refused = probing.run(probe(closed));
  CHECK(refused.outcome.reason == ProbeReason::refused);
  CHECK(refused.outcome.sentence == "connection refused");
  CHECK(refused.outcome.code == 0);
  Silent silent;
  const auto timeout = probing.run(probe(silent.port, "/", 150ms));
  CHECK(timeout.outcome.reason == ProbeReason::timeout);
  CHECK(timeout.outcome.sentence == "no answer within 150 ms");
  CHECK(timeout.outcome.took >= 150ms);
  const auto nowhere = probing.run(probe(80, "/", 1s, ""));
  CHECK(nowhere.outcome.reason == ProbeReason::no_address);
  CHECK(nowhere.outcome.sentence == "no address on a shared network");
}

TEST_CASE("what cannot be probed is answered, not sent") {
  Probing probing;
  CHECK(probing.run(probe(80, "/a b")).outcome.reason == ProbeReason::internal);
  CHECK(probing.run(probe(80, "/a\r\nX: y")).outcome.reason == ProbeReason::internal);
  CHECK(probing.run(probe(80, "a")).outcome.reason == ProbeReason::internal);
  CHECK(probing.run(probe(80, "/", 1s, "127.0.0.1\r\nX")).outcome.reason == ProbeReason::internal);
  CHECK(probing.run(probe(80, "/", 1s, "", "169.254.169.254")).outcome.reason ==
        ProbeReason::unreachable);
  CHECK(probing.run(probe(80, "/", 1s, "", "fe80::1")).outcome.reason == ProbeReason::unreachable);
  CHECK(probing.run(probe(80, "/", 1s, "", "::ffff:169.254.169.254")).outcome.reason ==
        ProbeReason::unreachable);
}

TEST_CASE("a host of the probe's own is used and resolved") {
  test::Server server;
  Probing probing;
  CHECK(probing.run(probe(server.port, "/echo", 10s, "", "127.0.0.1")).outcome.verdict ==
        Verdict::pass);
  CHECK(probing.run(probe(server.port, "/echo", 10s, "", "localhost")).outcome.verdict ==
        Verdict::pass);
}

TEST_CASE("more probes than may run wait in order; all are answered and the lag is measured") {
  test::Server server({.max_connections = 64, .max_per_address = 64});
  Probing probing({.concurrency = 4});
  probing.loop().call([&] {
    for (std::uint64_t i = 0; i < 300; ++i) {
      auto next = probe(server.port);
      next.token.sequence = i;
      probing.prober().perform(next);
    }
    CHECK(probing.prober().stats().running == 4);
    CHECK(probing.prober().stats().waiting == 296);
  });
  const auto all = probing.wait(300);
  std::set<std::uint64_t> sequences;
  for (const auto& finished : all) {
    CHECK(finished.outcome.verdict == Verdict::pass);
    sequences.insert(finished.token.sequence);
  }
  CHECK(sequences.size() == 300);
  const auto stats = probing.stats();
  CHECK(stats.running == 0);
  CHECK(stats.waiting == 0);
  CHECK(stats.finished == 300);
  std::uint64_t measured = 0;
  for (const auto count : stats.lag_buckets) measured += count;
  CHECK(measured == 300);
  CHECK(stats.lag_max > 0ns);
  CHECK(stats.lag_sum >= stats.lag_max);
}

TEST_CASE("slow probes do not hold up those that may run beside them") {
  test::Server server;
  Silent silent;
  Probing probing({.concurrency = 3});
  probing.start(probe(silent.port, "/", 60s));
  probing.start(probe(silent.port, "/", 60s));
  for (int i = 0; i < 20; ++i)
    CHECK(probing.run(probe(server.port)).outcome.verdict == Verdict::pass);
}

TEST_CASE("a full queue answers at once, as our own failure") {
  Silent silent;
  Probing probing({.concurrency = 1, .queue_limit = 2});
  for (int i = 0; i < 4; ++i) probing.start(probe(silent.port, "/", 60s));
  const auto finished = probing.wait(1).front();
  CHECK(finished.outcome.reason == ProbeReason::internal);
  CHECK(probing.stats().overflowed == 1);
}

TEST_CASE("after stop nothing is reported any more") {
  Silent silent;
  Probing probing({.concurrency = 2});
  for (int i = 0; i < 5; ++i) probing.start(probe(silent.port, "/", 60s));
  probing.loop().call([&] {
    probing.prober().stop();
    probing.prober().stop();
    probing.prober().perform(probe(silent.port));
  });
  CHECK(probing.finished() == 0);
  CHECK(probing.stats().running == 0);
  CHECK(probing.stats().waiting == 0);
}
