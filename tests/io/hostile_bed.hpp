#pragma once

// A prober with a good service beside the hostile one: while the hostile one is probed the good one
// is too, again and again, and must never notice.

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_all.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "probe_harness.hpp"
#include "scripted_peer.hpp"

namespace sentinel::test {

/// More than a probe may ever read of a peer, socket buffers included.
inline constexpr std::size_t bounded = std::size_t{1} << 20U;

class HostileBed : public ProbeHarness {
 public:
  /// Of the hostile service; the good one passed meanwhile, and passes afterwards.
  core::ProbeOutcome suffer(core::ProbeSpec spec, std::string address = "127.0.0.1") {
    const auto timeout = spec.timeout;
    const auto hostile = start(std::move(spec), std::move(address));
    auto good = start_good();
    const bool ended = run_until([&] {
      if (const auto* beside = found(good)) {
        check_good(*beside);
        good = start_good();
      }
      return found(hostile) != nullptr;
    });
    REQUIRE(ended);
    check_good(outcome(good));
    check_good(outcome(start_good()));
    const auto result = outcome(hostile);
    INFO(result.sentence);
    CHECK(result.sentence.find_first_of("\r\n") == std::string::npos);
    CHECK(result.sentence.size() < 500);
    if (result.reason == core::ProbeReason::timeout) {
      CHECK(result.took >= timeout);
      CHECK(result.took < timeout + std::chrono::seconds(10));
    }
    return result;
  }

 private:
  std::uint64_t start_good() {
    core::ProbeSpec spec;
    spec.port = good_.port();
    spec.timeout = std::chrono::seconds(20);
    return start(std::move(spec));
  }
  static void check_good(const core::ProbeOutcome& outcome) {
    INFO(outcome.sentence);
    CHECK(outcome.verdict == core::Verdict::pass);
  }

  ScriptedPeer good_{context(),
                     {Hear{"\r\n\r\n"}, Say{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"}}};
};

inline void check(const core::ProbeOutcome& outcome, core::ProbeReason reason,
                  const std::string& sentence) {
  CHECK(outcome.verdict == core::Verdict::fail);
  CHECK(core::to_string(outcome.reason) == core::to_string(reason));
  CHECK_THAT(outcome.sentence, Catch::Matchers::ContainsSubstring(sentence));
}

inline std::string repeated(std::string_view text, std::size_t bytes) {
  std::string result;
  while (result.size() < bytes) result += text;
  return result;
}

}  // namespace sentinel::test
