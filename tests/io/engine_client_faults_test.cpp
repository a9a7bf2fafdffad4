// The Engine client against an Engine that does not behave. Each fault leaves a defined state and
// ends connected again.

#include <unistd.h>

#include <catch2/generators/catch_generators.hpp>
#include <cerrno>

#include "engine_harness.hpp"
#include "io/engine_endpoint.hpp"

using namespace sentinel;
using namespace sentinel::test;
using namespace std::chrono_literals;
using Outcome = core::Inspected::Outcome;
using core::OperationResult;

namespace {

io::EngineOptions quick() {
  io::EngineOptions options;
  options.timeouts = {1s, 1s, 1s, 1s};
  return options;
}

}  // namespace

TEST_CASE("no socket, then an Engine") {
  ScriptedEngine engine(ScriptedEngine::Listen::nowhere);
  Harness h(engine);
  h.client->start();
  CHECK(h.events.empty());
  REQUIRE(h.run_until_count<core::EngineLost>(1));
  CHECK(h.last<core::EngineLost>().reason.starts_with("there is no Engine socket at /tmp/"));
  CHECK_FALSE(h.client->stats().up);
  CHECK_FALSE(h.client->stats().last_error.empty());
  engine.listen();
  REQUIRE(h.run_until_count<core::Listed>(1));
  CHECK(h.client->stats().up);
  CHECK(h.client->stats().last_error.empty());
  CHECK(h.count<core::EngineLost>() == 1);
}

TEST_CASE("what is asked of an absent Engine is answered all the same") {
  ScriptedEngine engine(ScriptedEngine::Listen::nowhere);
  Harness h(engine);
  h.client->start();
  h.client->perform(core::Inspect{container('a'), 5});
  h.client->perform(core::Operate{7, container('a'), core::Step::restart, 1s});
  h.client->perform(core::Relist{true});
  CHECK(h.events.empty());  // never from inside a member call
  REQUIRE(h.run_until_count<core::Inspected>(1));
  CHECK(h.last<core::Inspected>().outcome == Outcome::failed);
  REQUIRE(h.run_until_count<core::OperationDone>(1));
  CHECK(h.last<core::OperationDone>().result == OperationResult::failed);
}

TEST_CASE("a killed Engine is noticed at once, and found again") {
  ScriptedEngine engine;
  engine.on("POST", [](ScriptedEngine::Exchange& x) { x.stall(); });
  engine.on("GET /containers/" + hex_id('b'), [](ScriptedEngine::Exchange& x) { x.stall(); });
  Harness h(engine);
  h.connect();
  h.client->perform(core::Operate{1, container('a'), core::Step::restart, 10s});
  h.client->perform(core::Inspect{container('b'), 1});
  REQUIRE(h.run_until([&] {
    return engine.seen("POST") == 1 && engine.seen("GET /containers/" + hex_id('b')) == 1;
  }));
  const auto start = std::chrono::steady_clock::now();
  engine.halt();
  REQUIRE(h.run_until_count<core::EngineLost>(1));
  REQUIRE(h.run_until_count<core::OperationDone>(1));
  REQUIRE(h.run_until_count<core::Inspected>(1));
  CHECK(std::chrono::steady_clock::now() - start < 2s);
  CHECK(h.last<core::OperationDone>().result == OperationResult::unknown);
  CHECK(h.last<core::Inspected>().outcome == Outcome::failed);
  engine.listen();
  REQUIRE(h.run_until_count<core::Listed>(1));
  CHECK(h.last<core::Listed>().after_gap);
  CHECK(h.count<core::EngineConnected>() == 1);
}

TEST_CASE("an event stream broken off in a chunk") {
  ScriptedEngine engine;
  Harness h(engine);
  h.connect();
  engine.end_streams(false);
  REQUIRE(h.run_until_count<core::Listed>(1));
  CHECK(h.last<core::Listed>().after_gap);
  CHECK(h.client->stats().stream_reconnects == 1);
  engine.event(event_json(hex_id('a'), "die", wall_ns()));
  REQUIRE(h.run_until_count<core::Hint>(1));
}

TEST_CASE("a stream that stays silent beyond its end") {
  ScriptedEngine engine;
  engine.keep_to_until(false);
  io::EngineOptions options;
  options.stream_length = 2s;
  Harness h(engine, options);
  h.connect();
  REQUIRE(h.run_until([&] { return h.client->stats().stream_reconnects == 1; }));
  REQUIRE(h.run_until([&] { return h.client->stats().up && engine.open_streams() == 1; }));
  REQUIRE(h.run_until_count<core::Listed>(1));
  CHECK(h.last<core::Listed>().after_gap);
}

TEST_CASE("answers byte by byte") {
  ScriptedEngine engine;
  for (const char* route : {"GET /version", "GET /containers/json"}) {
    const bool version = std::string_view(route) == "GET /version";
    engine.on(route, [version](ScriptedEngine::Exchange& x) {
      x.dribble();
      if (version) {
        x.begin_chunks();
        x.chunk(R"({"Version":"1","ApiVersion")");
        x.chunk(R"(:"1.45","MinAPIVersion":"1.24"})");
        x.end_chunks();
      } else {
        x.reply(200, "[" + row_json(hex_id('a')) + "]");
      }
    });
  }
  engine.on("GET /events", [](ScriptedEngine::Exchange& x) {
    x.dribble();
    x.begin_chunks();
    const auto line = event_json(hex_id('a'), "die", wall_ns()) + "\n";
    for (std::size_t i = 0; i < line.size(); i += 3) x.chunk(line.substr(i, 3));
    x.stall();
  });
  Harness h(engine);
  h.client->start();
  REQUIRE(h.run_until_count<core::Hint>(1));
  REQUIRE(h.run_until_count<core::Listed>(1));
  CHECK(h.last<core::Listed>().containers.size() == 1);
}

TEST_CASE("a peer that is no Engine, or not well") {
  struct Row {
    const char* route;
    ScriptedEngine::Handler handler;
    std::string reason;
  };
  const Row row = GENERATE(
      Row{"GET /version", [](auto& x) { x.stall(); }, "no answer from the Engine within 1 s"},
      Row{"GET /version",
          [](auto& x) {
            x.send("HTTP/1.1 200 OK\r\nContent-Le");
            x.stall();
          },
          "no answer from the Engine within 1 s"},
      Row{"GET /version", [](auto& x) { x.reply(503, "try \x1b[1mlater"); },
          "GET /version: the Engine answered 503 try \\x1b[1mlater"},
      Row{"GET /version", [](auto& x) { x.reply(200, "<html>"); }, "GET /version: malformed JSON"},
      Row{"GET /version",
          [](auto& x) { x.reply(200, R"({"Version":"19.03","ApiVersion":"1.40"})"); },
          "Engine 19.03 speaks API 1.24 to 1.40"},
      Row{"GET /version", [](auto& x) { x.close(); },
          "the Engine closed the connection without an answer"},
      Row{"GET /version",
          [](auto& x) {
            x.send("SSH-2.0-OpenSSH_9.2\r\n");
            x.close();
          },
          "no HTTP/1.x status line"},
      Row{"GET /version", [](auto& x) { x.reply(200, "", "Content-Length: 99999999999\r\n"); },
          "malformed HTTP answer: two Content-Length"},
      Row{"GET /version",
          [](auto& x) {
            x.send("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n");
            x.stall();
          },
          "an answer of more than 262144 bytes"},
      Row{"GET /version",
          [](auto& x) {
            while (x.send("HTTP/1.1 200 OK\r\nX: " + std::string(10'000, 'x'))) {
            }
          },
          "header fields beyond the limit"},
      Row{"GET /version",
          [](auto& x) {
            x.begin_chunks();
            while (x.send("1;" + std::string(1000, 'e'))) {
            }
          },
          "a chunk header beyond the limit"},
      Row{"GET /events", [](auto& x) { x.stall(); }, "no answer from the Engine within 1 s"},
      Row{"GET /events", [](auto& x) { x.reply(400, R"({"message":"bad filter"})"); },
          "event stream: the Engine answered 400 bad filter"},
      Row{"GET /events", [](auto& x) { x.reply(200, "[]"); }, ""},
      Row{"GET /containers/json", [](auto& x) { x.stall(); },
          "no answer from the Engine within 1 s"},
      Row{"GET /containers/json", [](auto& x) { x.reply(503, ""); },
          "container list: the Engine answered 503"},
      Row{"GET /containers/json", [](auto& x) { x.reply(200, "[{\"Id\":\""); },
          "container list: malformed JSON"},
      Row{"GET /containers/json", [](auto& x) { x.reply(200, "[{}]"); },
          "container list: a row without a full id"},
      Row{"GET /containers/json",
          [](auto& x) {
            x.send("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n[{");
            x.close();
          },
          "closed the connection in mid-answer"},
      Row{"GET /containers/json",
          [](auto& x) {
            x.send("HTTP/1.1 200 OK\r\nContent-Length: 33554433\r\n\r\n[");
            x.stall();
          },
          "an answer of more than 33554432 bytes"});
  INFO(row.route << " " << row.reason);
  ScriptedEngine engine;
  engine.on(row.route, row.handler);
  Harness h(engine, quick());
  h.client->start();
  REQUIRE(h.run_until_count<core::EngineLost>(1));
  CHECK(h.last<core::EngineLost>().reason.find(row.reason) != std::string::npos);
  CHECK(h.count<core::Listed>() == 0);
  // Once it is well again, everything is.
  engine.on_next(row.route, 1, row.handler);
  REQUIRE(h.run_until_count<core::Listed>(1));
  CHECK(h.last<core::Listed>().after_gap);
  CHECK(h.client->stats().up);
}

TEST_CASE("a storm of 503 is met with a growing back-off") {
  ScriptedEngine engine;
  engine.on("GET /version", [](ScriptedEngine::Exchange& x) { x.reply(503, "busy"); });
  Harness h(engine);
  h.client->start();
  const auto end = std::chrono::steady_clock::now() + 3s;
  REQUIRE(h.run_until([&] { return std::chrono::steady_clock::now() >= end; }));
  CHECK(engine.seen("GET /version") <= 9);
  CHECK(engine.seen("GET /version") >= 3);
  CHECK(h.count<core::EngineLost>() == 1);
}

TEST_CASE("an Engine that stops answering is pinged, then lost") {
  ScriptedEngine engine;
  Harness h(engine);
  h.connect();
  engine.on("GET", [](ScriptedEngine::Exchange& x) { x.stall(); });
  engine.on("GET /_ping", [](ScriptedEngine::Exchange& x) { x.stall(); });
  const auto start = std::chrono::steady_clock::now();
  h.client->perform(core::Inspect{container('a'), 1});
  REQUIRE(h.run_until([&] { return engine.seen("GET /_ping") == 1; }));
  REQUIRE(h.run_until_count<core::EngineLost>(1));
  CHECK(std::chrono::steady_clock::now() - start < 10s);
  REQUIRE(h.run_until_count<core::Inspected>(1));
  CHECK(h.last<core::Inspected>().outcome == Outcome::failed);
}

TEST_CASE("a slow inspect alone does not lose the Engine") {
  ScriptedEngine engine;
  engine.on("GET /containers/" + hex_id('a'), [](ScriptedEngine::Exchange& x) { x.stall(); });
  engine.set_inspect(hex_id('b'), inspect_json(hex_id('b')));
  auto options = quick();
  Harness h(engine, options);
  h.connect();
  const auto answer = h.inspect('a');
  CHECK(answer.outcome == Outcome::failed);
  CHECK(answer.error == "no answer from the Engine within 1 s");
  CHECK(h.inspect('b').outcome == Outcome::found);
  REQUIRE(h.run_until([&] { return h.requests("ping", "200") == 1; }));
  CHECK(h.count<core::EngineLost>() == 0);
}

TEST_CASE("a kept connection the Engine closed is replaced without a word") {
  ScriptedEngine engine;
  engine.on("GET /containers/" + hex_id('a'), [](ScriptedEngine::Exchange& x) {
    x.reply(200, inspect_json(hex_id('a')));
    x.close();  // without saying so
  });
  engine.on("GET /containers/" + hex_id('b'), [](ScriptedEngine::Exchange& x) {
    x.reply(200, inspect_json(hex_id('b')), "Connection: close\r\n");
    x.close();
  });
  Harness h(engine);
  h.connect();
  for (int i = 0; i < 5; ++i) {
    CHECK(h.inspect('a').outcome == Outcome::found);
    CHECK(h.inspect('b').outcome == Outcome::found);
  }
  CHECK(h.requests("ping", "200") == 0);
  CHECK(h.count<core::EngineLost>() == 0);
}

TEST_CASE("an inspect that is refused every time is tried twice at most") {
  ScriptedEngine engine;
  engine.set_inspect(hex_id('b'), inspect_json(hex_id('b')));
  engine.on("GET /containers/" + hex_id('a'), [](ScriptedEngine::Exchange& x) { x.close(); });
  Harness h(engine);
  h.connect();
  CHECK(h.inspect('b').outcome == Outcome::found);
  CHECK(h.inspect('a').outcome == Outcome::failed);
  CHECK(engine.seen("GET /containers/" + hex_id('a')) == 2);
}

TEST_CASE("an inspect too large to be one") {
  ScriptedEngine engine;
  engine.on("GET /containers/" + hex_id('a'), [](ScriptedEngine::Exchange& x) {
    x.begin_chunks();
    while (x.chunk(std::string(100'000, ' '))) {
    }
  });
  Harness h(engine);
  h.connect();
  const auto answer = h.inspect('a');
  CHECK(answer.outcome == Outcome::failed);
  CHECK(answer.error == "an answer of more than 4194304 bytes");
}

TEST_CASE("garbage in the event stream leads to a list") {
  ScriptedEngine engine;
  Harness h(engine);
  h.connect();
  engine.event("{\"Type\":\"container\",");
  engine.event(std::string(3 << 20, 'x'));
  engine.event(event_json(hex_id('a'), "die", wall_ns()));
  REQUIRE(h.run_until_count<core::Hint>(1));
  REQUIRE(h.run_until_count<core::Listed>(1));
  CHECK(h.last<core::Listed>().after_gap);
  CHECK(h.client->stats().malformed_events == 2);
  CHECK(h.count<core::EngineLost>() == 0);
}

TEST_CASE("stopping in the middle of everything is silent") {
  ScriptedEngine engine;
  engine.on("POST", [](ScriptedEngine::Exchange& x) { x.stall(); });
  engine.on("GET /containers/", [](ScriptedEngine::Exchange& x) {
    if (x.target.starts_with("/containers/json")) {
      x.reply(200, "[]");
    } else {
      x.stall();
    }
  });
  Harness h(engine);
  h.connect();
  for (const char digit : {'1', '2', '3', '4', '5', '6'}) {
    h.client->perform(core::Inspect{container(digit), 1});
    h.client->perform(core::Operate{1, container(digit), core::Step::restart, 1s});
  }
  h.client->perform(core::Relist{});
  REQUIRE(h.run_until([&] { return engine.seen("POST") == 6; }));
  h.client->stop();
  h.context.restart();
  h.context.run();  // nothing is left to wait for
  CHECK(h.count<core::Inspected>() == 0);
  CHECK(h.count<core::OperationDone>() == 0);
  h.client->perform(core::Inspect{container('a'), 1});
  h.client->perform(core::Relist{});
  h.client->stop();
  h.context.restart();
  CHECK(h.context.run() == 0);
}

TEST_CASE("a sink may stop the client") {
  ScriptedEngine engine;
  boost::asio::io_context context(1);
  std::optional<io::EngineClient> client;
  unsigned events = 0;
  io::EngineOptions options;
  options.endpoint = engine.endpoint();
  client.emplace(context, options, [&](const core::Event&) {
    ++events;
    client->stop();
  });
  client->start();
  context.run();
  CHECK(events == 1);
}

TEST_CASE("addresses of an Engine") {
  CHECK(io::parse_engine_endpoint("unix:///run/docker.sock")->path == "/run/docker.sock");
  CHECK(io::parse_engine_endpoint("/run/docker.sock")->local);
  const auto tcp = io::parse_engine_endpoint("tcp://proxy:2375");
  REQUIRE(tcp);
  CHECK_FALSE(tcp->local);
  CHECK(tcp->host == "proxy");
  CHECK(tcp->port == "2375");
  CHECK(tcp->host_field == "proxy:2375");
  CHECK(io::parse_engine_endpoint("tcp://[::1]:2375")->host == "::1");
  CHECK(io::parse_engine_endpoint("http://10.0.0.1:2375/")->host == "10.0.0.1");
  for (const std::string& bad :
       {std::string(), std::string("docker.sock"), std::string("unix://run/x"),
        std::string("tcp://host"), std::string("tcp://:1"), std::string("tcp://h:0x1"),
        std::string("tcp://h:99999"), std::string("tcp://h\r\nX:1"), std::string("ssh://h"),
        std::string("https://h:1"), "unix:///" + std::string(200, 'x')}) {
    INFO(bad);
    CHECK_FALSE(io::parse_engine_endpoint(bad));
  }
}

TEST_CASE("a bad address is an Engine that is lost for ever") {
  ScriptedEngine engine(ScriptedEngine::Listen::nowhere);
  boost::asio::io_context context(1);
  std::vector<core::Event> events;
  io::EngineOptions options;
  options.endpoint = "nonsense\x1b";
  io::EngineClient client(context, options,
                          [&](core::Event event) { events.push_back(std::move(event)); });
  client.start();
  context.run();
  REQUIRE(events.size() == 1);
  CHECK(std::get<core::EngineLost>(events[0]).reason.find("nonsense\\x1b") != std::string::npos);
}

TEST_CASE("a socket that may not be opened names its group") {
  const ScriptedEngine engine;
  const auto endpoint = io::parse_engine_endpoint(engine.endpoint());
  REQUIRE(endpoint);
  const auto text = io::describe_connect_error(*endpoint, EACCES);
  CHECK(text.find("set SENTINEL_DOCKER_GID=" + std::to_string(getegid())) != std::string::npos);
  CHECK(io::describe_connect_error(*endpoint, ECONNREFUSED).find("no Engine listens") !=
        std::string::npos);
}
