#include <catch2/catch_test_macros.hpp>

#include "core/ulid.hpp"
#include "unit/alert_bed.hpp"

using namespace sentinel::core;

TEST_CASE("one failure is one message with its cause, its end another") {
  AlertBed bed;
  bed.fail(service("web"), "connection refused");
  REQUIRE(bed.core->open_incidents().size() == 1);
  const std::string id = bed.core->open_incidents()[0].id;
  CHECK(id.size() == 26);
  CHECK(bed.core->incident_of(service("web")) == id);
  bed.on(SubjectActed{service("web"), "restarted, attempt 1 of 5", "done"});
  bed.run(9s);
  CHECK(bed.told().empty());
  bed.run(2s);
  REQUIRE(bed.told() == "firing web");
  const Message& message = bed.accepted[0].message;
  CHECK(message.host == "box");
  CHECK(message.group == Labels{{"project", "shop"}});
  CHECK(message.items[0].incident.text == "connection refused");
  CHECK(message.items[0].incident.lines.back().text == "restarted, attempt 1 of 5");
  CHECK(message.items[0].labels.at("service") == "web");
  CHECK(bed.accepted[0].key == id + ":1:team");
  bed.run(2min);
  bed.recover(service("web"));
  bed.run(1min);
  REQUIRE(bed.told() == "firing web, resolved web");
  CHECK(bed.accepted[1].key == id + ":2:team");
  CHECK(bed.accepted[1].message.items[0].incident.end_text == "it works again");
  CHECK(bed.core->open_incidents().empty());
  CHECK(bed.incidents.at(id).closed);
  CHECK(bed.kept.empty());
  CHECK(bed.core->deliveries().empty());
}

TEST_CASE("what fails because of something joins its incident, whoever is noticed first") {
  for (const bool cause_first : {true, false}) {
    CAPTURE(cause_first);
    AlertBed bed;
    bed.needs(service("web"), {service("api")});
    bed.needs(service("api"), {service("db")});
    if (cause_first) bed.fail(service("db"));
    bed.fail(service("web"));
    bed.run(3s);
    bed.fail(service("api"));
    bed.run(1s);
    if (!cause_first) bed.fail(service("db"));
    bed.run(30s);
    CHECK(bed.told() == "firing db");
    REQUIRE(bed.core->open_incidents().size() == 1);
    const Incident incident = bed.core->open_incidents()[0];
    CHECK(incident.root == service("db"));
    CHECK(incident.members.size() == 2);
    CHECK(bed.core->incident_of(service("web")) == incident.id);
    // It ends with the last of them.
    bed.recover(service("db"));
    bed.recover(service("web"));
    bed.run(2min);
    CHECK(bed.told() == "firing db");
    bed.recover(service("api"));
    bed.run(2min);
    CHECK(bed.told() == "firing db, resolved db");
    for (const auto& [id, kept] : bed.incidents) {
      CHECK(kept.closed);
      CHECK(kept.merged_into.empty() == (id == incident.id));
    }
  }
}

TEST_CASE("a dependant that failed long before its cause, or was told, stays what it is") {
  AlertBed bed;
  bed.needs(service("web"), {service("db")});
  bed.fail(service("web"));
  bed.run(6s);
  bed.fail(service("db"));
  bed.run(30s);
  CHECK(bed.told() == "firing web+1");
  CHECK(bed.core->open_incidents().size() == 2);
}

TEST_CASE("two that need each other are one incident, and harmless") {
  AlertBed bed;
  bed.needs(service("a"), {service("b")});
  bed.needs(service("b"), {service("a"), service("b")});
  bed.fail(service("a"));
  bed.fail(service("b"));
  bed.run(30s);
  CHECK(bed.told() == "firing a");
  bed.on(SubjectGone{service("a"), "removed"});
  bed.on(SubjectGone{service("b"), "removed"});
  bed.run(2min);
  CHECK(bed.told() == "firing a, resolved a");
}

TEST_CASE("the Engine is the cause of its services") {
  AlertBed bed;
  for (int i = 0; i < 50; ++i) bed.needs(service("s" + std::to_string(i)), {engine});
  for (int i = 0; i < 20; ++i) bed.fail(service("s" + std::to_string(i)));
  bed.fail(engine, "the Engine does not answer", Severity::critical, "engine_down");
  for (int i = 20; i < 50; ++i) bed.fail(service("s" + std::to_string(i)));
  bed.run(1min);
  CHECK(bed.told() == "firing engine");
  REQUIRE(bed.core->open_incidents().size() == 1);
  CHECK(bed.core->open_incidents()[0].members.size() == 50);
}

TEST_CASE("a pool that goes down takes its servers' incidents, a host's fall is one") {
  AlertBed bed;
  SECTION("pool") {
    bed.fail(server("web", "alpha"));
    bed.run(2s);
    bed.fail(server("web", "beta"));
    bed.fail(pool("web"), "no server is left", Severity::critical, "pool_down");
    bed.run(30s);
    CHECK(bed.told() == "firing web");
    bed.recover(pool("web"));
    bed.recover(server("web", "alpha"));
    bed.run(2min);
    CHECK(bed.told() == "firing web");
    bed.recover(server("web", "beta"));
    bed.run(2min);
    CHECK(bed.told() == "firing web, resolved web");
  }
  SECTION("host") {
    bed.fail(server("web", "alpha"));
    bed.fail(server("mail", "alpha"));
    bed.run(1s);
    bed.fail(server("dns", "alpha"));
    bed.fail(server("dns", "beta"));
    bed.run(30s);
    CHECK(bed.core->open_incidents().size() == 2);
    CHECK(bed.core->incident_of(server("dns", "alpha")) ==
          bed.core->incident_of(server("web", "alpha")));
  }
}

TEST_CASE("an escalation is told, another wording is not") {
  AlertBed bed;
  bed.fail(service("web"), "slow", Severity::warning, "degraded");
  bed.run(2min);
  bed.fail(service("web"), "slower", Severity::warning, "degraded");
  bed.fail(service("web"), "slow again", Severity::warning, "timeout");
  bed.run(2min);
  CHECK(bed.told() == "firing web");
  bed.fail(service("web"), "down", Severity::critical, "unreachable");
  bed.run(2min);
  CHECK(bed.told() == "firing web, changed web");
  bed.fail(service("web"), "given up", Severity::critical, "quarantined");
  bed.run(2min);
  CHECK(bed.told() == "firing web, changed web, changed web");
  CHECK(bed.accepted[2].message.items[0].labels.at("cause") == "quarantined");
  bed.fail(service("web"), "slow", Severity::warning, "degraded");
  bed.run(2min);
  CHECK(bed.core->open_incidents()[0].severity == Severity::critical);
  CHECK(bed.accepted.size() == 3);
}

TEST_CASE("stopped on purpose is an end that says so") {
  AlertBed bed;
  bed.fail(service("web"));
  bed.run(1min);
  bed.on(SubjectGone{service("web"), "stopped by hand"});
  bed.run(2min);
  REQUIRE(bed.told() == "firing web, resolved web");
  CHECK(bed.accepted[1].message.items[0].incident.ended_gone);
  CHECK(bed.accepted[1].message.items[0].incident.end_text == "stopped by hand");
}

TEST_CASE("an end is held, and one that does not last is none") {
  auto config = one_receiver();
  config.resolve_hold = 30s;
  AlertBed bed{config};
  bed.fail(service("web"));
  bed.run(1min);
  bed.recover(service("web"));
  bed.run(20s);
  bed.fail(service("web"));
  bed.run(2min);
  CHECK(bed.told() == "firing web");
  CHECK(bed.core->open_incidents().size() == 1);
  bed.recover(service("web"));
  bed.run(20s);
  CHECK(bed.core->open_incidents().size() == 1);
  bed.run(2min);
  CHECK(bed.told() == "firing web, resolved web");
}

TEST_CASE("evidence reaches the first message; lines are bounded") {
  AlertBed bed;
  SubjectFailed fact;
  fact.subject = service("web");
  fact.cause = "exited";
  fact.text = "exited with 1";
  fact.container = std::string(64, 'a');
  fact.health_output = std::string(10'000, 'x');
  bed.on(fact);
  REQUIRE(bed.gathering.size() == 1);
  CHECK(bed.gathering[0].container == fact.container);
  bed.on(EvidenceGathered{service("web"), bed.gathering[0].incident, "panic: out of luck"});
  for (int i = 0; i < 200; ++i)
    bed.on(SubjectActed{service("web"), "restarted " + std::to_string(i), "done"});
  bed.run(1min);
  REQUIRE(bed.told() == "firing web");
  const Incident& incident = bed.accepted[0].message.items[0].incident;
  CHECK(incident.log_tail == "panic: out of luck");
  CHECK(incident.health_output.size() == 4096);
  REQUIRE(incident.lines.size() == 50);
  CHECK(incident.lines.front().text == "exited with 1");
  CHECK(incident.lines.back().text == "restarted 199");
}

TEST_CASE("a thousand that fail by one cause are one message and few records") {
  AlertBed bed;
  for (int i = 0; i < 1500; ++i) bed.needs(service("s" + std::to_string(i)), {service("db")});
  bed.fail(service("db"));
  for (int i = 0; i < 1500; ++i) bed.fail(service("s" + std::to_string(i)));
  bed.run(1min);
  CHECK(bed.told() == "firing db");
  const Incident incident = bed.core->open_incidents()[0];
  CHECK(incident.members.size() == 1000);
  CHECK(incident.more_members == 500);
  CHECK(bed.incident_stores < 10);
  CHECK(bed.accepted[0].message.items[0].incident.members.size() == 50);
  bed.recover(service("db"));
  for (int i = 0; i < 1500; ++i) bed.recover(service("s" + std::to_string(i)));
  bed.run(2min);
  CHECK(bed.told() == "firing db, resolved db");
}

TEST_CASE("subjects that are gone leave nothing behind; too many are counted") {
  AlertBed bed;
  for (std::size_t i = 0; i < AlertCore::max_subjects * 3 / 5; ++i) {
    const Subject subject = service("s" + std::to_string(i));
    bed.needs(subject, {engine, service("n" + std::to_string(i))});
    bed.on(SubjectGone{subject, "removed"});
  }
  CHECK(bed.core->counters().subjects_refused == 0);
  for (std::size_t i = 0; i < AlertCore::max_subjects + 5; ++i)
    bed.needs(service("s" + std::to_string(i)), {});
  CHECK(bed.core->counters().subjects_refused == 5);
}

TEST_CASE("ids sort by time, also when the wall steps back or a process begins anew") {
  UlidMaker maker{7};
  std::string last = maker.next(1'700'000'000'000);
  CHECK(last.substr(0, 10) == "01HF7YAT00");
  for (const std::int64_t ms : {1'700'000'000'000, 1'600'000'000'000, 0L, -5L, 1'700'000'000'001}) {
    for (int i = 0; i < 1000; ++i) {
      const std::string id = maker.next(ms);
      CHECK(id > last);
      last = id;
    }
  }
  UlidMaker next{7};
  next.seen(last);
  next.seen("not an id");
  CHECK(next.next(1'500'000'000'000) > last);
}
