#include <catch2/catch_test_macros.hpp>
#include <chrono>

#include "web/spared.hpp"

using namespace sentinel;
using namespace std::chrono_literals;

TEST_CASE("an answer is given again for twenty times as long as it took, a second at most") {
  web::Spared::Clock::time_point at{1h};
  unsigned made = 0;
  web::Spared spared{1ms, [&] { return at; }, [&] { return at.time_since_epoch(); }};
  std::chrono::microseconds takes = 10ms;
  const auto get = [&](std::string_view of) {
    return spared
        .get(of,
             [&] {
               at += takes;
               io::HttpResponse response;
               response.body = std::to_string(++made);
               return response;
             })
        .body;
  };
  CHECK(get("a") == "1");
  at += 199ms;
  CHECK(get("a") == "1");
  at += 1ms;
  CHECK(get("a") == "2");
  CHECK(get("b") == "3");  // of something else
  CHECK(get("a") == "2");  // both are kept
  CHECK(get("c") == "4");  // but no third
  CHECK(get("b") == "3");
  CHECK(get("a") == "5");
  at += 200ms;
  CHECK(get("a") == "6");
  spared.forget();
  CHECK(get("a") == "7");
  spared.forget();
  takes = 10s;
  CHECK(get("a") == "8");
  at += 1s;
  CHECK(get("a") == "9");
  takes = 999us;
  spared.forget();
  CHECK(get("a") == "10");
  CHECK(get("a") == "11");  // what costs little is always fresh
}
