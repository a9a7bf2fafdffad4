// What the failover tells of its pools, and what somebody else might say at its socket.

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "protocol/pools.hpp"

using namespace sentinel;
using namespace sentinel::protocol;
using Json = nlohmann::json;

namespace {

Json server(const std::string& name) {
  return Json::parse(R"({
    "name": "", "pool": "web", "state": "draining", "reason": "", "since": "2023-11-14T22:13:20.123Z",
    "for_seconds": 3.5, "in_use": false, "kept": false, "addresses": ["198.51.100.11", "2001:db8::11"],
    "port": 8080, "weight": 2, "role": "active", "share": 0.5, "slots": 30, "flows": 7, "ejections": 1,
    "hold_down_seconds": 20, "mark": 256, "mark_mask": 65280,
    "drain": {"by": "root", "since": "2023-11-14T22:13:20.124Z", "until": null, "deadline": null,
              "finished": false}})")
      .patch(Json::array({{{"op", "replace"}, {"path", "/name"}, {"value", name}}}));
}

Json pool(const std::string& name) {
  Json json = Json::parse(R"({"name": "", "state": "last-known", "listen": [
    {"address": "203.0.113.1", "protocol": "udp", "port": 53}], "schedule": "source-hash",
    "eject": "service", "all_down": "reject", "masquerade": false, "slots": 61, "servers": []})");
  json["name"] = name;
  json["servers"] = Json::array({server("a"), server("b")});
  return json;
}

Json one_pool() { return {{"pools", Json::array({pool("web")})}}; }

std::string error_of(const Json& json) {
  const auto read = parse_pools(json.dump());
  return read ? "none" : read.error().message;
}

}  // namespace

TEST_CASE("pools are taken with what is known of them") {
  Json json = one_pool();
  json["new"] = {{"field", 1}};
  json["pools"][0]["servers"][0]["another"] = "one";
  const auto read = parse_pools(json.dump());
  REQUIRE(read);
  REQUIRE(read->size() == 1);
  const ReportedPool& web = read->front();
  CHECK(web.name == "web");
  CHECK(web.state == core::PoolState::last_known);
  CHECK(web.schedule == core::Schedule::source_hash);
  REQUIRE(web.listen.size() == 1);
  CHECK(web.listen[0].address.to_string() == "203.0.113.1");
  CHECK(web.listen[0].protocol == core::L4::udp);
  CHECK(web.listen[0].port == 53);
  REQUIRE(web.servers.size() == 2);
  const ReportedServer& a = web.servers[0];
  CHECK(a.name == "a");
  CHECK(a.state == core::ServerState::draining);
  CHECK(a.since == 1'700'000'000'123);
  CHECK(a.addresses.size() == 2);
  CHECK(a.port == 8080);
  CHECK(a.weight == 2);
  CHECK(a.share == 0.5);
  CHECK(a.flows == 7);
  CHECK(a.hold_down_seconds == 20);
  REQUIRE(a.drain);
  CHECK(a.drain->by == "root");
  CHECK(a.drain->since == 1'700'000'000'124);
  CHECK_FALSE(a.drain->until);
  CHECK(parse_pools(R"({"pools":[]})")->empty());
}

TEST_CASE("what may be missing or null") {
  Json json = one_pool();
  Json& a = json["pools"][0]["servers"][0];
  for (const char* key : {"since", "port", "flows", "drain"}) a[key] = nullptr;
  for (const char* key : {"reason", "kept", "share", "hold_down_seconds", "pool"}) a.erase(key);
  const auto read = parse_pools(json.dump());
  REQUIRE(read);
  const ReportedServer& server = read->front().servers[0];
  CHECK_FALSE(server.port);
  CHECK_FALSE(server.flows);
  CHECK_FALSE(server.drain);
  CHECK(server.share == 1.0);
}

TEST_CASE("whatever is not as documented spoils the whole") {
  struct Change {
    const char* where;
    Json value;
  };
  const auto change = GENERATE(
      Change{"/pools", nullptr}, Change{"/pools", "web"}, Change{"/pools/0", 7},
      Change{"/pools/0/name", ""}, Change{"/pools/0/name", "a\nb"}, Change{"/pools/0/name", 1},
      Change{"/pools/0/name", std::string(129, 'x')}, Change{"/pools/0/state", "fine"},
      Change{"/pools/0/listen", Json::object()}, Change{"/pools/0/listen/0", "203.0.113.1:53"},
      Change{"/pools/0/listen/0/port", 65536}, Change{"/pools/0/listen/0/port", "53"},
      Change{"/pools/0/listen/0/protocol", "sctp"}, Change{"/pools/0/schedule", nullptr},
      Change{"/pools/0/slots", -1}, Change{"/pools/0/servers/1/name", "a"},
      Change{"/pools/0/servers/0/state", "UP"}, Change{"/pools/0/servers/0/reason", 5},
      Change{"/pools/0/servers/0/since", "yesterday"}, Change{"/pools/0/servers/0/in_use", "yes"},
      Change{"/pools/0/servers/0/addresses", "198.51.100.11"},
      Change{"/pools/0/servers/0/addresses/0", "web-1.example.org"},
      Change{"/pools/0/servers/0/addresses/0", "<b>198.51.100.11</b>"},
      Change{"/pools/0/servers/0/port", -1}, Change{"/pools/0/servers/0/weight", 1.5},
      Change{"/pools/0/servers/0/role", "spare"}, Change{"/pools/0/servers/0/share", 1.5},
      Change{"/pools/0/servers/0/share", -0.5}, Change{"/pools/0/servers/0/share", "1"},
      Change{"/pools/0/servers/0/slots", 1e12}, Change{"/pools/0/servers/0/flows", -1},
      Change{"/pools/0/servers/0/flows", 1e300},
      Change{"/pools/0/servers/0/hold_down_seconds", 1e10},
      Change{"/pools/0/servers/0/drain", true}, Change{"/pools/0/servers/0/drain/since", 5},
      Change{"/pools/0/servers/0/drain/finished", "no"});
  Json json = one_pool();
  json[Json::json_pointer{change.where}] = change.value;
  INFO(change.where << " = " << change.value);
  CHECK(error_of(json) != "none");
}

TEST_CASE("text that is no such answer") {
  for (const char* text : {"", "[]", "7", "{}", "{\"pools\":[", "<html>", "{\"pools\":[]} x",
                           "{\"pools\":[{\"name\":\"\xff\"}]}"}) {
    INFO(text);
    CHECK_FALSE(parse_pools(text));
  }
  CHECK_FALSE(parse_pools(std::string(max_reported_body + 1, ' ')));
}

TEST_CASE("texts are made safe to print, and bounded") {
  Json json = one_pool();
  Json& a = json["pools"][0]["servers"][0];
  a["reason"] = "said \x1b[31m" + std::string(1000, 'x');
  a["drain"]["by"] = "a\nb\u202e";
  const auto read = parse_pools(json.dump());
  REQUIRE(read);
  const ReportedServer& server = read->front().servers[0];
  CHECK(server.reason.starts_with("said \\x1b[31mxxx"));
  CHECK(server.reason.size() <= max_reported_text);
  CHECK(server.drain->by == "a b\\u{202e}");
}

TEST_CASE("counts have limits") {
  Json json{{"pools", Json::array()}};
  for (std::size_t i = 0; i < max_reported_pools; ++i) {
    Json one = pool("p" + std::to_string(i));
    one["servers"] = Json::array();
    json["pools"].push_back(std::move(one));
  }
  CHECK(error_of(json) == "none");
  Json more = json;
  more["pools"].push_back(pool("one more"));
  CHECK(error_of(more).starts_with("pools: "));
  json["pools"][1]["name"] = "p0";
  CHECK(error_of(json) == "pools: one comes twice");

  Json crowd = one_pool();
  crowd["pools"].push_back(pool("mail"));
  for (auto& pool : crowd["pools"]) {
    pool["servers"] = Json::array();
    for (std::size_t i = 0; i < max_reported_servers / 2; ++i) {
      Json one = server("s" + std::to_string(i));
      one["drain"] = nullptr;
      pool["servers"].push_back(std::move(one));
    }
  }
  CHECK(error_of(crowd) == "none");
  crowd["pools"][0]["servers"].push_back(server("one more"));
  CHECK(error_of(crowd).starts_with("servers: "));

  Json addresses = one_pool();
  for (std::size_t i = 0; i < max_reported_addresses; ++i)
    addresses["pools"][0]["servers"][0]["addresses"].push_back("198.51.100.1");
  CHECK(error_of(addresses).starts_with("addresses: "));
}

TEST_CASE("a millisecond between two clocks is no change") {
  const auto before = parse_pools(one_pool().dump())->front();
  Json json = one_pool();
  json["pools"][0]["servers"][0]["since"] = "2023-11-14T22:13:20.125Z";
  json["pools"][0]["servers"][0]["drain"]["since"] = "2023-11-14T22:13:20.100Z";
  auto fresh = parse_pools(json.dump())->front();
  CHECK(fresh != before);
  settle_times(fresh, before);
  CHECK(fresh == before);
  json["pools"][0]["servers"][0]["since"] = "2023-11-14T22:13:21.123Z";
  fresh = parse_pools(json.dump())->front();
  settle_times(fresh, before);
  CHECK(fresh.servers[0].since == 1'700'000'001'123);
}

TEST_CASE("the words of a refusal") {
  CHECK(problem_text(R"({"title":"Conflict","detail":"web-1 is\nthe last"})") ==
        "web-1 is the last");
  CHECK(problem_text(R"({"title":"Conflict"})") == "Conflict");
  CHECK(problem_text(R"({"detail":7})").empty());
  CHECK(problem_text("<html>").empty());
  CHECK(problem_text("{\"detail\":\"" + std::string(9000, 'x') + "\"}").size() <=
        max_reported_text);
}
