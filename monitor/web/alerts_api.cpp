#include "web/alerts_api.hpp"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "observe/text.hpp"
#include "protocol/json.hpp"
#include "protocol/matchers.hpp"
#include "protocol/settings.hpp"
#include "web/incident_views.hpp"
#include "web/parameters.hpp"
#include "web/views.hpp"

namespace sentinel::web {

namespace {

using Json = nlohmann::ordered_json;
using io::HttpRequest;
using io::HttpResponse;
using protocol::json::Value;

constexpr std::string_view silences_path = "/api/v1/silences";
constexpr std::string_view deliveries_prefix = "/api/v1/alerts/deliveries/";
constexpr std::string_view retry_suffix = "/retry";
constexpr std::size_t most_matchers = 20;
constexpr std::size_t longest_text = 400;
constexpr std::size_t longest_name = 128;

HttpResponse not_allowed(std::string_view allowed) {
  HttpResponse response = io::http_problem(405, "expected one of " + std::string{allowed});
  response.headers.emplace_back("Allow", allowed);
  return response;
}

HttpResponse nothing_here() {
  return io::http_problem(404, "nothing is here; / lists what there is");
}

HttpResponse no_content() {
  HttpResponse response;
  response.status = 204;
  return response;
}

/// The error is a sentence for the client.
std::expected<core::Matchers, std::string> matchers_of(const Value& list) {
  const auto& values = list.array();
  if (values.empty() || values.size() > most_matchers) {
    return std::unexpected("match: expected a list of 1 to " + std::to_string(most_matchers) +
                           " matchers");
  }
  core::Matchers matchers;
  for (const Value& value : values) {
    const auto op = protocol::parse_op(value["op"].text());
    if (!op) return std::unexpected("op: expected equal, not_equal, like or not_like");
    if (value["label"].text().empty() || !value["value"].is_string())
      return std::unexpected("match: expected label, op and value");
    if (value["label"].text().size() > longest_name || value["value"].text().size() > longest_text)
      return std::unexpected("match: a label or value is too long");
    matchers.push_back(
        {std::string{value["label"].text()}, *op, std::string{value["value"].text()}});
  }
  return matchers;
}

}  // namespace

HttpResponse AlertsApi::alerts() const {
  Json deliveries = Json::array();
  std::size_t more = 0;
  if (alerts_.any()) {
    const auto all = alerts_.deliveries();
    more = all.size() - std::min(all.size(), most_deliveries);
    for (std::size_t i = 0; i < all.size() - more; ++i) deliveries.push_back(delivery_json(all[i]));
  }
  return json_response({{"receivers", receivers_json(alerts_)},
                        {"deliveries", std::move(deliveries)},
                        {"more", more}});
}

HttpResponse AlertsApi::silences() const {
  return json_response(
      silences_json(alerts_.any() ? alerts_.silences() : std::vector<core::Silence>{}));
}

HttpResponse AlertsApi::change(const HttpRequest& request) {
  std::string_view path = request.path;
  const bool remove = request.method == "DELETE";
  const bool post = request.method == "POST";
  if (path == "/api/v1/alerts") return not_allowed("GET, HEAD");
  if (path == "/api/v1/alerts/test") return post ? test(request) : not_allowed("POST");
  if (path == silences_path) return post ? add_silence(request) : not_allowed("GET, HEAD, POST");
  if (path.starts_with(silences_path) && path.substr(silences_path.size()).starts_with('/')) {
    if (!remove) return not_allowed("DELETE");
    if (auto refusal = guard_.refuse(request, source_.now())) return std::move(*refusal);
    return end_silence(path.substr(silences_path.size() + 1));
  }
  if (!path.starts_with(deliveries_prefix)) return nothing_here();
  path.remove_prefix(deliveries_prefix.size());
  if (path.ends_with(retry_suffix)) {
    if (!post) return not_allowed("POST");
    if (auto refusal = guard_.refuse_change(request, source_.now())) return std::move(*refusal);
    return delivery(path.substr(0, path.size() - retry_suffix.size()), true);
  }
  if (!remove) return not_allowed("DELETE");
  if (auto refusal = guard_.refuse(request, source_.now())) return std::move(*refusal);
  return delivery(path, false);
}

HttpResponse AlertsApi::test(const HttpRequest& request) {
  if (auto refusal = guard_.refuse_change(request, source_.now())) return std::move(*refusal);
  const auto body = protocol::json::parse(request.body);
  if (!body || !body->is_object()) return io::http_problem(400, "expected a JSON object");
  const std::string receiver{(*body)["receiver"].text()};
  if (receiver.empty()) return io::http_problem(400, "receiver: expected the name of a receiver");
  const auto known = alerts_.any() ? alerts_.receivers() : std::vector<core::ReceiverView>{};
  if (!std::ranges::contains(known, receiver, &core::ReceiverView::name))
    return io::http_problem(404, "no receiver is called '" + receiver + "'");
  alerts_.command(core::TestReceiver{receiver});
  return json_response({{"text", "a test message to " + receiver + " is on its way"}}, 202);
}

HttpResponse AlertsApi::add_silence(const HttpRequest& request) {
  if (auto refusal = guard_.refuse_change(request, source_.now())) return std::move(*refusal);
  const auto body = protocol::json::parse(request.body);
  if (!body || !body->is_object()) return io::http_problem(400, "expected a JSON object");
  core::Silence silence;
  auto matchers = matchers_of((*body)["match"]);
  if (!matchers) return io::http_problem(400, matchers.error());
  silence.match = std::move(*matchers);
  const auto length =
      protocol::parse_duration((*body)["for"].text(), {std::chrono::seconds{1}, longest_silence});
  if (!length) return io::http_problem(400, "for: " + length.error().message);
  silence.begins = core::WallTime{std::chrono::milliseconds{source_.unix_ms()}};
  if (const Value& begins = (*body)["begins"]; !begins.is_null()) {
    const auto time = parse_time(begins.text());
    if (!time) return io::http_problem(400, "begins: expected a time such as 2026-01-31T12:00:00Z");
    silence.begins = std::max(silence.begins, *time);
  }
  silence.ends = silence.begins + std::chrono::duration_cast<std::chrono::milliseconds>(*length);
  silence.by = observe::one_line((*body)["by"].text(), longest_name);
  silence.comment = observe::one_line((*body)["comment"].text(), longest_text);
  if (!alerts_.any()) return io::http_problem(409, "there is no alerting in this process");
  if (const auto problem = alerts_.silence_problem(silence); !problem.empty())
    return io::http_problem(409, problem);
  // Its id is given by the core, and is greater than all before.
  const auto newest = [this] {
    core::Silence found;
    for (core::Silence& one : alerts_.silences())
      if (one.id > found.id) found = std::move(one);
    return found;
  };
  const std::string before = newest().id;
  alerts_.command(core::AddSilence{std::move(silence)});
  const core::Silence added = newest();
  if (added.id == before)
    return io::http_problem(409, "the silence was not taken; there are as many as there may be");
  return json_response(silence_json(added), 201);
}

HttpResponse AlertsApi::end_silence(std::string_view id) {
  const auto known = alerts_.any() ? alerts_.silences() : std::vector<core::Silence>{};
  if (!std::ranges::contains(known, id, &core::Silence::id))
    return io::http_problem(404, "no silence has this id");
  alerts_.command(core::EndSilence{std::string{id}});
  return no_content();
}

HttpResponse AlertsApi::delivery(std::string_view id, bool retry) {
  const auto number = parse_number(id);
  const auto all = alerts_.any() ? alerts_.deliveries() : std::vector<core::Delivery>{};
  const auto found = std::ranges::find(all, number.value_or(0), &core::Delivery::id);
  if (!number || found == all.end()) return io::http_problem(404, "no delivery has this id");
  if (!found->dead) return io::http_problem(409, "it was not given up: it is still being tried");
  if (retry) {
    alerts_.command(core::RetryDead{*number});
    return json_response({{"text", "it will be tried once more"}}, 202);
  }
  alerts_.command(core::DropDead{*number});
  return no_content();
}

}  // namespace sentinel::web
