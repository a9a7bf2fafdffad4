// Slack, the generic webhook and Alertmanager: what leaves us, read as a program reads it.

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "alert_samples.hpp"
#include "protocol/alert_slack.hpp"
#include "protocol/alert_webhook.hpp"

using namespace sentinel;
using namespace sentinel::protocol;
using nlohmann::json;

namespace {

/// All strings in it that are shown to people.
void texts(const json& node, std::size_t& total, bool& mrkdwn) {
  if (node.is_object()) {
    if (node.value("type", "") == "mrkdwn") mrkdwn = true;
    if (const auto text = node.find("text"); text != node.end() && text->is_string())
      total += text->get<std::string>().size();
  }
  if (node.is_structured())
    for (const auto& child : node) texts(child, total, mrkdwn);
}

void check_slack(const core::Delivery& delivery) {
  const auto request = slack_request(delivery);
  const auto body = json::parse(request.body);
  const auto& blocks = body.at("blocks");
  CHECK(blocks.size() <= 50);
  std::size_t total = 0;
  bool mrkdwn = false;
  texts(blocks, total, mrkdwn);
  CHECK(total <= 13'200);
  CHECK_FALSE(mrkdwn);
  for (const auto& block : blocks) {
    const std::string type = block.at("type");
    if (type == "header") {
      CHECK(block.at("text").at("text").get<std::string>().size() <= 150);
    } else if (type == "section") {
      CHECK(block.at("text").at("type") == "plain_text");
      CHECK(block.at("text").at("emoji") == false);
      CHECK(block.at("text").at("text").get<std::string>().size() <= 3000);
    } else if (type == "rich_text") {
      for (const auto& part : block.at("elements"))
        for (const auto& element : part.at("elements"))
          CHECK((element.at("type") == "text" || element.at("type") == "link"));
    } else {
      CHECK(type == "divider");
    }
  }
  const std::string fallback = body.at("text");
  CHECK(fallback.find('<') == std::string::npos);
  CHECK(fallback.find('>') == std::string::npos);
}

}  // namespace

TEST_CASE("Slack gets a header, facts, outputs and links") {
  const auto body = json::parse(slack_request(test::sample_delivery()).body);
  CHECK(body["text"] == "[CRITICAL] web unreachable: connection refused");
  const auto all = body.dump();
  for (const auto* part : {"panic: out of memory", "Also affected", "attempt 2 of 5", "host-a",
                           "https://wiki.example.org/web", "rich_text_preformatted"}) {
    INFO(part);
    CHECK(all.find(part) != std::string::npos);
  }
  CHECK(body["blocks"][0]["type"] == "header");
  check_slack(test::sample_delivery());
}

TEST_CASE("Slack's limits hold whatever is said, and nothing in it has power") {
  for (const std::size_t items : {1U, 3U, 20U, 100U}) {
    check_slack(test::evil_delivery(1, items));
    check_slack(test::evil_delivery(300, items));
  }
  core::Delivery empty;
  check_slack(empty);
}

TEST_CASE("the generic webhook has Alertmanager's shape and ours") {
  const auto request = webhook_request(test::sample_delivery());
  const auto body = json::parse(request.body);
  CHECK(body["version"] == "4");
  CHECK(body["status"] == "firing");
  CHECK(body["receiver"] == "team");
  CHECK(body["groupLabels"]["project"] == "shop");
  CHECK(body["groupKey"] == "{project=shop}");
  CHECK(body["truncatedAlerts"] == 0);
  const auto& alert = body["alerts"][0];
  CHECK(alert["status"] == "firing");
  CHECK(alert["labels"]["alertname"] == "SentinelServiceFailed");
  CHECK(alert["labels"]["cause"] == "refused");
  CHECK(alert["startsAt"] == "2026-03-05T10:00:00.000Z");
  CHECK(alert["endsAt"] == "0001-01-01T00:00:00Z");
  CHECK(alert["annotations"]["summary"] == "web unreachable: connection refused");
  CHECK(body["commonLabels"] == alert["labels"]);
  CHECK(body["sentinel"]["incidents"][0]["id"] == "01JNJ3Z7K8W9X0YABCDEFGHJKM");
  CHECK(body["sentinel"]["incidents"][0]["actions"][1]["result"] == "healthy");
  bool found = false;
  for (const auto& [name, value] : request.headers)
    found = found || (name == "Idempotency-Key" && value == "01JNJ3Z7K8W9X0YABCDEFGHJKM:1:team");
  CHECK(found);
  CHECK(signed_text(12, "{}") == "12.{}");
}

TEST_CASE("labels that differ are not common") {
  auto delivery = test::sample_delivery();
  delivery.message.items.push_back(delivery.message.items.front());
  delivery.message.items[1].labels["service"] = "api";
  delivery.message.items[1].labels.erase("cause");
  const auto body = json::parse(webhook_request(delivery).body);
  CHECK(body["commonLabels"]["project"] == "shop");
  CHECK_FALSE(body["commonLabels"].contains("service"));
  CHECK_FALSE(body["commonLabels"].contains("cause"));
}

TEST_CASE("Alertmanager gets identities that do not change, and ends") {
  auto delivery = test::sample_delivery();
  const auto request = alertmanager_request(delivery, test::at(130));
  CHECK(request.path == "/api/v2/alerts");
  auto alerts = json::parse(request.body);
  CHECK(alerts[0]["endsAt"] == "2026-03-05T10:07:10.000Z");
  const auto labels = alerts[0]["labels"];
  CHECK_FALSE(labels.contains("cause"));
  CHECK(labels["subject"] == "service:shop/web/1");
  delivery = test::sample_delivery(core::MessageKind::resolved);
  delivery.message.items[0].labels["cause"] = "timeout";
  alerts = json::parse(alertmanager_request(delivery, test::at(130)).body);
  CHECK(alerts[0]["labels"] == labels);
  CHECK(alerts[0]["endsAt"] == "2026-03-05T10:02:05.000Z");
}

TEST_CASE("Alertmanager's labels have legal names and values; a test is an alert of its own") {
  const auto alerts = json::parse(alertmanager_request(test::evil_delivery(3), test::at(0)).body);
  for (const auto& [name, value] : alerts[0]["labels"].items()) {
    CHECK(
        name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") ==
        std::string::npos);
    CHECK_FALSE(value.get<std::string>().empty());
  }
  core::Delivery test;
  test.message.kind = core::MessageKind::test;
  const auto one = json::parse(alertmanager_request(test, test::at(0)).body);
  CHECK(one[0]["labels"]["alertname"] == "SentinelTest");
}

TEST_CASE("bodies for programs are bounded and parse, headers stay one line") {
  for (const std::size_t items : {1U, 20U, 50U}) {
    const auto delivery = test::evil_delivery(500, items);
    for (const auto& request :
         {webhook_request(delivery), alertmanager_request(delivery, test::at(0))}) {
      CHECK(request.body.size() <= max_alert_body);
      CHECK(json::parse(request.body, nullptr, false).is_structured());
      for (const auto& [name, value] : request.headers) CHECK(test::inert(value, false));
    }
  }
}
