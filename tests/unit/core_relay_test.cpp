// What failover tells its monitor, as facts of the monitor's incidents: from one AlertCore to the
// other.

#include <catch2/catch_test_macros.hpp>
#include <utility>

#include "alert_bed.hpp"
#include "core/relay_facts.hpp"

using namespace sentinel::core;

namespace {

/// As app::alerts_through_monitor() has it.
AlertConfig relayed() {
  AlertConfig config = one_receiver(std::string{relay_receiver});
  AlertReceiver& monitor = config.receivers.front();
  monitor.stateful = true;
  monitor.refresh = 5s;
  monitor.refresh_ended = 0s;
  monitor.longest_pause = 30s;
  return config;
}

AlertConfig at_once() {
  AlertConfig config = one_receiver();
  config.routes.front().group_wait = 0s;
  config.routes.front().group_interval = 1s;
  return config;
}

/// Both daemons; the monitor takes what failover sends, or is away.
struct Pair {
  Pair() {
    failover.receive = [this](const Delivery& delivery) {
      sent.push_back(delivery);
      if (away) return answer(SendResult::retry);
      take(delivery.message);
      return answer(SendResult::accepted);
    };
  }
  void take(const Message& message) {
    AlertEvents facts;
    relay.on(message, monitor.now, facts);
    for (AlertEvent& fact : facts) monitor.on(std::move(fact));
  }
  void run(Duration span) {
    for (Duration past{}; past < span; past += 1s) {
      failover.run(1s);
      monitor.run(1s);
    }
  }
  void beat() {
    Message alive;
    alive.kind = MessageKind::test;
    take(alive);
  }
  void tick() {
    AlertEvents facts;
    relay.on_tick(monitor.now, facts);
    for (AlertEvent& fact : facts) monitor.on(std::move(fact));
  }
  void restart_monitor() {
    relay = RelayFacts{};
    monitor.restart();
    monitor.on(AlertsSynchronised{});
  }
  Incident incident() const {
    const auto open = monitor.core->open_incidents();
    REQUIRE(open.size() == 1);
    return open.front();
  }

  AlertBed failover{relayed()};
  AlertBed monitor{at_once()};
  RelayFacts relay;
  bool away = false;
  std::vector<Delivery> sent;
};

const Subject alpha = server("web", "alpha");
const Subject beta = server("web", "beta");

}  // namespace

TEST_CASE("relay: a server that falls and returns is told once each, by the monitor") {
  Pair pair;
  pair.failover.fail(alpha, "web/alpha failed: refused; 1 of 2 servers is left", Severity::warning,
                     "refused");
  pair.run(5min);
  CHECK(pair.monitor.told() == "firing alpha");
  const Incident there = pair.failover.core->open_incidents().front();
  const Incident here = pair.incident();
  CHECK(here.root == alpha);
  CHECK(here.severity == Severity::warning);
  CHECK(here.cause == "refused");
  CHECK(here.text == there.text);
  CHECK(here.began == there.began);
  CHECK(here.lines.size() == 1);
  pair.failover.recover(alpha);
  pair.run(10min);
  CHECK(pair.monitor.told() == "firing alpha, resolved alpha");
  CHECK(pair.monitor.core->open_incidents().empty());
  CHECK(pair.monitor.accepted.back().message.items.front().incident.end_text == "it works again");
}

TEST_CASE("relay: what was done is a line of the monitor's incident, once, with its time") {
  Pair pair;
  pair.failover.fail(alpha);
  pair.run(3s);
  const WallTime acted = pair.failover.wall;
  pair.failover.on(SubjectActed{alpha, "passes again, and waits", "held"});
  pair.run(1min);
  const Incident here = pair.incident();
  REQUIRE(here.lines.size() == 2);
  CHECK(here.lines.back() == IncidentLine{acted, "passes again, and waits", "held"});
  pair.failover.recover(alpha);
  pair.run(1s);
  CHECK(pair.monitor.accepted.back().message.items.front().incident.lines.size() == 3);
}

TEST_CASE("relay: what joins and what recovers within an incident follows within seconds") {
  Pair pair;
  pair.failover.fail(pool("web"), "no server is left", Severity::critical, "pool_down");
  pair.run(10s);
  pair.failover.fail(alpha, "refused", Severity::warning);
  pair.run(6s);
  Incident here = pair.incident();
  CHECK(here.root == pool("web"));
  REQUIRE(here.members.size() == 1);
  CHECK(here.members.front().subject == alpha);
  CHECK_FALSE(here.members.front().recovered);
  pair.failover.recover(alpha);
  pair.run(6s);
  CHECK(pair.incident().members.front().recovered);
  CHECK(pair.monitor.told() == "firing web");
}

TEST_CASE("relay: what happens while the monitor is away is told after its return, once") {
  Pair pair;
  pair.away = true;
  pair.failover.fail(alpha);
  const WallTime fell = pair.failover.wall;
  pair.run(2h);
  CHECK(pair.monitor.told().empty());
  pair.away = false;
  pair.run(1min);
  CHECK(pair.monitor.told() == "firing alpha");
  CHECK(pair.incident().began == fell);
  pair.away = true;
  pair.failover.recover(alpha);
  pair.run(1h);
  pair.away = false;
  pair.run(1min);
  CHECK(pair.monitor.told() == "firing alpha, resolved alpha");
}

TEST_CASE("relay: a restart of the monitor ends nothing and tells nothing twice") {
  Pair pair;
  pair.failover.fail(alpha);
  pair.run(1min);
  pair.failover.on(SubjectActed{alpha, "passes again, and waits", {}});
  pair.run(1min);
  const auto lines = pair.incident().lines.size();
  pair.restart_monitor();
  pair.run(20min);
  CHECK(pair.monitor.told() == "firing alpha");
  CHECK(pair.incident().lines.size() == lines);
  // Its end comes while the monitor is away, and away it is for a restart.
  pair.away = true;
  pair.failover.recover(alpha);
  pair.run(10s);
  pair.restart_monitor();
  pair.away = false;
  pair.run(2min);
  CHECK(pair.monitor.told() == "firing alpha, resolved alpha");
}

TEST_CASE("relay: a restart of failover changes nothing") {
  Pair pair;
  pair.failover.fail(alpha);
  pair.run(1min);
  pair.failover.restart();
  pair.failover.on(AlertsSynchronised{});
  pair.failover.fail(alpha);
  pair.run(20min);
  CHECK(pair.monitor.told() == "firing alpha");
  pair.failover.recover(alpha);
  pair.run(1min);
  CHECK(pair.monitor.told() == "firing alpha, resolved alpha");
}

TEST_CASE("relay: copies that come late change nothing") {
  Pair pair;
  pair.failover.fail(alpha);
  pair.run(10s);
  const Message began = pair.sent.back().message;
  pair.failover.recover(alpha);
  pair.run(1s);
  const Message ended = pair.sent.back().message;
  REQUIRE(ended.kind == MessageKind::resolved);
  pair.take(began);
  pair.run(1min);
  CHECK(pair.monitor.core->open_incidents().empty());
  // It fails anew: the earlier end is not the end of that.
  pair.failover.fail(alpha, "timeout", Severity::warning, "timeout");
  pair.run(10s);
  pair.take(ended);
  pair.run(1min);
  CHECK(pair.incident().cause == "timeout");
  CHECK(pair.monitor.told() == "firing alpha, resolved alpha, firing alpha");
}

TEST_CASE("relay: the end of an incident whose server another one has by now is not its own") {
  RelayFacts relay;
  Message message;
  message.items.resize(1);
  Incident& incident = message.items.front().incident;
  incident.root = alpha;
  incident.id = "01";
  AlertEvents facts;
  relay.on(message, Time{1s}, facts);
  incident.id = "02";
  relay.on(message, Time{2s}, facts);
  REQUIRE(facts.size() == 2);
  incident.id = "01";
  incident.ended = WallTime{};
  relay.on(message, Time{3s}, facts);
  CHECK(facts.size() == 2);
  incident.id = "02";
  relay.on(message, Time{4s}, facts);
  REQUIRE(facts.size() == 3);
  CHECK(std::holds_alternative<SubjectRecovered>(facts.back()));
}

TEST_CASE("relay: a server that was taken out is gone, not healed") {
  Pair pair;
  pair.failover.fail(alpha);
  pair.run(10s);
  pair.failover.on(SubjectGone{alpha, "web/alpha was taken out by ops"});
  pair.run(10s);
  const Incident told = pair.monitor.accepted.back().message.items.front().incident;
  CHECK(told.ended_gone);
  CHECK(told.end_text == "web/alpha was taken out by ops");
}

TEST_CASE("relay: failover's own troubles are told apart from the monitor's") {
  Pair pair;
  pair.failover.fail(subject_of_self("network"), "no gateway answers");
  pair.monitor.fail(subject_of_self("network"), "nothing answers");
  pair.run(10s);
  std::vector<std::string> subjects;
  for (const Incident& one : pair.monitor.core->open_incidents())
    subjects.push_back(one.root.to_string());
  std::ranges::sort(subjects);
  CHECK(subjects == std::vector<std::string>{"sentinel:failover-network", "sentinel:network"});
}

TEST_CASE("relay: services and Engines are not failover's to tell") {
  RelayFacts relay;
  Message message;
  message.items.resize(2);
  message.items[0].incident.id = "01";
  message.items[0].incident.root = service("web");
  message.items[1].incident.id = "02";
  message.items[1].incident.root = engine;
  AlertEvents facts;
  relay.on(message, Time{1s}, facts);
  CHECK(facts.empty());
}

TEST_CASE(
    "relay: silence is an incident until it is heard again; before the first word it is none") {
  Pair pair;
  CHECK_FALSE(pair.relay.next_deadline());
  pair.beat();
  pair.run(RelayFacts::silence - 1s);
  pair.tick();
  CHECK(pair.monitor.told().empty());
  pair.run(1s);
  REQUIRE(pair.relay.next_deadline() == pair.monitor.now);
  pair.tick();
  pair.run(1h);
  CHECK(pair.incident().root == subject_of_self("failover"));
  CHECK(pair.incident().cause == "silent");
  CHECK_FALSE(pair.relay.next_deadline());
  pair.beat();
  pair.run(10s);
  CHECK(pair.monitor.told() == "firing Sentinel failover, resolved Sentinel failover");
}

TEST_CASE("relay: of very many incidents the oldest are forgotten") {
  RelayFacts relay;
  AlertEvents facts;
  Message message;
  message.items.resize(1);
  Incident& incident = message.items.front().incident;
  for (std::size_t i = 0; i < RelayFacts::max_incidents + 10; ++i) {
    incident.id = std::to_string(100'000 + i);
    incident.root = server("web", std::to_string(i));
    facts.clear();
    relay.on(message, Time{1s}, facts);
    REQUIRE(facts.size() == 1);
  }
  // Its end still ends it.
  incident.id = "100000";
  incident.root = server("web", "0");
  incident.ended = WallTime{};
  facts.clear();
  relay.on(message, Time{2s}, facts);
  REQUIRE(facts.size() == 1);
  CHECK(std::get<SubjectRecovered>(facts.front()).subject == incident.root);
}
