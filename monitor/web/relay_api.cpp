#include "web/relay_api.hpp"

#include <nlohmann/json.hpp>
#include <utility>

#include "protocol/relay.hpp"
#include "web/views.hpp"

namespace sentinel::web {

io::HttpResponse relay_response(const io::HttpRequest& request, const ApiSource& source,
                                Guard& guard) {
  if (!request.local) return io::http_problem(403, "this is taken over the Unix socket only");
  if (request.method != "POST") {
    io::HttpResponse response = io::http_problem(405, "expected POST");
    response.headers.emplace_back("Allow", "POST");
    return response;
  }
  if (auto refusal = guard.refuse_change(request, source.now())) return std::move(*refusal);
  auto message = protocol::parse_relay(request.body);
  if (!message) return io::http_problem(400, message.error().message);
  if (!source.relay) return io::http_problem(503, "alerts are not ready yet");
  const std::size_t incidents = message->items.size();
  source.relay(*message);
  return json_response({{"incidents", incidents}});
}

}  // namespace sentinel::web
