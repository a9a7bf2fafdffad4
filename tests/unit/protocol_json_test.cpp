#include <catch2/catch_test_macros.hpp>
#include <string>

#include "protocol/json.hpp"

namespace json = sentinel::protocol::json;

namespace {

std::string repeat(std::string_view text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

}  // namespace

TEST_CASE("a tree and its getters") {
  const auto root = json::parse(
      R"({"a":1,"b":"x","c":[true,null,2.5],"d":{"e":-7},"big":18446744073709551615,"whole":3.0})");
  REQUIRE(root);
  const auto& r = *root;
  CHECK(r["a"].integer() == 1);
  CHECK(r["b"].text() == "x");
  CHECK(r["c"].array().size() == 3);
  CHECK(r["c"].array()[0].boolean() == true);
  CHECK(r["c"].array()[1].is_null());
  CHECK(r["c"].array()[2].number() == 2.5);
  CHECK(r["d"]["e"].integer() == -7);
  CHECK(r["whole"].integer() == 3);
  CHECK_FALSE(r["big"].integer());
  CHECK(r["big"].number());
}

TEST_CASE("getters never fail on another type") {
  const auto root = json::parse(R"({"a":"1","n":1e300,"half":1.5})");
  REQUIRE(root);
  const auto& r = *root;
  CHECK_FALSE(r["a"].integer());
  CHECK_FALSE(r["n"].integer());
  CHECK_FALSE(r["half"].integer());
  CHECK_FALSE(r["a"].boolean());
  CHECK(r["missing"]["deeper"]["still"].is_null());
  CHECK(r["a"]["x"].is_null());
  CHECK(r["a"].array().empty());
  CHECK(r["n"].text().empty());
  CHECK_FALSE(json::parse("7")->integer(8, 9));
  CHECK_FALSE(json::parse("-9223372036854775809")->integer());
  CHECK(json::parse("-9223372036854775808")->integer() == INT64_MIN);
}

TEST_CASE("of equal keys the first counts") {
  CHECK((*json::parse(R"({"a":1,"a":2})"))["a"].integer() == 1);
  CHECK((*json::parse(R"({"a":{"x":1},"a":{"x":2},"b":3})"))["b"].integer() == 3);
}

TEST_CASE("members that are not kept are still checked") {
  const auto root =
      json::parse(R"({"skip":{"deep":[1,2,{"x":"y"}]},"keep":{"skip":1},"also":2})", {}, {"keep"});
  REQUIRE(root);
  CHECK((*root)["skip"].is_null());
  CHECK((*root)["also"].is_null());
  CHECK((*root)["keep"]["skip"].integer() == 1);
  CHECK_FALSE(json::parse(R"({"skip":[1,2,],"keep":1})", {}, {"keep"}));
  CHECK_FALSE(json::parse(R"({"skip":)" + repeat("[", 70) + repeat("]", 70) + "}", {}, {"keep"}));
}

TEST_CASE("limits") {
  const json::Limits limits{.max_bytes = 1000, .max_depth = 4, .max_values = 10};
  CHECK(json::parse("[[[[]]]]", limits));
  CHECK(json::parse("[[[[[]]]]]", limits).error().message == "JSON nested deeper than 4");
  CHECK(json::parse("[1,2,3,4,5,6,7,8,9]", limits));
  CHECK(json::parse("[1,2,3,4,5,6,7,8,9,10]", limits).error().message ==
        "JSON with more than 10 values");
  CHECK(json::parse("\"" + std::string(1000, 'x') + "\"", limits).error().message ==
        "JSON of more than 1000 bytes");
  CHECK_FALSE(json::parse(repeat("[", 400'000)));
  CHECK_FALSE(json::parse(repeat("{\"a\":", 400'000)));
}

TEST_CASE("malformed text") {
  for (const char* bad :
       {"", " ", "{", "}", "[1,]", "{\"a\"}", "{a:1}", "nul", "01", "1e999", "\"\xFF\"",
        "\"\\ud800\"", "\"tab\there\"", "1 2", "{\"a\":1}}", "'a'", "NaN", "\xEF\xBB\xBF{"}) {
    INFO(bad);
    CHECK_FALSE(json::parse(bad));
  }
}

TEST_CASE("quote") {
  CHECK(json::quote("a\"b\\c\n") == R"("a\"b\\c\n")");
  CHECK(json::quote("\xFF") == "\"\xEF\xBF\xBD\"");
}
