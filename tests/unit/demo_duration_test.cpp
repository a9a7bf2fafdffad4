#include "demo-service/duration.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <string>
#include <utility>

namespace {

using namespace std::chrono_literals;
using sentinel::demo::format_duration;
using sentinel::demo::longest_duration;
using sentinel::demo::parse_duration;

TEST_CASE("demo duration: what people write is understood", "[demo]") {
  const auto [text, expected] =
      GENERATE(table<std::string, std::chrono::milliseconds>({{"90s", 90s},
                                                              {"500ms", 500ms},
                                                              {"5m", 5min},
                                                              {"1h", 1h},
                                                              {"1h30m", 90min},
                                                              {"1m30s250ms", 90'250ms},
                                                              {"0s", 0s},
                                                              {"168h", 168h}}));
  CAPTURE(text);
  const auto parsed = parse_duration(text);
  REQUIRE(parsed);
  CHECK(*parsed == expected);
}

TEST_CASE("demo duration: anything else is refused", "[demo]") {
  const std::string text = GENERATE(
      "", "90", "s", "1.5s", "-1s", "+1s", " 1s", "1s ", "1x", "1d", "30m1h", "1s1s", "1s1", "169h",
      "10081m", "99999999999999999999h", "9223372036854775807h", "\xff\xfe", "1\ns");
  CAPTURE(text);
  CHECK_FALSE(parse_duration(text));
}

TEST_CASE("demo duration: formatting is the inverse of parsing", "[demo]") {
  for (std::int64_t count = 0; count <= longest_duration.count();
       count = count * 3 + count / 7 + 1) {
    const std::chrono::milliseconds duration{count};
    const auto parsed = parse_duration(format_duration(duration));
    REQUIRE(parsed);
    CHECK(*parsed == duration);
  }
}

}  // namespace
