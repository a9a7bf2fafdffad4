// The stream of events, and what stands in front of changes.

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "web/api.hpp"
#include "web_services.hpp"

using namespace sentinel;
using namespace std::chrono_literals;
using io::HttpResponse;
using Json = nlohmann::json;

namespace {

struct Event {
  std::string kind;
  std::uint64_t id = 0;
  Json data;
};

std::string take_line(std::string& text) {
  const auto end = text.find('\n');
  REQUIRE(end != std::string::npos);
  std::string line = text.substr(0, end);
  text.erase(0, end + 1);
  return line;
}

/// A page that listens.
struct Listener {
  std::string text;
  bool gone = false;

  std::vector<Event> events() {
    std::vector<Event> found;
    while (!text.empty()) {
      Event event;
      event.kind = take_line(text).substr(7);
      event.id = std::stoull(take_line(text).substr(4));
      event.data = Json::parse(take_line(text).substr(6));
      CHECK(take_line(text).empty());
      found.push_back(std::move(event));
    }
    return found;
  }
};

struct Fixture {
  Fixture() {
    core::ServiceView view;
    view.id = 1;
    view.key = {"shop", "web", 1};
    view.name = "web";
    services.push_back(view);
    view.id = 2;
    view.key = {"shop", "db", 1};
    view.name = "db";
    services.push_back(view);
  }

  web::ApiSource source() {
    web::ApiSource source = test::source_of(services);
    source.now = [this] { return now; };
    source.unix_ms = [] { return std::int64_t{1'700'000'000'000}; };
    source.process = [this] { return process; };
    source.needs = [] {
      return std::vector<core::ServiceNeeds>{{{"shop", "web", 1}, false, {{"shop", "db", 1}}}};
    };
    source.metrics = [] { return std::string{}; };
    source.set_maintenance = [this](const core::ServiceKey&, core::Duration) { ++maintenances; };
    source.restart_problem = [this](core::ServiceId) { return restart_problem; };
    source.release_problem = [this](core::ServiceId) { return release_problem; };
    source.restart = [this](core::RestartService event) { restarted = std::move(event); };
    source.release = [this](core::ReleaseService event) { released = std::move(event); };
    source.logs = [](const core::ContainerId&, const std::function<void(std::string)>& done) {
      done("one\ntwo\nthree\n");
    };
    source.journal = &journal;
    return source;
  }

  HttpResponse get(const std::string& path, io::HttpFields fields = {},
                   const std::string& query = {}) {
    return api.handle({.method = "GET", .path = path, .query = query, .fields = std::move(fields)});
  }

  std::shared_ptr<Listener> listen(io::HttpFields fields = {}, const std::string& query = {}) {
    auto listener = std::make_shared<Listener>();
    const HttpResponse response = get("/api/v1/events", std::move(fields), query);
    REQUIRE(response.stream);
    response.stream([listener](const std::shared_ptr<const std::string>& text) {
      if (text && !listener->gone) listener->text += *text;
      return !listener->gone;
    });
    return listener;
  }

  void happens(const core::Action& action) {
    if (const auto entry = journal.on(action, 1'700'000'000'000)) api.live().on(*entry);
    api.live().on(action);
  }

  core::Notice notice(core::ServiceId id, core::NoticeKind kind) const {
    core::Notice made;
    made.kind = kind;
    made.service = id;
    for (const auto& view : services)
      if (view.id == id) made.key = view.key;
    made.text = "something happened";
    return made;
  }

  unsigned guess(const std::string& peer, const std::string& authorization) {
    return api
        .handle({.method = "POST",
                 .path = "/api/v1/maintenance",
                 .fields = {{"Content-Type", "application/json"},
                            {"Host", "localhost"},
                            {"Authorization", authorization}},
                 .body = R"({"service":"web","for":"30m"})",
                 .peer = peer})
        .status;
  }

  core::Time now{70s};
  std::vector<core::ServiceView> services;
  web::ProcessView process;
  web::Journal journal;
  unsigned maintenances = 0;
  std::string restart_problem;
  std::string release_problem;
  std::optional<core::RestartService> restarted;
  std::optional<core::ReleaseService> released;
  web::Api api{source(), "0123456789abcdef"};
};

}  // namespace

TEST_CASE_METHOD(Fixture, "a stream begins with all there is, and goes on with what changes") {
  const auto page = listen();
  auto events = page->events();
  REQUIRE(events.size() == 1);
  CHECK(events[0].kind == "snapshot");
  const Json& all = events[0].data;
  REQUIRE(all.at("services").size() == 2);
  CHECK(all.at("services")[0].at("depends_on") == Json::array({"shop/db/1"}));
  CHECK(all.at("services")[0].at("incident").is_null());
  CHECK(all.at("status").at("services") == 2);
  CHECK(all.at("engines").size() == 1);
  CHECK(all.at("failover").at("configured") == false);

  services[0].state = core::State::unhealthy;
  happens(notice(1, core::NoticeKind::left_alone));
  happens(notice(1, core::NoticeKind::left_alone));
  CHECK(page->text.empty());
  api.live().tell();
  events = page->events();
  REQUIRE(events.size() == 3);
  CHECK(events[0].kind == "history");
  CHECK(events[0].id == 1);
  CHECK(events[0].data.at("service") == "shop/web/1");
  CHECK(events[2].kind == "service");
  CHECK(events[2].data.at("state") == "unhealthy");
  CHECK(events[2].data.at("depends_on") == Json::array({"shop/db/1"}));
  CHECK(events[2].id == 2);

  happens(notice(2, core::NoticeKind::service_removed));
  happens(notice(0, core::NoticeKind::engine_down));
  services.pop_back();
  api.live().tell();
  events = page->events();
  const auto has = [&](std::string_view kind) {
    return std::ranges::contains(events, kind, &Event::kind);
  };
  CHECK(has("gone"));
  CHECK(has("engine"));
  CHECK_FALSE(has("service"));
  api.live().tell();
  CHECK(page->text.empty());
}

TEST_CASE_METHOD(Fixture, "who comes back gets what was missed, once, and who left is forgotten") {
  const auto page = listen();
  happens(notice(1, core::NoticeKind::left_alone));
  happens(notice(2, core::NoticeKind::left_alone));
  page->gone = true;
  api.live().tell();
  CHECK(api.live().listeners() == 0);
  happens(notice(1, core::NoticeKind::left_alone));

  auto events = listen({{"Last-Event-ID", "1"}})->events();
  REQUIRE(events.size() == 3);
  CHECK(events[0].kind == "snapshot");
  CHECK(events[0].id == 3);
  CHECK(events[1].id == 2);
  CHECK(events[2].id == 3);
  CHECK(listen({}, "after=3")->events().size() == 1);
  CHECK(api.live().listeners() == 2);
  CHECK(get("/api/v1/events", {{"Last-Event-ID", "x"}}).status == 400);
}

TEST_CASE_METHOD(Fixture, "guessing the token is slowed down, for the one who guesses") {
  for (unsigned i = 0; i < web::Guard::max_guesses; ++i) CHECK(guess("a", "Bearer wrong") == 401);
  CHECK(guess("a", "Bearer wrong") == 429);
  CHECK(guess("a", "Bearer 0123456789abcdef") == 429);
  CHECK(guess("b", "Bearer 0123456789abcdef") == 200);
  CHECK(maintenances == 1);
  now += web::Guard::forgotten_after;
  CHECK(guess("a", "Bearer 0123456789abcdef") == 200);
  // Without a token nothing is guessed.
  for (unsigned i = 0; i < 2 * web::Guard::max_guesses; ++i) CHECK(guess("c", "") == 401);
  CHECK(guess("c", "Bearer 0123456789abcdef") == 200);
}

TEST_CASE_METHOD(Fixture, "a crowd of guessers shares one limit and fills no memory") {
  for (std::size_t i = 0; i < web::Guard::max_clients; ++i)
    guess("p" + std::to_string(i), "Bearer wrong");
  unsigned refused = 0;
  for (unsigned i = 0; i < 2 * web::Guard::max_guesses; ++i)
    refused += guess("q" + std::to_string(i), "Bearer wrong") == 429 ? 1U : 0U;
  CHECK(refused >= web::Guard::max_guesses - 1);
}

TEST_CASE_METHOD(Fixture, "services come in pages, and not at all when nothing has changed") {
  const auto first = get("/api/v1/services", {}, "limit=1");
  auto json = Json::parse(first.body);
  CHECK(json.at("services").size() == 1);
  CHECK(json.at("next") == "shop/web/1");
  json = Json::parse(get("/api/v1/services", {}, "limit=1&after=shop%2Fweb%2F1").body);
  CHECK(json.at("services")[0].at("full_name") == "shop/db/1");
  CHECK(json.at("next").is_null());
  for (const char* bad : {"limit=0", "limit=x", "limit=-1", "after=nobody"})
    CHECK(get("/api/v1/services", {}, bad).status == 400);

  const auto tag_of = [](const HttpResponse& response) {
    const auto found =
        std::ranges::find(response.headers, "ETag", [](const auto& f) { return f.first; });
    return found == response.headers.end() ? std::string{} : found->second;
  };
  const std::string tag = tag_of(get("/api/v1/services"));
  REQUIRE_FALSE(tag.empty());
  now += 5s;
  const auto same = get("/api/v1/services", {{"If-None-Match", "\"x\", " + tag}});
  CHECK(same.status == 304);
  CHECK(same.body.empty());
  services[0].state = core::State::degraded;
  CHECK(get("/api/v1/services", {{"If-None-Match", tag}}).status == 200);
}

TEST_CASE_METHOD(Fixture, "a browser gets the dashboard, strictly fenced; others the list") {
  CHECK(get("/").content_type == "text/plain; charset=utf-8");
  const auto page = get("/", {{"Accept", "text/html,*/*"}, {"Accept-Encoding", "gzip, br"}});
  CHECK(page.status == 200);
  CHECK(page.content_type.starts_with("text/html"));
  const auto field = [&page](std::string_view name) {
    std::string value;
    for (const auto& [key, text] : page.headers)
      if (key == name) value = text;
    return value;
  };
  CHECK(field("Content-Encoding") == "gzip");
  CHECK(field("Content-Security-Policy").contains("script-src 'self'"));
  CHECK_FALSE(field("Content-Security-Policy").contains("unsafe"));
  CHECK(get("/", {{"Accept", "text/html"}, {"If-None-Match", field("ETag")}}).status == 304);
  CHECK(get("/", {{"Accept", "text/html"}, {"Accept-Encoding", "identity"}}).status == 406);
  CHECK(get("/ui/../api").status == 404);
}

TEST_CASE_METHOD(Fixture, "a service's probes are shown with the phases that took time") {
  core::ProbeView probe;
  probe.name = "https";
  probe.took = 15ms;
  core::ProbeView idle = probe;
  probe.phases.connect = 1ms;
  probe.phases.tls = 4ms;
  probe.phases.processing = 10ms;
  services[0].probes = {probe, idle};
  const auto probes =
      Json::parse(get("/api/v1/explain", {}, "service=shop/web/1").body).at("probes");
  CHECK(probes.at(0).at("phases") ==
        Json{{"connect", 0.001}, {"tls", 0.004}, {"processing", 0.010}});
  CHECK(probes.at(1).at("phases") == Json::object());
}

TEST_CASE_METHOD(Fixture, "without a journal and without alerting, answers say so") {
  CHECK(get("/api/v1/incidents").status == 503);
  CHECK(get("/api/v1/history").status == 503);
  CHECK(get("/api/v1/services/shop/web/1/timeline").status == 503);
  CHECK(get("/api/v1/services/nobody/timeline").status == 404);
  CHECK(get("/api/v1/incidents", {}, "state=lost").status == 400);
  CHECK(Json::parse(get("/api/v1/alerts").body).at("receivers").empty());
  CHECK(Json::parse(get("/api/v1/silences").body).at("silences").empty());
  CHECK(Json::parse(get("/api/v1/maintenance").body).at("maintenance").empty());
  CHECK(Json::parse(get("/api/v1/engines").body).at("engines").size() == 1);
}

TEST_CASE_METHOD(Fixture, "logs are for those who know the token, and as many lines as asked for") {
  services[0].container = *core::ContainerId::parse(std::string(64, 'a'));
  const auto ask = [this](const std::string& query, bool local) {
    HttpResponse response =
        api.handle({.method = "GET", .path = "/api/v1/logs", .query = query, .local = local});
    if (!response.later) return response;
    HttpResponse given;
    response.later([&given](HttpResponse answer) { given = std::move(answer); });
    return given;
  };
  CHECK(ask("service=web", false).status == 401);
  CHECK(ask("", true).status == 400);
  CHECK(ask("service=web&lines=0", true).status == 400);
  CHECK(ask("service=nobody", true).status == 404);
  CHECK(ask("service=db", true).status == 409);
  const auto text = [&](const std::string& query) {
    return Json::parse(ask(query, true).body).at("text").get<std::string>();
  };
  CHECK(text("service=web") == "one\ntwo\nthree\n");
  CHECK(text("service=web&lines=2") == "two\nthree\n");
  CHECK(text("service=web&lines=1") == "three\n");
}

TEST_CASE_METHOD(Fixture, "what only tells cannot be posted to") {
  CHECK(api.handle({.method = "POST", .path = "/api/v1/pools", .local = true}).status == 405);
  CHECK(api.handle({.method = "POST", .path = "/api/v1/status", .local = true}).status == 405);
}

TEST_CASE_METHOD(Fixture, "what a person asks for is done, or refused with the reason") {
  const auto send = [this](const std::string& path, const std::string& body, bool local = true,
                           const std::string& method = "POST") {
    return api.handle({.method = method,
                       .path = "/api/v1/services/" + path,
                       .fields = {{"Content-Type", "application/json"}},
                       .body = body,
                       .local = local});
  };
  const auto post = [&](const std::string& path, const std::string& body) {
    return send(path, body).status;
  };
  CHECK(send("shop/web/1/restart", "{}", false).status == 401);
  CHECK(send("shop/web/1/release", "{}", false).status == 401);
  CHECK(send("shop/web/1/restart", "{}", true, "DELETE").status == 405);
  CHECK(send("shop/web/1/restart", "", true, "GET").status == 405);
  CHECK(post("shop/web/1/restart", "x") == 400);
  CHECK(post("shop/web/1/restart", "[]") == 400);
  CHECK(post("nobody/restart", "{}") == 404);
  CHECK(post("shop/web/1/explode", "{}") == 405);
  CHECK(post("restart", "{}") == 405);
  CHECK_FALSE(restarted);
  CHECK(post("shop/web/1/restart", R"({"by":"root\n","reason":"stuck"})") == 202);
  REQUIRE(restarted);
  CHECK(restarted->key == services[0].key);
  CHECK(restarted->by.ends_with(": stuck"));
  CHECK_FALSE(restarted->by.contains('\n'));
  restarted.reset();
  restart_problem = "it is paused";
  const auto refused = send("web/restart", "{}");
  CHECK(refused.status == 409);
  CHECK(Json::parse(refused.body).at("detail") == "web cannot be restarted now: it is paused");
  CHECK_FALSE(restarted);

  release_problem = "it is not quarantined";
  CHECK(post("web/release", "{}") == 409);
  CHECK_FALSE(released);
  release_problem.clear();
  CHECK(post("web/release", R"({"reason":"repaired"})") == 202);
  REQUIRE(released);
  CHECK(released->by == "somebody: repaired");
}

TEST_CASE_METHOD(Fixture, "the page is told what can be asked for") {
  const auto actions = [this] {
    return Json::parse(get("/api/v1/status").body).at("actions").get<std::vector<std::string>>();
  };
  for (const char* action : {"restart", "release", "logs", "maintenance", "silence"})
    CHECK(std::ranges::contains(actions(), action));
  process.has_engine = false;
  CHECK_FALSE(std::ranges::contains(actions(), "restart"));
  CHECK(std::ranges::contains(actions(), "maintenance"));
}
