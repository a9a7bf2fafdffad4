#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <string>

#include "protocol/engine_json.hpp"

using namespace sentinel::protocol;
namespace core = sentinel::core;

namespace {

const std::string id(64, 'a');
constexpr std::int64_t now = 1795376722 * std::int64_t{1'000'000'000};  // 2026-11-22T19:45:22Z

struct Parts {
  std::string state =
      R"({"Status":"running","Running":true,"ExitCode":0,"OOMKilled":false,"StartedAt":"2026-11-22T19:44:22.5Z",
      "Health":{"Status":"unhealthy","FailingStreak":4,"Log":[{"Start":"2026-11-22T19:45:00Z","End":"2026-11-22T19:45:01Z","ExitCode":1,"Output":"first"},
      {"Start":"2026-11-22T19:45:19Z","End":"2026-11-22T19:45:20Z","ExitCode":1,"Output":"down\n\u001b[31mbad"}]}})";
  std::string labels =
      R"({"sentinel.enable":"true","com.docker.compose.project":"shop","com.docker.compose.service":"web",
      "com.docker.compose.container-number":"2"})";
  std::string health_check =
      R"({"Test":["CMD","/x"],"Interval":5000000000,"Timeout":2000000000,"StartPeriod":10000000000,"Retries":2})";
  std::string stop_timeout = "7";
  std::string host =
      R"({"AutoRemove":false,"RestartPolicy":{"Name":"unless-stopped","MaximumRetryCount":0},"NetworkMode":"shop_default"})";
  std::string networks =
      R"({"shop_default":{"NetworkID":"n1","IPAddress":"172.20.0.3"},"back":{"NetworkID":"n2","IPAddress":"172.21.0.3","GlobalIPv6Address":"fd00::3"}})";

  std::string text() const {
    return R"({"Id":")" + id +
           R"(","Created":"2026-11-22T19:40:00Z","Name":"/shop-web-2","State":)" + state +
           R"(,"HostConfig":)" + host + R"(,"Config":{"Image":"shop/web:1","Labels":)" + labels +
           R"(,"Healthcheck":)" + health_check + R"(,"StopTimeout":)" + stop_timeout +
           R"(,"Env":["SECRET=x"]},"NetworkSettings":{"Networks":)" + networks + "}}";
  }
};

core::ContainerFacts facts(const Parts& parts, const InspectContext& context = {},
                           std::int64_t at = now) {
  const auto result = parse_inspect(parts.text(), context, at);
  REQUIRE(result);
  REQUIRE(result->info);
  return *result;
}

}  // namespace

TEST_CASE("an inspect in full") {
  const auto f = facts({});
  CHECK(f.info->id.hex() == id);
  CHECK(f.info->name == "shop-web-2");
  CHECK(f.info->image == "shop/web:1");
  CHECK(f.info->key == core::ServiceKey{"shop", "web", 2});
  CHECK(f.info->created == 1795376400 * std::int64_t{1'000'000'000});
  CHECK_FALSE(f.info->auto_remove);
  CHECK_FALSE(f.info->swarm_task);
  CHECK_FALSE(f.info->own);
  CHECK(f.info->restart_policy == core::RestartPolicy::unless_stopped);
  CHECK(f.info->health_check == core::HealthCheck{5s, 2s, 10s, 2});
  CHECK(f.info->stop_timeout == Duration{7s});
  CHECK(f.info->settings.enabled);
  CHECK(f.info->warnings.empty());
  CHECK(f.status.run == core::RunState::running);
  CHECK(f.status.health == core::EngineHealth::unhealthy);
  CHECK(f.status.failing_streak == 4);
  CHECK(f.status.started_at == 1795376662500000000);
  CHECK(f.status.uptime == Duration{59'500ms});
  CHECK_FALSE(f.status.health_stale);
  CHECK(f.status.health_output == "down\n\\x1b[31mbad");
  CHECK(f.status.address == "172.21.0.3");  // by network name
}

TEST_CASE("what a container needs: Compose's graph and the network it shares") {
  CHECK(facts({}).info->depends_on.empty());
  CHECK(facts({}).info->network_of == std::nullopt);
  Parts parts;
  parts.labels = R"({"com.docker.compose.project":"shop","com.docker.compose.service":"web",
      "com.docker.compose.depends_on":"db:service_healthy:true,,a b:x,cache:service_started:false"})";
  parts.host = R"({"NetworkMode":"container:)" + std::string(64, 'b') + R"("})";
  const auto f = facts(parts);
  CHECK(f.info->depends_on == std::vector<std::string>{"db", "cache"});
  REQUIRE(f.info->network_of);
  CHECK(f.info->network_of->hex() == std::string(64, 'b'));
  // Without a project the names mean nothing; a short id may lead to an impostor.
  parts.labels = R"({"com.docker.compose.depends_on":"db:service_healthy:true"})";
  parts.host = R"({"NetworkMode":"container:db"})";
  CHECK(facts(parts).info->depends_on.empty());
  CHECK(facts(parts).info->network_of == std::nullopt);
}

TEST_CASE("an address within reach") {
  InspectContext context;
  context.own.container = core::ContainerId::parse(std::string(64, 'b'));
  context.own.host_network = false;
  CHECK(facts({}, context).status.address.empty());
  context.own.networks = {"n1"};
  CHECK(facts({}, context).status.address == "172.20.0.3");
  Parts six;
  six.networks = R"({"x":{"NetworkID":"n1","IPAddress":"","GlobalIPv6Address":"fd00::7"}})";
  CHECK(facts(six, context).status.address == "fd00::7");
  Parts evil;
  evil.networks =
      R"({"x":{"NetworkID":"n1","IPAddress":"1.2.3.4\r\nX"},"y":{"NetworkID":"n1","IPAddress":7}})";
  CHECK(facts(evil, context).status.address.empty());
  Parts host;
  host.host = R"({"NetworkMode":"host"})";
  host.networks = R"({"host":{"NetworkID":"n9","IPAddress":""}})";
  CHECK(facts(host).status.address == "127.0.0.1");
  CHECK(facts(host, context).status.address.empty());
}

TEST_CASE("identity") {
  Parts plain;
  plain.labels = "{}";
  CHECK(facts(plain).info->key == core::ServiceKey{"", "shop-web-2", 1});
  CHECK_FALSE(facts(plain).info->settings.enabled);
  Parts none;
  none.labels = "null";
  CHECK(facts(none).info->key.service == "shop-web-2");
  Parts named;
  named.labels =
      R"({"sentinel.name":"front","com.docker.compose.project":"shop","com.docker.compose.service":"web"})";
  CHECK(facts(named).info->key == core::ServiceKey{"shop", "front", 1});
  Parts one_off;
  one_off.labels =
      R"({"com.docker.compose.project":"shop","com.docker.compose.service":"web","com.docker.compose.oneoff":"True"})";
  CHECK(facts(one_off).info->key == core::ServiceKey{"", "shop-web-2", 1});
  Parts evil;
  evil.labels =
      R"({"com.docker.compose.project":"a/b\n","com.docker.compose.service":"web","com.docker.compose.container-number":"-7"})";
  CHECK(facts(evil).info->key == core::ServiceKey{"", "shop-web-2", 1});
  Parts swarm;
  swarm.labels = R"({"com.docker.swarm.task.id":"x"})";
  CHECK(facts(swarm).info->swarm_task);
}

TEST_CASE("the file's settings come before the labels") {
  InspectContext context;
  context.settings.watch_all = true;
  context.settings.services["shop/web"].delay = 9s;
  Parts parts;
  CHECK(facts(parts, context).info->settings.delay == Duration{9s});
  parts.labels = R"({"sentinel.heal.budget":"lots"})";
  const auto f = facts(parts, context);
  CHECK(f.info->settings.enabled);
  REQUIRE(f.info->warnings.size() == 1);
  CHECK(f.info->warnings[0].starts_with(
      "container shop-web-2: label sentinel.heal.budget=lots: expected "));
}

TEST_CASE("our own container is recognised") {
  InspectContext context;
  context.own.container = core::ContainerId::parse(id);
  CHECK(facts({}, context).info->own);
}

TEST_CASE("health checks and time-outs as the Engine writes them") {
  Parts parts;
  for (const char* none : {"null", R"({"Test":["NONE"]})", R"({"Test":[]})", "{}", "7"}) {
    parts.health_check = none;
    CHECK_FALSE(facts(parts).info->health_check);
  }
  parts.health_check = R"({"Test":["CMD-SHELL","x"]})";
  CHECK(facts(parts).info->health_check == core::HealthCheck{});
  parts.health_check =
      R"({"Test":["CMD"],"Interval":-1,"Timeout":9223372036854775807,"Retries":-3,"StartPeriod":"x"})";
  CHECK(facts(parts).info->health_check == core::HealthCheck{30s, 168h, 0s, 3});
  for (const char* text : {"-1", "9223372036854775807"}) {
    parts.stop_timeout = text;
    CHECK(facts(parts).info->stop_timeout == Duration{1h});
  }
  parts.stop_timeout = "null";
  CHECK(facts(parts).info->stop_timeout == Duration{10s});
  parts.stop_timeout = "0";
  CHECK(facts(parts).info->stop_timeout == Duration{});
}

TEST_CASE("a health check that stopped is stale") {
  constexpr std::int64_t second = 1'000'000'000;
  Parts parts;
  CHECK_FALSE(
      facts(parts, {}, now + 18 * second).status.health_stale);  // 3 x (5 s + 2 s) after 19:45:20
  CHECK(facts(parts, {}, now + 20 * second).status.health_stale);
  parts.state =
      R"({"Status":"running","StartedAt":"2026-11-22T19:44:22Z","Health":{"Status":"starting","Log":null}})";
  CHECK(facts(parts).status.health_stale);
  parts.state =
      R"({"Status":"paused","StartedAt":"2026-11-22T19:44:22Z","Health":{"Status":"unhealthy","Log":[]}})";
  CHECK_FALSE(facts(parts).status.health_stale);
  CHECK(facts(parts).status.run == core::RunState::paused);
  CHECK(facts(parts).status.uptime == Duration{1min});
}

TEST_CASE("states that are not running") {
  Parts parts;
  parts.state =
      R"({"Status":"exited","ExitCode":137,"OOMKilled":true,"StartedAt":"2026-11-22T19:44:22Z","Health":{"Status":"unhealthy"}})";
  auto f = facts(parts);
  CHECK(f.status.run == core::RunState::exited);
  CHECK(f.status.exit_code == 137);
  CHECK(f.status.oom_killed);
  CHECK(f.status.uptime == Duration{});
  CHECK(f.status.address.empty());
  parts.state = R"({"Status":"created","StartedAt":"0001-01-01T00:00:00Z"})";
  f = facts(parts);
  CHECK(f.status.started_at == 0);
  CHECK(f.status.health == core::EngineHealth::none);
  // A start in the Engine's future is no negative uptime.
  parts.state = R"({"Status":"running","StartedAt":"2027-11-22T19:44:22Z"})";
  CHECK(facts(parts).status.uptime == Duration{});
}

TEST_CASE("hostile inspects") {
  const std::string good = Parts{}.text();
  for (const std::string& bad :
       {std::string(), std::string("{}"), std::string("[]"), std::string("null"),
        std::string(R"({"Id":"abc","State":{},"Config":{}})"), R"({"Id":")" + id + R"("})",
        R"({"Id":")" + id + R"(","State":[],"Config":{}})",
        R"({"Id":")" + id + R"(","State":{"Status":5},"Config":{}})",
        good.substr(0, good.size() / 2),
        R"({"Id":")" + id + R"(","Config":)" + std::string(400'000, '[')}) {
    INFO(bad.substr(0, 80));
    CHECK_FALSE(parse_inspect(bad, {}, now));
  }
  Parts odd;
  odd.labels = R"({"sentinel.enable":true,"x":{"y":1},"sentinel.name":["a"]})";
  odd.networks = "[1,2]";
  odd.host = "7";
  odd.state =
      R"({"Status":"running","ExitCode":"x","StartedAt":9,"Health":{"Status":[],"Log":{"a":1},"FailingStreak":-4}})";
  const auto f = facts(odd);
  CHECK_FALSE(f.info->settings.enabled);
  CHECK(f.status.exit_code == 0);
  CHECK(f.status.failing_streak == 0);
  Parts long_output;
  long_output.state = R"({"Status":"running","Health":{"Status":"unhealthy","Log":[{"Output":")" +
                      std::string(50'000, 'x') + R"("}]}})";
  CHECK(facts(long_output).status.health_output.size() <= health_output_bytes);
}

TEST_CASE("every prefix of an inspect is refused") {
  const std::string good = Parts{}.text();
  for (std::size_t size = 0; size < good.size(); ++size) {
    const bool refused = !parse_inspect(good.substr(0, size), {}, now).has_value();
    if (!refused) FAIL("accepted a prefix of " << size);
  }
}

TEST_CASE("our own place") {
  const auto place = parse_own_place(Parts{}.text());
  REQUIRE(place);
  CHECK(place->container->hex() == id);
  CHECK_FALSE(place->host_network);
  CHECK(place->networks == std::set<std::string, std::less<>>{"n1", "n2"});
  Parts host;
  host.host = R"({"NetworkMode":"host"})";
  CHECK(parse_own_place(host.text())->host_network);
  CHECK_FALSE(parse_own_place("{}"));
}
