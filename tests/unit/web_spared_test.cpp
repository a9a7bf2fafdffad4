#include <catch2/catch_test_macros.hpp>
#include <chrono>

#include "web/spared.hpp"

using namespace sentinel;
using namespace std::chrono_literals;

TEST_CASE("an answer is given again for twenty times as long as it took, a second at most") {
  web::Spared::Clock::time_point at{1h};
  unsigned made = 0;
  web::Spared spared{[&] { return at; }, [&] { return at.time_since_epoch(); }};
  std::chrono::milliseconds takes = 10ms;
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
  CHECK(get("b") == "2");  // of something else
  CHECK(get("a") == "3");
  at += 200ms;
  CHECK(get("a") == "4");
  spared.forget();
  CHECK(get("a") == "5");
  spared.forget();
  takes = 10s;
  CHECK(get("a") == "6");
  at += 1s;
  CHECK(get("a") == "7");
  takes = 4ms;
  spared.forget();
  CHECK(get("a") == "8");
  CHECK(get("a") == "9");  // what costs little is always fresh
}
