// TLS and HTTPS probes: certificates that are wrong, versions that are too old, and peers that
// break off in the handshake or do not speak TLS at all.

#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "hostile_bed.hpp"
#include "tls_fixture.hpp"

using namespace sentinel;
using namespace sentinel::test;
using namespace std::chrono_literals;
using core::ProbeReason;
using core::Verdict;

namespace {

const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

class TlsBed : public HostileBed {
 public:
  core::ProbeSpec spec(std::uint16_t port, bool https, core::Duration timeout = 20s) const {
    core::ProbeSpec spec;
    spec.name = "sealed";
    spec.kind = https ? core::ProbeKind::http : core::ProbeKind::tls;
    spec.http.tls = https;
    spec.port = port;
    spec.timeout = timeout;
    spec.tls.ca_file = authority.file();
    spec.tls.server_name = "www.example.net";
    return spec;
  }

  TestAuthority authority;
};

Script sealed(SSL_CTX* context) { return {Secure{context}, Hear{"\r\n\r\n"}, Say{answer}}; }

}  // namespace

TEST_CASE("tls: certificates, good and bad") {
  struct Case {
    Certificate certificate;
    Verdict verdict;
    ProbeReason reason;
    std::string sentence;
  };
  const auto one = GENERATE(values<Case>({
      {{}, Verdict::pass, ProbeReason::none, ""},
      {{.starts = -48h, .ends = -25h},
       Verdict::fail,
       ProbeReason::certificate_expired,
       "certificate expired 1 day ago"},
      {{.starts = 49h},
       Verdict::fail,
       ProbeReason::certificate_expired,
       "not valid yet, only in 2 days"},
      {{.ends = 73h}, Verdict::warn, ProbeReason::expiring, "certificate expires in 3 days"},
      {{.self_signed = true},
       Verdict::fail,
       ProbeReason::certificate_untrusted,
       "self-signed certificate"},
      {{.names = "DNS:other.example.net,IP:192.0.2.1"},
       Verdict::fail,
       ProbeReason::certificate_name,
       "certificate is for other.example.net, 192.0.2.1, not www.example.net"},
      {{.names = "DNS:*.net"}, Verdict::fail, ProbeReason::certificate_name, "*.net"},
      {{.names = "DNS:*.example.net"}, Verdict::pass, ProbeReason::none, ""},
      // The first fault in order is told.
      {{.names = "DNS:x", .starts = -48h, .ends = -25h, .self_signed = true},
       Verdict::fail,
       ProbeReason::certificate_expired,
       "expired"},
  }));
  CAPTURE(one.sentence);
  TlsBed bed;
  const auto context = bed.authority.server(one.certificate);
  ScriptedPeer peer(bed.context(), sealed(context.get()));
  for (const bool https : {false, true}) {
    const auto found = bed.suffer(bed.spec(peer.port(), https));
    CHECK(found.verdict == one.verdict);
    CHECK(core::to_string(found.reason) == core::to_string(one.reason));
    CHECK_THAT(found.sentence, Catch::Matchers::ContainsSubstring(one.sentence));
    CHECK(found.cert_not_after.has_value());
    // Nothing of the request is told to whom we do not trust.
    if (one.verdict == Verdict::fail) CHECK(peer.heard().empty());
  }
}

TEST_CASE("tls: an authority nobody told us of, and files that are none") {
  TlsBed bed;
  const TestAuthority other("Another authority");
  const auto context = other.server();
  ScriptedPeer peer(bed.context(), sealed(context.get()));
  auto spec = bed.spec(peer.port(), true);
  check(bed.suffer(spec), ProbeReason::certificate_untrusted,
        "authority that is not trusted (Another authority)");
  spec.tls.verify = false;
  CHECK(bed.suffer(spec).verdict == Verdict::pass);
  spec.tls.verify = true;
  spec.tls.ca_file = "/nowhere/ca.pem";
  check(bed.suffer(spec), ProbeReason::internal, "/nowhere/ca.pem");
  const std::string pipe = "/tmp/sentinel-authorities-" + std::to_string(::getpid());
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  spec.tls.ca_file = pipe;
  check(bed.suffer(spec), ProbeReason::internal, "no regular file");
  std::remove(pipe.c_str());
  spec.tls.ca_file = "/proc/self/status";
  check(bed.suffer(spec), ProbeReason::internal, "/proc/self/status");
}

TEST_CASE("tls: too old a version") {
  TlsBed bed;
  const auto context = bed.authority.server();
  SSL_CTX_set_security_level(context.get(), 0);
  const bool ancient = GENERATE(true, false);
  SSL_CTX_set_max_proto_version(context.get(), ancient ? TLS1_1_VERSION : TLS1_2_VERSION);
  ScriptedPeer peer(bed.context(), sealed(context.get()));
  for (const bool https : {false, true}) {
    auto spec = bed.spec(peer.port(), https);
    if (!ancient) {
      CHECK(bed.suffer(spec).verdict == Verdict::pass);
      spec.tls.min_version = core::TlsVersion::tls1_3;
    }
    check(bed.suffer(spec), ProbeReason::tls, "the server's TLS version is too old");
  }
}

TEST_CASE("tls: a server that hangs up or resets at any byte of its handshake") {
  TlsBed bed;
  const auto context = bed.authority.server();
  const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  SSL_CTX_set_max_proto_version(context.get(), version);
  ScriptedPeer whole(bed.context(), sealed(context.get()));
  CHECK(bed.suffer(bed.spec(whole.port(), false)).verdict == Verdict::pass);
  for (std::size_t most = 0; most < 700; most += 53) {
    CAPTURE(most);
    ScriptedPeer resets(bed.context(), {Secure{context.get(), most}, Reset{}});
    // With TLS 1.3 the client's part may be over before the server's.
    const std::string where = most < 500 ? " in the TLS handshake" : "";
    check(bed.suffer(bed.spec(resets.port(), true)), ProbeReason::reset,
          "connection reset" + where);
    ScriptedPeer ends(bed.context(), {Secure{context.get(), most}});
    check(bed.suffer(bed.spec(ends.port(), true)), ProbeReason::reset,
          most < 500 ? "connection closed" + where : "connection");
  }
  ScriptedPeer at_once(bed.context(), {Reset{}});
  check(bed.suffer(bed.spec(at_once.port(), false)), ProbeReason::reset, "connection reset");
}

TEST_CASE("tls: a server that goes away behind its handshake") {
  TlsBed bed;
  const auto context = bed.authority.server();
  SSL_CTX_set_max_proto_version(context.get(), GENERATE(TLS1_2_VERSION, TLS1_3_VERSION));
  const Script script = sealed(context.get());
  const std::size_t steps = GENERATE(1U, 2U);
  ScriptedPeer resets(bed.context(), cut(script, steps, Reset{}));
  const auto found = bed.suffer(bed.spec(resets.port(), true));
  check(found, ProbeReason::reset, "connection");
  CHECK(found.cert_not_after.has_value());
  ScriptedPeer closes(bed.context(), {Secure{context.get()}, Hear{"\r\n\r\n"}});
  check(bed.suffer(bed.spec(closes.port(), true)), ProbeReason::reset, "closed without an answer");
  // The certificate is all that a TLS probe asks for.
  CHECK(bed.suffer(bed.spec(closes.port(), false)).verdict == Verdict::pass);
}

TEST_CASE("tls: something else than TLS") {
  const auto [greeting, sentence] = GENERATE(table<std::string, std::string>({
      {"SSH-2.0-OpenSSH_9.2\r\n", "expected TLS, got something else"},
      {"HTTP/1.1 400 Bad Request\r\n\r\n", "expected TLS, got something else"},
      {"220 mail.example.net ESMTP\r\n", "expected TLS, got something else"},
      {std::string(64, '\0'), "expected TLS, got something else"},
      {std::string(64, '\xff'), "expected TLS, got something else"},
      {std::string("\x15\x03\x03\x00\x02\x02\x28", 7), "refuses the TLS handshake"},
      {std::string("\x15\x03\x03\x00\x02\x02\x46", 7), "TLS version is too old"},
      {std::string("\x15\x03\x03\x00\x02\x02\x70", 7), "handshake"},
      {std::string("\x16\x03\x03\xff\xff", 5) + std::string(4096, 'x'), "TLS"},
      {std::string("\x16\x03\x03\x00\x04\x0e\x00\x00\x00", 9), "handshake"},
      {std::string("\x17\x03\x03\x00\x04\x0e\x00\x00\x00", 9), "TLS"},
  }));
  CAPTURE(sentence);
  TlsBed bed;
  ScriptedPeer peer(bed.context(), {Hear{}, Say{greeting}, Hang{}});
  for (const bool https : {false, true})
    check(bed.suffer(bed.spec(peer.port(), https)), ProbeReason::tls, sentence);
}

TEST_CASE("tls: a handshake without end is given up at a size") {
  TlsBed bed;
  const auto flood = GENERATE(
      // Warnings; messages of nothing; a message that claims 16 MiB; more and more of one.
      repeated(std::string_view("\x15\x03\x03\x00\x02\x01\x5a", 7), 4096),
      repeated(std::string_view("\x16\x03\x03\x00\x00", 5), 4096),
      "\x16\x03\x03\x10" + std::string(1, '\0') + "\x02\xff\xff\xff" + std::string(4092, 'x'),
      repeated(std::string_view("\x14\x03\x03\x00\x01\x01", 6), 4096));
  ScriptedPeer peer(bed.context(), {Hear{}, Flood{flood}});
  check(bed.suffer(bed.spec(peer.port(), false)), ProbeReason::tls, "TLS");
  CHECK(peer.said() < 2 * bounded);
}

TEST_CASE("tls: a chain of hundreds of certificates") {
  TlsBed bed;
  const auto context = bed.authority.server({.padding = 600});
  ScriptedPeer peer(bed.context(), sealed(context.get()));
  check(bed.suffer(bed.spec(peer.port(), false)), ProbeReason::tls, "handshake");
  CHECK(peer.said() < bounded);
}

TEST_CASE("tls: application data without end") {
  TlsBed bed;
  const auto context = bed.authority.server();
  ScriptedPeer peer(bed.context(), {Secure{context.get()}, Hear{"\r\n\r\n"},
                                    Say{"HTTP/1.1 200 OK\r\n\r\n"}, Flood{std::string(4096, 'x')}});
  auto spec = bed.spec(peer.port(), true);
  spec.http.body_contains = "needle";
  check(bed.suffer(spec), ProbeReason::body, "needle");
  CHECK(peer.said() < bounded);
}

TEST_CASE("tls: a timeout is of the whole run") {
  TlsBed bed;
  const auto context = bed.authority.server();
  const std::vector<std::pair<Script, std::string>> cases{
      {{Hang{}}, "no TLS handshake within 400 ms"},
      {{Hear{},
        Drip{std::string("\x16\x03\x03\x00\x50\x02\x00\x00\x4c\x03\x03", 11) + std::string(60, 'r'),
             50ms}},
       "no TLS handshake within 400 ms"},
      {{Secure{context.get(), 100}, Hang{}}, "no TLS handshake within 400 ms"},
      {{Secure{context.get()}, Hang{}}, "no answer within 400 ms"},
      {{Secure{context.get()}, Drip{answer, 50ms}}, "within 400 ms"},
  };
  for (const auto& [script, sentence] : cases) {
    ScriptedPeer peer(bed.context(), script);
    check(bed.suffer(bed.spec(peer.port(), true, 400ms)), ProbeReason::timeout, sentence);
  }
}

TEST_CASE("tls: renegotiation is refused, and asked for without end it ends the probe") {
  TlsBed bed;
  const auto context = bed.authority.server();
  SSL_CTX_set_max_proto_version(context.get(), TLS1_2_VERSION);
  const unsigned times = GENERATE(1U, 1'000'000U);
  CAPTURE(times);
  ScriptedPeer peer(bed.context(), {Secure{context.get()}, Hear{"\r\n\r\n"}, Renegotiate{times},
                                    Say{answer}, Hang{}});
  const auto found = bed.suffer(bed.spec(peer.port(), true, 10s));
  if (times == 1) {
    CHECK(found.verdict == Verdict::pass);
  } else {
    check(found, ProbeReason::tls, "the peer sends TLS without end");
    CHECK(peer.said() < 2 * bounded);
  }
}
