#include <catch2/catch_test_macros.hpp>
#include <string>

#include "protocol/dns.hpp"

using namespace sentinel;
using namespace sentinel::protocol;
using namespace std::string_literals;

namespace {

std::string u16(unsigned value) {
  return {static_cast<char>(value >> 8U), static_cast<char>(value & 0xFFU)};
}

/// `www.example.org` as labels.
std::string wire_name(std::string_view name) {
  std::string result;
  while (!name.empty()) {
    const auto end = std::min(name.find('.'), name.size());
    result += static_cast<char>(end);
    result += name.substr(0, end);
    name.remove_prefix(std::min(end + 1, name.size()));
  }
  return result + '\0';
}

std::string record(std::string_view owner, unsigned type, std::string_view data) {
  return std::string(owner) + u16(type) + u16(1) + u16(0) + u16(60) +
         u16(static_cast<unsigned>(data.size())) + std::string(data);
}

const std::string to_question = "\xC0\x0C"s;  // a pointer to the question's name

struct Message {
  unsigned id = 0x1234;
  unsigned flags = 0x8180;
  std::string name = "www.example.org";
  unsigned type = 1;
  std::vector<std::string> answers{};
  bool question = true;

  std::string bytes() const {
    std::string result = u16(id) + u16(flags) + u16(question ? 1 : 0) +
                         u16(static_cast<unsigned>(answers.size())) + u16(0) + u16(0);
    if (question) result += wire_name(name) + u16(type) + u16(1);
    for (const auto& answer : answers) result += answer;
    return result;
  }
};

DnsQuery query(std::string_view name = "www.example.org", std::uint16_t type = 1) {
  auto made = make_dns_query(name, type, 0x1234);
  REQUIRE(made);
  return *made;
}

DnsReading read(const Message& message, std::uint16_t type = 1) {
  return read_dns_answer(query("www.example.org", type), message.bytes());
}

DnsAnswer answer(const Message& message, std::uint16_t type = 1) {
  auto reading = read(message, type);
  REQUIRE(std::holds_alternative<DnsAnswer>(reading));
  return std::get<DnsAnswer>(reading);
}

/// The one record of this type, as text.
std::string shown(std::uint16_t type, std::string_view data) {
  const auto found =
      answer({.type = type, .answers = {record(to_question, type, data)}}, type).records;
  REQUIRE(found.size() == 1);
  return found[0];
}

core::ProbeOutcome judge(const DnsAnswer& found, std::uint16_t type,
                         std::vector<std::string> expect) {
  core::DnsOptions options;
  options.type = type;
  options.expect = std::move(expect);
  return judge_dns(options, found);
}

}  // namespace

TEST_CASE("a DNS question") {
  const auto made = query("WWW.Example.org.", 28);
  CHECK(made.name == "www.example.org");
  CHECK(made.bytes.substr(0, 12) == u16(0x1234) + u16(0x0100) + u16(1) + u16(0) + u16(0) + u16(1));
  CHECK(made.bytes.substr(12, 17 + 4) == wire_name("WWW.Example.org") + u16(28) + u16(1));
  // EDNS0: root, type 41, size, no flags, no options.
  CHECK(made.bytes.substr(12 + 17 + 4) ==
        "\0"s + u16(41) + u16(dns_udp_bytes) + u16(0) + u16(0) + u16(0));
  CHECK(make_dns_query("", 2, 1));  // the root
  CHECK_FALSE(make_dns_query(std::string(64, 'a') + ".org", 1, 1));
  std::string longest;
  for (int i = 0; i < 60; ++i) longest += "abcd.";
  CHECK_FALSE(make_dns_query(longest, 1, 1));
  CHECK_FALSE(make_dns_query("a..b", 1, 1));
  CHECK_FALSE(make_dns_query("a\0b"s, 1, 1));
}

TEST_CASE("records in presentation form") {
  CHECK(shown(1, "\xC0\x00\x02\x01"s) == "192.0.2.1");
  CHECK(shown(28, "\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x01") == "2001:db8::1");
  CHECK(shown(2, wire_name("NS1.Example.org")) == "ns1.example.org");
  CHECK(shown(12, wire_name("host.example.org")) == "host.example.org");
  CHECK(shown(15, u16(10) + wire_name("mail.example.org")) == "10 mail.example.org");
  CHECK(shown(16, "\x03v=s\x05pf1 -"s) == "v=spf1 -");
  CHECK(shown(33, u16(1) + u16(2) + u16(443) + wire_name("a.b")) == "1 2 443 a.b");
  CHECK(shown(6, wire_name("ns.a") + wire_name("root.a") + u16(0) + u16(7) + u16(0) + u16(60) +
                     u16(0) + u16(61) + u16(0) + u16(62) + u16(0) + u16(63)) ==
        "ns.a root.a 7 60 61 62 63");
  CHECK(shown(257, "\x00\x05issueletsencrypt.org"s) == "0 issue letsencrypt.org");
  CHECK(shown(5, wire_name("other.example.org")) == "other.example.org");
  CHECK(shown(15, u16(0) + "\0"s) == "0 .");
}

TEST_CASE("what an expected record may look like") {
  const auto a = answer({.answers = {record(to_question, 1, "\xC0\x00\x02\x01"s),
                                     record(to_question, 1, "\xC0\x00\x02\x02"s)}});
  CHECK(judge(a, 1, {}).verdict == core::Verdict::pass);
  CHECK(judge(a, 1, {"192.0.2.2"}).verdict == core::Verdict::pass);
  CHECK(judge(a, 1, {"192.0.2.2", "192.0.2.1"}).verdict == core::Verdict::pass);
  const auto wrong = judge(a, 1, {"192.0.2.1", "192.0.2.9"});
  CHECK(wrong.verdict == core::Verdict::fail);
  CHECK(wrong.reason == core::ProbeReason::answer);
  CHECK(wrong.sentence == "expected 192.0.2.9, got 192.0.2.1, 192.0.2.2");
  CHECK(judge({0, {"2001:db8::1"}}, 28, {"2001:0DB8:0::1"}).verdict == core::Verdict::pass);
  CHECK(judge({0, {"10 mail.example.org"}}, 15, {"10  Mail.example.org."}).verdict ==
        core::Verdict::pass);
  CHECK(judge({0, {"10 mail.example.org"}}, 15, {"20 mail.example.org"}).verdict ==
        core::Verdict::fail);
  CHECK(judge({0, {"v=spf1 -all"}}, 16, {"v=spf1 -all"}).verdict == core::Verdict::pass);
  CHECK(judge({0, {"v=spf1 -all"}}, 16, {R"("v=spf1" " -all")"}).verdict == core::Verdict::pass);
  CHECK(judge({0, {"v=spf1 -all"}}, 16, {"V=SPF1 -all"}).verdict == core::Verdict::fail);
  CHECK(judge({0, {"0 issue ca.example"}}, 257, {R"(0 issue "ca.example")"}).verdict ==
        core::Verdict::pass);
  CHECK(judge({0, {"evil\x1b[2J\nname"}}, 16, {"x"}).sentence ==
        R"(expected x, got evil\x1b[2J name)");
}

TEST_CASE("expected rcodes") {
  CHECK(answer({.flags = 0x8182}).rcode == 2);
  const auto failed = judge({2, {}}, 1, {"192.0.2.1"});
  CHECK(failed.reason == core::ProbeReason::rcode);
  CHECK(failed.sentence == "expected NOERROR, got SERVFAIL");
  CHECK(failed.code == 2);
  core::DnsOptions options;
  options.rcode = 3;
  CHECK(judge_dns(options, {3, {}}).verdict == core::Verdict::pass);
  CHECK(judge_dns(options, {0, {}}).sentence == "expected NXDOMAIN, got NOERROR");
  CHECK(judge({0, {}}, 15, {}).sentence == "the answer has no MX record");
  CHECK(judge({0, {}}, 15, {"10 a"}).sentence == "expected 10 a, got no MX record");
  CHECK(dns_rcode_name(5) == "REFUSED");
  CHECK(dns_rcode_name(12) == "rcode 12");
  CHECK(dns_rcode_name(4000) == "rcode 4000");
  CHECK(dns_type_name(15) == "MX");
  CHECK(dns_type_name(4711) == "TYPE4711");
}

TEST_CASE("answers that are not ours are ignored") {
  const Message good{.answers = {record(to_question, 1, "\xC0\x00\x02\x01"s)}};
  REQUIRE(std::holds_alternative<DnsAnswer>(read(good)));
  const auto foreign = [&good](auto change) {
    Message changed = good;
    change(changed);
    return std::holds_alternative<DnsForeign>(read(changed));
  };
  CHECK(foreign([](Message& m) { m.id = 0x1235; }));
  CHECK(foreign([](Message& m) { m.id = 0x3412; }));
  CHECK(foreign([](Message& m) { m.name = "www.example.com"; }));
  CHECK(foreign([](Message& m) { m.type = 28; }));
  CHECK(foreign([](Message& m) { m.flags = 0x0100; }));  // a question
  CHECK(foreign([](Message& m) { m.flags = 0x9180; }));  // another opcode
  CHECK(foreign([](Message& m) {
    m.question = false;
    m.answers.clear();
  }));
  CHECK(foreign([](Message& m) {
    m.name = "www.example.com";
    m.flags = 0x8380;
  }));
  CHECK(std::holds_alternative<DnsForeign>(read_dns_answer(query(), "\x12\x34"s)));
  CHECK(std::holds_alternative<DnsForeign>(read_dns_answer(query(), "")));
  // The case of the echo may differ, and a refusal may come without the question.
  CHECK_FALSE(foreign([](Message& m) { m.name = "WWW.EXAMPLE.ORG"; }));
  CHECK(answer({.flags = 0x8185, .question = false}).rcode == 5);
}

TEST_CASE("truncated and malformed answers") {
  Message message{.answers = {record(to_question, 1, "\xC0\x00\x02\x01"s)}};
  const auto whole = message.bytes();
  for (std::size_t size = 12; size < whole.size(); ++size) {
    INFO(size);
    CHECK(std::holds_alternative<Error>(read_dns_answer(query(), whole.substr(0, size))));
  }
  message.flags = 0x8380;
  CHECK(std::holds_alternative<DnsTruncated>(read(message)));
  const auto cut = message.bytes();
  CHECK(std::holds_alternative<DnsTruncated>(read_dns_answer(query(), cut.substr(0, 40))));
}

TEST_CASE("pointers and aliases that lead to themselves are harmless") {
  // The owner name points at itself, then forwards, then in a circle of two.
  for (const auto& owner : {"\xC0\x21"s, "\xC0\x40"s,
                            "\x01"
                            "a\xC0\x21"s}) {
    Message message{.answers = {record(owner, 1, "\xC0\x00\x02\x01"s)}};
    CHECK_FALSE(std::holds_alternative<DnsAnswer>(read(message)));
  }
  const auto self = answer({.answers = {record(to_question, 5, to_question)}});
  CHECK(self.records.empty());
  // www -> a, a -> www
  const std::string a = wire_name("a");
  const auto circle = answer({.answers = {record(to_question, 5, a), record(a, 5, to_question)}});
  CHECK(circle.records.empty());
}

TEST_CASE("only records of the name or its aliases count") {
  const std::string a = wire_name("a.example");
  const std::string b = wire_name("b.example");
  const std::string address = "\xC0\x00\x02\x01"s;
  CHECK(answer({.answers = {record(b, 1, address)}}).records.empty());
  CHECK(answer({.answers = {record(to_question, 5, a), record(a, 5, b), record(b, 1, address)}})
            .records == std::vector{"192.0.2.1"s});
  CHECK(answer({.type = 5, .answers = {record(to_question, 5, a), record(a, 5, b)}}, 5).records ==
        std::vector{"a.example"s});
  Message many;
  for (int i = 0; i < 1000; ++i) many.answers.push_back(record(to_question, 1, address));
  CHECK(answer(many).records.size() == dns_records);
}
