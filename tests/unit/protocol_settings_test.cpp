#include <catch2/catch_test_macros.hpp>

#include "protocol/probe_settings.hpp"

using namespace sentinel::protocol;
namespace core = sentinel::core;

TEST_CASE("durations") {
  CHECK(parse_duration("90s") == Duration{90s});
  CHECK(parse_duration("1m30s") == Duration{90s});
  CHECK(parse_duration("500ms") == Duration{500ms});
  CHECK(parse_duration("0s") == Duration{});
  CHECK(parse_duration("0") == Duration{});
  CHECK(parse_duration("1.5s") == Duration{1500ms});
  CHECK(parse_duration("2d4h3m2s1ms") == Duration{52h + 3min + 2s + 1ms});
  CHECK(parse_duration(" 5m ") == Duration{5min});
  for (const char* bad :
       {"",     "5",      "-5s", "+5s", "5 s",     "5x",   "s",    "5s5s",
        "5s3m", "1.5m3s", "1.s", ".5s", "1.2345s", "1e3s", "0x5s", "99999999999999999999s",
        "400d", "1s\n2",  "NaN", "inf", "5S",      "1m30"}) {
    INFO(bad);
    CHECK_FALSE(parse_duration(bad));
  }
  CHECK_FALSE(parse_duration("59m", {1h, 2h}));
  CHECK(parse_duration("59m", {1h, 2h}).error().message ==
        "expected a duration such as 90s, 1m30s or 500ms between 1h and 2h");
}

TEST_CASE("durations are written the way they are read") {
  for (const Duration value : {Duration{0s}, Duration{1ms}, Duration{90s}, Duration{36h},
                               Duration{48h}, Duration{1h + 1ms}, Duration{61min}}) {
    CHECK(parse_duration(format_duration(value)) == value);
  }
  CHECK(format_duration(90s) == "1m30s");
  CHECK(format_duration(48h) == "2d");
  CHECK(format_duration(36h) == "36h");
  CHECK(format_duration(0s) == "0s");
}

TEST_CASE("counts and truth values") {
  CHECK(parse_count("3", 1, 5) == 3U);
  for (const char* bad : {"", "0", "6", "-1", "+3", "3.0", "3 4", "0x3", "99999999999999999999999"})
    CHECK_FALSE(parse_count(bad, 1, 5));
  for (const char* yes : {"true", "TRUE", "1", "yes", "On"}) CHECK(parse_bool(yes) == true);
  for (const char* no : {"false", "0", "No", "off"}) CHECK(parse_bool(no) == false);
  for (const char* bad : {"", "2", "truetrue", "maybe", "true\n"}) CHECK_FALSE(parse_bool(bad));
}

TEST_CASE("budget and back-off") {
  CHECK(parse_budget("5/15m") == core::Budget{5, 15min});
  for (const char* bad : {"", "lots", "5", "5/", "/15m", "0/15m", "101/15m", "5/0s", "5/31d",
                          "5/15m/3", "5-15m", "5.5/15m"}) {
    INFO(bad);
    CHECK_FALSE(parse_budget(bad));
  }
  CHECK(parse_budget("lots").error().message ==
        "expected restarts per healthy time such as 5/15m, from 1/1s to 100/30d");
  CHECK(format_budget({5, 15min}) == "5/15m");
  CHECK(parse_backoff("1s..5m") == core::Backoff{1s, 5min});
  CHECK(parse_backoff("2s") == core::Backoff{2s, 2s});
  for (const char* bad : {"", "5m..1s", "1s...5m", "..", "1s..", "..5m", "0s..1s", "1s-5m"})
    CHECK_FALSE(parse_backoff(bad));
  CHECK(format_backoff({1s, 5min}) == "1s..5m");
}

TEST_CASE("ladder and failure set") {
  using enum core::Rung;
  CHECK(parse_ladder("restart") == std::vector{restart});
  CHECK(parse_ladder("restart, kill,stop") == std::vector{restart, kill, stop});
  CHECK(parse_ladder("none") == std::vector<core::Rung>{});
  for (const char* bad : {"", "stop,restart", "reboot", "restart,", "none,restart", "recreate",
                          "Restart", "kill,kill,kill,kill,kill,kill,kill,kill,kill"}) {
    INFO(bad);
    CHECK_FALSE(parse_ladder(bad));
  }
  CHECK(parse_ladder("recreate").error().message.ends_with("(recreate is not supported yet)"));
  CHECK(format_ladder({}) == "none");
  CHECK(format_ladder({restart, kill}) == "restart,kill");
  CHECK(parse_failure_set("exited") == core::FailureSet{false, false, true});
  CHECK(parse_failure_set("unhealthy,probe") == core::FailureSet{true, true, false});
  for (const char* bad : {"", "oom", "all", "unhealthy;probe"}) CHECK_FALSE(parse_failure_set(bad));
  CHECK(format_failure_set({}) == "unhealthy,probe");
}

TEST_CASE("hosts that hand out credentials are refused in every notation") {
  for (const char* host : {"169.254.169.254",
                           "169.254.0.1",
                           "fe80::1",
                           "febf::1",
                           "fd00:ec2::254",
                           "::ffff:169.254.169.254",
                           "::ffff:a9fe:a9fe",
                           "::169.254.169.254",
                           "64:ff9b::a9fe:a9fe",
                           "metadata",
                           "metadata.google.internal",
                           "METADATA.google.internal.",
                           "instance-data",
                           "2852039166",
                           "0xa9fea9fe",
                           "169.254.43518",
                           "0251.0376.0251.0376",
                           "169.0xfe.1.1",
                           "169.254.169.254.",
                           "100.100.100.200",
                           "0.0.0.0",
                           "224.0.0.1",
                           "ff02::1",
                           "1.2.3"}) {
    INFO(host);
    CHECK(forbidden_host(host));
  }
  for (const char* host : {"127.0.0.1", "10.0.0.1", "::1", "2001:db8::1", "fd00::1", "example.org",
                           "web-1", "a.b2", "::ffff:10.0.0.1"}) {
    INFO(host);
    CHECK_FALSE(forbidden_host(host));
  }
  CHECK_FALSE(parse_probe_url("http://169.254.169.254/latest"));
  CHECK_FALSE(parse_probe_url("http://[fe80::1]/"));
}

TEST_CASE("names") {
  CHECK(parse_probe_name("health-2_x") == "health-2_x");
  for (const char* bad : {"", "a.b", "a b", "a/b"}) CHECK_FALSE(parse_probe_name(bad));
  CHECK_FALSE(parse_probe_name(std::string(65, 'a')));
  CHECK(parse_service_name("web.api") == "web.api");
  for (const char* bad : {"", "a/b", "a b", "a\nb", "\"", "\xC3\xA9"})
    CHECK_FALSE(parse_service_name(bad));
}

TEST_CASE("lists of services") {
  using Names = std::vector<std::string>;
  CHECK(parse_service_list("none") == Names{});
  CHECK(parse_service_list("db") == Names{"db"});
  CHECK(parse_service_list("db, shop/cache") == Names{"db", "shop/cache"});
  CHECK(format_service_list({"db", "shop/cache"}) == "db,shop/cache");
  CHECK(format_service_list({}) == "none");
  for (const char* bad : {"", ",", "db,", "/db", "shop/", "a/b/c", "d b", "d\x01"}) {
    INFO(bad);
    CHECK_FALSE(parse_service_list(bad));
  }
  std::string many;
  for (int i = 0; i < 65; ++i) many += (i > 0 ? "," : "") + std::string("s") + std::to_string(i);
  CHECK_FALSE(parse_service_list(many));
}
