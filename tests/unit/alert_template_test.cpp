// Templates: what they mean, and that no value gets out of its string.

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "alert_samples.hpp"
#include "protocol/alert_escape.hpp"
#include "protocol/alert_presets.hpp"
#include "protocol/alert_template.hpp"

using namespace sentinel;
using namespace sentinel::protocol;
using nlohmann::json;

namespace {

json rendered(std::string_view text, const core::Delivery& delivery = test::sample_delivery()) {
  const auto made = AlertTemplate::parse(text, {{"topic", "alerts"}});
  REQUIRE(made);
  const auto request = (*made)->render(delivery);
  REQUIRE(request);
  return json::parse(request->body);
}

std::string refused(std::string_view text) {
  const auto made = AlertTemplate::parse(text);
  return made ? "" : made.error().message;
}

}  // namespace

TEST_CASE("placeholders are values of the data model") {
  const auto body = rendered(R"({"a": "{{ severity | upper }} on {{host}}", "b": "{{ more }}",
    "c": "{{ incidents.0.id }}", "d": "{{ params.topic }}", "e": "{{ group }}", "f": [1, true, null],
    "g": "{{ incidents.9.id }}!", "h": "{{ subject | limit 10 }}", "i": "x{{ more }}"})");
  CHECK(body["a"] == "CRITICAL on host-a");
  CHECK(body["b"] == 0);
  CHECK(body["c"] == "01JNJ3Z7K8W9X0YABCDEFGHJKM");
  CHECK(body["d"] == "alerts");
  CHECK(body["e"]["project"] == "shop");
  CHECK(body["f"] == json::parse("[1,true,null]"));
  CHECK(body["g"] == "!");
  CHECK(body["h"] == "[CRITIC...");
  CHECK(body["i"] == "x0");
}

TEST_CASE("lists, conditions and cases") {
  const auto body = rendered(R"({
    "each": [{"$each": "incidents", "$do": {"id": "{{ item.title }}",
              "acts": [{"$each": "item.actions", "$do": "{{ item.result }}"}]}}, "last"],
    "yes": {"$if": "link", "$then": 1, "$else": 2}, "no": {"$if": "note", "$then": 1, "$else": 2},
    "none": {"$if": "note", "$then": 1}, "list": [{"$if": "note", "$then": 1}],
    "case": {"$switch": "status", "resolved": "r", "firing": "f"},
    "other": {"$switch": "severity", "x": 1, "*": 2}, "nothing": {"$switch": "severity", "x": 1}})");
  CHECK(body["each"] == json::parse(R"([{"id":"web","acts":["failed","healthy"]},"last"])"));
  CHECK(body["yes"] == 1);
  CHECK(body["no"] == 2);
  CHECK_FALSE(body.contains("none"));
  CHECK(body["list"].empty());
  CHECK(body["case"] == "f");
  CHECK(body["other"] == 2);
  CHECK_FALSE(body.contains("nothing"));
}

TEST_CASE("what is wrong with a template is said when it is read") {
  CHECK(refused("[1]").find("object") != std::string::npos);
  CHECK(refused("{").find("no template") != std::string::npos);
  CHECK(refused(R"({"a": "{{ nonsense }}"})").find("unknown value 'nonsense'") !=
        std::string::npos);
  CHECK(refused(R"({"a": "{{ text | shout }}"})").find("unknown filter 'shout'") !=
        std::string::npos);
  CHECK(refused(R"({"a": "{{ text"})").find("without its }}") != std::string::npos);
  CHECK(refused(R"({"a": "{{ text | html | markdown }}"})").find("twice") != std::string::npos);
  CHECK(refused(R"({"a": {"$each": "incidents", "$do": 1}})").find("in a list") !=
        std::string::npos);
  CHECK(refused(R"({"a": {"$if": "text"}})").find("$then") != std::string::npos);
  CHECK(refused(R"({"a": {"$if": 1, "$then": 1}})").find("expects the name") != std::string::npos);
  CHECK(refused(R"({"$x": 1})").find("unexpected '$x'") != std::string::npos);
  CHECK(refused(R"({"$escape": "none"})").find("$escape") != std::string::npos);
  std::string deep = "1";
  for (int i = 0; i < 40; ++i) deep = "[" + deep + "]";
  CHECK_FALSE(refused("{\"a\": " + deep + "}").empty());
}

TEST_CASE("no value gets out of the string it stands in") {
  for (const auto* escape : {"chat", "markdown", "code", "html", "url", "plain"}) {
    const auto text = std::string{R"({"$escape": ")"} + escape +
                      R"(", "a": "{{ subject }}|{{ text }}|{{ incidents.0.log_tail }}", "b": 2})";
    const auto body = rendered(text, test::evil_delivery(5));
    CHECK(body.size() == 2);
    CHECK(body["b"] == 2);
    CHECK(test::inert(body["a"].get<std::string>(), true));
  }
}

TEST_CASE("a template that multiplies is stopped") {
  std::string node = "\"{{ text }}\"";
  for (int i = 0; i < 4; ++i) node = R"([{"$each": "incidents.0.members", "$do": )" + node + "}]";
  const auto made = AlertTemplate::parse("{\"a\": " + node + "}");
  REQUIRE(made);
  CHECK_FALSE((*made)->render(test::evil_delivery(20, 20)));
}

TEST_CASE("markup loses its power") {
  CHECK(escape_markup("@here <b>", Markup::chat) == "@\u200Bhere \u2039b>");
  CHECK(escape_markup("[x](http://y) *b* @a", Markup::markdown) ==
        "\\[x\\]\\(http\\://y\\) \\*b\\* @\u200Ba");
  CHECK(escape_markup("a ``` b", Markup::code).find('`') == std::string::npos);
  CHECK(escape_markup("a b&c/d\u00E4", Markup::url) == "a%20b%26c%2Fd%C3%A4");
  CHECK(escape_markup("<b>", Markup::html) == "&lt;b&gt;");
  CHECK(escape_markup("<b>", Markup::plain) == "<b>");
}

TEST_CASE("the presets fit what their services take, whatever is said") {
  CHECK(preset_template("nobody").empty());
  for (const auto* name : {"ntfy", "gotify", "discord", "teams"}) {
    for (const auto& delivery :
         {test::sample_delivery(), test::sample_delivery(core::MessageKind::resolved),
          core::Delivery{}, test::evil_delivery(1, 3), test::evil_delivery(500, 20)}) {
      INFO(name);
      const auto body = rendered(preset_template(name), delivery);
      if (std::string_view{name} == "ntfy") {
        CHECK(body["topic"] == "alerts");
        CHECK(body["message"].get<std::string>().size() <= 4096);
        CHECK(body["priority"].is_number_integer());
      } else if (std::string_view{name} == "discord") {
        CHECK(body["allowed_mentions"]["parse"].empty());
        const std::string description = body["embeds"][0]["description"];
        CHECK(body["embeds"][0]["title"].get<std::string>().size() <= 256);
        CHECK(description.size() <= 4096);
        CHECK(description.find('`', 3) == description.size() - 3);
      } else if (std::string_view{name} == "teams") {
        CHECK(body.dump().size() <= 28'000);
        CHECK(body.dump().find("TextBlock\",\"text") == std::string::npos);
      } else {
        CHECK_FALSE(body["title"].get<std::string>().empty());
        CHECK(body["priority"].is_number_integer());
      }
    }
  }
}
