#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "observe/log.hpp"

using namespace sentinel::observe;

namespace {

struct Pipe {
  Pipe() { REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0); }
  ~Pipe() {
    close_reader();
    ::close(ends[1]);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void close_reader() {
    if (ends[0] >= 0) ::close(ends[0]);
    ends[0] = -1;
  }
  /// What was written, once the writer is gone or a line for each of `lines` has come.
  std::string read_lines(std::size_t lines) const {
    std::string text;
    std::array<char, 65'536> buffer{};
    while (static_cast<std::size_t>(std::ranges::count(text, '\n')) < lines) {
      const auto n = ::read(ends[0], buffer.data(), buffer.size());
      if (n <= 0) break;
      text.append(buffer.data(), static_cast<std::size_t>(n));
    }
    return text;
  }
  std::array<int, 2> ends{-1, -1};
};

LogOptions to(const Pipe& pipe, LogFormat format = LogFormat::text) {
  LogOptions options;
  options.fd = pipe.ends[1];
  options.format = format;
  return options;
}

std::size_t count(const std::string& text, std::string_view needle) {
  std::size_t n = 0;
  for (auto at = text.find(needle); at != std::string::npos;
       at = text.find(needle, at + needle.size()))
    ++n;
  return n;
}

}  // namespace

TEST_CASE("a text line is time, level and sentence") {
  const LogRecord record{LogLevel::warning,
                         "sentinel.x",
                         "demo-service is degraded",
                         {{"service", std::string{"demo"}}}};
  CHECK(format_line(record, LogFormat::text, 1'709'210'096'007, 1000) ==
        "2024-02-29T12:34:56.007Z warning demo-service is degraded");
}

TEST_CASE("a JSON line is one object that any hostile text cannot break") {
  const std::string evil = "x\n{\"level\":\"fake\"}\x1b[2J\xFF\"\\";
  const LogRecord record{LogLevel::error,
                         "sentinel.x",
                         evil,
                         {{"service", evil}, {"n", std::int64_t{-3}}, {"ok", true}}};
  const std::string line = format_line(record, LogFormat::json, 0, 1000);
  CHECK(line.find('\n') == std::string::npos);
  CHECK(line.find('\x1b') == std::string::npos);
  const auto json = nlohmann::json::parse(line);
  CHECK(json.at("level") == "error");
  CHECK(json.at("event") == "sentinel.x");
  CHECK(json.at("time") == "1970-01-01T00:00:00.000Z");
  CHECK(json.at("msg") == "x\\x0A{\"level\":\"fake\"}\\x1B[2J\xEF\xBF\xBD\"\\");
  CHECK(json.at("n") == -3);
  CHECK(json.at("ok") == true);
}

TEST_CASE("lines arrive in order, below the level nothing does") {
  const Pipe pipe;
  Log log{to(pipe)};
  log.write({LogLevel::debug, "e", "hidden", {}});
  log.info("e", "first");
  log.error("e", "second");
  std::string text = pipe.read_lines(2);
  CHECK(text.find("hidden") == std::string::npos);
  CHECK(text.find("info first\n") < text.find("error second\n"));
  log.set_level(LogLevel::debug);
  CHECK(log.enabled(LogLevel::debug));
  log.write({LogLevel::debug, "e", "shown", {}});
  CHECK(pipe.read_lines(1).find("debug shown\n") != std::string::npos);
}

TEST_CASE("a reader that stalls does not hold up the writer, and what is lost is counted") {
  const Pipe pipe;
  LogOptions options = to(pipe);
  options.queue_lines = 16;
  std::optional<Log> log{std::in_place, options};
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 5000; ++i)
    log->info("e", "line " + std::to_string(i) + std::string(200, '.'));
  CHECK(log->dropped() > 0);
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds{30});
  const auto end = std::chrono::steady_clock::now();
  log.reset();  // the pipe is still full
  CHECK(std::chrono::steady_clock::now() - end < std::chrono::seconds{30});
}

TEST_CASE("a reader that is gone is survived") {
  Pipe pipe;
  std::optional<Log> log{std::in_place, to(pipe)};
  pipe.close_reader();
  for (int i = 0; i < 100; ++i) log->info("e", "line " + std::to_string(i));
  log.reset();
  SUCCEED("no SIGPIPE, no wait");
}

TEST_CASE("a sentence that repeats is thinned out") {
  const Pipe pipe;
  {
    Log log{to(pipe)};
    for (int i = 0; i < 50; ++i) log.info("e", "the same again");
    log.info("e", "another");
    CHECK(log.suppressed() == 45);
  }
  const std::string text = pipe.read_lines(6);
  CHECK(count(text, "the same again") == 5);
  CHECK(count(text, "another") == 1);
}

TEST_CASE("levels and formats by name") {
  LogLevel level{};
  CHECK(parse_log_level("warn", level));
  CHECK(level == LogLevel::warning);
  CHECK_FALSE(parse_log_level("loud", level));
  CHECK(level == LogLevel::warning);
  LogFormat format{};
  CHECK(parse_log_format("json", format));
  CHECK_FALSE(parse_log_format("xml", format));
}
