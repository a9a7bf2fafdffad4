// The public status page: what it tells of the past, and what a crowd costs.

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <utility>
#include <vector>

#include "web_status_bed.hpp"

using namespace sentinel;
using namespace sentinel::test;
using namespace std::chrono_literals;

TEST_CASE_METHOD(StatusBed, "availability and the bars of the days, of all replicas together") {
  with_journal();
  add("shop", "web", 2);
  // 22:13:20 of today is known; an hour of yesterday both were down, and for long only one was.
  timelines["service:shop/web/1"] = {{"healthy", ago(400 * 24h), ago(30h)},
                                     {"unhealthy", ago(30h), ago(26h)},
                                     {"healthy", ago(26h), ago(3h)},
                                     {"stopped", ago(3h), {}}};
  timelines["service:shop/web/2"] = {{"starting", ago(31h), ago(29h)},
                                     {"recovering", ago(29h), ago(28h)},
                                     {"degraded", ago(28h), ago(3h)}};
  timelines["service:shop/api/1"] = {{"healthy", ago(50h), ago(1h)},
                                     {"unhealthy", ago(1h), ago(1h - 1ms)},
                                     {"healthy", ago(1h - 1ms), {}}};
  configure();
  const Json services_shown = page().at("services");
  const Json& shop = services_shown[0];
  REQUIRE(shop.at("days").size() == 90);
  CHECK(shop.at("days")[0] == 1);
  CHECK(shop.at("days")[89] == 1);  // what is stopped does not count
  // Nothing of it worked from 30 h to 28 h ago, which was all of it yesterday, a day that is known.
  CHECK(shop.at("days")[88] == 0.91666);
  const double total = 89 * 24.0 + 22.0 + 13.0 / 60 + 20.0 / 3600 - 3;
  const double share = shop.at("availability").get<double>();
  CHECK(share <= (total - 2) / total);
  CHECK(share > (total - 2) / total - 0.00001);
  const Json& checkout = services_shown[1];
  CHECK(checkout.at("days")[0].is_null());
  CHECK(checkout.at("days")[86].is_null());
  CHECK(checkout.at("days")[87] == 1);
  // A millisecond is not nothing: only what was never down is 1.
  CHECK(checkout.at("days")[89] == 0.99999);
  CHECK(checkout.at("availability") == 0.99999);
}

TEST_CASE_METHOD(StatusBed, "incidents are told of what is shown alone, by the times of that") {
  with_journal();
  auto hidden = incident(first_id, service("shop", "db"), 3h, 1h);
  hidden.members.push_back({service("shop", "api"), {}, {}, ago(2h), ago(90min)});
  hidden.members.push_back({service("shop", "web"), {}, {}, ago(2h + 1min), {}});
  auto none = incident(second_id, service("shop", "db"), 2h, 1h);
  auto merged = incident(third_id, service("shop", "web"), 2h, 1h);
  merged.merged_into = first_id;
  auto engine = incident(third_id, {core::SubjectKind::engine, {}, "engine", 0}, 1h);
  engine.members.push_back({service("shop", "api"), {}, {}, ago(50min), ago(40min)});
  kept.push_back({{engine, none, merged, hidden}, false});
  configure();
  const Json answer = page();
  CHECK(names_of(answer) == Json{{"Checkout"}, {"Shop", "Checkout"}});
  const Json& first = answer.at("incidents")[1];
  CHECK(first.at("began") == "2023-11-14T20:12:20.000Z");
  CHECK(first.at("ended") == "2023-11-14T21:13:20.000Z");
  // What is shown of it has recovered, whatever goes on behind.
  CHECK(answer.at("incidents")[0].at("ended") == "2023-11-14T21:33:20.000Z");
}

TEST_CASE_METHOD(StatusBed, "incidents of 14 days, page by page, and open ones however old") {
  with_alerts();
  with_journal();
  live.push_back(incident("01ARZ3NDEKTSV4RRFFQ69G5FA0", service("shop", "api"), 30 * 24h));
  kept.push_back({{incident(third_id, service("shop", "web"), 1h, 30min)}, true});
  kept.push_back({{incident(second_id, service("shop", "web"), 13 * 24h, 12 * 24h),
                   incident(first_id, service("shop", "web"), 15 * 24h, 14 * 24h)},
                  true});
  kept.push_back({{incident(first_id, service("shop", "web"), 2h, 1h)}, false});
  configure();
  CHECK(names_of(page()) == Json{{"Shop"}, {"Shop"}, {"Checkout"}});
  CHECK(asked_before == std::vector<std::string>{"", third_id});
}

TEST_CASE_METHOD(StatusBed,
                 "an incident is shown when it begins and when it ends, not a minute later") {
  with_alerts();
  with_journal();
  configure();
  CHECK(page().at("incidents").empty());
  CHECK(incident_queries == 1);
  live.push_back(incident(first_id, service("shop", "web"), 0s));
  now += 2s;
  CHECK(page().at("incidents")[0].at("ended").is_null());
  CHECK(incident_queries == 2);
  now += 2s;
  CHECK(page().at("incidents").size() == 1);
  CHECK(incident_queries == 2);
  // The core forgets it when it is over: the journal knows its end.
  kept.push_back({{live.front()}, false});
  kept.back().incidents.front().ended = ago(-3s);
  next_page = 0;
  live.clear();
  now += 2s;
  const Json answer = page();
  REQUIRE(answer.at("incidents").size() == 1);
  CHECK(answer.at("incidents")[0].at("ended") == "2023-11-14T22:13:23.000Z");
  CHECK(incident_queries == 3);
  CHECK(timeline_queries == 2);
}

TEST_CASE_METHOD(StatusBed, "an incident that ended stays while the journal does not know it yet") {
  with_alerts();
  with_journal();
  configure();
  live.push_back(incident(first_id, service("shop", "web"), 0s));
  now += 2s;
  REQUIRE(page().at("incidents").size() == 1);
  held = true;
  const io::IncidentPage open{{live.front()}, false};
  live.clear();
  now += 2s;
  Json answer = page();
  REQUIRE(answer.at("incidents").size() == 1);
  const auto end = answer.at("incidents")[0].at("ended");
  CHECK(end == "2023-11-14T22:13:24.000Z");
  // It answers, and still has it open.
  kept.assign(20, open);
  next_page = 0;
  let_go();
  now += 2s;
  answer = page();
  REQUIRE(answer.at("incidents").size() == 1);
  CHECK(answer.at("incidents")[0].at("ended") == end);
  SECTION("then it knows") {
    kept[next_page].incidents.front().ended = ago(-3s);
    now += 2s;
    CHECK(page().at("incidents")[0].at("ended") == "2023-11-14T22:13:23.000Z");
    const int asked = incident_queries;
    now += 2s;
    CHECK(page().at("incidents").size() == 1);
    CHECK(incident_queries == asked);
  }
  SECTION("it never does") {
    for (int i = 0; i < 12; ++i) {
      now += 2s;
      answer = page();
    }
    CHECK(answer.at("incidents").empty());
    CHECK(incident_queries < 16);
  }
}

TEST_CASE_METHOD(StatusBed,
                 "an open incident that nobody knows any more is not shown as going on") {
  with_alerts();
  with_journal();
  kept.push_back({{incident(first_id, service("shop", "web"), 1h)}, false});
  configure();
  CHECK(page().at("incidents").empty());
}

TEST_CASE_METHOD(StatusBed, "a crowd asks the journal once, and is told later together") {
  with_journal();
  held = true;
  configure();
  Pending crowd;
  for (int i = 0; i < 100; ++i) ask(crowd);
  CHECK(crowd.given.empty());
  CHECK(incident_queries == 1);
  let_go();
  REQUIRE(crowd.given.size() == 100);
  CHECK(incident_queries == 1);
  CHECK(timeline_queries == 2);
  for (const auto& response : crowd.given) CHECK(response.body == crowd.given.front().body);
  CHECK(Json::parse(crowd.given.front().body).at("services")[0].at("days").size() == 90);
  // For a minute, nothing is asked again; pages are made once a second.
  pages = 0;
  now += 59s;
  for (int i = 0; i < 100; ++i) ask(crowd);
  CHECK(incident_queries == 1);
  CHECK(pages == 1);
  // Then what is known is shown, and asked for anew meanwhile.
  now += 1s;
  held = true;
  for (int i = 0; i < 100; ++i) ask(crowd);
  CHECK(crowd.given.size() == 300);
  CHECK(incident_queries == 2);
  let_go();
  CHECK(timeline_queries == 4);
  CHECK(crowd.given.size() == 300);
}

TEST_CASE_METHOD(StatusBed, "questions to the journal are asked a few at a time") {
  with_journal();
  settings.lines = {{"All", {"*"}}};
  for (unsigned i = 0; i < 100; ++i) add("many", "one", i + 1);
  held = true;
  configure();
  Pending pending;
  ask(pending);
  while (!waiting.empty())
    for (const auto& answer : std::exchange(waiting, {})) answer();
  CHECK(pending.given.size() == 1);
  CHECK(timeline_queries == 102);
  CHECK(most_at_once == 16);
}

TEST_CASE_METHOD(StatusBed, "a journal that fails leaves what was known, for a while") {
  with_journal();
  timelines["service:shop/web/1"] = {{"healthy", ago(30h), {}}};
  configure();
  CHECK(page().at("services")[0].at("availability") == 1);
  fails = true;
  now += 61s;
  CHECK(page().at("services")[0].at("availability") == 1);
  CHECK(incident_queries == 2);
  // It is spared, too.
  now += 30s;
  CHECK(page().at("services")[0].at("availability") == 1);
  CHECK(incident_queries == 2);
  now += 10min;
  const Json one = page().at("services")[0];
  CHECK(one.at("availability").is_null());
  CHECK(one.at("state") == "up");
  fails = false;
  now += 61s;
  CHECK(page().at("services")[0].at("availability") == 1);
}

TEST_CASE_METHOD(StatusBed, "a journal that hangs does not hold up the page for long") {
  with_journal();
  held = true;
  configure();
  Pending pending;
  ask(pending);
  CHECK(pending.given.empty());
  now += 5s;
  CHECK(page().at("services")[0].at("state") == "up");
  CHECK(incident_queries == 1);
  // Given up, and asked anew; the late answer of the first time counts no more.
  now += 2min;
  ask(pending);
  CHECK(incident_queries == 2);
  auto late = std::exchange(waiting, {});
  REQUIRE(late.size() == 2);
  late[0]();
  CHECK(waiting.empty());
  CHECK(timeline_queries == 0);
  late[1]();
  CHECK(timeline_queries == 2);
}

TEST_CASE_METHOD(StatusBed, "a reload while the journal is asked") {
  with_journal();
  timelines["service:shop/web/1"] = {{"healthy", ago(30h), {}}};
  held = true;
  configure();
  Pending pending;
  ask(pending);
  settings.lines = {{"Another", {"shop/web"}}};
  configure();
  REQUIRE(pending.given.size() == 1);
  CHECK(Json::parse(pending.given.front().body).at("services")[0].at("name") == "Another");
  let_go();
  CHECK(timeline_queries == 0);
  CHECK(page().at("services")[0].at("availability") == 1);
  // The same settings keep what is known.
  const int asked = incident_queries;
  configure();
  CHECK(page().at("services")[0].at("availability") == 1);
  CHECK(incident_queries == asked);
  // And away.
  held = true;
  now += 11min;
  ask(pending);
  settings.lines.clear();
  configure();
  REQUIRE(pending.given.size() == 2);
  CHECK(pending.given.back().status == 404);
}
