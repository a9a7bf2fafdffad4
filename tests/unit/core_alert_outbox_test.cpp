#include <catch2/catch_test_macros.hpp>
#include <string>

#include "unit/alert_bed.hpp"

using namespace sentinel::core;

namespace {

AlertConfig two_receivers() {
  AlertConfig config = one_receiver("team");
  AlertReceiver pager;
  pager.name = "pager";
  config.receivers.push_back(pager);
  config.routes[0].receivers.push_back("pager");
  return config;
}

}  // namespace

TEST_CASE("a receiver that is configured no more takes no end with it that is for another") {
  AlertBed bed{two_receivers()};
  bed.receive = [](const Delivery& d) {
    return answer(d.receiver == "pager" ? SendResult::retry : SendResult::accepted);
  };
  bed.fail(service("web"));
  bed.run(30s);
  bed.recover(service("web"));
  bed.on(AlertsConfigured{one_receiver("team")});
  bed.run(5min);
  CHECK(bed.told("team") == "firing web, resolved web");
  CHECK(bed.count(AlertNoticeKind::dead) == 1);
  REQUIRE(bed.core->deliveries().size() == 1);
  CHECK(bed.core->deliveries()[0].dead);
}

TEST_CASE("an end that waits while its beginning is on its way outlasts a reload") {
  AlertBed bed;
  bed.receive = [](const Delivery&) { return answer(SendResult::retry); };
  bed.fail(service("web"));
  bed.run(11s);
  bed.recover(service("web"));
  bed.on(AlertsConfigured{one_receiver()});
  bed.receive = [](const Delivery&) { return answer(SendResult::accepted); };
  bed.run(5min);
  CHECK(bed.told() == "firing web, resolved web");
}

TEST_CASE("a delivery for a receiver that was taken out before a restart becomes a dead letter") {
  AlertBed bed{two_receivers()};
  bed.receive = [](const Delivery&) { return answer(SendResult::retry); };
  bed.fail(service("web"));
  bed.run(30s);
  bed.config = one_receiver("team");
  bed.restart();
  bed.on(AlertsSynchronised{});
  std::size_t dead = 0;
  for (const auto& delivery : bed.core->deliveries()) {
    CHECK(delivery.dead.has_value() == (delivery.receiver == "pager"));
    if (delivery.dead) ++dead;
  }
  CHECK(dead == 1);
}

TEST_CASE("a thousand that fail by a thousand causes are as many messages as were promised") {
  AlertBed bed;
  for (int i = 0; i < 1000; ++i)
    bed.fail(service("s" + std::to_string(i), "p" + std::to_string(i)));
  bed.run(9min);
  CHECK(bed.messages(MessageKind::firing).size() == 20);
  REQUIRE(bed.messages(MessageKind::digest).size() == 1);
  const Message digest = bed.messages(MessageKind::digest)[0];
  CHECK(digest.items.size() == Message::max_items);
  CHECK(digest.items.size() + digest.more == 980);
  // Each of them is told to be over, in as few.
  for (int i = 0; i < 1000; ++i)
    bed.recover(service("s" + std::to_string(i), "p" + std::to_string(i)));
  bed.run(1h);
  CHECK(bed.accepted.size() < 50);
  CHECK(bed.core->incidents().empty());
  CHECK(bed.kept.empty());
}

TEST_CASE("silences of impossible times are refused, those of a wrong wall do no harm") {
  AlertBed bed;
  Silence silence = bed.silence("service", "web", 1h);
  silence.begins = WallTime::min();
  CHECK_FALSE(bed.core->silence_problem(silence).empty());
  silence.begins = WallTime::max() - 1h;
  silence.ends = WallTime::max();
  CHECK_FALSE(bed.core->silence_problem(silence).empty());
  // Four hundred years ahead: more than can be counted in nanoseconds.
  silence.begins = bed.wall + std::chrono::days{365 * 400};
  silence.ends = silence.begins + 1h;
  bed.on(AddSilence{silence});
  CHECK(bed.core->silences().size() == 1);
  bed.fail(service("web"));
  bed.run(48h);
  CHECK(bed.messages(MessageKind::firing).size() == 1);
}

namespace {

AlertConfig one_stateful() {
  AlertConfig config = one_receiver("team");
  config.receivers[0].stateful = true;
  return config;
}

}  // namespace

TEST_CASE("after a restart nothing begins to be told before it is known what is maintained") {
  AlertBed bed{one_stateful()};  // it would be told at once
  bed.overlays(service("web"), true, false);
  bed.fail(service("web"));
  bed.run(1min);
  CHECK(bed.told().empty());
  bed.restart();
  bed.run(5s);
  bed.overlays(service("web"), true, false);
  bed.fail(service("web"));
  bed.on(AlertsSynchronised{});
  bed.run(10min);
  CHECK(bed.told().empty());
  bed.overlays(service("web"), false, false);
  bed.run(10s);
  CHECK(bed.told() == "firing web");
}

TEST_CASE("after a restart without an Engine what was not told yet waits 30 s, and no longer") {
  AlertBed bed{one_stateful()};
  bed.overlays(service("web"), true, false);
  bed.fail(service("web"));
  bed.run(1min);
  bed.restart();
  bed.run(29s);
  CHECK(bed.told().empty());
  bed.run(2s);
  CHECK(bed.told() == "firing web");
}

TEST_CASE("what began before a restart takes nothing in by time that fails after it") {
  AlertBed bed;
  bed.needs(service("web"), {service("db")});
  bed.fail(service("web"));
  bed.run(1h);
  bed.restart();
  bed.needs(service("web"), {service("db")});
  bed.fail(service("web"));
  bed.on(AlertsSynchronised{});
  bed.fail(service("db"));
  CHECK(bed.core->open_incidents().size() == 2);
}
