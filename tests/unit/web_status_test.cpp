// The public status page: what it says, and what it never says.

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <string>
#include <vector>

#include "web_status_bed.hpp"

using namespace sentinel;
using namespace sentinel::test;
using namespace std::chrono_literals;

TEST_CASE_METHOD(StatusBed, "without configuration there is no page, and nothing is told of it") {
  for (const char* at : {path, "/status"}) {
    CAPTURE(at);
    const auto response = api.handle({.method = "GET", .path = at});
    CHECK(response.status == 404);
    CHECK(response.content_type == "application/problem+json");
  }
  CHECK(pages == 0);
  configure();
  CHECK(api.handle({.method = "GET", .path = "/status"}).content_type ==
        "text/html; charset=utf-8");
  CHECK(get().status == 200);
  CHECK(api.handle({.method = "POST", .path = path}).status == 405);
  CHECK(api.handle({.method = "POST", .path = "/status"}).status == 405);
  settings.lines.clear();
  configure();
  CHECK(get().status == 404);
}

TEST_CASE_METHOD(StatusBed, "a service's state in words for everybody") {
  struct Case {
    State state;
    core::Overlays overlays;
    const char* shown;
  };
  const auto [state, overlays, shown] =
      GENERATE(Case{State::healthy, {}, "up"}, Case{State::degraded, {}, "degraded"},
               Case{State::unhealthy, {}, "down"}, Case{State::recovering, {}, "down"},
               Case{State::quarantined, {}, "down"}, Case{State::stopped, {}, "down"},
               Case{State::starting, {}, "unknown"}, Case{State::unknown, {}, "unknown"},
               Case{State::healthy, {.blind = true}, "unknown"},
               Case{State::unhealthy, {.blind = true}, "unknown"},
               Case{State::healthy, {.paused = true}, "down"},
               Case{State::healthy, {.flapping = true}, "up"},
               Case{State::healthy, {.maintenance = true}, "maintenance"},
               Case{State::unhealthy, {.maintenance = true, .blind = true}, "maintenance"});
  services[0].state = state;
  services[0].overlays = overlays;
  configure();
  const Json answer = page();
  CHECK(answer.at("title") == "Shop status");
  CHECK(answer.at("time") == "2023-11-14T22:13:20.000Z");
  REQUIRE(answer.at("services").size() == 2);
  const Json& one = answer.at("services")[0];
  CHECK(one.at("name") == "Shop");
  CHECK(one.at("state") == shown);
  CHECK(answer.at("services")[1].at("state") == "up");
  CHECK(answer.at("state") == shown);
  const bool known = one.at("state") != "unknown" && one.at("state") != "maintenance";
  CHECK(one.at("since") == (known ? Json("2023-11-14T22:12:20.000Z") : Json(nullptr)));
  CHECK(one.at("availability").is_null());
  CHECK(one.at("days").empty());
  CHECK(answer.at("incidents").empty());
}

TEST_CASE_METHOD(StatusBed, "all replicas are one line") {
  struct Case {
    std::vector<State> states;
    const char* shown;
  };
  const auto [states, shown] = GENERATE(
      Case{{State::healthy, State::healthy}, "up"},
      Case{{State::healthy, State::unhealthy}, "degraded"},
      Case{{State::recovering, State::healthy, State::healthy}, "degraded"},
      Case{{State::healthy, State::degraded}, "degraded"},
      Case{{State::degraded, State::quarantined}, "degraded"},
      Case{{State::unhealthy, State::recovering}, "down"},
      Case{{State::healthy, State::starting}, "up"}, Case{{State::healthy, State::stopped}, "up"},
      Case{{State::unhealthy, State::starting}, "down"},
      Case{{State::unhealthy, State::stopped}, "down"},
      Case{{State::starting, State::stopped}, "unknown"},
      Case{{State::stopped, State::stopped}, "down"}, Case{{}, "unknown"});
  services.clear();
  unsigned replica = 0;
  for (const State state : states) add("shop", "web", ++replica, state);
  add("other", "web", 1, State::quarantined);
  configure();
  CHECK(page().at("services")[0].at("state") == shown);
}

TEST_CASE_METHOD(StatusBed, "what is in maintenance does not count while others work") {
  add("shop", "web", 2);
  services[0].overlays.maintenance = true;
  services[0].state = State::unhealthy;
  configure();
  CHECK(page().at("services")[0].at("state") == "up");
  services.back().state = State::unhealthy;
  now += 2s;
  CHECK(page().at("services")[0].at("state") == "down");
  services.back().overlays.maintenance = true;
  now += 2s;
  CHECK(page().at("services")[0].at("state") == "maintenance");
  CHECK(page().at("state") == "maintenance");
}

TEST_CASE_METHOD(StatusBed, "a line of several services, and one that is on two lines") {
  settings.lines = {{"Everything", {"shop/*"}}, {"Shop", {"web"}}, {"Nothing", {"shop/we"}}};
  services[1].state = State::unhealthy;
  configure();
  const Json answer = page();
  CHECK(answer.at("services")[0].at("state") == "degraded");
  CHECK(answer.at("services")[1].at("state") == "up");
  CHECK(answer.at("services")[2].at("state") == "unknown");
  CHECK(answer.at("state") == "degraded");
}

TEST_CASE_METHOD(StatusBed, "a down line is down since its last service fell") {
  add("shop", "web", 2, State::unhealthy).since = core::Time{50s};
  configure();
  CHECK(page().at("services")[0].at("since") == "2023-11-14T22:13:00.000Z");
  services[0].state = State::unhealthy;
  services[0].since = core::Time{65s};
  now += 2s;
  CHECK(page().at("services")[0].at("since") == "2023-11-14T22:13:15.000Z");
}

TEST_CASE_METHOD(StatusBed, "nothing but names, states and times gets out") {
  with_alerts();
  with_journal();
  auto& view = services[0];
  view.reason = "SECRET reason";
  view.decision = "SECRET decision";
  view.maintenance = "SECRET maintenance";
  view.container = *core::ContainerId::parse(std::string(64, 'e'));
  view.container_name = "SECRET container";
  view.image = "SECRET/image";
  view.name = "SECRET name";
  view.phase = "SECRET phase";
  view.status.health_output = "SECRET output";
  view.status.address = "192.0.2.77";
  view.probes.emplace_back().url = "http://SECRET/";
  view.probes.back().sentence = "SECRET sentence";
  view.state = State::unhealthy;
  add("SECRET-project", "SECRET-service");
  settings.lines.push_back({"Rest", {"SECRET-*"}});
  auto open = incident(first_id, service("shop", "web"), 5min);
  open.title = open.cause = open.text = open.end_text = "SECRET text";
  open.container = "SECRET container";
  open.health_output = open.log_tail = "SECRET output";
  open.lines.push_back({ago(1min), "SECRET line", "SECRET result"});
  open.members.push_back(
      {service("SECRET-project", "SECRET-service"), "SECRET title", "SECRET text", ago(4min), {}});
  open.members.push_back({{core::SubjectKind::engine, {}, "SECRET engine", 0}, {}, {}, {}, {}});
  open.told.emplace_back().receiver = "SECRET receiver";
  live.push_back(open);
  open.id = second_id;
  open.ended = ago(2min);
  kept.push_back({{open}, false});
  timelines["service:shop/web/1"] = {{"SECRET state", ago(1h), {}}};
  configure();
  std::string said = get().body;
  CHECK(Json::parse(said).at("incidents").size() == 2);
  CHECK_FALSE(said.contains("SECRET"));
  CHECK_FALSE(said.contains("192.0.2.77"));
  CHECK_FALSE(said.contains("eeee"));
  CHECK_FALSE(said.contains(first_id));
  CHECK_FALSE(said.contains("shop/web"));
  // Nor when the journal cannot answer.
  fails = true;
  now += 20min;
  said = get().body;
  CHECK_FALSE(said.contains("SECRET"));
  // These and no other keys.
  const Json answer = Json::parse(said);
  CHECK(answer.size() == 5);
  for (const Json& one : answer.at("services")) CHECK(one.size() == 5);
  for (const Json& one : answer.at("incidents")) CHECK(one.size() == 3);
}

TEST_CASE_METHOD(StatusBed, "hostile names stay names") {
  settings.title = "</script><script>alert(1)</script>\"\n\xFF";
  settings.lines[0].name = "\"},{\"state\":\"up\\";
  add("shop\"/../", "web\n</b>", 1, State::unhealthy);
  configure();
  const auto response = get();
  const Json answer = Json::parse(response.body);
  CHECK(answer.at("title") == "</script><script>alert(1)</script>\"\n\xEF\xBF\xBD");
  CHECK(answer.at("services")[0].at("name") == settings.lines[0].name);
  CHECK(answer.at("services").size() == 2);
  CHECK(answer.at("state") == "up");
  for (const auto& [key, value] : response.headers) CHECK_FALSE(value.contains('\n'));
}

TEST_CASE_METHOD(StatusBed, "an unchanged page is not sent again, a changed one is") {
  configure();
  const auto first = get();
  const std::string tag = field(first, "ETag");
  CHECK_FALSE(tag.empty());
  CHECK(field(first, "Cache-Control") == "public, max-age=10");
  now += 90s + 1ms;
  const auto same = get(tag);
  CHECK(same.status == 304);
  CHECK(same.body.empty());
  CHECK(field(same, "ETag") == tag);
  CHECK(field(same, "Cache-Control") == "public, max-age=10");
  services[0].state = State::degraded;
  now += 2s;
  const auto changed = get(tag);
  CHECK(changed.status == 200);
  CHECK(field(changed, "ETag") != tag);
  services[0].state = State::healthy;
  services[0].since = core::Time{100s};
  now += 2s;
  CHECK(get(tag).status == 200);
}
