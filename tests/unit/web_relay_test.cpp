// POST /api/v1/relay: who may, and what is taken.

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "alert_samples.hpp"
#include "protocol/relay.hpp"
#include "web/api.hpp"
#include "web_services.hpp"

using namespace sentinel;

namespace {

struct Fixture {
  web::ApiSource source() {
    web::ApiSource source = test::source_of(services);
    source.now = [] { return core::Time{}; };
    source.relay = [this](const core::Message& message) { taken.push_back(message); };
    return source;
  }
  io::HttpResponse send(const std::string& body, bool local = true,
                        const std::string& method = "POST",
                        const std::string& type = "application/json") {
    return api.handle({.method = method,
                       .path = std::string{protocol::relay_path},
                       .query = {},
                       .fields = {{"Content-Type", type}, {"Authorization", "Bearer secret"}},
                       .body = body,
                       .local = local,
                       .peer = local ? "" : "192.0.2.1"});
  }
  static std::string body() {
    core::Delivery delivery = test::sample_delivery();
    core::Incident& incident = delivery.message.items.front().incident;
    incident.root = {core::SubjectKind::server, "web", "alpha", 0};
    incident.members.clear();
    return protocol::relay_request(delivery).body;
  }

  std::vector<core::ServiceView> services;
  std::vector<core::Message> taken;
  web::Api api{source(), "secret"};
};

}  // namespace

TEST_CASE_METHOD(Fixture, "relay: what failover tells is taken over the Unix socket") {
  const auto answer = send(body());
  CHECK(answer.status == 200);
  REQUIRE(taken.size() == 1);
  CHECK(taken.front().items.front().incident.root.name == "alpha");
}

TEST_CASE_METHOD(Fixture, "relay: over TCP nobody tells us anything, token or not") {
  CHECK(send(body(), false).status == 403);
  CHECK(send("{}", false, "GET").status == 403);
  CHECK(taken.empty());
}

TEST_CASE_METHOD(Fixture, "relay: what is no message is refused, and says why") {
  const auto answer = send("{\"message\": 1}");
  CHECK(answer.status == 400);
  CHECK(answer.body.find("impossible value") != std::string::npos);
  CHECK(send(body(), true, "GET").status == 405);
  CHECK(send(body(), true, "POST", "text/plain").status == 415);
  CHECK(taken.empty());
}
