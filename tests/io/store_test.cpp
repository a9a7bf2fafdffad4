#include <sqlite3.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <string>

#include "store_fixture.hpp"

using namespace sentinel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using test::intent;
using test::key;
using test::spent;
using test::Stored;
using test::TemporaryDirectory;

namespace {

void edit(const std::string& path, const std::string& sql) {
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &database) == SQLITE_OK);
  char* error = nullptr;
  sqlite3_exec(database, sql.c_str(), nullptr, nullptr, &error);
  const std::string text = error == nullptr ? "" : error;
  sqlite3_free(error);
  sqlite3_close(database);
  REQUIRE(text.empty());
}

core::ServiceRecord plain_record(std::string service) {
  core::ServiceRecord record;
  record.key = key(std::move(service));
  return record;
}

}  // namespace

TEST_CASE("what was stored comes back exactly") {
  const TemporaryDirectory directory;
  const auto path = directory.file("sentinel.db");
  const core::ServiceRecord quarantined{.key = key("api", 3),
                                        .budget_left = {0ns, 15min, 720h},
                                        .quarantined = true,
                                        .trial_in = 3599s + 1ns,
                                        .maintenance_left = 30min};
  const core::ServiceRecord plain{
      .key = {.project = "", .service = "caf\xC3\xA9 'x'", .replica = 1}, .budget_left = {7ns}};
  {
    Stored store(path);
    CHECK(store.load().services.empty());
    CHECK(store.stats().durable);
    CHECK(store.durable(intent(41)));
    auto asked = intent(INT64_MAX, "db");
    asked.intent.asked = true;
    CHECK(store.durable(asked));
    store.perform(core::StoreService{quarantined});
    store.perform(core::StoreService{plain});
    CHECK(store.report_count() == 0);
  }
  Stored again(path);
  const auto restored = again.load();
  REQUIRE(restored.services.size() == 4);
  for (const auto& expected : {spent("web"), spent("db"), quarantined, plain}) {
    CHECK(std::ranges::contains(restored.services, expected));
  }
  REQUIRE(restored.intents.size() == 2);
  CHECK(restored.intents[0] == intent(41).intent);
  CHECK(restored.intents[1].op == INT64_MAX);
  CHECK(restored.intents[1].asked);
}

TEST_CASE("a file of the version before is taken over") {
  const TemporaryDirectory directory;
  const auto path = directory.file("sentinel.db");
  {
    Stored store(path);
    CHECK(store.durable(intent(41)));
  }
  edit(path, "ALTER TABLE intent DROP COLUMN asked; DELETE FROM schema_version WHERE version = 2;");
  Stored store(path);
  REQUIRE(store.load().intents.size() == 1);
  CHECK(store.load().intents[0] == intent(41).intent);
  CHECK(store.stats().durable);
}

TEST_CASE("forgetting an intent updates its service in the same transaction") {
  const TemporaryDirectory directory;
  const auto path = directory.file("sentinel.db");
  {
    Stored store(path);
    CHECK(store.durable(intent(1)));
    store.perform(core::ForgetIntent{.op = 1, .service = spent("web", 77)});
    store.perform(core::ForgetIntent{.op = 999, .service = spent("other", 1)});
    CHECK(store.idle());
  }
  {
    Stored store(path);
    CHECK(store.load().intents.empty());
    REQUIRE(store.load().services.size() == 2);
    CHECK(std::ranges::contains(store.load().services, spent("web", 77)));
    // A service with nothing to remember needs no row.
    store.perform(core::StoreService{plain_record("web")});
    store.perform(core::StoreService{plain_record("other")});
    CHECK(store.idle());
    CHECK(store.stats().rows == 0);
  }
  Stored store(path);
  CHECK(store.load().services.empty());
}

TEST_CASE("a burst becomes few transactions, each answered") {
  const TemporaryDirectory directory;
  Stored store(directory.file("sentinel.db"));
  constexpr core::OperationId count = 2000;
  for (core::OperationId op = 1; op <= count; ++op)
    store.perform(intent(op, "s" + std::to_string(op % 100)));
  REQUIRE(store.wait_answers(count));
  CHECK(store.idle());
  const auto stats = store.stats();
  CHECK(stats.commits < count);
  CHECK(stats.last_commit > 0ns);
  CHECK(stats.rows == count + 100);
  CHECK(stats.failures == 0);
}

TEST_CASE("values that could not be read back are not stored and not called durable") {
  const TemporaryDirectory directory;
  Stored store(directory.file("sentinel.db"));
  auto no_service = intent(1, "");
  CHECK_FALSE(store.durable(no_service));
  auto long_name = intent(2, std::string(5000, 'x'));
  CHECK_FALSE(store.durable(long_name));
  auto negative = intent(3);
  negative.service.trial_in = -1s;
  CHECK_FALSE(store.durable(negative));
  auto huge = intent(4);
  huge.service.budget_left.assign(100'000, 1s);
  CHECK_FALSE(store.durable(huge));
  CHECK(store.durable(intent(5)));
}

TEST_CASE("rows with impossible values are left out, reported and counted") {
  const TemporaryDirectory directory;
  const auto path = directory.file("sentinel.db");
  {
    Stored store(path);
    CHECK(store.durable(intent(1)));
  }
  edit(path,
       "INSERT INTO service VALUES ('p','a',1,'1,2,x',0,0,0,100);"
       "INSERT INTO service VALUES ('p','b',1,'-5',0,0,0,101);"
       "INSERT INTO service VALUES ('p','c',-1,'1',0,0,0,102);"
       "INSERT INTO service VALUES ('p','d',1,'1',7,0,0,103);"
       "INSERT INTO service VALUES ('p','e',1,'1',1,9223372036854775807,0,104);"
       "INSERT INTO service VALUES ('p','',1,'1',0,0,0,105);"
       "INSERT INTO service VALUES ('p',char(27),1,'1',0,0,0,106);"
       "INSERT INTO service VALUES ('p','fine',4294967297,'1',0,0,0,107);"
       "INSERT INTO intent VALUES (-4,'p','a',1,'" +
           std::string(64, 'c') +
           "',0,'restart',0,0);"
           "INSERT INTO intent VALUES (5,'p','a',1,'abc',0,'restart',0,0);"
           "INSERT INTO intent VALUES (6,'p','a',1,'" +
           std::string(64, 'c') +
           "',0,'reboot',0,0);"
           "INSERT INTO intent VALUES (7,'p','a',1,'" +
           std::string(64, 'c') + "',-1,'restart',0,0);");
  Stored store(path);
  CHECK(store.load().services.size() == 1);
  CHECK(store.load().intents.size() == 1);
  const auto reports = store.reports(1);
  REQUIRE(reports.size() == 1);
  CHECK_THAT(reports[0].text, ContainsSubstring("12 rows of "));
  CHECK(reports[0].durable);
  CHECK(reports[0].lost);
  CHECK(store.stats().durable);
}

TEST_CASE(
    "an older schema is brought up to date; a newer one and other programs' files are not "
    "touched") {
  const TemporaryDirectory directory;
  const auto path = directory.file("sentinel.db");
  SECTION("newer") {
    {
      Stored store(path);
    }
    edit(path, "INSERT INTO schema_version VALUES (99)");
    {
      Stored store(path);
      CHECK_FALSE(store.stats().durable);
      CHECK_FALSE(store.durable(intent(1)));
      CHECK_THAT(store.reports(1).at(0).text,
                 ContainsSubstring("written by a newer Sentinel (schema 99"));
    }
    edit(path, "DELETE FROM schema_version WHERE version = 99");
    Stored store(path);
    CHECK(store.stats().durable);
    CHECK(store.load().intents.empty());
  }
  SECTION("another program's") {
    edit(path, "CREATE TABLE bookmarks (url TEXT); INSERT INTO bookmarks VALUES ('x')");
    {
      Stored store(path);
      CHECK_FALSE(store.stats().durable);
      CHECK_THAT(store.reports(1).at(0).text, ContainsSubstring("another program's database"));
    }
    edit(path, "INSERT INTO bookmarks VALUES ('y')");
  }
  SECTION("empty file") {
    edit(path, "");
    Stored store(path);
    CHECK(store.stats().durable);
  }
}

TEST_CASE("stop writes what is noted and then is silent") {
  const TemporaryDirectory directory;
  const auto path = directory.file("sentinel.db");
  {
    Stored store(path);
    for (core::OperationId op = 1; op <= 50; ++op)
      store.perform(intent(op, "s" + std::to_string(op)));
    store.close();
  }
  Stored store(path);
  CHECK(store.load().intents.size() == 50);
}
