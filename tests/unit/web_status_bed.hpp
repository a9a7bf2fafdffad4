#pragma once

// An API with a status page of two services, in front of a journal that the test lets answer.

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "web/api.hpp"
#include "web_services.hpp"

namespace sentinel::test {

using namespace std::chrono_literals;
using core::State;
using io::HttpResponse;
using Json = nlohmann::json;

inline constexpr const char* path = "/api/v1/status-page";
inline constexpr std::int64_t unix_start = 1'700'000'000'000;  // 2023-11-14 22:13:20
inline constexpr const char* first_id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
inline constexpr const char* second_id = "01ARZ3NDEKTSV4RRFFQ69G5FAW";
inline constexpr const char* third_id = "01ARZ3NDEKTSV4RRFFQ69G5FAX";

inline core::WallTime ago(core::Duration past, std::int64_t now = unix_start) {
  return core::WallTime{std::chrono::milliseconds{now} -
                        std::chrono::duration_cast<std::chrono::milliseconds>(past)};
}

inline core::Subject service(std::string project, std::string name, unsigned replica = 1) {
  return {core::SubjectKind::service, std::move(project), std::move(name), replica};
}

struct StatusBed {
  StatusBed() {
    settings.title = "Shop status";
    settings.lines = {{"Shop", {"shop/web"}}, {"Checkout", {"shop/api"}}};
    add("shop", "web");
    add("shop", "api");
  }

  core::ServiceView& add(const std::string& project, const std::string& name, unsigned replica = 1,
                         State state = State::healthy) {
    core::ServiceView& view = services.emplace_back();
    view.id = static_cast<core::ServiceId>(services.size());
    view.key = {project, name, replica};
    view.name = name;
    view.state = state;
    view.since = core::Time{10s};
    return view;
  }

  web::ApiSource source() {
    web::ApiSource source = source_of(services);
    source.services = [this] {
      ++pages;
      return services;
    };
    source.now = [this] { return core::Time{now}; };
    source.unix_ms = [this] { return unix_ms(); };
    source.process = [] { return web::ProcessView{}; };
    return source;
  }
  std::int64_t unix_ms() const {
    return unix_start + std::chrono::duration_cast<std::chrono::milliseconds>(now - 70s).count();
  }

  void configure() { api.set_status_page(settings); }
  void with_alerts() {
    web::AlertsBackend backend;
    backend.incidents = [this] { return live; };
    backend.command = [](const core::AlertEvent&) {};
    api.set_alerts(std::move(backend));
  }
  /// A journal that answers at once, or when the test lets it.
  void with_journal() {
    web::HistoryBackend backend;
    backend.history = [](const io::HistoryQuery&, const auto&) {};
    backend.incidents = [this](const io::IncidentQuery& query, auto answer) {
      ++incident_queries;
      asked_before.push_back(query.before);
      when_allowed([this, answer = std::move(answer), limit = query.limit] {
        CHECK(limit == io::IncidentQuery::max_limit);
        if (fails) return answer(std::unexpected(io::Error{"SECRET busy"}));
        const io::IncidentPage page =
            next_page < kept.size() ? kept[next_page++] : io::IncidentPage{};
        answer(page);
      });
    };
    backend.timeline = [this](io::TimelineQuery query, auto answer) {
      ++timeline_queries;
      most_at_once = std::max(most_at_once, timeline_queries - timelines_answered);
      when_allowed([this, answer = std::move(answer), query = std::move(query)] {
        ++timelines_answered;
        if (fails) return answer(std::unexpected(io::Error{"SECRET busy"}));
        const auto found = timelines.find(query.subject);
        answer(found == timelines.end() ? std::vector<io::StateInterval>{} : found->second);
      });
    };
    api.set_history(std::move(backend));
  }
  void when_allowed(std::function<void()> answer) {
    if (held)
      waiting.push_back(std::move(answer));
    else
      answer();
  }
  void let_go() {
    held = false;
    for (const auto& answer : std::exchange(waiting, {})) answer();
  }

  /// Answers that came; one that waits is taken when it comes.
  struct Pending {
    std::vector<HttpResponse> given;
  };
  void ask(Pending& into, const std::string& tag = {}) {
    io::HttpRequest request{.method = "GET", .path = path};
    if (!tag.empty()) request.fields.emplace_back("If-None-Match", tag);
    HttpResponse response = api.handle(request);
    if (!response.later) {
      into.given.push_back(std::move(response));
      return;
    }
    response.later([&into](HttpResponse answer) { into.given.push_back(std::move(answer)); });
  }
  HttpResponse get(const std::string& tag = {}) {
    Pending pending;
    ask(pending, tag);
    REQUIRE(pending.given.size() == 1);
    return pending.given.front();
  }
  Json page() {
    const auto response = get();
    REQUIRE(response.status == 200);
    CHECK(response.content_type == "application/json");
    return Json::parse(response.body);
  }
  static std::string field(const HttpResponse& response, std::string_view name) {
    for (const auto& [key, value] : response.headers)
      if (key == name) return value;
    return {};
  }

  std::vector<core::ServiceView> services;
  web::StatusPageSettings settings;
  std::vector<core::Incident> live;
  std::vector<io::IncidentPage> kept;
  std::map<std::string, std::vector<io::StateInterval>, std::less<>> timelines;
  std::vector<std::function<void()>> waiting;
  std::vector<std::string> asked_before;
  std::size_t next_page = 0;
  int incident_queries = 0;
  int timeline_queries = 0;
  int timelines_answered = 0;
  int most_at_once = 0;
  int pages = 0;
  bool held = false;
  bool fails = false;
  core::Duration now = 70s;
  web::Api api{source(), {}};
};

inline core::Incident incident(const char* id, core::Subject root, core::Duration began_ago,
                               std::optional<core::Duration> ended_ago = {}) {
  core::Incident one;
  one.id = id;
  one.root = std::move(root);
  one.began = ago(began_ago);
  if (ended_ago) one.ended = ago(*ended_ago);
  return one;
}

inline Json names_of(const Json& page) {
  Json names = Json::array();
  for (const Json& one : page.at("incidents")) names.push_back(one.at("services"));
  return names;
}

}  // namespace sentinel::test
