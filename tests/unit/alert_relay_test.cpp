// What failover sends its monitor, and what the monitor takes.

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "alert_samples.hpp"
#include "protocol/relay.hpp"

using namespace sentinel;
using namespace sentinel::protocol;
using nlohmann::json;

namespace {

core::Subject server(std::string name) {
  return {core::SubjectKind::server, "web", std::move(name), 0};
}

core::Delivery delivery() {
  core::Delivery out = test::sample_delivery();
  core::Incident& incident = out.message.items.front().incident;
  incident.root = server("alpha");
  incident.members = {{server("beta"), "web/beta", "refused", test::at(5), test::at(9)}};
  return out;
}

void spoil(json& body, const std::string& path, const json& value) {
  body[json::json_pointer{"/message/items/0/incident" + path}] = value;
}

}  // namespace

TEST_CASE("what failover sends is what its monitor takes") {
  const core::Delivery sent = delivery();
  const AlertRequest request = relay_request(sent);
  const auto message = parse_relay(request.body);
  REQUIRE(message);
  REQUIRE(message->items.size() == 1);
  const core::Incident& there = sent.message.items.front().incident;
  const core::Incident& here = message->items.front().incident;
  CHECK(message->kind == sent.message.kind);
  CHECK(here.id == there.id);
  CHECK(here.root == there.root);
  CHECK(here.members == there.members);
  CHECK(here.lines == there.lines);
  CHECK(here.text == there.text);
  CHECK(here.began == there.began);
  // What a server does not have, and what the monitor has of its own.
  CHECK(here.health_output.empty());
  CHECK(here.log_tail.empty());
  CHECK(message->items.front().link.empty());
  CHECK(message->items.front().labels.empty());
  CHECK(request.headers.back() == std::pair<std::string, std::string>{"Idempotency-Key", sent.key});
}

TEST_CASE("a sign of life has no incidents") {
  core::Delivery alive;
  alive.key = "heartbeat:1";
  alive.message.kind = core::MessageKind::test;
  const auto message = parse_relay(relay_request(alive).body);
  REQUIRE(message);
  CHECK(message->items.empty());
}

TEST_CASE("the largest message fits, with its newest lines") {
  core::Delivery large = delivery();
  core::Incident& incident = large.message.items.front().incident;
  incident.text = std::string(1024, '"');
  for (int i = 0; i < 50; ++i) {
    incident.lines.push_back({test::at(i), std::to_string(i) + std::string(1000, '\\'), "done"});
    incident.members.push_back(
        {server("m" + std::to_string(i)), std::string(200, '"'), std::string(1024, '"'), {}, {}});
  }
  const auto one = parse_relay(relay_request(large).body);
  REQUIRE(one);
  REQUIRE_FALSE(one->items.front().incident.lines.empty());
  CHECK(one->items.front().incident.lines.back().text.starts_with("49"));

  large.message.items.resize(core::Message::max_items, large.message.items.front());
  const AlertRequest request = relay_request(large);
  CHECK(request.body.size() <= max_relay_body);
  const auto many = parse_relay(request.body);
  REQUIRE(many);
  CHECK(many->items.size() == core::Message::max_items);
}

TEST_CASE("the monitor refuses what failover would not say") {
  const auto [path, value] = GENERATE(table<std::string, json>({
      {"/root/kind", "service"},
      {"/root/kind", "engine"},
      {"/root/kind", "cat"},
      {"/root/kind", 1},
      {"/root/name", ""},
      {"/root/name", std::string(129, 'x')},
      {"/root/name", "a\u202Eb"},
      {"/root/group", ""},
      {"/members/0/subject/kind", "service"},
      {"/members/0/subject/name", ""},
      {"/id", ""},
      {"/severity", "fatal"},
      {"/began", "yesterday"},
      {"/ended", 1e300},
      {"/lines", "none"},
      {"/lines/0", nullptr},
      {"/sequence", -1},
  }));
  INFO(path << " " << value.dump());
  json body = json::parse(relay_request(delivery()).body);
  spoil(body, path, value);
  CHECK_FALSE(parse_relay(body.dump()));
}

TEST_CASE("what is no message at all is refused") {
  for (const char* text : {"", "{}", "[]", "null", "{\"message\":{}}", "\xFF", "{\"id\":1,"})
    CHECK_FALSE(parse_relay(text));
  json body = json::parse(relay_request(delivery()).body);
  for (int i = 0; i < 20; ++i) body["message"]["items"].push_back(body["message"]["items"][0]);
  CHECK_FALSE(parse_relay(body.dump()));
}

TEST_CASE("texts that mean harm arrive as one line, and bounded") {
  json body = json::parse(relay_request(delivery()).body);
  spoil(body, "/text", "a\nb\x1b[31m\u202E" + std::string(50'000, 'x'));
  spoil(body, "/title", "<b>\r\n" + std::string(5000, 'y'));
  spoil(body, "/cause", std::string(5000, 'z'));
  const auto message = parse_relay(body.dump());
  REQUIRE(message);
  const core::Incident& incident = message->items.front().incident;
  CHECK(incident.text.size() <= 4096);
  CHECK(incident.title.size() <= 256);
  CHECK(incident.cause.size() <= 128);
  for (const std::string& text : {incident.text, incident.title})
    CHECK(text.find_first_of("\n\r\x1b") == std::string::npos);
}
