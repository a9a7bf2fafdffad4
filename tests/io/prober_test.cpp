#include "io/prober.hpp"

#include <sys/resource.h>

#include <boost/asio/steady_timer.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
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
                                           if (stop_from_sink_) prober_->stop();
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
  void stop_from_the_sink() { stop_from_sink_ = true; }

 private:
  test::Loop loop_;
  std::unique_ptr<Prober> prober_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<core::ProbeFinished> finished_;
  bool stop_from_sink_ = false;
};

/// Passes after a time that its TCP options' `send` gives in milliseconds; "never" does not.
class Scripted : public ProbeRun {
 public:
  explicit Scripted(boost::asio::io_context& context) : timer_(context) {}
  void begin(ProbeTask task, Done done) override {
    if (task.spec->tcp.send == "never") return;
    timer_.expires_after(std::chrono::milliseconds{std::stoi(task.spec->tcp.send)});
    timer_.async_wait(
        [this, number = number_, done = std::move(done)](const boost::system::error_code& error) {
          if (error || number != number_) return;
          core::ProbeOutcome outcome;
          outcome.verdict = Verdict::pass;
          done(std::move(outcome));
        });
  }
  core::ProbeOutcome timed_out() override {
    abandon();
    core::ProbeOutcome outcome;
    outcome.reason = ProbeReason::timeout;
    outcome.sentence = "scripted";
    return outcome;
  }
  void abandon() override {
    ++number_;
    timer_.cancel();
  }

 private:
  unsigned number_ = 0;
  boost::asio::steady_timer timer_;
};

core::StartProbe scripted(std::string what, core::Duration timeout = 10s,
                          core::Duration slow = 0s) {
  core::ProbeSpec spec;
  spec.kind = core::ProbeKind::exec;
  spec.tcp.send = std::move(what);
  spec.timeout = timeout;
  spec.slow = slow;
  return {.token = {},
          .spec = std::make_shared<const core::ProbeSpec>(std::move(spec)),
          .address = {},
          .container = {}};
}

void with_scripted_kind(Probing& probing) {
  probing.loop().call([&] {
    probing.prober().set_kind(core::ProbeKind::exec, [&context = probing.loop().context()] {
      return std::make_unique<Scripted>(context);
    });
  });
}

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

TEST_CASE("a kind nobody has built is answered as our own inability") {
  Probing probing;
  const auto finished = probing.run(scripted("0"));
  CHECK(finished.outcome.verdict == Verdict::fail);
  CHECK(finished.outcome.reason == ProbeReason::internal);
  CHECK(finished.outcome.sentence == "exec probes are not built");
}

TEST_CASE("a pass above its budget warns; a pass within it does not") {
  Probing probing;
  with_scripted_kind(probing);
  CHECK(probing.run(scripted("0", 10s, 9s)).outcome.verdict == Verdict::pass);
  const auto slow = probing.run(scripted("30", 10s, 20ms)).outcome;
  CHECK(slow.verdict == Verdict::warn);
  CHECK(slow.reason == ProbeReason::slow);
  CHECK(slow.took >= 30ms);
  CHECK_THAT(slow.sentence, Catch::Matchers::StartsWith("answered in ") &&
                                Catch::Matchers::EndsWith(" ms, above its budget of 20 ms"));
}

TEST_CASE("each run has its own deadline, whatever order they come in") {
  Probing probing;
  with_scripted_kind(probing);
  probing.loop().call([&] {
    for (std::uint64_t i = 0; i < 50; ++i) {
      auto next = scripted(i % 5 == 0 ? "1" : "never", std::chrono::milliseconds{200 - 3 * i});
      next.token.sequence = i;
      probing.prober().perform(next);
    }
  });
  for (const auto& finished : probing.wait(50)) {
    INFO(finished.token.sequence);
    if (finished.token.sequence % 5 == 0 && finished.outcome.verdict == Verdict::pass) continue;
    CHECK(finished.outcome.reason == ProbeReason::timeout);
    CHECK(finished.outcome.took >=
          std::chrono::milliseconds{200 - 3 * static_cast<int>(finished.token.sequence)});
  }
  // The timer is armed again after all that.
  CHECK(probing.run(scripted("never", 20ms)).outcome.reason == ProbeReason::timeout);
}

TEST_CASE("how late a probe was to begin with counts as lag") {
  Probing probing;
  with_scripted_kind(probing);
  auto late = scripted("0");
  late.lag = 700ms;
  probing.run(late);
  CHECK(probing.stats().lag_max == 700ms);
  CHECK(probing.stats().lag_buckets.at(7) == 1);
}

TEST_CASE("the sink may stop the prober that calls it") {
  Probing probing;
  with_scripted_kind(probing);
  probing.stop_from_the_sink();
  probing.loop().call([&] {
    for (int i = 0; i < 20; ++i) probing.prober().perform(scripted("0"));
    for (int i = 0; i < 20; ++i) probing.prober().perform(scripted("never", 1ms));
  });
  probing.wait(1);
  CHECK(probing.stats().running == 0);
  CHECK(probing.finished() == 1);
}

TEST_CASE("places are bounded by the limit on open files") {
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit low = before;
  low.rlim_cur = 64;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
  {
    Probing raised({.concurrency = 100, .reserve = 16});
    CHECK(raised.stats().limit == 100);
    CHECK(::getrlimit(RLIMIT_NOFILE, &low) == 0);
    CHECK(low.rlim_cur == 216);
  }
  CHECK(::setrlimit(RLIMIT_NOFILE, &before) == 0);
}
