#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <deque>
#include <string>

#include "protocol/engine_session.hpp"

using namespace sentinel::protocol;
namespace core = sentinel::core;
using State = EngineSession::State;

namespace {

const std::string id(64, 'e');
constexpr std::int64_t wall_start = 1'800'000'000'000'000'000;

std::string event_line(std::int64_t time, std::string_view action = "die") {
  return R"({"Type":"container","Action":")" + std::string(action) + R"(","Actor":{"ID":")" + id +
         R"("},"timeNano":)" + std::to_string(time) + "}\n";
}

/// A session, virtual time, and an Engine that answers what it is told to.
struct Harness {
  EngineSession session;
  core::Time now{};
  std::vector<core::Event> published;
  std::deque<SessionCommand> asked;  // questions without an answer
  std::optional<OpenStream> stream;  // as opened
  core::Time stream_ends = core::never;
  unsigned dropped = 0;
  unsigned step = 0;  // answers given
  std::string engine = "26.1";
  ApiVersion highest{1, 45};

  explicit Harness(SessionOptions options = {}) : session(options) {}

  Moment at() const { return {now, wall_start + now.time_since_epoch().count()}; }

  template <class Step>
  void act(Step call) {
    SessionCommands out;
    call(out);
    for (auto& command : out) {
      if (auto* publish = std::get_if<Publish>(&command)) {
        published.push_back(std::move(publish->event));
      } else if (std::holds_alternative<CloseStream>(command)) {
        stream.reset();
        std::erase_if(
            asked, [](const SessionCommand& c) { return std::holds_alternative<OpenStream>(c); });
      } else if (std::holds_alternative<DropCalls>(command)) {
        ++dropped;
      } else {
        asked.push_back(std::move(command));
      }
    }
  }

  /// Answers the oldest question, well or badly.
  void answer(bool good) {
    REQUIRE_FALSE(asked.empty());
    const SessionCommand question = asked.front();
    asked.pop_front();
    ++step;
    const Error error{"step " + std::to_string(step) + " failed"};
    act([&](SessionCommands& out) {
      if (const auto* version = std::get_if<AskVersion>(&question)) {
        if (good) {
          session.on_version(version->call, VersionAnswer{{engine, {1, 24}, highest}, at().wall_ns},
                             at(), out);
        } else {
          session.on_version(version->call, std::unexpected(error), at(), out);
        }
      } else if (const auto* open = std::get_if<OpenStream>(&question)) {
        if (good) {
          stream = *open;
          stream_ends = now + Duration{open->query.until - at().wall_ns};
          session.on_stream_opened(open->call, at(), out);
        } else {
          session.on_stream_closed(open->call, error, at(), out);
        }
      } else if (const auto* list = std::get_if<AskList>(&question)) {
        CHECK(stream);  // never list before the stream is open
        if (good) {
          session.on_list(list->call, std::vector<core::ListedContainer>{}, at(), out);
        } else {
          session.on_list(list->call, std::unexpected(error), at(), out);
        }
      } else if (const auto* ping = std::get_if<AskPing>(&question)) {
        session.on_ping(ping->call, good ? std::expected<void, Error>{} : std::unexpected(error),
                        at(), out);
      }
    });
  }

  void close_stream(bool clean) {
    const auto call = stream->call;
    stream.reset();
    act([&](SessionCommands& out) {
      session.on_stream_closed(call, clean ? std::nullopt : std::optional(Error{"reset"}), at(),
                               out);
    });
  }

  void bytes(std::string_view text) {
    act([&](SessionCommands& out) { session.on_stream_bytes(stream->call, text, at(), out); });
  }

  void advance_to(core::Time when) {
    now = std::max(now, when);
    act([&](SessionCommands& out) { session.on_timer(at(), out); });
  }

  /// Lets everything happen until `end`; answers come at once, and the stream ends when it should.
  void run_until(core::Time end, unsigned failing_step = 0) {
    for (unsigned i = 0; i < 10'000; ++i) {
      if (!asked.empty()) {
        answer(step + 1 != failing_step);
        continue;
      }
      core::Time next = session.next_deadline().value_or(core::never);
      const bool stream_first = stream && stream_ends <= next;
      if (stream_first) next = stream_ends;
      if (next > end) {
        now = end;
        return;
      }
      now = std::max(now, next);
      if (stream_first) {
        ++step;
        close_stream(step != failing_step);
      } else {
        advance_to(next);
      }
    }
    FAIL("a busy loop");
  }

  void start() {
    act([&](SessionCommands& out) { session.start(at(), out); });
  }
  void connect() {
    start();
    run_until(now);
    REQUIRE(session.state() == State::up);
  }
  template <class T>
  std::size_t count() const {
    return static_cast<std::size_t>(std::ranges::count_if(
        published, [](const core::Event& e) { return std::holds_alternative<T>(e); }));
  }
};

}  // namespace

TEST_CASE("subscribe, then list, then rest") {
  Harness h;
  h.start();
  CHECK(h.session.state() == State::asking_version);
  h.answer(true);
  CHECK(h.session.state() == State::opening_stream);
  CHECK(h.count<core::EngineConnected>() == 0);
  h.answer(true);
  REQUIRE(h.count<core::EngineConnected>() == 1);
  CHECK(std::get<core::EngineConnected>(h.published[0]).api_version == "1.45");
  h.answer(true);
  REQUIRE(h.published.size() == 2);
  CHECK(std::get<core::Listed>(h.published[1]).after_gap);
  CHECK(h.session.state() == State::up);
  CHECK(h.asked.empty());
  h.published.clear();
  h.run_until(h.now + 10min);
  // A list and a renewal a minute, nothing else.
  CHECK(h.count<core::Listed>() == 10);
  CHECK(h.published.size() == 10);
  CHECK(h.session.counts().renewals == 10);
  CHECK(h.session.counts().pings == 0);
  CHECK(h.session.counts().reconnects == 0);
}

TEST_CASE("failing each step in turn ends connected again, with a list after the gap") {
  const unsigned failing = GENERATE(range(1U, 17U));
  Harness h;
  h.start();
  h.run_until(core::Time{} + 5min, failing);
  INFO("step " << failing);
  CHECK(h.session.state() == State::up);
  CHECK(h.session.connected());
  CHECK(h.count<core::EngineConnected>() ==
        h.count<core::EngineLost>() + (failing <= 3 ? (failing == 3 ? 1 : 0) : 1));
  // What was missed during the failure is listed again.
  const auto gaps = std::ranges::count_if(h.published, [](const core::Event& e) {
    const auto* list = std::get_if<core::Listed>(&e);
    return list != nullptr && list->after_gap;
  });
  CHECK(gaps == (failing <= 3 ? 1 : 2));
}

TEST_CASE("failing everything from each step on means lost, and a bounded back-off") {
  const unsigned from = GENERATE(range(1U, 12U));
  Harness h;
  h.start();
  unsigned questions_while_lost = 0;
  for (int i = 0; i < 2000 && h.now < core::Time{} + 10min; ++i) {
    if (!h.asked.empty()) {
      if (h.step + 1 >= from) ++questions_while_lost;
      h.answer(h.step + 1 < from);
    } else {
      core::Time next = h.session.next_deadline().value_or(core::never);
      if (h.stream && h.stream_ends < next) {
        h.now = h.stream_ends;
        ++h.step;
        h.close_stream(h.step < from);
      } else {
        REQUIRE(next != core::never);
        h.advance_to(next);
      }
    }
  }
  CHECK(h.session.state() != State::up);
  CHECK_FALSE(h.session.connected());
  CHECK(h.count<core::EngineLost>() >= 1);
  CHECK_FALSE(h.session.last_error().empty());
  // 10 minutes at 5 s with jitter down to a half, and the quick first ones.
  CHECK(questions_while_lost < 260);
  CHECK(questions_while_lost > 100);
}

TEST_CASE("the same reason is told once, another one again") {
  Harness h;
  h.start();
  const auto fail_version = [&h](const char* why) {
    if (h.asked.empty()) h.advance_to(*h.session.next_deadline());
    const auto call = std::get<AskVersion>(h.asked.front()).call;
    h.asked.pop_front();
    h.act([&](SessionCommands& out) {
      h.session.on_version(call, std::unexpected(Error{why}), h.at(), out);
    });
  };
  fail_version("refused");
  fail_version("refused");
  CHECK(h.count<core::EngineLost>() == 1);
  fail_version("permission denied");
  CHECK(h.count<core::EngineLost>() == 2);
}

TEST_CASE("an Engine that speaks no version of ours") {
  Harness h;
  h.highest = {1, 40};
  h.start();
  h.answer(true);
  CHECK(h.session.state() == State::waiting);
  REQUIRE(h.count<core::EngineLost>() == 1);
  CHECK(std::get<core::EngineLost>(h.published[0])
            .reason.starts_with("Engine 26.1 speaks API 1.24 to 1.40"));
  h.highest = {1, 60};
  h.run_until(h.now + 10s);
  CHECK(h.session.state() == State::up);
  CHECK(h.session.api() == highest_api);
}

TEST_CASE("a half-open stream is noticed when its end is overdue") {
  Harness h;
  h.connect();
  h.published.clear();
  const auto due = h.stream_ends;
  h.stream_ends = core::never;  // the Engine's end is never heard of
  h.run_until(due + 4s);
  CHECK(h.session.counts().reconnects == 0);
  h.run_until(due + 6s);
  CHECK(h.session.counts().reconnects == 1);
  CHECK(h.session.state() == State::up);
  CHECK(h.count<core::EngineLost>() == 0);
  CHECK(std::get<core::Listed>(h.published.back()).after_gap);
}

TEST_CASE("a stream cut by a proxy is resumed without alarm, a short-lived one is not") {
  Harness h;
  h.connect();
  h.published.clear();
  h.now += 30s;
  h.close_stream(false);
  h.run_until(h.now);
  CHECK(h.session.state() == State::up);
  CHECK(h.count<core::EngineLost>() == 0);
  CHECK(h.count<core::EngineConnected>() == 0);
  h.now += 1s;
  h.close_stream(true);  // far too early
  CHECK(h.count<core::EngineLost>() == 1);
  CHECK(h.dropped == 1);
  CHECK(h.session.state() == State::waiting);
  CHECK(*h.session.next_deadline() - h.now <= 100ms);
}

TEST_CASE("streams that break at once are not reopened in a loop") {
  Harness h;
  h.connect();
  unsigned opened = 0;
  const auto end = h.now + 60s;
  while (h.now < end) {
    if (h.stream && h.session.state() == State::up) {
      ++opened;
      h.close_stream(false);
    } else if (!h.asked.empty()) {
      h.answer(true);
    } else {
      h.advance_to(*h.session.next_deadline());
    }
  }
  CHECK(opened < 40);
}

TEST_CASE("a renewal that took long is a gap") {
  Harness h;
  h.connect();
  h.now = h.stream_ends;
  h.close_stream(true);
  REQUIRE(h.asked.size() == 1);
  h.now += 3s;
  h.answer(true);
  REQUIRE(h.asked.size() == 1);
  h.answer(true);
  CHECK(std::get<core::Listed>(h.published.back()).after_gap);
}

TEST_CASE("being stopped through the end of a stream is a gap") {
  Harness h;
  h.connect();
  h.now = h.stream_ends + 5min;  // nothing ran; then the close is read before any timer
  h.close_stream(true);
  h.run_until(h.now);
  CHECK(h.session.state() == State::up);
  CHECK(std::get<core::Listed>(h.published.back()).after_gap);
}

TEST_CASE("events become hints once") {
  Harness h;
  h.connect();
  h.published.clear();
  const auto time = h.at().wall_ns;
  const std::string lines = event_line(time) + event_line(time, "start") + event_line(time) +
                            event_line(time + 1, "exec_create: die");
  for (const char c : lines) h.bytes(std::string_view(&c, 1));
  REQUIRE(h.count<core::Hint>() == 2);
  CHECK(h.session.counts().duplicates == 1);
  // The next stream starts with the latest event, and its replay is dropped.
  h.now = h.stream_ends;
  h.close_stream(true);
  h.run_until(h.now);
  CHECK(h.stream->query.since >= time);
  h.bytes(event_line(time) + event_line(time, "start"));
  CHECK(h.count<core::Hint>() == 2);
}

TEST_CASE("malformed and overlong events ask for a list") {
  Harness h;
  h.connect();
  h.published.clear();
  h.now += 1s;
  h.bytes("nonsense\n{\"x\":\n");
  REQUIRE(h.asked.size() == 1);
  CHECK(h.session.counts().malformed == 2);
  h.answer(true);
  CHECK(std::get<core::Listed>(h.published.back()).after_gap);
  h.now += 1s;
  const std::string piece(100'000, 'x');
  for (int i = 0; i < 11; ++i) h.bytes(piece);
  h.bytes("\n");
  CHECK(h.session.counts().malformed == 3);
  CHECK(h.asked.size() == 1);
}

TEST_CASE("lists wanted together become one, and soon another") {
  Harness h;
  h.connect();
  h.now += 1s;
  h.published.clear();
  for (int i = 0; i < 50; ++i)
    h.act([&](SessionCommands& out) { h.session.relist(i == 30, h.at(), out); });
  CHECK(h.asked.size() == 1);
  h.answer(true);
  CHECK(h.asked.empty());
  CHECK_FALSE(std::get<core::Listed>(h.published.back()).after_gap);
  h.run_until(h.now + 300ms);
  REQUIRE(h.count<core::Listed>() == 2);
  CHECK(std::get<core::Listed>(h.published.back()).after_gap);
  h.run_until(h.now + 30s);
  CHECK(h.count<core::Listed>() == 2);
}

TEST_CASE("late answers make us ping, and a failed ping loses the Engine") {
  Harness h;
  h.connect();
  h.session.on_call_started(h.at());
  h.run_until(h.now + 2900ms);
  CHECK(h.session.counts().pings == 0);
  h.advance_to(h.now + 200ms);
  REQUIRE(h.asked.size() == 1);
  CHECK(std::holds_alternative<AskPing>(h.asked.front()));
  h.answer(true);
  CHECK(h.session.connected());
  h.advance_to(h.now + 3100ms);
  REQUIRE(h.asked.size() == 1);
  h.answer(false);
  CHECK_FALSE(h.session.connected());
  CHECK(h.dropped == 1);
  CHECK(h.count<core::EngineLost>() == 1);
}

TEST_CASE("a failed call makes us ping at once, an answered one does not") {
  Harness h;
  h.connect();
  h.session.on_call_started(h.at());
  h.act([&](SessionCommands& out) { h.session.on_call_finished(false, h.at(), out); });
  CHECK(h.asked.empty());
  h.session.on_call_started(h.at());
  h.act([&](SessionCommands& out) { h.session.on_call_finished(true, h.at(), out); });
  REQUIRE(h.asked.size() == 1);
  CHECK(std::holds_alternative<AskPing>(h.asked.front()));
}

TEST_CASE("another Engine version after a restart is told") {
  Harness h;
  h.connect();
  h.engine = "29.0";
  h.highest = {1, 52};
  h.now += 10s;
  h.published.clear();
  h.close_stream(false);
  h.run_until(h.now);
  CHECK(h.count<core::EngineLost>() == 1);
  CHECK(h.count<core::EngineConnected>() == 1);
  CHECK(h.session.api() == ApiVersion{1, 52});
  CHECK(h.session.state() == State::up);
}

TEST_CASE("answers to questions of an earlier turn are ignored") {
  Harness h;
  h.connect();
  h.published.clear();
  for (CallNumber call = 0; call < 10; ++call) {
    if (call == h.stream->call) continue;
    h.act([&](SessionCommands& out) {
      h.session.on_version(call, std::unexpected(Error{"late"}), h.at(), out);
      h.session.on_list(call, std::unexpected(Error{"late"}), h.at(), out);
      h.session.on_stream_closed(call, Error{"late"}, h.at(), out);
      h.session.on_stream_opened(call, h.at(), out);
      h.session.on_stream_bytes(call, "late\n", h.at(), out);
      h.session.on_ping(call, std::unexpected(Error{"late"}), h.at(), out);
    });
  }
  CHECK(h.published.empty());
  CHECK(h.asked.empty());
  CHECK(h.session.state() == State::up);
}

TEST_CASE("another filter takes a new stream, other settings only a list") {
  Harness h;
  h.connect();
  h.now += 1s;
  h.act([&](SessionCommands& out) { h.session.reconfigure(false, h.at(), out); });
  REQUIRE(h.asked.size() == 1);
  CHECK(std::holds_alternative<AskList>(h.asked.front()));
  h.answer(true);
  h.published.clear();
  h.act([&](SessionCommands& out) { h.session.reconfigure(true, h.at(), out); });
  CHECK_FALSE(h.stream);
  h.run_until(h.now);
  CHECK(h.stream->query.watch_all);
  CHECK(h.session.state() == State::up);
  CHECK(h.count<core::EngineLost>() == 0);
  CHECK(std::get<core::Listed>(h.published.back()).after_gap);
}

TEST_CASE("a clock that stepped back does not blind the stream") {
  Harness h;
  h.connect();
  h.bytes(event_line(h.at().wall_ns + 86'400'000'000'000));  // an event from tomorrow
  h.now = h.stream_ends;
  h.close_stream(true);
  h.run_until(h.now);
  CHECK(h.stream->query.since <= h.at().wall_ns);
}

TEST_CASE("stop is silent") {
  Harness h;
  h.connect();
  h.published.clear();
  h.act([&](SessionCommands& out) { h.session.stop(out); });
  CHECK_FALSE(h.stream);
  CHECK_FALSE(h.session.next_deadline());
  CHECK(h.published.empty());
  h.act([&](SessionCommands& out) { h.session.relist(true, h.at(), out); });
  CHECK(h.asked.empty());
}
