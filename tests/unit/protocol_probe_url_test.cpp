#include <catch2/catch_test_macros.hpp>

#include "protocol/probe_settings.hpp"

using namespace sentinel::protocol;
namespace core = sentinel::core;
using core::ProbeKind;

namespace {

core::ProbeSpec good(std::string_view url) {
  const auto spec = parse_probe_url(url);
  INFO(url);
  if (!spec) FAIL(spec.error().message);
  CHECK(spec->url == url);
  return *spec;
}

std::string problem(std::string_view url) {
  const auto spec = parse_probe_url(url);
  return spec ? std::string("none") : spec.error().message;
}

}  // namespace

TEST_CASE("HTTP and HTTPS URLs") {
  const auto plain = good("http://:8080/health");
  CHECK(plain.kind == ProbeKind::http);
  CHECK(plain.host.empty());
  CHECK(plain.port == 8080);
  CHECK(plain.http.target == "/health");
  CHECK_FALSE(plain.http.tls);

  const auto bare = good("HTTP://Example.org?deep=1");
  CHECK(bare.host == "example.org");
  CHECK(bare.port == 80);
  CHECK(bare.http.target == "/?deep=1");

  const auto six = good("https://[2001:db8::1]");
  CHECK(six.host == "2001:db8::1");
  CHECK(six.port == 443);
  CHECK(six.http.tls);
  CHECK(six.http.target == "/");

  for (const char* bad : {"",
                          ":",
                          "8080",
                          "http:",
                          "http:/x",
                          "http://:0/",
                          "http://:65536/",
                          "http://:/",
                          "http://:80:80/",
                          "http://:99999999999999999999/",
                          "http://u:p@h/",
                          "http://h/#top",
                          "http://h/a b",
                          "http://h/\r\nX: y",
                          "http://h/\xC3\xA9",
                          "http://[::1/",
                          "http://[::g]/",
                          "http://[]/",
                          "http://-h/",
                          "http://h\\x/",
                          "http://:+80/",
                          "http://: 80/",
                          "ftp://h/",
                          "httpss://h/",
                          " http://h/"}) {
    INFO(bad);
    CHECK_FALSE(parse_probe_url(bad));
  }
  CHECK_FALSE(parse_probe_url("http://h/" + std::string(3000, 'a')));
  CHECK(problem("gopher://h") ==
        "expected a URL such as http://:8080/health, of http, https, tcp, tls, dns, smtp, smtps, "
        "icmp or exec");
}

TEST_CASE("TCP and TLS URLs") {
  const auto tcp = good("tcp://:5432");
  CHECK(tcp.kind == ProbeKind::tcp);
  CHECK(tcp.port == 5432);
  const auto redis = good("tcp://cache:6379?send=PING%5Cr%5Cn&expect=%2BPONG");
  CHECK(redis.host == "cache");
  CHECK(redis.tcp.send == "PING\r\n");
  CHECK(redis.tcp.expect == "+PONG");
  const auto tls = good("tls://mail.example.org?tls.name=Other.example.org");
  CHECK(tls.kind == ProbeKind::tls);
  CHECK(tls.port == 443);
  CHECK(tls.tls.server_name == "other.example.org");
  CHECK(problem("tcp://host") == "expected a URL such as tcp://:5432 with a port from 1 to 65535");
  CHECK(problem("tcp://host:1/path") == "expected a URL such as tcp://:5432 without a path");
  for (const char* bad :
       {"tcp:", "tcp:5432", "tcp://", "tcp://:1?", "tcp://:1?send", "tcp://:1?send=%5",
        "tcp://:1?send=%zz", "tcp://:1?send=a&send=b", "tcp://:1?interval=1s",
        "tcp://:1?tls.verify=no", "tls://:1?tls.ca=/etc/shadow", "tcp://:1#x", "tcp://:1?nope=1"}) {
    INFO(bad);
    CHECK_FALSE(parse_probe_url(bad));
  }
}

TEST_CASE("DNS URLs") {
  const auto plain = good("dns://:53/Example.ORG.");
  CHECK(plain.kind == ProbeKind::dns);
  CHECK(plain.port == 53);
  CHECK(plain.dns.name == "example.org");
  CHECK(plain.dns.type == 1);
  const auto full =
      good("dns://[2001:db8::53]:5353/_sip._tcp.example.org?type=srv&expect=a,b&transport=tcp");
  CHECK(full.host == "2001:db8::53");
  CHECK(full.port == 5353);
  CHECK(full.dns.type == 33);
  CHECK(full.dns.expect == std::vector<std::string>{"a", "b"});
  CHECK(full.dns.tcp);
  CHECK(good("dns://ns/x?rcode=NXDOMAIN").dns.rcode == 3);
  CHECK(problem("dns://:53/x?type=AXFR") ==
        "type: expected A, AAAA, CAA, CNAME, MX, NS, PTR, SOA, SRV or TXT");
  for (const std::string& bad :
       {std::string("dns://:53"), std::string("dns://:53/"), std::string("dns://:53/."),
        std::string("dns://:53/a..b"), std::string("dns://:53/.a"), std::string("dns://:53/a/b"),
        "dns://:53/" + std::string(64, 'a'), "dns://:53/" + std::string(300, 'a'),
        std::string("dns://:53/x?rcode=16"), std::string("dns://:53/x?starttls=required")}) {
    INFO(bad);
    CHECK_FALSE(parse_probe_url(bad));
  }
}

TEST_CASE("SMTP URLs") {
  const auto plain = good("smtp://:25?starttls=required&from=<>&to=a+b@example.org");
  CHECK(plain.kind == ProbeKind::smtp);
  CHECK(plain.port == 25);
  CHECK(plain.smtp.starttls == core::StartTls::required);
  CHECK(plain.smtp.mail_from == "<>");
  CHECK(plain.smtp.rcpt_to == "a+b@example.org");
  CHECK_FALSE(plain.smtp.tls);
  const auto tls = good("smtps://mail");
  CHECK(tls.port == 465);
  CHECK(tls.smtp.tls);
  CHECK_FALSE(parse_probe_url("smtp://:25?starttls=maybe"));
  CHECK_FALSE(parse_probe_url("smtp://:25?from=a%0D%0AQUIT@b"));
}

TEST_CASE("ICMP and exec URLs") {
  CHECK(good("icmp:").kind == ProbeKind::icmp);
  CHECK(good("icmp:").port == 0);
  CHECK(good("icmp:?count=3").icmp.count == 3);
  const auto host = good("icmp://[2001:db8::1]?count=5&spacing=50ms&max-loss=20%25");
  CHECK(host.host == "2001:db8::1");
  CHECK(host.icmp.count == 5);
  CHECK(host.icmp.max_loss == 20);
  CHECK(problem("icmp://host:7") ==
        "expected a URL such as icmp: or icmp://HOST?count=3 without a port");
  CHECK_FALSE(parse_probe_url("icmp:host"));
  CHECK_FALSE(parse_probe_url("icmp:?count=21"));

  const auto command = good("exec:/bin/check --name 'two words'");
  CHECK(command.kind == ProbeKind::exec);
  CHECK(command.port == 0);
  CHECK(command.exec.command == std::vector<std::string>{"/bin/check", "--name", "two words"});
  CHECK(good("exec:").exec.command.empty());
  CHECK_FALSE(parse_probe_url("exec:a\nb"));
  CHECK_FALSE(parse_probe_url("exec:'open"));
}

TEST_CASE("no kind reaches a host that hands out credentials") {
  for (const char* url : {"https://169.254.169.254/", "tcp://[fe80::1]:80", "tls://metadata",
                          "dns://100.100.100.200/x", "smtp://0x7f.1", "icmp://169.254.0.1"}) {
    INFO(url);
    CHECK_FALSE(parse_probe_url(url));
  }
}

TEST_CASE("another URL keeps the times and forgets what was meant for another peer") {
  core::ProbeSpec spec = good("https://a/");
  REQUIRE(set_probe_option(spec, "interval", "9s", {}));
  REQUIRE(set_probe_option(spec, "fall", "2/4", {}));
  REQUIRE(set_probe_option(spec, "header.Authorization", "secret", {}));
  spec.name = "x";
  REQUIRE(set_probe_url(spec, "https://b/"));
  CHECK(spec.name == "x");
  CHECK(spec.host == "b");
  CHECK(spec.interval == Duration{9s});
  CHECK(spec.fall_of == 4);
  CHECK(spec.http.headers.empty());
  const auto before = spec;
  CHECK_FALSE(set_probe_url(spec, "nonsense"));
  CHECK(spec == before);
}
