#include "web/history_api.hpp"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "io/journal.hpp"
#include "web/incident_views.hpp"
#include "web/parameters.hpp"
#include "web/views.hpp"

namespace sentinel::web {

namespace {

using Json = nlohmann::ordered_json;
using io::HttpReply;
using io::HttpRequest;
using io::HttpResponse;

constexpr auto by_hour_from = std::chrono::hours{25};

HttpResponse no_answer(const io::Error& error) {
  HttpResponse response = io::http_problem(503, "the journal does not answer: " + error.text);
  response.headers.emplace_back("Retry-After", "5");
  return response;
}

HttpResponse no_journal() {
  return io::http_problem(503, "nothing is kept: this process has no journal");
}

std::string subject_of(const core::ServiceKey& key) { return "service:" + key.to_string(); }

bool concerns(const core::Incident& incident, std::string_view subject) {
  return incident.root.to_string() == subject ||
         std::ranges::any_of(incident.members, [subject](const core::IncidentMember& member) {
           return member.subject.to_string() == subject;
         });
}

HttpResponse page(const HttpRequest& request, const std::vector<core::Incident>& incidents,
                  const std::string& next, const core::Labels& labels) {
  std::string body = "{\"incidents\":[";
  for (const core::Incident& incident : incidents) {
    if (!body.ends_with('[')) body += ',';
    body += dump_line(incident_json(incident, labels));
  }
  body += "],\"next\":" + dump_line(next.empty() ? Json(nullptr) : Json(next)) + "}\n";
  const std::string seed = body;
  return tagged_response(request, std::move(body), seed);
}

std::expected<io::IncidentQuery::Which, std::string> which_of(const HttpRequest& request) {
  using enum io::IncidentQuery::Which;
  const std::string state = request.parameter("state").value_or("all");
  if (state == "all") return all;
  if (state == "open") return open;
  if (state == "ended") return ended;
  return std::unexpected("state: expected all, open or ended");
}

bool is_subject(std::string_view text) {
  constexpr std::array<std::string_view, 5> kinds{
      "service:", "server:", "pool:", "engine:", "sentinel:"};
  return std::ranges::any_of(kinds,
                             [text](std::string_view kind) { return text.starts_with(kind); });
}

}  // namespace

std::expected<core::ServiceView, HttpResponse> one_service(const ApiSource& source,
                                                           std::string_view name) {
  auto found = source.find(name);
  if (found.size() == 1) return std::move(found.front());
  if (found.empty()) {
    return std::unexpected(io::http_problem(
        404, "no service is called '" + std::string{name} + "'; /api/v1/services lists all"));
  }
  std::string text = "several services go by that name: ";
  for (std::size_t i = 0; i < found.size() && i < 10; ++i) {
    if (i > 0) text += ", ";
    text += found[i].key.to_string();
  }
  if (found.size() > 10) text += ", ...";
  return std::unexpected(io::http_problem(409, text));
}

HistoryBackend history_of(io::Journal& journal) {
  HistoryBackend backend;
  backend.history = [&journal](io::HistoryQuery query, auto answer) {
    journal.history(std::move(query), std::move(answer));
  };
  backend.incidents = [&journal](io::IncidentQuery query, auto answer) {
    journal.incidents(std::move(query), std::move(answer));
  };
  backend.timeline = [&journal](io::TimelineQuery query, auto answer) {
    journal.timeline(std::move(query), std::move(answer));
  };
  backend.latency = [&journal](io::LatencyQuery query, auto answer) {
    journal.latency(std::move(query), std::move(answer));
  };
  backend.availability = [&journal](std::string subject, core::WallTime now, auto answer) {
    journal.availability(std::move(subject), now, std::move(answer));
  };
  backend.last_sequence = [&journal] { return journal.last_sequence(); };
  backend.stats = [&journal] { return journal.stats(); };
  return backend;
}

/// Without a journal, what the core holds is all there is.
HttpResponse HistoryApi::open_incidents(const HttpRequest& request,
                                        const io::IncidentQuery& query) const {
  if (!alerts_.any()) return no_journal();
  auto list = alerts_.incidents();
  std::erase_if(list, [&query](const core::Incident& incident) {
    using enum io::IncidentQuery::Which;
    return (query.which == open && incident.ended) || (query.which == ended && !incident.ended) ||
           (query.subject && incident.root.to_string() != *query.subject) ||
           (!query.before.empty() && incident.id >= query.before);
  });
  std::ranges::sort(list, std::ranges::greater{}, &core::Incident::id);
  std::string next;
  if (list.size() > query.limit) {
    list.resize(query.limit);
    next = list.back().id;
  }
  return page(request, list, next, labels());
}

HttpResponse HistoryApi::incidents(const HttpRequest& request) const {
  io::IncidentQuery query;
  const auto which = which_of(request);
  if (!which) return io::http_problem(400, which.error());
  query.which = *which;
  const auto limit = limit_of(request, query.limit, most_incidents);
  if (!limit) return io::http_problem(400, limit.error());
  query.limit = *limit;
  query.before = request.parameter("before").value_or("");
  if (!query.before.empty() && !is_ulid(query.before))
    return io::http_problem(400, "before: expected the id of an incident");
  query.subject = request.parameter("subject");
  if (query.subject && !is_subject(*query.subject))
    return io::http_problem(400, "subject: expected one such as service:shop/web/1");
  std::string concerned;
  if (const auto name = request.parameter("service")) {
    const auto view = one_service(source_, *name);
    if (!view) return view.error();
    concerned = subject_of(view->key);
    // Members are in the incident itself: it is looked at here, so that a page may be short.
    query.limit = most_incidents;
  }
  if (!history_.any()) return open_incidents(request, query);
  return io::http_later([this, request, query = std::move(query),
                         concerned = std::move(concerned)](HttpReply reply) mutable {
    history_.incidents(std::move(query), [this, request, concerned = std::move(concerned),
                                          reply = std::move(reply)](auto answer) {
      if (!answer) return reply(no_answer(answer.error()));
      const std::string next =
          answer->more && !answer->incidents.empty() ? answer->incidents.back().id : std::string{};
      if (!concerned.empty()) {
        std::erase_if(answer->incidents, [&concerned](const core::Incident& incident) {
          return !concerns(incident, concerned);
        });
      }
      reply(page(request, answer->incidents, next, labels()));
    });
  });
}

HttpResponse HistoryApi::incident(const std::string& id) const {
  if (!is_ulid(id)) return io::http_problem(404, "no incident has this id");
  if (alerts_.any()) {
    for (const core::Incident& incident : alerts_.incidents()) {
      if (incident.id == id) return json_response(incident_json(incident, labels()));
    }
  }
  if (!history_.any())
    return alerts_.any() ? io::http_problem(404, "no incident has this id") : no_journal();
  return io::http_later([this, id](HttpReply reply) {
    io::IncidentQuery query;
    query.id = id;
    history_.incidents(std::move(query), [this, reply = std::move(reply)](const auto& answer) {
      if (!answer) return reply(no_answer(answer.error()));
      if (answer->incidents.empty()) return reply(io::http_problem(404, "no incident has this id"));
      reply(json_response(incident_json(answer->incidents.front(), labels())));
    });
  });
}

HttpResponse HistoryApi::history(const HttpRequest& request) const {
  io::HistoryQuery query;
  const auto limit = limit_of(request, query.limit, most_history);
  if (!limit) return io::http_problem(400, limit.error());
  const auto after = number_of(request, "after", 0);
  if (!after) return io::http_problem(400, after.error());
  const auto before = number_of(request, "before", 1);
  if (!before) return io::http_problem(400, before.error());
  if (*after && *before) return io::http_problem(400, "expected either after or before");
  query.after = *after;
  query.before = *before;
  query.incident = request.parameter("incident");
  if (query.incident && !is_ulid(*query.incident))
    return io::http_problem(400, "incident: expected its id");
  query.subject = request.parameter("subject");
  if (query.subject && !is_subject(*query.subject))
    return io::http_problem(400, "subject: expected one such as service:shop/web/1");
  if (const auto name = request.parameter("service")) {
    const auto view = one_service(source_, *name);
    if (!view) return view.error();
    query.subject = subject_of(view->key);
  }
  if (!history_.any()) return no_journal();
  const bool forward = query.after.has_value();
  // One more than asked for tells whether there are more; the journal gives no more than its limit.
  query.limit = std::min(*limit + 1, io::HistoryQuery::max_limit);
  return io::http_later(
      [this, query = std::move(query), limit = *limit, forward](HttpReply reply) mutable {
        history_.history(std::move(query), [limit, forward, reply = std::move(reply)](auto answer) {
          if (!answer) return reply(no_answer(answer.error()));
          auto& entries = *answer;
          const bool more = entries.size() > limit || entries.size() == io::HistoryQuery::max_limit;
          if (entries.size() > limit) entries.erase(forward ? entries.end() - 1 : entries.begin());
          Json list = Json::array();
          for (const io::HistoryEntry& entry : entries) list.push_back(history_json(entry));
          reply(json_response({{"history", std::move(list)}, {"more", more}}));
        });
      });
}

std::expected<HistoryApi::Span, std::string> HistoryApi::span_of(const HttpRequest& request) const {
  const auto from = time_of(request, "from");
  if (!from) return std::unexpected(from.error());
  const auto to = time_of(request, "to");
  if (!to) return std::unexpected(to.error());
  Span span;
  span.to = to->value_or(core::WallTime{std::chrono::milliseconds{source_.unix_ms()}});
  span.from = from->value_or(span.to - std::chrono::hours{24});
  if (span.from >= span.to) return std::unexpected("from: expected a time before `to`");
  return span;
}

HttpResponse HistoryApi::timeline(const HttpRequest& request, const core::ServiceView& view) const {
  const auto span = span_of(request);
  if (!span) return io::http_problem(400, span.error());
  if (!history_.any()) return no_journal();
  Json json;
  json["service"] = view.key.to_string();
  json["from"] = wall_text(span->from);
  json["to"] = wall_text(span->to);
  io::TimelineQuery query{.subject = subject_of(view.key), .from = span->from, .to = span->to};
  return io::http_later([this, json = std::move(json), query = std::move(query)](HttpReply reply) {
    history_.timeline(query, [json, reply = std::move(reply)](const auto& answer) mutable {
      if (!answer) return reply(no_answer(answer.error()));
      Json list = Json::array();
      for (const io::StateInterval& interval : *answer) list.push_back(interval_json(interval));
      json["intervals"] = std::move(list);
      reply(json_response(json));
    });
  });
}

HttpResponse HistoryApi::latency(const HttpRequest& request, const core::ServiceView& view) const {
  const auto span = span_of(request);
  if (!span) return io::http_problem(400, span.error());
  const std::string step =
      request.parameter("step").value_or(span->to - span->from > by_hour_from ? "hour" : "minute");
  if (step != "minute" && step != "hour")
    return io::http_problem(400, "step: expected minute or hour");
  Json names = Json::array();
  for (const core::ProbeView& probe : view.probes) names.push_back(probe.name);
  const std::string probe = request.parameter("probe").value_or(
      view.probes.empty() ? std::string{} : view.probes.front().name);
  Json json;
  json["service"] = view.key.to_string();
  json["probe"] = probe.empty() ? Json(nullptr) : Json(probe);
  json["probes"] = std::move(names);
  json["step_seconds"] = step == "hour" ? 3600 : 60;
  json["points"] = Json::array();
  if (probe.empty()) return json_response(json);
  if (!history_.any()) return no_journal();
  io::LatencyQuery query{.subject = subject_of(view.key),
                         .probe = probe,
                         .from = span->from,
                         .to = span->to,
                         .hours = step == "hour"};
  return io::http_later([this, json = std::move(json), query = std::move(query)](HttpReply reply) {
    history_.latency(query, [json, reply = std::move(reply)](const auto& answer) mutable {
      if (!answer) return reply(no_answer(answer.error()));
      Json& list = json["points"];
      for (const io::LatencyPoint& point : *answer) list.push_back(point_json(point));
      reply(json_response(json));
    });
  });
}

HttpResponse HistoryApi::availability(const core::ServiceView& view) const {
  if (!history_.any()) return no_journal();
  const core::WallTime now{std::chrono::milliseconds{source_.unix_ms()}};
  return io::http_later([this, name = view.key.to_string(), now](HttpReply reply) {
    history_.availability("service:" + name, now,
                          [name, reply = std::move(reply)](const auto& answer) {
                            if (!answer) return reply(no_answer(answer.error()));
                            Json list = Json::array();
                            for (const io::Availability& one : *answer)
                              list.push_back(availability_json(one));
                            reply(json_response({{"service", name}, {"windows", std::move(list)}}));
                          });
  });
}

}  // namespace sentinel::web
