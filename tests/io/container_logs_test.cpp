// The last lines of a container, from a scripted Engine.

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <catch2/catch_test_macros.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine_harness.hpp"
#include "io/container_logs.hpp"
#include "io_loop.hpp"

using namespace sentinel;
using namespace sentinel::test;
using namespace std::chrono_literals;

namespace {

std::string frame(int stream, std::string_view text) {
  std::string result{static_cast<char>(stream), 0, 0, 0, 0, 0};
  result += static_cast<char>(text.size() >> 8U);
  result += static_cast<char>(text.size() & 0xFFU);
  return result + std::string(text);
}

const std::string route = "GET /containers/" + hex_id('a') + "/logs";

struct Rig {
  ScriptedEngine engine;
  boost::asio::io_context context;
  std::string version = "1.41";
  std::optional<io::ContainerLogs> logs;
  std::vector<std::string> answers;

  explicit Rig(core::Duration timeout = 20s) {
    io::ContainerLogsOptions options;
    options.endpoint = engine.endpoint();
    options.api_version = [this] { return version; };
    options.timeout = timeout;
    options.waiting = 8;
    logs.emplace(context, std::move(options));
  }
  ~Rig() {
    logs.reset();
    context.restart();
    context.poll();  // what was cancelled must be harmless
  }
  void fetch(char digit = 'a') {
    logs->fetch(container(digit), [this](std::string text) { answers.push_back(std::move(text)); });
  }
  bool answered(std::size_t count) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (answers.size() < count && std::chrono::steady_clock::now() < end) {
      context.restart();
      context.run_for(20ms);
    }
    return answers.size() == count;
  }
  void says(std::string body) {
    engine.on(route, [body = std::move(body)](auto& exchange) { exchange.reply(200, body); });
  }
};

}  // namespace

TEST_CASE("logs: both streams, in order, escaped") {
  Rig rig;
  rig.says(frame(1, "listening\n") + frame(2, "\x1b[31mout of memory\n"));
  rig.fetch();
  REQUIRE(rig.answered(1));
  CHECK(rig.answers[0] == "listening\n\\x1b[31mout of memory");
}

TEST_CASE("logs: a terminal's are not framed") {
  Rig rig;
  rig.says("one\r\ntwo\r\n");
  rig.fetch();
  REQUIRE(rig.answered(1));
  CHECK(rig.answers[0].starts_with("one"));
  CHECK(rig.answers[0].ends_with("two"));
}

TEST_CASE("logs: the newest lines are kept, and they are bounded") {
  Rig rig;
  std::string body;
  for (int i = 0; i < 1000; ++i) body += frame(1, "line " + std::to_string(i) + "\n");
  rig.says(body);
  rig.fetch();
  REQUIRE(rig.answered(1));
  CHECK(rig.answers[0].size() <= 4096);
  CHECK(rig.answers[0].starts_with("line "));
  CHECK(rig.answers[0].ends_with("line 999"));
}

TEST_CASE("logs: nothing to be had is nothing, at once") {
  Rig rig;
  rig.engine.on(route, [](auto& exchange) { exchange.reply(404, R"({"message":"gone"})"); });
  rig.fetch();
  REQUIRE(rig.answered(1));
  rig.version.clear();  // the Engine is lost
  rig.fetch();
  CHECK(rig.answers.size() == 1);  // never from inside
  REQUIRE(rig.answered(2));
  rig.version = "1.41";
  rig.engine.on(route, [](auto& exchange) {
    exchange.begin_chunks();
    while (exchange.chunk(std::string(4096, 'x'))) {
    }
  });
  rig.fetch();
  REQUIRE(rig.answered(3));
  for (const std::string& answer : rig.answers) CHECK(answer.empty());
}

TEST_CASE("logs: an Engine that stalls holds up neither us nor those that wait, for long") {
  Rig rig(200ms);
  rig.engine.on("GET /containers/", [](auto& exchange) { exchange.stall(); });
  for (int i = 0; i < 14; ++i) rig.fetch();  // four run, eight wait, two are too many
  REQUIRE(rig.answered(14));
  for (const std::string& answer : rig.answers) CHECK(answer.empty());
  rig.says(frame(1, "again\n"));
  rig.fetch();
  REQUIRE(rig.answered(15));
  CHECK(rig.answers.back() == "again");
}

TEST_CASE("logs: after stop nobody is called") {
  Rig rig;
  rig.engine.on(route, [](auto& exchange) { exchange.stall(); });
  rig.fetch();
  rig.context.poll();
  rig.logs->stop();
  rig.fetch();
  rig.context.restart();
  rig.context.run_for(50ms);
  CHECK(rig.answers.empty());
}
