#include "web/pools_api.hpp"

#include <expected>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "observe/text.hpp"
#include "protocol/json.hpp"
#include "protocol/pools.hpp"
#include "protocol/settings.hpp"
#include "web/pool_views.hpp"
#include "web/views.hpp"

namespace sentinel::web {

namespace {

using Json = nlohmann::ordered_json;
using io::HttpReply;
using io::HttpRequest;
using io::HttpResponse;
using protocol::json::Value;

constexpr std::size_t longest_by = 128;
constexpr std::size_t longest_problem = 400;

/// What goes to the failover; the error is a sentence for the client.
using Body = std::expected<Json, std::string>;

std::unexpected<std::string> refused(std::string text) { return std::unexpected(std::move(text)); }

/// Text or nothing.
bool good_text(const Value& value) { return value.is_null() || value.is_string(); }

Body target_of(const Value& given, const HttpRequest& request) {
  if (!given.is_object()) return refused("expected a JSON object");
  const std::string_view server = given["server"].text();
  const std::string_view pool = given["pool"].text();
  if (!protocol::is_reportable_name(server)) return refused("server: expected a server's name");
  if (!good_text(given["pool"]) || (!pool.empty() && !protocol::is_reportable_name(pool)))
    return refused("pool: expected a pool's name");
  if (!good_text(given["by"])) return refused("by: expected a text");
  Json body{{"server", server}};
  if (!pool.empty()) body["pool"] = pool;
  std::string by = observe::one_line(given["by"].text(), longest_by);
  // Browsers name the page that asks, others do not.
  if (by.empty()) by = request.field("Origin").empty() ? "the monitor's API" : "the dashboard";
  body["by"] = std::move(by);
  return body;
}

Body drain_of(const Value& given, const HttpRequest& request) {
  Body body = target_of(given, request);
  if (!body) return body;
  const auto take = [&](const char* key, core::Duration least) {
    const Value& value = given[key];
    if (!good_text(value)) return std::string{key} + ": expected a duration such as 30m";
    if (value.text().empty()) return std::string{};
    const auto time = protocol::parse_duration(value.text(), {least, PoolsApi::longest_drain});
    if (!time) return std::string{key} + ": " + time.error().message;
    (*body)[key] = value.text();
    return std::string{};
  };
  if (auto problem = take("for", std::chrono::seconds{1}); !problem.empty())
    return refused(std::move(problem));
  if (auto problem = take("deadline", {}); !problem.empty()) return refused(std::move(problem));
  if (!given["force"].is_null()) {
    const auto force = given["force"].boolean();
    if (!force) return refused("force: expected true or false");
    (*body)["force"] = *force;
  }
  return body;
}

/// Its own words, or that there were none worth passing on.
HttpResponse passed_on(const FailoverAnswer& answer, const Json& target) {
  if (answer.status == 200) return json_response(target);
  const std::string words = protocol::problem_text(answer.body);
  if (answer.status == 400 || answer.status == 409)
    return io::http_problem(answer.status, words.empty() ? "the failover refused it" : words);
  return io::http_problem(502, "the failover answered " + std::to_string(answer.status) +
                                   (words.empty() ? "" : ": " + words));
}

}  // namespace

HttpResponse PoolsApi::pools() const {
  const auto answer = [this] {
    const FailoverState& state = state_of(failover_);
    return json_response({{"failover", failover_json(state)}, {"pools", pools_json(state)}});
  };
  if (!failover_.any()) return answer();
  return io::http_later([this, answer](HttpReply reply) {
    failover_.refresh([answer, reply = std::move(reply)] { reply(answer()); });
  });
}

HttpResponse PoolsApi::change(const HttpRequest& request, bool drain) {
  if (auto refusal = guard_.refuse_change(request, source_.now())) return std::move(*refusal);
  const auto given = protocol::json::parse(request.body);
  if (!given) return io::http_problem(400, "expected JSON: " + given.error().message);
  const Body body = drain ? drain_of(*given, request) : target_of(*given, request);
  if (!body) return io::http_problem(400, body.error());
  const FailoverState& state = state_of(failover_);
  if (!state.configured) return io::http_problem(409, state.reason);
  Json target{{"server", (*body)["server"]}};
  if (body->contains("pool")) target["pool"] = (*body)["pool"];
  return io::http_later(
      [this, drain, text = dump_line(*body), target = std::move(target)](HttpReply reply) {
        const bool begun = failover_.change(
            drain ? "/api/v1/drain" : "/api/v1/ready", text, [reply, target](const auto& answer) {
              if (answer) return reply(passed_on(*answer, target));
              reply(io::http_problem(
                  502, observe::one_line("the failover does not answer: " + answer.error(),
                                         longest_problem)));
            });
        if (begun) return;
        HttpResponse response = io::http_problem(
            503, "another change is on its way to the failover; ask again in a moment");
        response.headers.emplace_back("Retry-After", "1");
        reply(std::move(response));
      });
}

}  // namespace sentinel::web
