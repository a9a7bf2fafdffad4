#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "web/api.hpp"

using namespace sentinel;
using namespace std::chrono_literals;
using io::HttpResponse;
using Json = nlohmann::json;

namespace {

struct Fixture {
  Fixture() {
    core::ServiceView v;
    v.id = 1;
    v.key = {"shop", "web", 1};
    v.name = "web";
    v.state = core::State::unhealthy;
    v.since = core::Time{10s};
    v.reason = "said \xFF \"quoted\"";
    v.decision = "restart in 2 s";
    v.container = *core::ContainerId::parse(std::string(64, 'a'));
    v.overlays.flapping = true;
    services.push_back(v);
    v.id = 2;
    v.key.replica = 2;
    services.push_back(v);
    process.engine_up = true;
    process.synchronised = true;
    process.store_durable = true;
  }

  HttpResponse get(const std::string& path, const std::string& query = {}) {
    return api.handle(
        {.method = "GET", .path = path, .query = query, .fields = {}, .body = {}, .local = false});
  }
  HttpResponse post(const std::string& body, bool local,
                    io::HttpFields fields = {{"Content-Type", "application/json"}}) {
    return api.handle({.method = "POST",
                       .path = "/api/v1/maintenance",
                       .query = {},
                       .fields = std::move(fields),
                       .body = body,
                       .local = local});
  }
  std::vector<core::ServiceView> find(std::string_view name) const {
    if (name == "web") return services;
    std::vector<core::ServiceView> found;
    for (const auto& v : services) {
      if (v.key.to_string() == name) found.push_back(v);
    }
    return found;
  }

  std::vector<core::ServiceView> services;
  std::vector<core::ServiceNeeds> needs;
  web::ProcessView process;
  web::Journal journal;
  std::vector<std::pair<core::ServiceKey, core::Duration>> maintenance;
  web::Api api{{.now = [] { return core::Time{70s}; },
                .unix_ms = [] { return std::int64_t{1'700'000'000'000}; },
                .process = [this] { return process; },
                .services = [this] { return services; },
                .find = [this](std::string_view name) { return find(name); },
                .service =
                    [this](core::ServiceId id) {
                      const auto found = std::ranges::find(services, id, &core::ServiceView::id);
                      return found == services.end() ? std::nullopt : std::optional(*found);
                    },
                .needs = [this] { return needs; },
                .metrics = [] { return std::string{"x 1\n"}; },
                .set_maintenance = [this](const core::ServiceKey& key,
                                          core::Duration d) { maintenance.emplace_back(key, d); },
                .restart_problem = {},
                .release_problem = {},
                .restart = {},
                .release = {},
                .logs = {},
                .journal = &journal},
               {}};
};

}  // namespace

TEST_CASE_METHOD(Fixture,
                 "live is whoever answers, ready is who sees the Engine and keeps what it must") {
  CHECK(get("/livez").status == 200);
  CHECK(get("/readyz").status == 200);
  process.engine_up = false;
  process.engine_reason = "permission denied";
  process.store_durable = false;
  const auto response = get("/readyz");
  CHECK(response.status == 503);
  const auto json = Json::parse(response.body);
  CHECK(json.at("reasons").size() == 2);
  CHECK(json.at("reasons")[0] == "permission denied");
  CHECK(get("/livez").status == 200);
  process.engine_up = true;
  process.store_durable = true;
  process.synchronised = false;
  CHECK(get("/readyz").status == 503);
  // Targets alone need no Engine.
  process.has_engine = false;
  process.engine_up = false;
  CHECK(get("/readyz").status == 200);
  process.store_durable = false;
  CHECK(get("/readyz").status == 503);
}

TEST_CASE_METHOD(Fixture, "metrics have the type Prometheus insists on") {
  const auto response = get("/metrics");
  CHECK(response.status == 200);
  CHECK(response.content_type == "text/plain; version=0.0.4; charset=utf-8");
  CHECK(response.compressible);
}

TEST_CASE_METHOD(Fixture, "services as JSON, whatever their texts hold") {
  const auto json = Json::parse(get("/api/v1/services").body);
  REQUIRE(json.at("services").size() == 2);
  const auto& one = json.at("services")[0];
  CHECK(one.at("full_name") == "shop/web/1");
  CHECK(one.at("state") == "unhealthy");
  CHECK(one.at("for_seconds") == 60);
  CHECK(one.at("since") == "2023-11-14T22:12:20.000Z");
  CHECK(one.at("overlays") == Json::array({"flapping"}));
  CHECK(one.at("reason") == "said \xEF\xBF\xBD \"quoted\"");
  CHECK(Json::parse(get("/api/v1/status").body).at("states").at("unhealthy") == 2);
}

TEST_CASE_METHOD(Fixture, "one service by name; unknown and ambiguous names are problems") {
  core::Notice notice;
  notice.service = 1;
  notice.key = services[0].key;
  notice.text = "left alone";
  journal.on(notice, 1'700'000'000'000);
  const auto json = Json::parse(get("/api/v1/services/shop/web/1").body);
  CHECK(json.at("decision") == "restart in 2 s");
  CHECK(json.at("decisions")[0].at("text") == "left alone");
  CHECK(json.at("settings").at("heal") == "restart");
  CHECK(get("/api/v1/explain", "service=shop%2Fweb%2F1").status == 200);
  CHECK(get("/api/v1/services/nobody").status == 404);
  CHECK(get("/api/v1/explain", "service=web").status == 409);
  CHECK(get("/api/v1/explain").status == 400);
  CHECK(get("/api/v1/decisions").status == 200);
  CHECK(get("/api/v1/decisions", "service=nobody").status == 404);
  const auto problem = get("/api/v1/services/%22evil%22\x1b");
  CHECK(problem.content_type == "application/problem+json");
  CHECK(Json::parse(problem.body).at("status") == 404);
}

TEST_CASE_METHOD(Fixture, "unknown paths and methods") {
  CHECK(get("/").status == 200);
  CHECK(get("/nothing").status == 404);
  auto response = api.handle(
      {.method = "POST", .path = "/metrics", .query = {}, .fields = {}, .body = {}, .local = true});
  CHECK(response.status == 405);
}

TEST_CASE_METHOD(Fixture, "maintenance is told with its end") {
  services[0].overlays.maintenance = true;
  services[0].maintenance = "asked for, 2 min left";
  services[0].maintenance_until = core::Time{190s};
  services[1].overlays.maintenance = true;
  services[1].maintenance = "being recreated, 10 s left";
  const auto list = Json::parse(get("/api/v1/maintenance").body).at("maintenance");
  REQUIRE(list.size() == 2);
  CHECK(list[0].at("until") == "2023-11-14T22:15:20.000Z");
  CHECK(list[0].at("reason") == "asked for, 2 min left");
  CHECK(list[1].at("until").is_null());
  const auto shown = Json::parse(get("/api/v1/services").body).at("services");
  CHECK(shown[0].at("maintenance_until") == "2023-11-14T22:15:20.000Z");
  CHECK(shown[1].at("maintenance_until").is_null());
}

TEST_CASE_METHOD(Fixture, "maintenance over the Unix socket") {
  CHECK(post(R"({"service":"shop/web/2","for":"30m"})", true).status == 200);
  CHECK(post(R"({"service":"shop/web/2","end":true})", true).status == 200);
  REQUIRE(maintenance.size() == 2);
  CHECK(maintenance[0].first.replica == 2);
  CHECK(maintenance[0].second == 30min);
  CHECK(maintenance[1].second == 0s);
  CHECK(post(R"({"service":"nobody","for":"30m"})", true).status == 404);
  CHECK(post(R"({"service":"web","for":"30m"})", true).status == 409);
  for (const char* bad :
       {"", "[]", "{}", R"({"service":"shop/web/1"})", R"({"service":"shop/web/1","for":"lots"})",
        R"({"service":"shop/web/1","for":"31d"})",
        R"({"service":"shop/web/1","for":"1h","end":true})", R"({"service":7,"for":"1h"})"}) {
    INFO(bad);
    CHECK(post(bad, true).status == 400);
  }
  CHECK(maintenance.size() == 2);
}

TEST_CASE_METHOD(Fixture, "over TCP only with the token, and only when there is one") {
  const std::string body = R"({"service":"shop/web/1","for":"30m"})";
  CHECK(post(body, false).status == 403);
  api.set_token("0123456789abcdef");
  const auto with = [&](const std::string& authorization, io::HttpFields more = {}) {
    more.emplace_back("Content-Type", "application/json; charset=utf-8");
    more.emplace_back("Authorization", authorization);
    more.emplace_back("Host", "127.0.0.1:8090");
    return post(body, false, std::move(more)).status;
  };
  CHECK(post(body, false).status == 401);
  CHECK(with("Bearer 0123456789abcdeX") == 401);
  CHECK(with("Bearer 0123456789abcde") == 401);
  CHECK(with("Bearer ") == 401);
  CHECK(with("Basic 0123456789abcdef") == 401);
  CHECK(with("Bearer 0123456789abcdef", {{"Origin", "http://evil.example"}}) == 403);
  CHECK(maintenance.empty());
  CHECK(with("Bearer 0123456789abcdef", {{"Origin", "http://127.0.0.1:8090"}}) == 200);
  CHECK(with("Bearer 0123456789abcdef") == 200);
  CHECK(post(body, true, {{"Content-Type", "text/plain"}}).status == 415);
}

TEST_CASE("secrets are compared whole") {
  CHECK(web::equal_secrets("abc", "abc"));
  CHECK_FALSE(web::equal_secrets("abc", "abd"));
  CHECK_FALSE(web::equal_secrets("abcabc", "abc"));
  CHECK_FALSE(web::equal_secrets("", "abc"));
  CHECK_FALSE(web::equal_secrets("abc", ""));
}

TEST_CASE("the journal keeps the newest, bounded per service and in all") {
  web::Journal journal{3, 8};
  const auto add = [&](core::ServiceId id, const std::string& text) {
    core::Notice n;
    n.kind = core::NoticeKind::left_alone;
    n.service = id;
    n.key = {"", "s" + std::to_string(id), 1};
    n.text = text;
    journal.on(n, 0);
  };
  for (int i = 0; i < 10; ++i) add(1, "n" + std::to_string(i));
  REQUIRE(journal.of(1).size() == 3);
  CHECK(journal.of(1).front().text == "n7");
  for (core::ServiceId id = 2; id < 20; ++id) add(id, "x");
  CHECK(journal.size() == 8);
  CHECK(journal.newest(100).back().service == "s19");
  CHECK(journal.newest(2).size() == 2);
  core::Notice removed;
  removed.kind = core::NoticeKind::service_removed;
  removed.service = 19;
  journal.on(removed, 0);
  CHECK(journal.of(19).empty());
  CHECK(journal.size() == 7);
}
