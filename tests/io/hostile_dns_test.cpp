// DNS probes of name servers that lie, cut off, loop and break off.

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>

#include "hostile_bed.hpp"

using namespace sentinel;
using namespace sentinel::test;
using namespace std::chrono_literals;
using boost::asio::ip::udp;
using core::ProbeReason;
using core::Verdict;

namespace {

enum class From : std::uint8_t { server, other_port, other_address };
struct Datagram {
  std::string text;
  From from = From::server;
};
using Lies = std::vector<Datagram>;
using Liar = std::function<Lies(const std::string& query)>;

/// A name server over UDP: each query is answered with whatever the liar makes of it.
class NameServer {
 public:
  NameServer(boost::asio::io_context& context, Liar liar)
      : shared_(std::make_shared<Shared>(context)) {
    shared_->liar = std::move(liar);
    boost::asio::co_spawn(context, serve(shared_), boost::asio::detached);
  }
  ~NameServer() { shared_->server.close(); }
  NameServer(const NameServer&) = delete;
  NameServer& operator=(const NameServer&) = delete;
  std::uint16_t port() const { return shared_->server.local_endpoint().port(); }
  unsigned queries() const { return shared_->queries; }

 private:
  struct Shared {
    explicit Shared(boost::asio::io_context& context)
        : server(context, {boost::asio::ip::make_address("127.0.0.1"), 0}),
          port(context, {boost::asio::ip::make_address("127.0.0.1"), 0}),
          address(context,
                  {boost::asio::ip::make_address("127.0.0.2"), server.local_endpoint().port()}) {}
    udp::socket server;
    udp::socket port;
    udp::socket address;
    Liar liar;
    unsigned queries = 0;
  };

  static boost::asio::awaitable<void> serve(std::shared_ptr<Shared> shared) {
    std::array<char, 4096> buffer{};
    udp::endpoint client;
    while (true) {
      const auto [error, size] = co_await shared->server.async_receive_from(
          boost::asio::buffer(buffer), client, boost::asio::as_tuple(boost::asio::use_awaitable));
      if (error) co_return;
      ++shared->queries;
      for (const Datagram& one : shared->liar(std::string(buffer.data(), size))) {
        auto& from = one.from == From::server       ? shared->server
                     : one.from == From::other_port ? shared->port
                                                    : shared->address;
        boost::system::error_code gone;  // the probe has its verdict
        from.send_to(boost::asio::buffer(one.text), client, 0, gone);
      }
    }
  }

  std::shared_ptr<Shared> shared_;
};

core::ProbeSpec dns(std::uint16_t port, core::Duration timeout = 20s, bool tcp = false) {
  core::ProbeSpec spec;
  spec.name = "names";
  spec.kind = core::ProbeKind::dns;
  spec.port = port;
  spec.timeout = timeout;
  spec.dns.name = "www.example.net";
  spec.dns.tcp = tcp;
  return spec;
}

std::string u16(std::size_t value) {
  return {static_cast<char>(value >> 8U & 0xFFU), static_cast<char>(value & 0xFFU)};
}

std::string question(const std::string& query) {
  return query.substr(12, query.find('\0', 12) + 5 - 12);
}

/// `records`: as bytes behind the question.
std::string reply(const std::string& query, const std::string& records, std::size_t count,
                  std::string_view flags = "\x84\x00") {
  return query.substr(0, 2) + (flags == "\x84" ? u16(0x8400) : std::string(flags)) + u16(1) +
         u16(count) + u16(0) + u16(0) + question(query) + records;
}

const std::string own_name{"\xc0\x0c", 2};

std::string record(const std::string& name, std::size_t type, const std::string& data) {
  return name + u16(type) + u16(1) + std::string("\0\0\0\x3c", 4) + u16(data.size()) + data;
}

const std::string address_record = record(own_name, 1, std::string("\xc0\x00\x02\x0a", 4));

std::string right(const std::string& query) { return reply(query, address_record, 1); }
std::string coded(const std::string& query, std::size_t code) {
  return reply(query, "", 0, u16(0x8400 | code));
}
std::string truncated(const std::string& query) { return reply(query, "", 0, u16(0x8600)); }

std::string other_id(std::string message) {
  message[0] = static_cast<char>(~message[0]);
  return message;
}

std::string other_question(const std::string& query) {
  auto changed = query;
  changed[13] = 'x';  // xww.example.net
  return right(changed);
}

/// The query on a TCP connection, without its length.
std::string asked(std::string_view heard) { return std::string(heard.substr(2)); }
std::string framed(const std::string& message) { return u16(message.size()) + message; }

const Step hear_query = Hear{std::string("\x04\xd0\0\0\0\0\0\0", 8)};  // the end of its OPT record

/// Spoofed or misled answers are worth nothing, so the right one that comes later counts.
const std::vector<std::pair<std::string, Liar>> lies{
    {"another id", [](const auto& q) { return Lies{{other_id(right(q))}}; }},
    {"another port", [](const auto& q) { return Lies{{right(q), From::other_port}}; }},
    {"another address", [](const auto& q) { return Lies{{right(q), From::other_address}}; }},
    {"another question", [](const auto& q) { return Lies{{other_question(q)}}; }},
    {"the query itself", [](const auto& q) { return Lies{{q}}; }},
    {"nothing at all", [](const auto&) { return Lies{{""}}; }},
    {"a header without question",
     [](const auto& q) { return Lies{{q.substr(0, 2) + u16(0x8400) + std::string(8, '\0')}}; }},
    {"half a header", [](const auto& q) { return Lies{{q.substr(0, 2) + u16(0x8400)}}; }},
    {"an answer to a notification",
     [](const auto& q) { return Lies{{reply(q, address_record, 1, u16(0xa400))}}; }},
};

}  // namespace

TEST_CASE("dns: answers that are not the server's, or not to the question, are not believed") {
  const auto& [what, liar] = lies.at(GENERATE(range(std::size_t{0}, lies.size())));
  CAPTURE(what);
  HostileBed bed;
  NameServer lying(bed.context(), liar);
  check(bed.suffer(dns(lying.port(), 300ms)), ProbeReason::timeout, "no answer within 300 ms");
  NameServer in_the_end(bed.context(), [&liar](const std::string& query) {
    auto all = liar(query);
    all.push_back({right(query)});
    return all;
  });
  const auto found = bed.suffer(dns(in_the_end.port()));
  INFO(found.sentence);
  CHECK(found.verdict == Verdict::pass);
}

TEST_CASE("dns: what was ignored is told, and a flood of it ends the probe") {
  HostileBed bed;
  NameServer two(bed.context(),
                 [](const auto& q) { return Lies{{other_id(right(q))}, {other_question(q)}}; });
  check(bed.suffer(dns(two.port(), 300ms)), ProbeReason::timeout,
        "2 datagrams that did not belong to the question were ignored");
  NameServer flood(bed.context(),
                   [](const auto& q) { return Lies(200, Datagram{other_id(right(q))}); });
  check(bed.suffer(dns(flood.port())), ProbeReason::protocol,
        "answers that do not belong to the question");
}

TEST_CASE("dns: names that refer to themselves, and lengths that lie") {
  const auto [records, count] = GENERATE(table<std::string, std::size_t>({
      // A name that is a pointer to itself, to what comes behind, to nowhere.
      {record(std::string("\xc0\x21", 2), 1, "abcd"), 1},
      {record(std::string("\xc0\x30", 2), 1, "abcd"), 1},
      {record(std::string("\xff\xff", 2), 1, "abcd"), 1},
      {record(own_name, 5, std::string("\xc0\x2d", 2)), 1},
      {record(own_name, 5, std::string("\x01x\xc0\x2d", 4)), 1},
      // More data than there is; less than its type needs.
      {address_record.substr(0, address_record.size() - 2), 1},
      {record(own_name, 1, "abc"), 1},
      {own_name + u16(1) + u16(1) + std::string(4, '\0') + u16(0xffff) + "abcd", 1},
      {"", 1},
      {address_record, 0xffff},
      {record(own_name, 16, "\xff only a few"), 1},
  }));
  HostileBed bed;
  NameServer server(bed.context(), [records, count](const std::string& query) {
    return Lies{{reply(query, records, count)}};
  });
  check(bed.suffer(dns(server.port())), ProbeReason::protocol, "the DNS answer is malformed");
}

TEST_CASE("dns: aliases that lead in a circle, nowhere, or on and on") {
  const std::string other = std::string(
                                "\x01"
                                "b",
                                2) +
                            std::string(
                                "\x07"
                                "example\x03net\0",
                                13);
  std::string chain;
  std::string at = own_name;
  for (int i = 0; i < 40; ++i) {
    const auto next = std::string("\x03", 1) + std::to_string(100 + i) + std::string(1, '\0');
    chain += record(at, 5, next);
    at = next;
  }
  chain += record(at, 1, "abcd");
  const auto [records, count] = GENERATE_COPY(table<std::string, std::size_t>({
      {record(own_name, 5, own_name), 1},
      {record(own_name, 5, other) + record(other, 5, own_name), 2},
      {record(own_name, 5, other), 1},
      {record(other, 1, "abcd"), 1},
      {chain, 41},
  }));
  HostileBed bed;
  NameServer server(bed.context(), [records, count](const std::string& query) {
    return Lies{{reply(query, records, count)}};
  });
  check(bed.suffer(dns(server.port())), ProbeReason::answer, "the answer has no A record");
}

TEST_CASE("dns: an answer of hundreds of records") {
  HostileBed bed;
  NameServer server(bed.context(), [](const std::string& query) {
    return Lies{{reply(query, repeated(address_record, 250 * address_record.size()), 250)}};
  });
  CHECK(bed.suffer(dns(server.port())).verdict == Verdict::pass);
  auto other = dns(server.port());
  other.dns.expect = {"192.0.2.99"};
  check(bed.suffer(other), ProbeReason::answer, "expected 192.0.2.99, got 192.0.2.10");
}

TEST_CASE("dns: a datagram beyond what was offered") {
  HostileBed bed;
  NameServer server(bed.context(), [](const std::string& query) {
    return Lies{{right(query) + std::string(60'000, 'x')}};
  });
  const auto found = bed.suffer(dns(server.port()));
  CHECK((found.verdict == Verdict::pass || found.reason == ProbeReason::protocol));
}

TEST_CASE("dns: a server whose address is given is not looked up") {
  HostileBed bed;
  NameServer server(bed.context(), [](const auto& q) { return Lies{{right(q)}}; });
  auto spec = dns(server.port());
  spec.host = "127.0.0.1";
  const auto found = bed.suffer(spec);
  CHECK(found.verdict == Verdict::pass);
  CHECK(found.phases.resolve == core::Duration{});
  spec.host = "169.254.169.254";
  check(bed.suffer(spec), ProbeReason::unreachable, "metadata addresses are not probed");
}

TEST_CASE("dns: a server that says no") {
  const auto [code, name] = GENERATE(table<std::size_t, std::string>(
      {{1, "FORMERR"}, {2, "SERVFAIL"}, {3, "NXDOMAIN"}, {5, "REFUSED"}, {15, "rcode 15"}}));
  HostileBed bed;
  NameServer server(bed.context(), [code](const auto& q) { return Lies{{coded(q, code)}}; });
  const auto found = bed.suffer(dns(server.port()));
  check(found, ProbeReason::rcode, "expected NOERROR, got " + name);
  CHECK(found.code == code);
}

TEST_CASE("dns: refused") {
  HostileBed bed;
  check(bed.suffer(dns(closed_port())), ProbeReason::refused, "connection refused");
  check(bed.suffer(dns(closed_port(), 20s, true)), ProbeReason::refused, "connection refused");
  NameServer cut_off(bed.context(), [](const auto& q) { return Lies{{truncated(q)}}; });
  check(bed.suffer(dns(cut_off.port())), ProbeReason::refused, "connection refused");
}

TEST_CASE("dns: a truncated answer is asked for again over TCP") {
  HostileBed bed;
  NameServer cut_off(bed.context(), [](const auto& q) { return Lies{{truncated(q)}}; });
  const auto [make, reason, sentence] =
      GENERATE(table<std::function<std::string(std::string_view)>, ProbeReason, std::string>({
          {[](auto heard) { return framed(right(asked(heard))); }, ProbeReason::none, ""},
          {[](auto heard) { return framed(truncated(asked(heard))); }, ProbeReason::protocol,
           "truncated over TCP as well"},
          {[](auto heard) { return framed(coded(asked(heard), 2)); }, ProbeReason::rcode,
           "SERVFAIL"},
          {[](auto heard) { return framed(other_id(right(asked(heard)))); }, ProbeReason::protocol,
           "does not belong to the question"},
          {[](auto) { return std::string(2, '\0'); }, ProbeReason::protocol,
           "does not belong to the question"},
      }));
  ScriptedPeer peer(bed.context(), {hear_query, Answer{make}, Hang{}}, "127.0.0.1", cut_off.port());
  const auto found = bed.suffer(dns(cut_off.port()));
  CHECK(core::to_string(found.reason) == core::to_string(reason));
  CHECK_THAT(found.sentence, Catch::Matchers::ContainsSubstring(sentence));
  CHECK((found.verdict == Verdict::pass) == (reason == ProbeReason::none));
  CHECK(cut_off.queries() == 1);
  CHECK(peer.accepted() == 1);
}

TEST_CASE("dns: over TCP a server that hangs up, resets, or does not come to an end") {
  HostileBed bed;
  const Script script{hear_query, Say{std::string(1, '\0')}, Say{"\x40"},
                      Say{std::string(20, 'x')}};
  for (std::size_t steps = 0; steps <= script.size(); ++steps) {
    CAPTURE(steps);
    ScriptedPeer resets(bed.context(), cut(script, steps, Reset{}));
    check(bed.suffer(dns(resets.port(), 20s, true)), ProbeReason::reset, "connection reset");
    ScriptedPeer hangs(bed.context(), cut(script, steps, Hang{}));
    check(bed.suffer(dns(hangs.port(), 300ms, true)), ProbeReason::timeout, "within 300 ms");
    if (steps == 0) continue;
    ScriptedPeer ends(bed.context(),
                      Script(script.begin(), script.begin() + std::ptrdiff_t(steps)));
    check(bed.suffer(dns(ends.port(), 20s, true)), ProbeReason::reset,
          steps == 1 ? "without an answer" : "in mid-answer");
  }
  ScriptedPeer slow(bed.context(), {hear_query, Drip{framed(std::string(60, 'x')), 50ms}});
  check(bed.suffer(dns(slow.port(), 400ms, true)), ProbeReason::timeout, "no answer within 400 ms");
  ScriptedPeer flood(bed.context(), {hear_query, Flood{std::string(4096, '\xff')}});
  check(bed.suffer(dns(flood.port(), 20s, true)), ProbeReason::protocol,
        "does not belong to the question");
  CHECK(flood.said() < bounded);
}
