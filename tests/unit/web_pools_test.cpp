// The failover beside the monitor: what is known of it, how it is shown, and how changes go to it.

#include <catch2/catch_test_macros.hpp>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "web/api.hpp"
#include "web_services.hpp"

using namespace sentinel;
using namespace std::chrono_literals;
using io::HttpResponse;
using Json = nlohmann::json;
using protocol::ReportedPool;
using web::KnownPools;

namespace {

constexpr std::int64_t wall = 1'700'000'000'000;

ReportedPool pool(const std::string& name, std::uint64_t flows = 0) {
  ReportedPool made{.name = name, .state = core::PoolState::up};
  made.servers.push_back({.name = "alpha",
                          .state = core::ServerState::up,
                          .since = wall,
                          .in_use = true,
                          .addresses = {*core::IpAddress::parse("198.51.100.11")},
                          .flows = flows});
  return made;
}

KnownPools::Answer told(std::vector<ReportedPool> pools) { return pools; }
KnownPools::Answer silence(const std::string& text, bool absent = false) {
  return std::unexpected(web::FailoverSilence{text, absent});
}

/// An API with a failover whose answers wait until the test gives them.
struct Fixture {
  Fixture() {
    web::FailoverBackend backend;
    backend.state = [this]() -> const web::FailoverState& { return known.state(); };
    backend.on_interest = [this] { ++interest; };
    backend.refresh = [this](std::function<void()> done) { waiting.push_back(std::move(done)); };
    backend.change = [this](std::string target, std::string body, web::FailoverBackend::Done done) {
      if (answer) return false;
      asked.emplace_back(std::move(target), Json::parse(body));
      answer = std::move(done);
      return true;
    };
    api.set_failover(std::move(backend));
    known.on(told({pool("web")}), core::Time{}, wall);
  }

  web::ApiSource source() {
    web::ApiSource made = test::source_of(services);
    made.now = [] { return core::Time{70s}; };
    made.unix_ms = [] { return wall; };
    made.process = [] { return web::ProcessView{}; };
    made.needs = [] { return std::vector<core::ServiceNeeds>{}; };
    made.journal = &journal;
    return made;
  }

  HttpResponse call(const std::string& method, const std::string& path, const std::string& body,
                    io::HttpFields fields = {{"Content-Type", "application/json"}},
                    bool local = true) {
    return api.handle({.method = method,
                       .path = path,
                       .fields = std::move(fields),
                       .body = body,
                       .local = local});
  }

  /// The answer of a call that is passed on, once the failover has said this.
  HttpResponse passed(const std::string& path, const std::string& body,
                      std::expected<web::FailoverAnswer, std::string> said,
                      io::HttpFields fields = {{"Content-Type", "application/json"}}) {
    const HttpResponse first = call("POST", path, body, std::move(fields));
    REQUIRE(first.later);
    std::optional<HttpResponse> last;
    first.later([&last](HttpResponse given) { last = std::move(given); });
    REQUIRE_FALSE(last);
    REQUIRE(answer);
    std::exchange(answer, nullptr)(std::move(said));
    REQUIRE(last);
    return *last;
  }

  KnownPools known{false};
  unsigned interest = 0;
  std::vector<std::function<void()>> waiting;
  std::vector<std::pair<std::string, Json>> asked;
  web::FailoverBackend::Done answer;
  std::vector<core::ServiceView> services;
  web::Journal journal;
  web::Api api{source(), "0123456789abcdef"};
};

std::string detail(const HttpResponse& response) {
  CHECK(response.content_type == "application/problem+json");
  return Json::parse(response.body).at("detail");
}

}  // namespace

TEST_CASE("without a socket there is no failover, unless one is expected or was there") {
  KnownPools known{false};
  CHECK_FALSE(known.state().configured);
  CHECK_FALSE(known.on(silence("there is no socket", true), {}, wall).any());
  CHECK_FALSE(known.state().configured);
  CHECK(known.state().reason == "there is no failover on this host");
  // One that may not be opened is there all the same.
  CHECK(known.on(silence("permission denied"), {}, wall).failover);
  CHECK(known.state().configured);
  CHECK(known.state().reason == "permission denied");
  CHECK(known.on(told({}), {}, wall).failover);
  CHECK(known.state().up);
  // It takes its socket away when it ends.
  CHECK(known.on(silence("there is no socket", true), {}, wall + 5).failover);
  CHECK(known.state().configured);
  CHECK_FALSE(known.state().up);
  CHECK(known.state().as_of == wall);

  KnownPools named{true};
  CHECK(named.state().configured);
  CHECK(named.on(silence("there is no socket", true), {}, wall).failover);
  CHECK(named.state().configured);
  CHECK(named.state().reason == "there is no socket");
}

TEST_CASE("what changed is found by comparing") {
  KnownPools known{true};
  auto changes = known.on(told({pool("mail"), pool("web")}), {}, wall);
  CHECK(changes.failover);
  CHECK(changes.pools == std::vector<std::string>{"mail", "web"});
  CHECK_FALSE(known.on(told({pool("mail"), pool("web")}), {}, wall).any());
  // Connections count: they are what a drain waits for.
  changes = known.on(told({pool("mail"), pool("web", 3)}), {}, wall);
  CHECK_FALSE(changes.failover);
  CHECK(changes.pools == std::vector<std::string>{"web"});
  ReportedPool moved = pool("web", 3);
  *moved.servers[0].since += 1;
  CHECK_FALSE(known.on(told({pool("mail"), moved}), {}, wall).any());
  changes = known.on(told({moved}), {}, wall);
  CHECK(changes.pools.empty());
  CHECK(changes.gone == std::vector<std::string>{"mail"});
  // While it is silent they stay, and are compared with what it says next.
  changes = known.on(silence("connection refused"), {}, wall + 1000);
  CHECK(changes.failover);
  CHECK(changes.gone.empty());
  CHECK(known.state().pools.size() == 1);
  CHECK_FALSE(known.on(silence("connection refused"), {}, wall).any());
  CHECK(known.on(silence("no answer"), {}, wall).failover);
  changes = known.on(told({moved}), {}, wall + 3000);
  CHECK(changes.failover);
  CHECK(changes.pools.empty());
  CHECK(known.state().as_of == wall + 3000);
}

TEST_CASE("it is asked more often while somebody looks") {
  KnownPools known{true};
  const core::Time start{1000s};
  CHECK(known.next(false) <= start);
  CHECK_FALSE(known.fresh(start));
  known.on(told({}), start, wall);
  CHECK(known.next(false) == start + KnownPools::seldom);
  CHECK(known.next(true) == start + KnownPools::often);
  CHECK(known.fresh(start + 1s));
  CHECK_FALSE(known.fresh(start + KnownPools::often));
  known.on_interest(start + 5s);
  CHECK(known.next(false) == start + KnownPools::often);
  known.on(told({}), start + 5s + KnownPools::interest - 1s, wall);
  CHECK(known.next(false) == start + 5s + KnownPools::interest - 1s + KnownPools::often);
  known.on(silence("gone"), start + 5s + KnownPools::interest, wall);
  CHECK(known.next(false) == start + 5s + KnownPools::interest + KnownPools::seldom);
}

TEST_CASE_METHOD(Fixture, "pools are shown when what is known is new enough") {
  const HttpResponse first = call("GET", "/api/v1/pools", {});
  REQUIRE(first.later);
  std::optional<HttpResponse> last;
  first.later([&last](HttpResponse given) { last = std::move(given); });
  CHECK_FALSE(last);
  known.on(told({pool("web", 9)}), core::Time{}, wall + 1);
  REQUIRE(waiting.size() == 1);
  waiting[0]();
  REQUIRE(last);
  CHECK(last->status == 200);
  const auto json = Json::parse(last->body);
  CHECK(json.at("failover") == Json{{"configured", true},
                                    {"up", true},
                                    {"reason", ""},
                                    {"as_of", "2023-11-14T22:13:20.001Z"}});
  const Json& server = json.at("pools").at(0).at("servers").at(0);
  CHECK(server.at("flows") == 9);
  CHECK(server.at("pool") == "web");
  CHECK(server.at("since") == "2023-11-14T22:13:20.000Z");
  CHECK(server.at("addresses") == Json{"198.51.100.11"});
  CHECK(server.at("port").is_null());
  CHECK(server.at("drain").is_null());
}

TEST_CASE_METHOD(Fixture, "a monitor that looks for no failover says so") {
  api.set_failover({});
  const HttpResponse response = call("GET", "/api/v1/pools", {});
  CHECK(response.status == 200);
  const auto json = Json::parse(response.body);
  CHECK(json.at("failover").at("configured") == false);
  CHECK(json.at("pools").empty());
  CHECK(call("POST", "/api/v1/drain", R"({"server":"alpha"})").status == 409);
}

TEST_CASE_METHOD(Fixture, "those who listen are told of what changed") {
  std::string text;
  const HttpResponse response = call("GET", "/api/v1/events", {});
  REQUIRE(response.stream);
  response.stream([&text](const std::shared_ptr<const std::string>& more) {
    if (more) text += *more;
    return true;
  });
  CHECK(interest == 1);
  CHECK(text.contains(R"("failover":{"configured":true,"up":true)"));
  CHECK(text.contains(R"("pools":[{"name":"web")"));
  const auto tell = [&](KnownPools::Answer heard) {
    text.clear();
    api.live().on(known.on(std::move(heard), core::Time{}, wall));
    api.live().tell();
  };
  tell(told({pool("web", 5)}));
  CHECK(text.starts_with("event: pool\n"));
  CHECK(text.contains(R"("flows":5)"));
  tell(told({pool("web", 5)}));
  CHECK(text.empty());
  tell(silence("connection refused"));
  CHECK(text.starts_with("event: failover\n"));
  CHECK(text.contains(R"("up":false,"reason":"connection refused")"));
  tell(told({pool("mail")}));
  CHECK(text.contains("event: failover\n"));
  CHECK(text.contains(R"(data: {"full_name":"pool:web"})"));
  CHECK(text.contains(R"(data: {"name":"mail")"));
}

TEST_CASE_METHOD(Fixture, "a drain is passed on, with what is known and nothing else") {
  const auto response = passed(
      "/api/v1/drain",
      R"({"pool":"web","server":"alpha","for":"30m","deadline":"0","force":true,"more":[1]})",
      web::FailoverAnswer{200, R"({"pool":"other","server":"<b>"})"});
  CHECK(response.status == 200);
  CHECK(Json::parse(response.body) == Json{{"pool", "web"}, {"server", "alpha"}});
  REQUIRE(asked.size() == 1);
  CHECK(asked[0].first == "/api/v1/drain");
  CHECK(asked[0].second == Json{{"server", "alpha"},
                                {"pool", "web"},
                                {"by", "the monitor's API"},
                                {"for", "30m"},
                                {"deadline", "0"},
                                {"force", true}});
}

TEST_CASE_METHOD(Fixture, "ready is passed on; who asks is said") {
  const io::HttpFields page{
      {"Content-Type", "application/json"}, {"Host", "localhost"}, {"Origin", "http://localhost"}};
  passed("/api/v1/ready", R"({"server":"alpha","for":"30m"})", web::FailoverAnswer{200, "{}"},
         page);
  passed("/api/v1/ready", R"({"server":"alpha","by":"ann\u001b"})", web::FailoverAnswer{200, "{}"});
  REQUIRE(asked.size() == 2);
  CHECK(asked[0] == std::pair{std::string{"/api/v1/ready"},
                              Json{{"server", "alpha"}, {"by", "the dashboard"}}});
  CHECK(asked[1].second == Json{{"server", "alpha"}, {"by", "ann\\x1B"}});
}

TEST_CASE_METHOD(Fixture, "what the failover refuses is refused in its words") {
  const std::string body = R"({"server":"alpha"})";
  const auto answered = [&](unsigned status, const std::string& text) {
    return passed("/api/v1/drain", body, web::FailoverAnswer{status, text});
  };
  auto response = answered(409, R"({"title":"Conflict","detail":"alpha is the last\nserver"})");
  CHECK(response.status == 409);
  CHECK(detail(response) == "alpha is the last server");
  response = answered(400, "no json");
  CHECK(response.status == 400);
  CHECK(detail(response) == "the failover refused it");
  response = answered(403, R"({"detail":"over the Unix socket only"})");
  CHECK(response.status == 502);
  CHECK(detail(response) == "the failover answered 403: over the Unix socket only");
  CHECK(answered(204, "").status == 502);
  response = passed("/api/v1/drain", body, std::unexpected("no answer\x1b within 5 s"));
  CHECK(response.status == 502);
  CHECK(detail(response) == "the failover does not answer: no answer\\x1B within 5 s");
}

TEST_CASE_METHOD(Fixture, "one change at a time") {
  const HttpResponse first = call("POST", "/api/v1/drain", R"({"server":"alpha"})");
  first.later([](const HttpResponse&) {});
  const HttpResponse second = call("POST", "/api/v1/ready", R"({"server":"alpha"})");
  std::optional<HttpResponse> refused;
  second.later([&refused](HttpResponse given) { refused = std::move(given); });
  REQUIRE(refused);
  CHECK(refused->status == 503);
  CHECK(std::ranges::contains(refused->headers,
                              std::pair{std::string{"Retry-After"}, std::string{"1"}}));
  CHECK(asked.size() == 1);
}

TEST_CASE_METHOD(Fixture, "what is no valid change does not reach the failover") {
  for (const char* body :
       {"", "[]", "{}", "7", R"({"server":""})", R"({"server":7})", R"({"server":"a\nb"})",
        R"({"server":"alpha","pool":7})", R"({"server":"alpha","pool":"\u001b"})",
        R"({"server":"alpha","by":7})", R"({"server":"alpha","for":"0s"})",
        R"({"server":"alpha","for":"31d"})", R"({"server":"alpha","for":30})",
        R"({"server":"alpha","deadline":"soon"})", R"({"server":"alpha","force":"yes"})"}) {
    INFO(body);
    CHECK(call("POST", "/api/v1/drain", body).status == 400);
  }
  CHECK(call("POST", "/api/v1/ready", R"({"server":"alpha","pool":"\u001b"})").status == 400);
  CHECK(call("POST", "/api/v1/drain", R"({"server":"alpha"})", {}).status == 415);
  const io::HttpFields json{{"Content-Type", "application/json"}};
  CHECK(call("POST", "/api/v1/drain", R"({"server":"alpha"})", json, false).status == 401);
  CHECK(call("GET", "/api/v1/drain", {}).status == 405);
  CHECK(call("PUT", "/api/v1/ready", "{}").status == 405);
  CHECK(asked.empty());
}
