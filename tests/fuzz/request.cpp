// A request to our own server, from its target to the API's answer: lines for target, Host,
// Accept-Encoding and If-None-Match, then the body. The first byte chooses the method and who asks.

#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fuzz.hpp"
#include "io/http_server_parse.hpp"
#include "protocol/json.hpp"
#include "web/api.hpp"

using namespace sentinel;

namespace {

constexpr const char* token = "0123456789abcdef";
unsigned changes = 0;

std::string_view line(std::string_view& rest) {
  const auto end = rest.find('\n');
  const std::string_view one = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return one;
}

void asked(const core::ServiceKey& key, const std::string& by) {
  ++changes;
  fuzz::require(key.service == "web", "of the service that was found");
  fuzz::require(fuzz::printable(by), "who asks is safe to print");
}

core::ServiceView service() {
  core::ServiceView view;
  view.key = {.project = "shop", .service = "web", .replica = 1};
  view.name = "web";
  view.container = *core::ContainerId::parse(std::string(64, 'a'));
  return view;
}

web::ApiSource source() {
  web::ApiSource source;
  source.now = [] { return core::Time{core::Duration{1}}; };
  source.unix_ms = [] { return std::int64_t{1'700'000'000'000}; };
  source.process = [] { return web::ProcessView{}; };
  source.services = [] { return std::vector{service()}; };
  source.find = [](std::string_view name) {
    // Unknown, unique and ambiguous names.
    return std::vector<core::ServiceView>(name.size() % 3, service());
  };
  source.service = [](core::ServiceId) { return std::optional{service()}; };
  source.needs = [] { return std::vector<core::ServiceNeeds>{}; };
  source.metrics = [] { return std::string{}; };
  source.set_maintenance = [](const core::ServiceKey& key, core::Duration) { asked(key, {}); };
  source.restart_problem = [](core::ServiceId) { return std::string{}; };
  source.release_problem = [](core::ServiceId) { return std::string{}; };
  source.restart = [](const core::RestartService& event) { asked(event.key, event.by); };
  source.release = [](const core::ReleaseService& event) { asked(event.key, event.by); };
  source.logs = [](const core::ContainerId&, const std::function<void(std::string)>& done) {
    done("one\ntwo\n");
  };
  return source;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static constexpr std::array<const char*, 4> methods{"GET", "POST", "DELETE", "PUT"};
  if (size < 1) return 0;
  web::Api api{source(), token};  // anew: wrong tokens are counted
  std::string_view rest = fuzz::view(data + 1, size - 1);
  const auto target = io::parse_target(line(rest));
  if (!target) {
    fuzz::require(fuzz::printable(target.error()), "printable error");
    return 0;
  }
  fuzz::require(target->path.starts_with('/'), "an absolute path");
  fuzz::require(fuzz::printable(target->path), "no control characters");
  fuzz::require(!target->path.contains("/../") && !target->path.ends_with("/.."), "no climbing");
  const std::string host{line(rest)};
  io::host_allowed(host, {});
  io::HttpRequest request;
  request.method = methods[data[0] % methods.size()];
  request.local = (data[0] & 4U) != 0;
  request.path = target->path;
  request.query = target->query;
  request.peer = request.local ? "" : "fuzz";
  request.fields = {{"Host", host}, {"Content-Type", "application/json"}};
  request.fields.emplace_back("Accept-Encoding", line(rest));
  request.fields.emplace_back("If-None-Match", line(rest));
  if ((data[0] & 8U) != 0) request.fields.emplace_back("Accept", "text/html");
  const bool may = request.local || (data[0] & 16U) != 0;
  if ((data[0] & 16U) != 0)
    request.fields.emplace_back("Authorization", std::string{"Bearer "} + token);
  if ((data[0] & 32U) != 0) request.fields.emplace_back("Authorization", "Bearer of bad news");
  request.body = rest;

  changes = 0;
  io::HttpResponse response = api.handle(request);
  if (response.later) {
    std::optional<io::HttpResponse> given;
    const auto later = std::exchange(response.later, {});
    later([&given](io::HttpResponse answer) { given = std::move(answer); });
    fuzz::require(given.has_value(), "an answer");
    response = std::move(*given);
  }
  fuzz::require(response.status >= 200 && response.status < 600, "a status");
  fuzz::require(may || changes == 0, "nothing changes without the token");
  if (!may && request.method != "GET") fuzz::require(response.status >= 400, "an error");
  if (response.content_type.ends_with("json") && !response.body.empty())
    fuzz::require(protocol::json::parse(response.body).has_value(), "JSON");
  return 0;
}
