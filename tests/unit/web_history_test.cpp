// History, incidents and alerts, from backends that answer at once.

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "web/api.hpp"
#include "web/parameters.hpp"
#include "web_services.hpp"

using namespace sentinel;
using namespace std::chrono_literals;
using io::HttpResponse;
using Json = nlohmann::json;

namespace {

constexpr const char* first_id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
constexpr const char* second_id = "01ARZ3NDEKTSV4RRFFQ69G5FAW";
constexpr const char* third_id = "01ARZ3NDEKTSV4RRFFQ69G5FAX";
constexpr std::int64_t unix_now = 1'700'000'000'000;

core::WallTime wall(std::int64_t ms) { return core::WallTime{std::chrono::milliseconds{ms}}; }

struct Fixture {
  Fixture() {
    core::ServiceView view;
    view.id = 1;
    view.key = {"shop", "web", 1};
    view.name = "web";
    core::ProbeView probe;
    probe.name = "http";
    view.probes.push_back(probe);
    services.push_back(view);
    view.id = 2;
    view.key = {"shop", "db", 1};
    view.name = "db";
    view.probes.clear();
    services.push_back(view);
    core::Incident incident;
    incident.id = first_id;
    incident.root = {core::SubjectKind::service, "shop", "db", 1};
    incident.title = "db";
    incident.cause = "unhealthy";
    incident.text = "db is unhealthy";
    incident.began = wall(unix_now - 60'000);
    incident.members.push_back(
        {{core::SubjectKind::service, "shop", "web", 1}, "web", "needs db", wall(unix_now), {}});
    incidents.push_back(incident);
    api.set_alerts(alerts());
  }

  web::ApiSource source() {
    web::ApiSource source = test::source_of(services);
    source.now = [] { return core::Time{70s}; };
    source.unix_ms = [] { return unix_now; };
    source.process = [] { return web::ProcessView{}; };
    return source;
  }

  web::AlertsBackend alerts() {
    web::AlertsBackend backend;
    backend.incidents = [this] { return incidents; };
    backend.incident_of = [](const core::Subject&) { return std::string{first_id}; };
    backend.receivers = [this] { return receivers; };
    backend.deliveries = [this] { return deliveries; };
    backend.silences = [this] { return silences; };
    backend.silence_problem = [this](const core::Silence&) { return problem; };
    backend.command = [this](core::AlertEvent event) {
      if (auto* add = std::get_if<core::AddSilence>(&event)) {
        add->silence.id = second_id;
        silences.push_back(add->silence);
      } else if (const auto* end = std::get_if<core::EndSilence>(&event)) {
        std::erase_if(silences, [&](const core::Silence& one) { return one.id == end->id; });
      }
      commands.push_back(std::move(event));
    };
    backend.labels = [] { return core::Labels{{"site", "north"}}; };
    return backend;
  }

  /// Answers with what the test put there, and keeps what was asked.
  web::HistoryBackend history() {
    web::HistoryBackend backend;
    backend.history = [this](io::HistoryQuery query, const auto& answer) {
      asked_history = std::move(query);
      if (fails) return answer(std::unexpected(io::Error{"busy"}));
      answer(entries);
    };
    backend.incidents = [this](io::IncidentQuery query, const auto& answer) {
      asked_incidents = std::move(query);
      if (fails) return answer(std::unexpected(io::Error{"busy"}));
      answer(io::IncidentPage{incidents, true});
    };
    backend.timeline = [this](io::TimelineQuery query, const auto& answer) {
      asked_timeline = std::move(query);
      answer(std::vector<io::StateInterval>{{"healthy", wall(0), wall(1000)},
                                            {"unhealthy", wall(1000), std::nullopt}});
    };
    backend.latency = [this](io::LatencyQuery query, const auto& answer) {
      asked_latency = std::move(query);
      answer(std::vector<io::LatencyPoint>{{wall(0), 3, 1, 100us, 1500us, 2ms, 2ms}});
    };
    backend.availability = [](const std::string&, core::WallTime, const auto& answer) {
      io::Availability one;
      one.window = 24h;
      one.up = 90s;
      one.down = 10s;
      answer(std::vector<io::Availability>{one, {}});
    };
    backend.last_sequence = [] { return std::uint64_t{7}; };
    backend.stats = [] { return io::JournalStats{}; };
    return backend;
  }

  static HttpResponse settled(HttpResponse response) {
    if (!response.later) return response;
    HttpResponse given;
    given.status = 0;
    response.later([&given](HttpResponse answer) { given = std::move(answer); });
    return given;
  }
  HttpResponse get(const std::string& path, const std::string& query = {}) {
    return settled(api.handle({.method = "GET", .path = path, .query = query}));
  }
  Json json(const std::string& path, const std::string& query = {}) {
    return Json::parse(get(path, query).body);
  }
  HttpResponse send(const std::string& method, const std::string& path,
                    const std::string& body = {}) {
    return api.handle({.method = method,
                       .path = path,
                       .fields = {{"Content-Type", "application/json"}},
                       .body = body,
                       .local = true});
  }

  std::vector<core::ServiceView> services;
  std::vector<core::Incident> incidents;
  std::vector<core::ReceiverView> receivers;
  std::vector<core::Delivery> deliveries;
  std::vector<core::Silence> silences;
  std::vector<core::AlertEvent> commands;
  std::vector<io::HistoryEntry> entries;
  std::string problem;
  bool fails = false;
  io::HistoryQuery asked_history;
  io::IncidentQuery asked_incidents;
  io::TimelineQuery asked_timeline;
  io::LatencyQuery asked_latency;
  web::Api api{source(), {}};
};

}  // namespace

TEST_CASE_METHOD(Fixture, "without a journal, incidents are those the core holds") {
  auto page = json("/api/v1/incidents", "state=open");
  REQUIRE(page.at("incidents").size() == 1);
  const Json& one = page.at("incidents")[0];
  CHECK(one.at("service") == "shop/db/1");
  CHECK(one.at("labels").at("site") == "north");
  CHECK(one.at("labels").at("cause") == "unhealthy");
  CHECK(one.at("members")[0].at("subject") == "service:shop/web/1");
  CHECK(page.at("next").is_null());
  CHECK(json("/api/v1/incidents", "state=ended").at("incidents").empty());
  CHECK(json(std::string{"/api/v1/incidents/"} + first_id).at("id") == first_id);
  CHECK(get(std::string{"/api/v1/incidents/"} + second_id).status == 404);
  CHECK(json("/api/v1/services/web").at("incident") == first_id);
}

TEST_CASE_METHOD(Fixture, "incidents of a service are those it is the root or a member of") {
  api.set_history(history());
  core::Incident other = incidents.front();
  other.id = third_id;
  other.members.clear();
  incidents.push_back(other);
  auto page = json("/api/v1/incidents", "service=web&state=all");
  REQUIRE(page.at("incidents").size() == 1);
  CHECK(page.at("incidents")[0].at("id") == first_id);
  CHECK(page.at("next") == third_id);
  page = json("/api/v1/incidents", "limit=5&before=" + std::string{third_id});
  CHECK(page.at("incidents").size() == 2);
  CHECK(asked_incidents.limit == 5);
  CHECK(asked_incidents.before == third_id);
  CHECK(get("/api/v1/incidents", "subject=shop").status == 400);
  fails = true;
  const auto refused = get("/api/v1/incidents");
  CHECK(refused.status == 503);
  CHECK(refused.content_type == "application/problem+json");
}

TEST_CASE_METHOD(Fixture, "the history says in which direction there is more") {
  api.set_history(history());
  for (std::uint64_t i = 1; i <= 3; ++i) {
    io::HistoryEntry entry;
    entry.sequence = i;
    entry.subject = "service:shop/web/1";
    entry.kind = i == 1 ? io::HistoryKind::transition : io::HistoryKind::action;
    entry.fields = i == 2 ? R"({"attempt":1})" : "no JSON";
    entries.push_back(entry);
  }
  auto page = json("/api/v1/history", "limit=2");
  CHECK(asked_history.limit == 3);
  REQUIRE(page.at("history").size() == 2);
  CHECK(page.at("more") == true);
  CHECK(page.at("history")[0].at("sequence") == 2);
  CHECK(page.at("history")[0].at("fields").at("attempt") == 1);
  CHECK(page.at("history")[1].at("fields").is_null());
  page = json("/api/v1/history", "limit=2&after=0&service=web");
  CHECK(page.at("history")[0].at("from").is_string());
  CHECK(page.at("history")[1].at("sequence") == 2);
  CHECK(asked_history.subject == "service:shop/web/1");
  CHECK(json("/api/v1/history", "limit=3").at("more") == false);
  for (const char* bad :
       {"after=1&before=2", "before=0", "after=-1", "limit=0", "incident=x", "subject=web"})
    CHECK(get("/api/v1/history", bad).status == 400);
}

TEST_CASE_METHOD(Fixture, "timeline, latency and availability of a service") {
  api.set_history(history());
  auto page = json("/api/v1/services/web/timeline", "from=2023-11-14T00:00:00%2B01:00");
  CHECK(page.at("intervals")[1].at("ends").is_null());
  CHECK(page.at("from") == "2023-11-13T23:00:00.000Z");
  CHECK(page.at("to") == "2023-11-14T22:13:20.000Z");
  CHECK(asked_timeline.subject == "service:shop/web/1");
  page = json("/api/v1/services/shop/web/1/latency");
  CHECK(page.at("probe") == "http");
  CHECK(page.at("step_seconds") == 60);
  CHECK(page.at("points")[0].at("mean_ms") == 1.5);
  page = json("/api/v1/services/web/latency", "from=2023-11-01T00:00:00Z");
  CHECK(page.at("step_seconds") == 3600);
  CHECK(asked_latency.hours);
  page = json("/api/v1/services/db/latency");
  CHECK(page.at("probe").is_null());
  CHECK(page.at("points").empty());
  page = json("/api/v1/services/web/availability");
  CHECK(page.at("windows")[0].at("availability") == 0.9);
  CHECK(page.at("windows")[1].at("availability").is_null());
  CHECK(get("/api/v1/services/web/timeline", "from=2023-11-15T00:00:00Z").status == 400);
  CHECK(get("/api/v1/services/web/latency", "step=day").status == 400);
}

TEST_CASE_METHOD(Fixture, "who comes back is sent what the journal on disk holds behind its last") {
  api.set_history(history());
  for (std::uint64_t i = 5; i <= 7; ++i) {
    io::HistoryEntry entry;
    entry.sequence = i;
    entries.push_back(entry);
  }
  io::HistoryEntry late;  // noted while the journal was being asked
  late.sequence = 8;
  api.live().on(late);
  const auto response =
      settled(api.handle({.method = "GET", .path = "/api/v1/events", .query = "after=5"}));
  REQUIRE(response.stream);
  std::string text;
  response.stream([&text](const std::shared_ptr<const std::string>& more) {
    if (more) text += *more;
    return true;
  });
  CHECK(text.starts_with("event: snapshot\nid: 7\n"));
  CHECK_FALSE(text.contains("event: history\nid: 5\n"));
  const auto six = text.find("event: history\nid: 6\n");
  const auto eight = text.find("event: history\nid: 8\n");
  CHECK(six < eight);
  CHECK(eight != std::string::npos);
}

TEST_CASE_METHOD(Fixture, "incidents, receivers and silences are told as they change") {
  std::string text;
  api.handle({.method = "GET", .path = "/api/v1/events"})
      .stream([&text](const std::shared_ptr<const std::string>& more) {
        if (more) text += *more;
        return true;
      });
  CHECK(text.contains("\"incidents\":[{\"id\":"));
  text.clear();
  api.live().on(core::AlertAction{core::StoreIncident{incidents.front()}});
  receivers.emplace_back().name = "team";
  api.live().on(core::AlertAction{core::StoreDelivery{}});
  api.live().on(core::AlertAction{core::StoreSilence{}});
  api.live().tell();
  for (const char* kind : {"incident", "alert", "silences"})
    CHECK(text.contains("event: " + std::string{kind} + "\n"));
}

TEST_CASE_METHOD(Fixture, "a silence is checked, given an id, listed and ended") {
  const std::string good =
      R"({"match":[{"label":"service","op":"like","value":"web*"}],"for":"2h","comment":"a\nb"})";
  const auto made = send("POST", "/api/v1/silences", good);
  REQUIRE(made.status == 201);
  const auto silence = Json::parse(made.body);
  CHECK(silence.at("id") == second_id);
  CHECK(silence.at("ends") == "2023-11-15T00:13:20.000Z");
  CHECK_FALSE(silence.at("comment").get<std::string>().contains('\n'));
  CHECK(json("/api/v1/silences").at("silences").size() == 1);
  for (const char* bad :
       {"", "[]", R"({"match":[],"for":"2h"})", R"({"match":[{"label":"a"}],"for":"2h"})",
        R"({"match":[{"label":"a","op":"like","value":"b"}],"for":"40d"})",
        R"({"match":[{"label":"a","op":"near","value":"b"}],"for":"2h"})",
        R"({"match":[{"label":"a","op":"like","value":"b"}],"for":"2h","begins":"soon"})"}) {
    INFO(bad);
    CHECK(send("POST", "/api/v1/silences", bad).status == 400);
  }
  problem = "there are too many";
  CHECK(send("POST", "/api/v1/silences", good).status == 409);
  const std::string path = std::string{"/api/v1/silences/"} + second_id;
  CHECK(send("DELETE", path).status == 204);
  CHECK(send("DELETE", path).status == 404);
  CHECK(send("PUT", path).status == 405);
}

TEST_CASE_METHOD(Fixture, "receivers are tested, and what was given up is tried again or dropped") {
  receivers.emplace_back().name = "team";
  core::Delivery delivery;
  delivery.id = 4;
  delivery.receiver = "team";
  deliveries.push_back(delivery);
  delivery.id = 5;
  delivery.dead = wall(unix_now);
  deliveries.push_back(delivery);
  CHECK(json("/api/v1/alerts").at("deliveries").size() == 2);
  CHECK(send("POST", "/api/v1/alerts/test", R"({"receiver":"team"})").status == 202);
  CHECK(send("POST", "/api/v1/alerts/test", R"({"receiver":"nobody"})").status == 404);
  CHECK(send("POST", "/api/v1/alerts/test", "{}").status == 400);
  CHECK(send("POST", "/api/v1/alerts/deliveries/5/retry", "{}").status == 202);
  CHECK(send("POST", "/api/v1/alerts/deliveries/4/retry", "{}").status == 409);
  CHECK(send("DELETE", "/api/v1/alerts/deliveries/5").status == 204);
  CHECK(send("DELETE", "/api/v1/alerts/deliveries/6").status == 404);
  CHECK(send("DELETE", "/api/v1/alerts/deliveries/x").status == 404);
  CHECK(commands.size() == 3);
}

TEST_CASE("times are read as RFC 3339 has them") {
  CHECK(web::parse_time("1970-01-01T00:00:01.5Z") == wall(1500));
  CHECK(web::parse_time("1970-01-01T01:00:00+01:00") == wall(0));
  for (const char* bad : {"", "1970", "1970-02-30T00:00:00Z", "1970-01-01T24:00:00Z",
                          "1970-01-01T00:00:00", "1970-01-01T00:00:00.Z", "1970-01-01T00:00:00Zx",
                          "1970-01-01T00:00:00+1:00", "+970-01-01T00:00:00Z"}) {
    INFO(bad);
    CHECK_FALSE(web::parse_time(bad));
  }
}
