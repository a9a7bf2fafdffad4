// What people are told, in words.

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "alert_samples.hpp"
#include "protocol/alert_text.hpp"

using namespace sentinel;
using namespace sentinel::protocol;
using test::at;

TEST_CASE("a message says what, where, since when, why, what was done and who suffers") {
  const auto text = alert_text(test::sample_delivery().message);
  CHECK(text.subject == "[CRITICAL] web unreachable: connection refused");
  REQUIRE(text.items.size() == 1);
  const auto plain = plain_text(text, 10'000);
  for (const auto* part :
       {"web unreachable: connection refused", "Subject: service:shop/web/1", "Host: host-a",
        "Since: 2026-03-05 10:00:00 UTC", "For: 2 min 10 s", "Severity: critical", "Cause: refused",
        "Container: aaaaaaaaaaaa\n", "Incident: 01JNJ3Z7K8W9X0YABCDEFGHJKM",
        "10:00:30 restarted, attempt 2 of 5: healthy", "Also affected:\n  api unreachable",
        "  | panic: out of memory", "  | exit 1",
        "Dashboard: https://sentinel.example.org/#/incident/1",
        "Runbook: https://wiki.example.org/web"}) {
    INFO(part);
    CHECK(plain.find(part) != std::string::npos);
  }
}

TEST_CASE("an end says how it ended and how long it lasted") {
  const auto text = alert_text(test::sample_delivery(core::MessageKind::resolved).message);
  CHECK(text.resolved);
  CHECK(text.subject == "[RESOLVED] web is healthy (was unhealthy for 2 min 5 s)");
  const auto plain = plain_text(text, 10'000);
  CHECK(plain.find("Lasted: 2 min 5 s") != std::string::npos);
  CHECK(plain.find("Ended: 2026-03-05 10:02:05 UTC") != std::string::npos);
}

TEST_CASE("a group names the first and counts the others; the worst that goes on counts") {
  auto message = test::sample_delivery().message;
  message.items.push_back(message.items.front());
  message.items[0].incident.severity = core::Severity::warning;
  message.items[1].incident.ended = at(20);
  message.more = 3;
  auto text = alert_text(message);
  CHECK(text.subject == "[WARNING] web unreachable: connection refused (and 4 more)");
  CHECK_FALSE(text.resolved);
  message.items[0].incident.ended = at(30);
  text = alert_text(message);
  CHECK(text.resolved);
  CHECK(text.severity == core::Severity::critical);
}

TEST_CASE("a message without incidents says what it is") {
  core::Message message;
  message.kind = core::MessageKind::test;
  message.host = "host-a";
  CHECK(alert_text(message).subject == "[TEST] a message from Sentinel, to see that it arrives");
  message.kind = core::MessageKind::digest;
  message.note = "12 incidents began within 10 minutes";
  CHECK(alert_text(message).subject == "[DIGEST] 12 incidents began within 10 minutes");
}

TEST_CASE("whatever is said, texts are inert and bounded") {
  for (const std::size_t times : {1U, 40U, 4000U}) {
    const auto text = alert_text(test::evil_delivery(times).message);
    CHECK(text.subject.size() <= max_alert_subject);
    CHECK(test::inert(text.subject, false));
    CHECK(test::inert(text.note, false));
    const auto& item = text.items.at(0);
    for (const auto& [name, value] : item.facts()) CHECK(test::inert(value, false));
    CHECK(item.actions.size() == max_alert_actions);
    CHECK(item.members.size() == max_alert_members);
    CHECK(item.more_members == 75);
    CHECK(item.health_output.size() <= max_alert_output);
    CHECK(item.log_tail.size() <= max_alert_output);
    CHECK(test::inert(item.log_tail, true));
    CHECK(item.runbook.empty());
    CHECK(test::inert(plain_text(text, 100'000), true));
    CHECK(plain_text(text, 777).size() <= 777);
  }
}

TEST_CASE("of logs the end is kept, of health output the beginning") {
  auto message = test::sample_delivery().message;
  std::string lines;
  for (int i = 0; i < 200; ++i) lines += "line " + std::to_string(i) + "\n\n\n";
  message.items[0].incident.log_tail = lines;
  message.items[0].incident.health_output = lines;
  const auto item = alert_text(message).items.at(0);
  CHECK(item.log_tail.starts_with("...\n"));
  CHECK(item.log_tail.ends_with("line 199"));
  CHECK(item.health_output.starts_with("line 0\n"));
  CHECK(item.health_output.ends_with("\n..."));
  message.items[0].incident.log_tail = "start\n" + std::string(20'000, 'x');
  CHECK(alert_text(message).items[0].log_tail.size() <= max_alert_output);
}

TEST_CASE("links are safe or none") {
  CHECK(safe_url("https://a.example/x?y=1#z") == "https://a.example/x?y=1#z");
  CHECK(safe_url("https://a.example/<script>|`(x)*'\"\n") ==
        "https://a.example/%3Cscript%3E%7C%60%28x%29%2A%27%22%0A");
  CHECK(safe_url("javascript:alert(1)").empty());
  CHECK(safe_url("").empty());
  CHECK(safe_url("https://a.example/" + std::string(3000, 'a')).empty());
}

TEST_CASE("text is cut between characters") {
  CHECK(cut("abc", 3) == "abc");
  CHECK(cut("abcdef", 5) == "ab...");
  CHECK(cut("\xC3\xA4\xC3\xA4\xC3\xA4", 6) == "\xC3\xA4\xC3\xA4\xC3\xA4");
  CHECK(cut("\xC3\xA4\xC3\xA4\xC3\xA4"
            "b",
            6) == "\xC3\xA4...");
  CHECK(cut("abcdef", 2) == "ab");
}
