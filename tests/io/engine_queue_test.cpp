#include <catch2/catch_test_macros.hpp>

#include "engine_harness.hpp"
#include "io/engine_queue.hpp"

using namespace sentinel::test;
using sentinel::io::InspectQueue;
using sentinel::io::RequestCounters;

TEST_CASE("waiting inspects share an answer, in order, within the limit") {
  InspectQueue queue(3);
  CHECK(queue.push(container('a'), 1));
  CHECK(queue.push(container('b'), 2));
  CHECK(queue.push(container('a'), 3));
  CHECK(queue.size() == 2);
  CHECK(queue.push(container('c'), 4));
  CHECK_FALSE(queue.push(container('d'), 5));
  CHECK(queue.push(container('b'), 6));  // joins one that waits already
  CHECK(queue.pop()->tokens == std::vector<std::uint64_t>{1, 3});
  CHECK(queue.pop()->tokens == std::vector<std::uint64_t>{2, 6});
  CHECK(queue.push(container('a'), 7));  // the earlier one has gone
  CHECK(queue.pop()->id == container('c'));
  CHECK(queue.pop()->tokens == std::vector<std::uint64_t>{7});
  CHECK_FALSE(queue.pop());
}

TEST_CASE("an answer has a bounded number of takers") {
  InspectQueue queue(3);
  for (std::uint64_t token = 0; token < 48; ++token) CHECK(queue.push(container('a'), token));
  CHECK_FALSE(queue.push(container('a'), 48));
  std::uint64_t next = 0;
  while (const auto waiting = queue.pop()) {
    for (const auto token : waiting->tokens) CHECK(token == next++);
  }
  CHECK(next == 48);
}

TEST_CASE("every operation is counted from the start") {
  RequestCounters counters;
  CHECK(counters.all().size() == 9);
  counters.answered("restart", 500);
  counters.timed_out("restart");
  counters.failed("list");
  const auto all = counters.all();
  CHECK(all.size() == 12);
  const auto of = [&all](std::string_view operation, std::string_view code) {
    for (const auto& entry : all) {
      if (entry.operation == operation && entry.code == code) return entry.count;
    }
    return std::uint64_t{99};
  };
  CHECK(of("restart", "500") == 1);
  CHECK(of("restart", "timeout") == 1);
  CHECK(of("restart", "204") == 0);
  CHECK(of("list", "error") == 1);
}
