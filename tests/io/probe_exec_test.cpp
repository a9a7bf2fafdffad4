// exec probes against a scripted Engine.

#include <atomic>
#include <boost/asio/io_context.hpp>

#include "engine_harness.hpp"
#include "io/probe_exec.hpp"
#include "probe_harness.hpp"

using namespace sentinel;
using namespace sentinel::test;
using namespace std::chrono_literals;
using core::ProbeReason;
using core::Verdict;

namespace {

const std::string exec_id(64, 'e');
const std::string create_route = "POST /containers/" + hex_id('a') + "/exec";
const std::string start_route = "POST /exec/" + exec_id + "/start";
const std::string inspect_route = "GET /exec/" + exec_id + "/json";

std::string frame(int stream, std::string_view text) {
  std::string result{static_cast<char>(stream), 0, 0, 0, 0, 0};
  result += static_cast<char>(text.size() >> 8U);
  result += static_cast<char>(text.size() & 0xFFU);
  return result + std::string(text);
}

core::ProbeSpec spec(core::Duration timeout = 20s) {
  core::ProbeSpec spec;
  spec.name = "check";
  spec.kind = core::ProbeKind::exec;
  spec.timeout = timeout;
  spec.exec.command = {"check", "a \"quoted\" word", "line\nfeed"};
  return spec;
}

struct Rig {
  ScriptedEngine engine;
  std::string version = "1.45";
  unsigned concurrency = 32;
  ProbeHarness probes;

  explicit Rig(unsigned at_once = 32) : concurrency(at_once) {
    io::ExecProbeOptions options;
    options.endpoint = engine.endpoint();
    options.api_version = [this] { return version; };
    options.concurrency = concurrency;
    probes.prober().set_kind(core::ProbeKind::exec,
                             io::exec_runs(probes.context(), std::move(options)));
    engine.on(create_route,
              [](auto& exchange) { exchange.reply(201, R"({"Id":")" + exec_id + R"("})"); });
  }

  void ends(std::string output, int code) {
    engine.on(start_route, [output = std::move(output)](auto& exchange) {
      exchange.send("HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n" +
                    output);
      exchange.close();
    });
    engine.on(inspect_route, [code](auto& exchange) {
      exchange.reply(200, R"({"Running":false,"ExitCode":)" + std::to_string(code) + "}");
    });
  }
  void hangs(std::string output) {
    engine.on(start_route, [output = std::move(output)](auto& exchange) {
      exchange.send("HTTP/1.1 200 OK\r\n\r\n" + output);
      exchange.stall();
    });
    engine.on(inspect_route,
              [](auto& exchange) { exchange.reply(200, R"({"Running":true,"ExitCode":null})"); });
  }
  core::ProbeOutcome run(core::Duration timeout = 20s) {
    return probes.run(spec(timeout), {}, container('a'));
  }
};

}  // namespace

TEST_CASE("exec: exit code 0 passes") {
  Rig rig;
  rig.ends(frame(1, "all is well\n"), 0);
  std::string asked;
  rig.engine.on(create_route, [&asked](auto& exchange) {
    asked = exchange.version + " " + exchange.request_body;
    exchange.reply(201, R"({"Id":")" + exec_id + R"("})");
  });
  const auto outcome = rig.run();
  CHECK(outcome.verdict == Verdict::pass);
  CHECK(outcome.sentence.empty());
  CHECK(asked ==
        "1.45 {\"AttachStdin\":false,\"AttachStdout\":true,\"AttachStderr\":true,\"Tty\":false,"
        "\"Cmd\":[\"check\",\"a \\\"quoted\\\" word\",\"line\\nfeed\"]}");
}

TEST_CASE("exec: another code fails with the first line that says something") {
  Rig rig;
  rig.ends(frame(1, "\n") + frame(2, "no replica \x1b[31mis\r\nin sync\n"), 3);
  const auto outcome = rig.run();
  CHECK(outcome.verdict == Verdict::fail);
  CHECK(outcome.reason == ProbeReason::status);
  CHECK(outcome.code == 3);
  CHECK(outcome.sentence == "exit code 3: no replica \\x1b[31mis");
  rig.ends("", 1);
  CHECK(rig.run().sentence == "exit code 1");
}

TEST_CASE("exec: a command that is not there") {
  Rig rig;
  const std::string why = R"(OCI runtime exec failed: exec failed: unable to start container )"
                          R"(process: exec: "check": executable file not found in $PATH: unknown)";
  rig.ends(frame(1, why), 126);  // as Engine 20.10 tells it
  CHECK(rig.run().sentence == "check is not found in the container");
  rig.ends(frame(2, "sh: 1: nosuch: not found"), 127);
  const auto outcome = rig.run();
  CHECK(outcome.reason == ProbeReason::status);
  CHECK(outcome.code == 127);
  CHECK(outcome.sentence == "check cannot be run in the container: sh: 1: nosuch: not found");
  rig.engine.on(start_route, [](auto& exchange) {
    exchange.reply(400, R"({"message":"OCI runtime exec failed: \"check\": permission denied"})");
  });
  CHECK(rig.run().sentence == "check may not be run in the container");
  // A script's own 126 with its own words.
  rig.ends(frame(2, "not today"), 126);
  CHECK(rig.run().sentence == "exit code 126: not today");
}

TEST_CASE("exec: what the Engine cannot do says nothing about the service") {
  Rig rig;
  rig.ends("", 0);
  const auto internal = [&rig](std::string_view part) {
    const auto outcome = rig.run();
    CHECK(outcome.verdict == Verdict::fail);
    CHECK(outcome.reason == ProbeReason::internal);
    INFO(outcome.sentence);
    CHECK(outcome.sentence.contains(part));
  };
  rig.engine.on_next(create_route, 1, [](auto& exchange) {
    exchange.reply(409, R"({"message":"container is paused"})");
  });
  internal("409 container is paused");
  rig.engine.on(create_route, [](auto& exchange) { exchange.reply(201, R"({"Id":"abc"})"); });
  internal("no id");
  rig.engine.on(create_route, [](auto& exchange) { exchange.close(); });
  internal("without an answer");
  rig.engine.on(create_route,
                [](auto& exchange) { exchange.reply(201, R"({"Id":")" + exec_id + R"("})"); });
  rig.engine.on(start_route, [](auto& exchange) {
    exchange.send("HTTP/1.1 200 OK\r\n\r\nneither framed nor short");
    exchange.close();
  });
  internal("malformed");
  rig.version.clear();
  internal("the Engine is lost");
}

TEST_CASE("exec: a command that hangs is not started again until it has ended") {
  Rig rig;
  rig.hangs(frame(1, "waiting for the lock\n"));
  auto outcome = rig.run(500ms);
  // On a busy machine the time may be over before the Engine has answered; then again.
  for (int i = 0; i < 20 && outcome.reason == ProbeReason::internal; ++i) outcome = rig.run(500ms);
  CHECK(outcome.reason == ProbeReason::timeout);
  CHECK(outcome.sentence.starts_with("the command did not end within 500 ms"));
  const auto started = rig.engine.seen("POST /containers/");
  outcome = rig.run();
  CHECK(outcome.reason == ProbeReason::timeout);
  CHECK(outcome.sentence == "the command of an earlier run has not ended");
  CHECK(rig.engine.seen("POST /containers/") == started);
  rig.ends("", 0);
  CHECK(rig.run().verdict == Verdict::pass);
  CHECK(rig.engine.seen("POST /containers/") == started + 1);
}

TEST_CASE("exec: one more than the limit waits its turn") {
  Rig rig(1);
  rig.hangs("");
  const auto first = rig.probes.start(spec(), {}, container('a'));
  REQUIRE(rig.probes.run_until([&] { return rig.engine.seen(start_route) == 1; }));
  auto other = spec(300ms);
  other.exec.command = {"other"};
  const auto late = rig.probes.run(other, {}, container('a'));
  CHECK(late.reason == ProbeReason::internal);
  CHECK(late.sentence == "too many commands run at once");
  other.timeout = 20s;
  const auto patient = rig.probes.start(other, {}, container('a'));
  rig.engine.halt();  // the Engine dies: the first ends, the second gets its turn
  CHECK(rig.probes.outcome(first).reason == ProbeReason::internal);
  CHECK(rig.probes.outcome(patient).reason == ProbeReason::internal);
}

TEST_CASE("exec: output without end") {
  Rig rig;
  rig.engine.on(start_route, [](auto& exchange) {
    exchange.send("HTTP/1.1 200 OK\r\n\r\n");
    while (exchange.send(frame(1, std::string(60'000, 'y')))) {
    }
    exchange.close();
  });
  const auto outcome = rig.run();
  CHECK(outcome.reason == ProbeReason::protocol);
  CHECK(outcome.sentence == "the command writes without end");
}

TEST_CASE("exec: a daemon leaves its output and goes on") {
  Rig rig;
  rig.ends("", 0);
  std::atomic<unsigned> asked = 0;
  rig.engine.on(inspect_route, [&asked](auto& exchange) {
    exchange.reply(200, ++asked < 4 ? R"({"Running":true})" : R"({"Running":false,"ExitCode":0})");
  });
  CHECK(rig.run().verdict == Verdict::pass);
  CHECK(rig.engine.seen(inspect_route) == 4);
}

TEST_CASE("exec: an end in the middle of it all") {
  Rig rig;
  rig.hangs("");
  rig.probes.start(spec(), {}, container('a'));
  REQUIRE(rig.probes.run_until([&] { return rig.engine.seen(start_route) == 1; }));
  rig.probes.prober().stop();
  CHECK(rig.probes.finished() == 0);
}
