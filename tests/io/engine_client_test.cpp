// The Engine client against an Engine that behaves.

#include <catch2/generators/catch_generators.hpp>

#include "engine_harness.hpp"

using namespace sentinel;
using namespace sentinel::test;
using namespace std::chrono_literals;
using Outcome = core::Inspected::Outcome;
using core::OperationResult;

TEST_CASE("connects, lists, inspects and hears events") {
  const bool recent = GENERATE(false, true);
  ScriptedEngine engine;
  if (recent) engine.set_version("1.44", "1.52", "29.0");
  engine.set_list(
      "[" +
      (recent
           ? R"({"Id":")" + hex_id('a') +
                 R"(","State":"running","Status":"Up","Health":{"Status":"unhealthy","FailingStreak":2}})"
           : R"({"Id":")" + hex_id('a') +
                 R"(","State":"running","Status":"Up 2 hours (unhealthy\u0029"})") +
      "]");
  engine.set_inspect(hex_id('a'), inspect_json(hex_id('a'), "unhealthy"));
  Harness h(engine);
  h.client->start();
  CHECK(h.events.empty());
  REQUIRE(h.run_until_count<core::Listed>(1));
  REQUIRE(std::holds_alternative<core::EngineConnected>(h.events[0]));
  CHECK(h.last<core::EngineConnected>().api_version == (recent ? "1.52" : "1.45"));
  const auto& list = h.last<core::Listed>();
  CHECK(list.after_gap);
  REQUIRE(list.containers.size() == 1);
  CHECK(list.containers[0].health == core::EngineHealth::unhealthy);

  const auto answer = h.inspect('a');
  CHECK(answer.outcome == Outcome::found);
  CHECK(answer.token == 77);
  REQUIRE(answer.facts);
  CHECK(answer.facts->status.health == core::EngineHealth::unhealthy);
  CHECK(answer.facts->status.uptime > core::Duration{});

  const auto now = wall_ns();
  engine.event(event_json(hex_id('a'), "health_status: unhealthy", now));
  engine.event(event_json(hex_id('a'), "exec_create: health_status: unhealthy", now + 1));
  engine.event(event_json(hex_id('a'), "health_status: unhealthy", now));
  engine.event(event_json(hex_id('a'), "die", now + 2));
  REQUIRE(h.run_until_count<core::Hint>(2));
  CHECK(h.last<core::Hint>().kind == core::HintKind::die);
  const auto stats = h.client->stats();
  CHECK(stats.up);
  CHECK(stats.events == 2);
  CHECK(stats.duplicate_events == 1);
  CHECK(stats.api_version == (recent ? "1.52" : "1.45"));
  CHECK(h.requests("list", "200") == 1);
  CHECK(h.requests("restart", "204") == 0);
}

TEST_CASE("works over TCP, for socket proxies") {
  ScriptedEngine engine(ScriptedEngine::Listen::tcp);
  Harness h(engine);
  h.connect();
  CHECK(h.inspect('a').outcome == Outcome::gone);
}

TEST_CASE("every status of an operation has its meaning") {
  struct Row {
    core::Step step;
    unsigned status;
    OperationResult result;
  };
  ScriptedEngine engine;
  Harness h(engine);
  h.connect();
  core::OperationId op = 0;
  for (const Row row : {Row{core::Step::restart, 204, OperationResult::done},
                        Row{core::Step::restart, 404, OperationResult::gone},
                        Row{core::Step::restart, 500, OperationResult::failed},
                        Row{core::Step::restart, 409, OperationResult::conflict},
                        Row{core::Step::kill, 204, OperationResult::done},
                        Row{core::Step::kill, 409, OperationResult::conflict},
                        Row{core::Step::start, 304, OperationResult::not_modified},
                        Row{core::Step::stop, 304, OperationResult::not_modified},
                        Row{core::Step::stop, 503, OperationResult::failed},
                        Row{core::Step::start, 400, OperationResult::failed},
                        Row{core::Step::kill, 301, OperationResult::failed},
                        Row{core::Step::restart, 200, OperationResult::done}}) {
    engine.on("POST /containers", [status = row.status](ScriptedEngine::Exchange& x) {
      x.reply(status, "{\"message\":\"because\\u001b[31m \\n of this\"}");
    });
    const auto done = h.operate({++op, container('a'), row.step, 1500ms});
    INFO(to_string(row.step) << " " << row.status);
    CHECK(done.op == op);
    CHECK(done.step == row.step);
    CHECK(done.result == row.result);
    if (row.status >= 400) CHECK(done.detail.find("because\\x1b[31m of this") != std::string::npos);
    CHECK(h.requests(to_string(row.step), std::to_string(row.status)) >= 1);
  }
  // The stop timeout in whole seconds, rounded up, and only where it means something.
  CHECK(engine.seen("POST /containers/" + hex_id('a') + "/restart?t=2") == 5);
  CHECK(engine.seen("POST /containers/" + hex_id('a') + "/stop?t=2") == 2);
  CHECK(engine.seen("POST /containers/" + hex_id('a') + "/kill?") == 0);
  CHECK(engine.seen("POST /containers/" + hex_id('a') + "/start?") == 0);
  h.operate({++op, container('a'), core::Step::stop, core::Duration{}});
  CHECK(engine.seen("POST /containers/" + hex_id('a') + "/stop?t=0") == 1);
}

TEST_CASE("a slow restart delays neither inspects nor other restarts nor events") {
  ScriptedEngine engine;
  engine.set_inspect(hex_id('b'), inspect_json(hex_id('b')));
  engine.on("POST /containers/" + hex_id('a'), [](ScriptedEngine::Exchange& x) {
    if (x.wait_for("released")) x.reply(204, "");
  });
  Harness h(engine);
  h.connect();
  for (core::OperationId op = 1; op <= 20; ++op)
    h.client->perform(core::Operate{op, container('a'), core::Step::restart, 10s});
  REQUIRE(h.run_until([&] { return engine.seen("POST") == 20; }));
  CHECK(h.client->stats().operations == 20);
  CHECK(h.inspect('b').outcome == Outcome::found);
  CHECK(h.operate({21, container('b'), core::Step::restart, 10s}).result == OperationResult::done);
  engine.event(event_json(hex_id('b'), "start", wall_ns()));
  REQUIRE(h.run_until_count<core::Hint>(1));
  CHECK(h.count<core::OperationDone>() == 1);
  engine.raise("released");
  REQUIRE(h.run_until_count<core::OperationDone>(21));
  CHECK(h.client->stats().operations == 0);
}

TEST_CASE("an operation is never sent twice") {
  ScriptedEngine engine;
  engine.on("POST /containers", [](ScriptedEngine::Exchange& x) { x.close(); });
  Harness h(engine);
  h.connect();
  const auto done = h.operate({1, container('a'), core::Step::restart, 1s});
  CHECK(done.result == OperationResult::unknown);
  CHECK(done.detail == "the Engine closed the connection without an answer");
  REQUIRE(h.run_until(
      [&] { return engine.seen("GET /_ping") == 1; }));  // a lost answer is a reason to ask
  CHECK(engine.seen("POST") == 1);
}

TEST_CASE("an operation has a deadline of its own") {
  ScriptedEngine engine;
  engine.on("POST /containers", [](ScriptedEngine::Exchange& x) { x.stall(); });
  io::EngineOptions options;
  options.timeouts.operation = 100ms;
  Harness h(engine, options);
  h.connect();
  const auto done = h.operate({1, container('a'), core::Step::restart, 200ms});
  CHECK(done.result == OperationResult::timed_out);
  CHECK(done.detail == "no answer from the Engine within 300 ms");
  CHECK(h.requests("restart", "timeout") == 1);
}

TEST_CASE("inspect answers are checked") {
  ScriptedEngine engine;
  engine.set_inspect(hex_id('a'), inspect_json(hex_id('b')));
  engine.on("GET /containers/" + hex_id('c'), [](ScriptedEngine::Exchange& x) {
    x.reply(500, R"({"message":"marked for removal"})");
  });
  engine.set_inspect(hex_id('d'), R"({"Id":")");
  Harness h(engine);
  h.connect();
  CHECK(h.inspect('a').outcome == Outcome::gone);  // somebody named like it
  CHECK(h.inspect('b').outcome == Outcome::gone);
  const auto failed = h.inspect('c');
  CHECK(failed.outcome == Outcome::failed);
  CHECK(failed.error == "inspect: the Engine answered 500 marked for removal");
  CHECK(h.inspect('d').outcome == Outcome::failed);
  CHECK(h.client->stats().up);
}

TEST_CASE("inspects share few connections, which close when idle") {
  ScriptedEngine engine;
  engine.set_inspect(hex_id('a'), inspect_json(hex_id('a')));
  Harness h(engine);
  h.connect();
  const unsigned before = engine.connections();
  for (int round = 0; round < 20; ++round) CHECK(h.inspect('a').outcome == Outcome::found);
  CHECK(engine.connections() == before + 1);
}

TEST_CASE("inspects of one container that wait are asked once, each token answered") {
  ScriptedEngine engine;
  engine.on("GET /containers/" + hex_id('f'), [](ScriptedEngine::Exchange& x) {
    if (x.wait_for("go")) x.reply(404, "");
  });
  engine.set_inspect(hex_id('a'), inspect_json(hex_id('a')));
  io::EngineOptions options;
  options.connections = 1;
  Harness h(engine, options);
  h.connect();
  h.client->perform(core::Inspect{container('f'), 1});
  for (std::uint64_t token = 2; token <= 40; ++token)
    h.client->perform(core::Inspect{container('a'), token});
  engine.raise("go");
  REQUIRE(h.run_until_count<core::Inspected>(40));
  CHECK(engine.seen("GET /containers/" + hex_id('a')) == 3);  // 16 tokens at most share an answer
  std::vector<std::uint64_t> tokens;
  for (const auto& event : h.events) {
    if (const auto* answer = std::get_if<core::Inspected>(&event)) tokens.push_back(answer->token);
  }
  std::ranges::sort(tokens);
  CHECK(std::ranges::adjacent_find(tokens) == tokens.end());
  CHECK(tokens.back() == 40);
}

TEST_CASE("an inspect that is under way is too old for a new question") {
  ScriptedEngine engine;
  engine.on_next("GET /containers/" + hex_id('a'), 1, [](ScriptedEngine::Exchange& x) {
    if (x.wait_for("go")) x.reply(200, inspect_json(hex_id('a'), "healthy"));
  });
  engine.set_inspect(hex_id('a'), inspect_json(hex_id('a'), "unhealthy"));
  Harness h(engine);
  h.connect();
  h.client->perform(core::Inspect{container('a'), 1});
  REQUIRE(h.run_until([&] { return engine.seen("GET /containers/" + hex_id('a')) == 1; }));
  h.client->perform(core::Inspect{container('a'), 2});
  REQUIRE(h.run_until_count<core::Inspected>(1));
  CHECK(h.last<core::Inspected>().token == 2);
  CHECK(h.last<core::Inspected>().facts->status.health == core::EngineHealth::unhealthy);
  engine.raise("go");
  REQUIRE(h.run_until_count<core::Inspected>(2));
}

TEST_CASE("a full queue answers and asks for a list") {
  ScriptedEngine engine;
  engine.on("GET /containers/", [](ScriptedEngine::Exchange& x) {
    if (x.target.starts_with("/containers/json")) {
      x.reply(200, "[]");
    } else if (x.wait_for("go")) {
      x.reply(404, "");
    }
  });
  io::EngineOptions options;
  options.connections = 1;
  options.inspect_queue = 3;
  Harness h(engine, options);
  h.connect();
  for (const char digit : {'1', '2', '3', '4', '5', '6'})
    h.client->perform(core::Inspect{container(digit), 1});
  REQUIRE(h.run_until_count<core::Inspected>(2));
  CHECK(h.last<core::Inspected>().outcome == Outcome::failed);
  CHECK(h.client->stats().queue_overflows == 2);
  REQUIRE(h.run_until_count<core::Listed>(1));
  CHECK(h.last<core::Listed>().after_gap);
  engine.raise("go");
  REQUIRE(h.run_until_count<core::Inspected>(6));
}

TEST_CASE("our own place is known before the first inspect is answered") {
  ScriptedEngine engine;
  const std::string shared = R"({"net":{"NetworkID":"n1","IPAddress":"172.20.0.2"}})";
  engine.set_inspect(hex_id('9'), inspect_json(hex_id('9'), "healthy", shared));
  engine.set_inspect(hex_id('a'),
                     inspect_json(hex_id('a'), "healthy",
                                  R"({"net":{"NetworkID":"n1","IPAddress":"172.20.0.3"}})"));
  engine.set_inspect(hex_id('b'),
                     inspect_json(hex_id('b'), "healthy",
                                  R"({"net":{"NetworkID":"n2","IPAddress":"172.21.0.3"}})"));
  io::EngineOptions options;
  options.own_container_id = hex_id('9');
  Harness h(engine, options);
  h.connect();
  CHECK(h.inspect('a').facts->status.address == "172.20.0.3");
  CHECK(h.inspect('b').facts->status.address.empty());
  CHECK(h.inspect('9').facts->info->own);
}

TEST_CASE("new settings lead to new inspects") {
  ScriptedEngine engine;
  engine.set_inspect(hex_id('a'), inspect_json(hex_id('a')));
  Harness h(engine);
  h.connect();
  CHECK(h.inspect('a').facts->info->settings.delay == core::Duration{});
  protocol::LabelDefaults settings;
  settings.defaults.delay = 5s;
  h.client->reconfigure(settings);
  REQUIRE(h.run_until_count<core::Listed>(1));
  CHECK(h.last<core::Listed>().after_gap);
  CHECK(h.inspect('a').facts->info->settings.delay == core::Duration{5s});
  settings.watch_all = true;
  h.client->reconfigure(settings);
  REQUIRE(h.run_until_count<core::Listed>(2));
  CHECK(engine.requests().back().find("sentinel.enable") == std::string::npos);
  CHECK(h.count<core::EngineLost>() == 0);
}

TEST_CASE("streams are renewed in time, on the same connection") {
  ScriptedEngine engine;
  io::EngineOptions options;
  options.stream_length = 2s;
  Harness h(engine, options);
  h.connect();
  const unsigned before = engine.connections();
  REQUIRE(h.run_until([&] { return h.client->stats().stream_renewals >= 1; }));
  CHECK(engine.connections() == before);
  CHECK(h.client->stats().stream_reconnects == 0);
  CHECK(h.count<core::EngineLost>() == 0);
  engine.event(event_json(hex_id('a'), "die", wall_ns()));
  REQUIRE(h.run_until_count<core::Hint>(1));
}
