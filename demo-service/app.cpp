#include "app.hpp"

#include "duration.hpp"
#include "query.hpp"

#include <nlohmann/json.hpp>

#include <format>

namespace sentinel::demo {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::chrono::milliseconds shortest_fault{100};

std::string dump(const Json& json) {
  // Names and queries come from outside; invalid UTF-8 in them must not throw here.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string_view title_of(unsigned status) {
  switch (status) {
    case 400: return "Bad Request";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 409: return "Conflict";
    case 413: return "Content Too Large";
    case 431: return "Request Header Fields Too Large";
    case 501: return "Not Implemented";
    default: return "Error";
  }
}

Reply bad_parameter(const QueryError& error) {
  return problem(400,
                 std::format("parameter '{}': {}; expected {}", error.parameter, error.message,
                             error.expected),
                 error.parameter, error.expected);
}

Reply wrong_method(std::string_view allowed) {
  auto reply = problem(405, std::format("this resource answers {} only", allowed));
  reply.allow = allowed;
  return reply;
}

double seconds(std::chrono::steady_clock::duration duration) {
  const auto whole = std::chrono::duration_cast<std::chrono::milliseconds>(duration);
  return static_cast<double>(whole.count()) / 1000.0;
}

// A page of another site must not be able to break the service through its visitor's browser.
bool from_elsewhere(const Request& request) {
  if (request.origin.empty()) {
    return false;
  }
  const auto scheme = request.origin.find("://");
  return scheme == std::string_view::npos || request.origin.substr(scheme + 3) != request.host;
}

std::optional<Fault> fault_named(std::string_view name) {
  for (std::size_t index = 0; index < fault_names.size(); ++index) {
    if (fault_names.at(index) == name) {
      return static_cast<Fault>(index);
    }
  }
  return std::nullopt;
}

/// The parameters of one /simulate call, read and checked.
struct Simulation {
  std::optional<std::chrono::milliseconds> duration;
  std::chrono::milliseconds amount{0};
  std::size_t leak_mib = 0;
};

std::expected<Simulation, QueryError> read_simulation(Fault fault, const Query& query,
                                                      std::size_t leak_cap_mib) {
  std::expected<void, QueryError> known;
  switch (fault) {
    case Fault::slow: known = query.only({"ms", "for"}); break;
    case Fault::flap: known = query.only({"period", "for"}); break;
    case Fault::leak: known = query.only({"mb", "for"}); break;
    default: known = query.only({"for"});
  }
  if (!known) {
    return std::unexpected(known.error());
  }
  Simulation simulation;
  const auto duration = query.duration("for", shortest_fault, longest_duration);
  if (!duration) {
    return std::unexpected(duration.error());
  }
  simulation.duration = *duration;
  if (fault == Fault::slow) {
    const auto delay = query.number("ms", 1, App::longest_delay.count());
    if (!delay) {
      return std::unexpected(delay.error());
    }
    simulation.amount = std::chrono::milliseconds{delay->value_or(1000)};
  } else if (fault == Fault::flap) {
    const auto period = query.duration("period", App::shortest_period, App::longest_period);
    if (!period) {
      return std::unexpected(period.error());
    }
    simulation.amount = period->value_or(std::chrono::seconds{20});
  } else if (fault == Fault::leak) {
    const auto cap = static_cast<std::int64_t>(leak_cap_mib);
    const auto mib = query.number("mb", 1, cap);
    if (!mib) {
      return std::unexpected(mib.error());
    }
    simulation.leak_mib = static_cast<std::size_t>(mib->value_or(std::min<std::int64_t>(16, cap)));
  }
  return simulation;
}

std::string fault_sentence(Fault fault, const Simulation& simulation) {
  auto text = std::format("simulating {}", name_of(fault));
  if (fault == Fault::slow) {
    text += std::format(" ({} ms before each answer)", simulation.amount.count());
  } else if (fault == Fault::flap) {
    text += std::format(" (period {})", format_duration(simulation.amount));
  } else if (fault == Fault::leak) {
    text += std::format(" ({} MiB more)", simulation.leak_mib);
  }
  if (simulation.duration) {
    return text + std::format(" for {}", format_duration(*simulation.duration));
  }
  // Nobody can tell it to recover through a door that is shut.
  const bool unreachable = fault == Fault::hang || fault == Fault::refuse;
  return text + (unreachable ? " until restarted" : " until told to recover");
}

Reply accepted(unsigned status, std::string_view mode, std::string sentence, Json details) {
  Json body{{"simulation", mode}};
  body.update(details);
  Reply reply{.status = status, .content_type = "application/json", .body = dump(body)};
  reply.log = std::move(sentence);
  return reply;
}

}  // namespace

Reply problem(unsigned status, std::string_view detail, std::string_view parameter,
              std::string_view expected) {
  Json body{
      {"type", "about:blank"}, {"title", title_of(status)}, {"status", status}, {"detail", detail}};
  if (!parameter.empty()) {
    body["parameter"] = parameter;
  }
  if (!expected.empty()) {
    body["expected"] = expected;
  }
  return {.status = status, .content_type = "application/problem+json", .body = dump(body)};
}

std::string rfc3339(std::chrono::system_clock::time_point time) {
  return std::format("{:%FT%T}Z", std::chrono::floor<std::chrono::milliseconds>(time));
}

App::App(AppSettings settings, Instant now) : settings_{std::move(settings)}, started_{now} {
  if (settings_.unhealthy_for) {
    const auto duration = *settings_.unhealthy_for;
    faults_.start(Fault::unhealthy, now.steady,
                  duration.count() > 0 ? std::optional{duration} : std::nullopt);
  }
}

Reply App::handle(const Request& request, const Facts& facts, Instant now) {
  const auto question = request.target.find('?');
  const auto path = request.target.substr(0, question);
  const auto query =
      question == std::string_view::npos ? std::string_view{} : request.target.substr(question + 1);
  constexpr std::string_view simulate_prefix = "/simulate/";
  const bool reads = request.method == "GET" || request.method == "HEAD";

  Reply reply;
  std::string_view route = "other";
  if (path == "/" || path == "/health") {
    route = path == "/" ? "/" : "/health";
    if (!reads) {
      reply = wrong_method("GET, HEAD");
    } else {
      reply = path == "/" ? home(facts, now) : health(facts, now);
      reply.delay = faults_.delay(now.steady);
    }
  } else if (path.starts_with(simulate_prefix)) {
    route = "/simulate";
    if (request.method != "POST") {
      reply = wrong_method("POST");
    } else if (from_elsewhere(request)) {
      reply = problem(403, "the request comes from a page of another origin");
    } else if (request.body_bytes > 0) {
      reply = problem(400, "the parameters belong into the query, the body must be empty");
    } else {
      reply = simulate(path.substr(simulate_prefix.size()), query, facts, now);
    }
  } else {
    reply = problem(404, "there is nothing here; see / for what there is");
  }
  reply.route = route;
  return reply;
}

Reply App::home(const Facts& facts, Instant now) const {
  const auto health = faults_.health(now.steady);
  return {.content_type = "text/plain; charset=utf-8",
          .body = std::format("{}: {}\n"
                              "version {}, up {:.1f} s, {} connections, simulating: {}\n"
                              "\n"
                              "GET  /health   GET /metrics\n"
                              "POST /simulate/unhealthy   degraded   slow?ms=   hang   "
                              "flap?period=   leak?mb=   refuse\n"
                              "POST /simulate/crash   exit?code=   recover\n"
                              "Each of the first line takes for=DURATION, for example "
                              "for=30s.\n",
                              settings_.name, name_of(health), settings_.version,
                              seconds(now.steady - started_.steady), facts.connections,
                              faults_.describe(now.steady))};
}

Reply App::health(const Facts& facts, Instant now) const {
  const auto health = faults_.health(now.steady);
  const auto time = rfc3339(now.wall);
  Json body{{"status", name_of(health)},
            {"version", settings_.version.substr(0, settings_.version.find('.'))},
            {"releaseId", settings_.version},
            {"serviceId", settings_.name},
            {"description", "a service that fails on demand"}};
  if (health != Health::pass) {
    body["output"] = std::format("simulating {}", faults_.describe(now.steady));
  }
  body["checks"] = {
      {"simulation:faults", Json::array({Json{{"componentType", "component"},
                                              {"observedValue", faults_.describe(now.steady)},
                                              {"status", name_of(health)},
                                              {"time", time}}})},
      {"memory:leaked", Json::array({Json{{"componentType", "system"},
                                          {"observedValue", facts.leaked_mib},
                                          {"observedUnit", "MiB"},
                                          {"status", facts.leaked_mib == 0 ? "pass" : "warn"},
                                          {"time", time}}})},
      {"uptime", Json::array({Json{{"componentType", "system"},
                                   {"observedValue", seconds(now.steady - started_.steady)},
                                   {"observedUnit", "s"},
                                   {"status", "pass"},
                                   {"time", time}}})}};
  return {.status = health == Health::fail ? 503U : 200U,
          .content_type = "application/health+json",
          .body = dump(body)};
}

Reply App::simulate(std::string_view mode, std::string_view query_text, const Facts& facts,
                    Instant now) {
  const auto query = Query::parse(query_text);
  if (!query) {
    return bad_parameter(query.error());
  }
  if (mode == "recover" || mode == "crash") {
    if (const auto known = query->only({}); !known) {
      return bad_parameter(known.error());
    }
    if (mode == "crash") {
      auto reply = accepted(202, mode, "crashing as told", Json::object());
      reply.follow_up = FollowUp::crash;
      return reply;
    }
    const auto before = faults_.describe(now.steady);
    faults_.recover();
    auto reply = accepted(200, mode, std::format("recovered (was simulating {})", before),
                          {{"ended", before}});
    reply.follow_up = FollowUp::release;
    return reply;
  }
  if (mode == "exit") {
    const auto known = query->only({"code"});
    if (!known) {
      return bad_parameter(known.error());
    }
    const auto code = query->number("code", 0, 255);
    if (!code) {
      return bad_parameter(code.error());
    }
    const auto status = static_cast<int>(code->value_or(1));
    auto reply = accepted(202, mode, std::format("exiting with status {} as told", status),
                          {{"code", status}});
    reply.follow_up = FollowUp::exit;
    reply.exit_code = status;
    return reply;
  }
  const auto fault = fault_named(mode);
  if (!fault) {
    std::string names;
    for (const auto name : fault_names) {
      names += std::format("{}, ", name);
    }
    return problem(404, std::format("there is no such simulation; there are {}crash, exit "
                                    "and recover",
                                    names));
  }
  const auto simulation = read_simulation(*fault, *query, settings_.leak_cap_mib);
  if (!simulation) {
    return bad_parameter(simulation.error());
  }
  if (facts.leaked_mib + simulation->leak_mib > settings_.leak_cap_mib) {
    return problem(409,
                   std::format("{} MiB are leaked already and the cap is {} MiB; POST "
                               "/simulate/recover gives them back",
                               facts.leaked_mib, settings_.leak_cap_mib),
                   "mb");
  }
  faults_.start(*fault, now.steady, simulation->duration, simulation->amount);
  Json details = Json::object();
  details["for"] =
      simulation->duration ? Json(format_duration(*simulation->duration)) : Json(nullptr);
  if (*fault == Fault::slow) {
    details["ms"] = simulation->amount.count();
  } else if (*fault == Fault::flap) {
    details["period"] = format_duration(simulation->amount);
  } else if (*fault == Fault::leak) {
    details["mb"] = simulation->leak_mib;
  }
  auto reply = accepted(200, mode, fault_sentence(*fault, *simulation), std::move(details));
  reply.leak_mib = simulation->leak_mib;
  if (*fault == Fault::refuse) {
    reply.follow_up = FollowUp::refuse;
  } else if (*fault == Fault::leak) {
    reply.follow_up = FollowUp::leak;
  }
  return reply;
}

}  // namespace sentinel::demo
