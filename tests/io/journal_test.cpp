#include "io/journal.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <string>

#include "journal_fixture.hpp"

using namespace sentinel;
using namespace std::chrono_literals;
using test::delivery;
using test::entry;
using test::incident;
using test::Journaled;
using test::silence;
using test::TemporaryDirectory;

TEST_CASE("incidents, deliveries and silences come back exactly") {
  const TemporaryDirectory directory;
  const auto path = directory.file("journal.db");
  const auto open = incident(1);
  const auto pending = delivery(3);
  auto dead = delivery(4);
  dead.dead = test::wall_now();
  dead.error = "503 from hooks.example";
  const auto quiet = silence(7);
  {
    Journaled journal(path);
    CHECK(journal->load().next_delivery == 1);
    CHECK(journal->stats().durable);
    journal.perform({core::StoreIncident{open}, core::StoreIncident{incident(2, true)},
                     core::StoreSilence{quiet}, core::StoreSilence{silence(8)},
                     core::StoreDelivery{delivery(5)}});
    CHECK(journal.durable(pending));
    CHECK(journal.durable(dead));
    journal.perform({core::ForgetDelivery{5}, core::ForgetSilence{silence(8).id}});
    CHECK(journal.idle());
    CHECK(journal.report_count() == 0);
  }
  Journaled again(path);
  const auto restored = again->load();
  REQUIRE(restored.open.size() == 1);
  CHECK(restored.open[0] == open);
  REQUIRE(restored.deliveries.size() == 2);
  CHECK(restored.deliveries[0] == pending);
  CHECK(restored.deliveries[1] == dead);
  REQUIRE(restored.silences.size() == 1);
  CHECK(restored.silences[0] == quiet);
  CHECK(restored.next_delivery == 6);
}

TEST_CASE("sequence numbers grow, restarts included") {
  const TemporaryDirectory directory;
  const auto path = directory.file("journal.db");
  std::uint64_t last = 0;
  for (int round = 0; round < 3; ++round) {
    Journaled journal(path);
    CHECK(journal->last_sequence() >= last);
    for (int i = 0; i < 10; ++i) {
      const auto next = journal->append(entry("line"));
      CHECK(next > last);
      last = next;
    }
    CHECK(journal->last_sequence() == last);
  }
}

TEST_CASE("a query sees what was noted before it") {
  const TemporaryDirectory directory;
  Journaled journal(directory.file("journal.db"));
  const auto first = journal->append(entry("one"));
  const auto second = journal->append(entry("two", "healthy"));
  auto other = entry("three");
  other.subject = "engine:engine";
  other.incident = "";
  const auto third = journal->append(other);

  const auto all = journal.history({});
  REQUIRE(all.size() == 3);
  CHECK(all[0].sequence == first);
  auto expected = entry("two", "healthy");
  expected.sequence = second;
  expected.at = all[1].at;
  CHECK(all[1] == expected);
  CHECK(all[2].subject == "engine:engine");

  CHECK(journal.history({.subject = "engine:engine"}).size() == 1);
  CHECK(journal.history({.subject = "pool:none"}).empty());
  CHECK(journal.history({.incident = test::ulid(1)}).size() == 2);
  const auto replay = journal.history({.after = first, .limit = 1});
  REQUIRE(replay.size() == 1);
  CHECK(replay[0].sequence == second);
  const auto earlier = journal.history({.before = third, .limit = 1});
  REQUIRE(earlier.size() == 1);
  CHECK(earlier[0].sequence == second);
}

TEST_CASE("a burst becomes few transactions, each delivery answered") {
  const TemporaryDirectory directory;
  Journaled journal(directory.file("journal.db"));
  constexpr std::uint64_t count = 1000;
  for (std::uint64_t id = 1; id <= count; ++id)
    journal.perform({core::StoreDelivery{delivery(id)}});
  REQUIRE(journal.wait_answers(count));
  const auto stats = journal->stats();
  CHECK(stats.commits < count);
  CHECK(stats.written == count);
  CHECK(stats.failures == 0);
  CHECK(stats.last_commit > 0ns);
  CHECK(stats.bytes > 0);
}
