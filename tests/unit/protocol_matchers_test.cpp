#include <catch2/catch_test_macros.hpp>
#include <string>

#include "protocol/matchers.hpp"

using namespace sentinel::protocol;
using sentinel::core::Matcher;
using Op = sentinel::core::Matcher::Op;

TEST_CASE("matchers: each sign, spaces around it, and the way back") {
  CHECK(parse_matcher("severity=critical") == Matcher{"severity", Op::equal, "critical"});
  CHECK(parse_matcher("project != test") == Matcher{"project", Op::not_equal, "test"});
  CHECK(parse_matcher("service~db-*") == Matcher{"service", Op::like, "db-*"});
  CHECK(parse_matcher("service!~db-?") == Matcher{"service", Op::not_like, "db-?"});
  CHECK(parse_matcher("cause=") == Matcher{"cause", Op::equal, ""});
  CHECK(parse_matcher("a=b=c") == Matcher{"a", Op::equal, "b=c"});
  for (const char* text : {"severity=critical", "project!=test", "service~db-*", "x!~y"}) {
    const auto matcher = parse_matcher(text);
    REQUIRE(matcher);
    CHECK(format_matcher(*matcher) == text);
  }
  const auto both = parse_matchers("severity=critical, project~shop*");
  REQUIRE(both);
  CHECK(format_matchers(*both) == "severity=critical,project~shop*");
}

TEST_CASE("matchers: what is none is refused in words") {
  for (const char* bad : {"", "severity", "=x", "a b=c", "!", "a!b", "x=\x01", "x=\xff"}) {
    INFO(bad);
    const auto matcher = parse_matcher(bad);
    REQUIRE_FALSE(matcher);
    CHECK(matcher.error().message.starts_with("expected "));
  }
  CHECK_FALSE(parse_matcher(std::string(65, 'a') + "=x"));
  CHECK_FALSE(parse_matcher("x=" + std::string(257, 'a')));
  std::string many = "a=1";
  for (int i = 0; i < 16; ++i) many += ",a=1";
  CHECK_FALSE(parse_matchers(many));
  CHECK_FALSE(parse_matchers("a=1,"));
}

TEST_CASE("the words of operators are read as they are written, and no others") {
  for (const auto op : {Op::equal, Op::not_equal, Op::like, Op::not_like})
    CHECK(parse_op(word_of(op)) == op);
  for (const auto* word : {"", "=", "Equal", "likes"}) CHECK_FALSE(parse_op(word).has_value());
}
