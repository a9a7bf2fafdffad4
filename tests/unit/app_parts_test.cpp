#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstdio>
#include <fstream>
#include <string>

#include "app/own_share.hpp"
#include "app/secret_file.hpp"
#include "app/suggest.hpp"

using namespace sentinel;
using namespace sentinel::app;
using namespace std::chrono_literals;

TEST_CASE("a near miss is recognised, a far one is not") {
  constexpr std::array<std::string_view, 4> known{"listen", "engine", "heal.budget", "log"};
  CHECK(closest("lisen", known) == "listen");
  CHECK(closest("lsiten", known) == "listen");
  CHECK(closest("heal.budgte", known) == "heal.budget");
  CHECK(closest("lgo", known) == "log");
  CHECK(closest("dog", known) == "log");
  CHECK(closest("cat", known).empty());
  CHECK(closest("", known).empty());
  CHECK(closest(std::string(10'000, 'x'), known).empty());
}

TEST_CASE("the own share is the sum of our stretches, without the waits between") {
  OwnShare share;
  const auto id = *core::ContainerId::parse(std::string(64, 'b'));
  auto about = share.begin(core::Hint{id, core::HintKind::unhealthy});
  share.performed(core::Inspect{id, 1});
  CHECK_FALSE(share.spent(about, 100us));
  core::Inspected inspected;
  inspected.id = id;
  about = share.begin(inspected);
  core::StoreIntent store;
  store.intent.op = 7;
  store.intent.container = id;
  share.performed(store);
  CHECK_FALSE(share.spent(about, 50us));
  about = share.begin(core::IntentStored{7, true});
  core::Operate operate;
  operate.op = 7;
  operate.id = id;
  share.performed(operate);
  CHECK(share.spent(about, 25us) == 175us);
  // the next event of that container is no part of it
  about = share.begin(core::Hint{id, core::HintKind::die});
  CHECK_FALSE(share.spent(about, 25us));
}

TEST_CASE("containers that nobody heals do not pile up") {
  OwnShare share;
  for (unsigned i = 0; i < 5000; ++i) {
    std::array<char, 65> hex{};
    std::snprintf(hex.data(), hex.size(), "%064x", i);
    share.begin(core::Hint{*core::ContainerId::parse(hex.data()), core::HintKind::unhealthy});
  }
  SUCCEED("bounded by max_tracked");
}

TEST_CASE("a secret is one visible line of some length") {
  const std::string path = "/tmp/sentinel-secret-" + std::to_string(::getpid());
  const auto read = [&](const std::string& text) {
    std::ofstream{path} << text;
    return read_secret_file(path);
  };
  CHECK(read("0123456789abcdef\n") == "0123456789abcdef");
  CHECK(read("0123456789abcdef\r\nsecond line\n") == "0123456789abcdef");
  CHECK_FALSE(read("short\n"));
  CHECK_FALSE(read("0123456789 abcdef\n"));
  CHECK_FALSE(read(std::string(5000, 'x')));
  CHECK(read("short").error().find("short") == std::string::npos);
  std::remove(path.c_str());
  CHECK_FALSE(read_secret_file(path));
}
