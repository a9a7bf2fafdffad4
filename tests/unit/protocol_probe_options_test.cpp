#include <algorithm>
#include <catch2/catch_test_macros.hpp>

#include "protocol/probe_settings.hpp"

using namespace sentinel::protocol;
namespace core = sentinel::core;

namespace {

using Cases = std::vector<std::pair<const char*, const char*>>;

struct Probe {
  explicit Probe(std::string_view url) { REQUIRE(set_probe_url(spec, url)); }

  bool set(std::string_view option, std::string_view value) {
    const auto before = spec;
    const auto result = set_probe_option(spec, option, value, {});
    error = result ? std::string{} : result.error().message;
    if (!result) CHECK(spec == before);
    return result.has_value();
  }

  core::ProbeSpec spec;
  std::string error;
};

}  // namespace

TEST_CASE("times and thresholds of every kind") {
  for (const char* url : {"http://:1/", "https://:1/", "tcp://:1", "tls://:1", "dns://:1/x",
                          "smtp://:1", "icmp:", "exec:x"}) {
    INFO(url);
    Probe probe(url);
    CHECK(probe.set("interval", "10s"));
    CHECK(probe.spec.fast_interval == Duration{1s});
    CHECK(probe.set("fast-interval", "2s"));
    CHECK(probe.set("timeout", "3s"));
    CHECK(probe.set("slow", "500ms"));
    CHECK(probe.set("fall", "3/5"));
    CHECK(probe.set("rise", "1"));
    CHECK(probe.spec.fall == 3);
    CHECK(probe.spec.fall_of == 5);
    CHECK(probe.spec.rise_of == 0);
    CHECK(settle_probe(probe.spec).problems.empty());
  }
}

TEST_CASE("the fast interval follows the interval, whatever the order, until it is set") {
  Probe probe("http://:1/");
  SettingsLimits limits;
  limits.interval.min = 100ms;
  CHECK(set_probe_option(probe.spec, "interval", "500ms", limits));
  CHECK(probe.spec.fast_interval == Duration{500ms});
  CHECK(probe.set("interval", "10s"));
  CHECK(probe.spec.fast_interval == Duration{1s});
  CHECK(probe.set("fast-interval", "8s"));
  CHECK(probe.set("interval", "20s"));
  CHECK(probe.spec.fast_interval == Duration{8s});
  CHECK(probe.set("interval", "5s"));
  const auto settled = settle_probe(probe.spec);
  REQUIRE(settled.problems.size() == 1);
  CHECK(settled.problems[0].option == "fast-interval");
  CHECK(settled.usable);
  CHECK(probe.spec.fast_interval <= probe.spec.interval);
}

TEST_CASE("thresholds out of range") {
  Probe probe("http://:1/");
  for (const char* bad : {"", "0", "101", "6/5", "0/5", "3/", "/5", "3/65", "3/5/7", "-1", "1.5",
                          "NaN", "3/1e1", "99999999999999999999", "3/99999999999999999999"}) {
    INFO(bad);
    CHECK_FALSE(probe.set("fall", bad));
    CHECK_FALSE(probe.set("rise", bad));
  }
  CHECK(probe.error ==
        "expected a number from 1 to 100, or so many of the last so many, such as 3/5, at most 64");
  CHECK(format_threshold(3, 5) == "3/5");
  CHECK(format_threshold(3, 0) == "3");
}

TEST_CASE("HTTP options") {
  Probe probe("http://:1/");
  CHECK(probe.set("method", "POST"));
  CHECK(probe.set("body", "{\"a\": 1}\r\n"));
  CHECK(probe.set("redirects", "true"));
  CHECK(probe.spec.http.max_redirects == 5);
  CHECK(probe.set("redirects", "off"));
  CHECK(probe.spec.http.max_redirects == 0);
  CHECK(probe.set("redirects", "3"));
  CHECK(probe.set("keep-alive", "yes"));
  CHECK(probe.set("expect.body", "a, b"));
  for (const auto& [option, bad] : {std::pair{"method", "get"},
                                    {"method", "CONNECT"},
                                    {"method", "GET / HTTP/1.1\r\n"},
                                    {"redirects", "11"},
                                    {"redirects", "many"},
                                    {"keep-alive", "perhaps"},
                                    {"expect.body", ""}}) {
    INFO(option << " " << bad);
    CHECK_FALSE(probe.set(option, bad));
  }
  CHECK_FALSE(probe.set("body", std::string(max_option_bytes + 1, 'x')));
  CHECK_FALSE(probe.set("expect.body", std::string(max_expected_bytes + 1, 'x')));
}

TEST_CASE("headers cannot forge a request") {
  Probe probe("http://:1/");
  CHECK(probe.set("header", "Accept: text/html, */*"));
  CHECK(probe.set("header.X-Token", " abc "));
  CHECK(probe.set("header.accept", "text/plain"));
  REQUIRE(probe.spec.http.headers.size() == 2);
  CHECK(probe.spec.http.headers[0] == std::pair<std::string, std::string>{"accept", "text/plain"});
  CHECK(probe.spec.http.headers[1].second == "abc");
  CHECK(probe.set("headers", "A: 1\nB: 2\n"));
  CHECK(probe.spec.http.headers.size() == 2);
  for (const auto& [option, bad] : Cases{{"header", "no colon"},
                                         {"header", ": empty"},
                                         {"header", "A: b\r\nC: d"},
                                         {"header", "A: b\nC: d"},
                                         {"header", "Content-Length: 5"},
                                         {"header.Transfer-Encoding", "chunked"},
                                         {"header.Connection", "close"},
                                         {"header.", "x"},
                                         {"header.A b", "x"},
                                         {"header.A", "x\x7F"},
                                         {"headers", "A: 1\n\rB"},
                                         {"header.Authorization_file", "/etc/shadow"}}) {
    INFO(option);
    CHECK_FALSE(probe.set(option, bad));
  }
  std::string many;
  for (int i = 0; i < 40; ++i) many += "H" + std::to_string(i) + ": x\n";
  CHECK_FALSE(probe.set("headers", many));
}

TEST_CASE("expected status codes") {
  Probe probe("http://:1/");
  CHECK(probe.set("expect.status", "200-299,401, 5xx"));
  CHECK(probe.spec.http.status ==
        std::vector<core::StatusRange>{{200, 299}, {401, 401}, {500, 599}});
  for (const char* bad : {"", "99", "600", "299-200", "200-", "-200", "200,", "2x", "6xx", "abc",
                          "200-299-300", "1e2", "99999999999999999999"}) {
    INFO(bad);
    CHECK_FALSE(probe.set("expect.status", bad));
  }
  std::string many = "200";
  for (int i = 0; i < 40; ++i) many += ",200";
  CHECK_FALSE(probe.set("expect.status", many));
}

TEST_CASE("regular expressions are compiled within limits") {
  Probe probe("http://:1/");
  CHECK(probe.set("expect.regex", "^(ok|fine)$"));
  CHECK(probe.set("expect.regex", "(a*)*b"));  // linear in RE2, whatever the text
  for (const char* bad : {"", "(", "a{1001}", "(a{1000}){1000}", "((a{100}){100}){100}",
                          "\\p{L}{1000}", "(?=x)", "\\1", "[z-a]", "a\xFF"}) {
    INFO(bad);
    CHECK_FALSE(probe.set("expect.regex", bad));
  }
  CHECK_FALSE(probe.set("expect.regex", std::string(max_regex_bytes + 1, 'x')));
  std::string nested;
  for (int i = 0; i < 500; ++i) nested += "(";
  CHECK_FALSE(probe.set("expect.regex", nested + std::string(500, ')') + std::string(500, '*')));
}

TEST_CASE("JSON checks") {
  Probe probe("http://:1/");
  CHECK(probe.set("expect.json",
                  "/status = \"ok, \\\"fine\\\"\", /queue < 100\n/a~1b/0 >= -1.5e3,/x exists"));
  using Op = core::JsonCheck::Op;
  REQUIRE(probe.spec.http.json.size() == 4);
  CHECK(probe.spec.http.json[0] == core::JsonCheck{"/status", Op::equal, "\"ok, \\\"fine\\\"\""});
  CHECK(probe.spec.http.json[1] == core::JsonCheck{"/queue", Op::less, "100"});
  CHECK(probe.spec.http.json[2] == core::JsonCheck{"/a~1b/0", Op::at_least, "-1.5e3"});
  CHECK(probe.spec.http.json[3] == core::JsonCheck{"/x", Op::exists, ""});
  CHECK(probe.set("expect.json", "/a == [1, {\"b\": 2}], /b != null, /c <= 1, /d > 0"));
  CHECK(probe.spec.http.json.size() == 4);
  for (const char* bad :
       {"", ",", "status = 1", "/a", "/a =", "/a = ok", "/a < \"b\"", "/a < NaN", "/a < Infinity",
        "/a > 1e999", "/a < null", "/a ~ 1", "/a~2 = 1", "/a~ = 1", "/a = 1 2", "/a exists now",
        "/a = [[[[[[[[[[1]]]]]]]]]]", "/a = \"open", "/a = {\"b\":"}) {
    INFO(bad);
    CHECK_FALSE(probe.set("expect.json", bad));
  }
  std::string many = "/a exists";
  for (int i = 0; i < 40; ++i) many += ",/a exists";
  CHECK_FALSE(probe.set("expect.json", many));
}

TEST_CASE("bytes to send and to expect") {
  Probe probe("tcp://:1");
  CHECK(probe.set("send", "EHLO\\r\\n\\x00\\xfF\\\\"));
  CHECK(probe.spec.tcp.send == std::string("EHLO\r\n\0\xFF\\", 9));
  CHECK(probe.set("expect", "a,b"));
  CHECK(probe.spec.tcp.expect == "a,b");
  for (const char* bad : {"", "\\", "\\q", "\\x", "\\x1", "\\xgg", "\\u0041"}) {
    INFO(bad);
    CHECK_FALSE(probe.set("send", bad));
  }
  CHECK_FALSE(probe.set("expect", std::string(max_expected_bytes + 1, 'x')));
}

TEST_CASE("TLS options") {
  for (const char* url : {"https://:1/", "tls://:1", "smtp://:1"}) {
    INFO(url);
    Probe probe(url);
    CHECK(probe.set("tls.verify", "no"));
    CHECK(probe.set("tls.name", "Example.org"));
    CHECK(probe.spec.tls.server_name == "example.org");
    CHECK(probe.set("tls.ca", "/etc/ca.pem"));
    CHECK(probe.set("tls.min-version", "1.3"));
    CHECK(probe.set("tls.expiry-fail", "30d"));
    CHECK(settle_probe(probe.spec).problems.empty());
    CHECK(probe.spec.tls.expiry_warn >= probe.spec.tls.expiry_fail);
    for (const auto& [option, bad] : Cases{{"tls.min-version", "1.1"},
                                           {"tls.min-version", "NaN"},
                                           {"tls.name", "a b"},
                                           {"tls.name", ""},
                                           {"tls.ca", "relative.pem"},
                                           {"tls.ca", "/a\nb"},
                                           {"tls.expiry-warn", "366d"},
                                           {"tls.expiry-warn", "-1d"}}) {
      INFO(option);
      CHECK_FALSE(probe.set(option, bad));
    }
  }
}

TEST_CASE("DNS, SMTP, ICMP and exec options") {
  Probe dns("dns://:53/x");
  CHECK(dns.set("type", "TXT"));
  CHECK(dns.set("expect", "\"v=spf1, -all\",\"b\""));
  CHECK(dns.spec.dns.expect == std::vector<std::string>{"\"v=spf1, -all\"", "\"b\""});
  CHECK(dns.set("rcode", "nxdomain"));
  CHECK(settle_probe(dns.spec).problems.size() == 1);
  CHECK_FALSE(dns.set("type", "65536"));
  CHECK_FALSE(dns.set("transport", "quic"));
  CHECK_FALSE(dns.set("expect", "a\x01"));

  Probe smtp("smtp://:25");
  CHECK(smtp.set("to", "a@b.example"));
  CHECK(settle_probe(smtp.spec).problems.size() == 1);
  CHECK(smtp.spec.smtp.rcpt_to.empty());
  CHECK(smtp.set("ehlo", "[192.0.2.1]"));
  for (const char* bad :
       {"", "a", "@b", "a@", "a@b@c", "a b@c", "a@b c", "<a@b>", "a@b\r\nDATA", "<>"}) {
    INFO(bad);
    CHECK_FALSE(smtp.set("to", bad));
  }
  CHECK_FALSE(smtp.set("ehlo", "x y"));
  CHECK_FALSE(smtp.set("starttls", "REQUIRED"));
  Probe smtps("smtps://:465");
  CHECK(smtps.set("starttls", "required"));
  CHECK(settle_probe(smtps.spec).problems.size() == 1);

  Probe icmp("icmp:");
  CHECK(icmp.set("max-loss", "50%"));
  CHECK(icmp.set("count", "20"));
  CHECK(icmp.set("spacing", "1s"));
  CHECK(settle_probe(icmp.spec).problems.size() == 1);
  CHECK(icmp.spec.icmp.count == 1);
  for (const auto& [option, bad] : Cases{{"count", "0"},
                                         {"count", "21"},
                                         {"spacing", "0s"},
                                         {"spacing", "1h"},
                                         {"max-loss", "100"},
                                         {"max-loss", "NaN"}}) {
    INFO(option << " " << bad);
    CHECK_FALSE(icmp.set(option, bad));
  }

  Probe exec("exec:");
  CHECK_FALSE(settle_probe(exec.spec).usable);
  CHECK(exec.set("command", "[\"/bin/sh\", \"-c\", \"a; b\"]"));
  CHECK(exec.spec.exec.command == std::vector<std::string>{"/bin/sh", "-c", "a; b"});
  CHECK(exec.set("command", "a ''  \"b c\"d"));
  CHECK(exec.spec.exec.command == std::vector<std::string>{"a", "", "b cd"});
  for (const char* bad :
       {"", "  ", "[]", "[1]", "[\"a\", null]", "[\"a\"", "[\"\"]", "[\"a\\u0000b\"]", "'open"}) {
    INFO(bad);
    CHECK_FALSE(exec.set("command", bad));
  }
}

TEST_CASE("an option of another kind is refused and says where it belongs") {
  Probe http("http://:1/");
  CHECK_FALSE(http.set("starttls", "required"));
  CHECK(http.error == "expected an option of http probes: this one belongs to smtp");
  CHECK_FALSE(http.set("tls.verify", "no"));
  CHECK(http.error == "expected an option of http probes: this one belongs to https, tls, smtp");
  Probe tcp("tcp://:1");
  CHECK_FALSE(tcp.set("expect.status", "200"));
  CHECK(tcp.error == "expected an option of tcp probes: this one belongs to http");
  CHECK_FALSE(tcp.set("nonsense", "1"));
  CHECK_FALSE(tcp.set("header.", "1"));
}

TEST_CASE("the table names each option once, and every kind has its own") {
  const auto names = probe_option_names();
  std::vector<std::string_view> sorted(names.begin(), names.end());
  std::ranges::sort(sorted);
  CHECK(std::ranges::adjacent_find(sorted) == sorted.end());
  for (const auto name : names) CHECK(is_probe_option(name));
  CHECK_FALSE(is_probe_option(""));
  CHECK_FALSE(is_probe_option("Interval"));
  CHECK(option_is_secret("header.Authorization"));
  CHECK(option_is_secret("body"));
  CHECK_FALSE(option_is_secret("expect.body"));
  CHECK(option_is_general("rise"));
  CHECK_FALSE(option_is_general("method"));
}
