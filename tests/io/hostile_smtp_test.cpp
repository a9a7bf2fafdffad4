// SMTP probes of servers that refuse, break off, talk without end, and slip words in before TLS.

#include "hostile_bed.hpp"
#include "tls_fixture.hpp"

using namespace sentinel;
using namespace sentinel::test;
using namespace std::chrono_literals;
using core::ProbeReason;
using core::StartTls;
using core::Verdict;

namespace {

core::ProbeSpec smtp(std::uint16_t port, core::Duration timeout = 20s) {
  core::ProbeSpec spec;
  spec.name = "mail";
  spec.kind = core::ProbeKind::smtp;
  spec.port = port;
  spec.timeout = timeout;
  return spec;
}

const Step greet = Say{"220 mail.example.net ESMTP\r\n"};
const Step hear_ehlo = Hear{"EHLO sentinel\r\n"};
const Step plain_hello = Say{"250-mail.example.net\r\n250 SIZE\r\n"};
const Step tls_hello = Say{"250-mail.example.net\r\n250-STARTTLS\r\n250 SIZE\r\n"};
const Step hear_starttls = Hear{"STARTTLS\r\n"};
const Step go_ahead = Say{"220 go ahead\r\n"};
const Step hear_quit = Hear{"QUIT\r\n"};
const Step bye = Say{"221 bye\r\n"};

class SecureBed : public HostileBed {
 public:
  core::ProbeSpec spec(std::uint16_t port, StartTls starttls = StartTls::required,
                       core::Duration timeout = 20s) const {
    auto spec = smtp(port, timeout);
    spec.smtp.starttls = starttls;
    spec.tls.ca_file = authority.file();
    spec.tls.server_name = "www.example.net";
    return spec;
  }

  TestAuthority authority;
  std::shared_ptr<SSL_CTX> server = authority.server();
};

}  // namespace

TEST_CASE("smtp: refused, and greetings that refuse") {
  HostileBed bed;
  check(bed.suffer(smtp(closed_port())), ProbeReason::refused, "connection refused");
  const auto [banner, said, code] = GENERATE(table<std::string, std::string, unsigned>({
      {"421 too busy\r\n", "expected 220, got 421 too busy", 421},
      {"554 no service here\r\n", "expected 220, got 554 no service here", 554},
      {"554-not\r\n554 here\r\n", "expected 220, got 554 not", 554},
      {"220-mail\r\n220-of\r\n220 example\r\n", "", 220},
  }));
  ScriptedPeer peer(bed.context(), {Say{banner}, Hear{}, plain_hello, hear_quit, bye});
  const auto found = bed.suffer(smtp(peer.port()));
  if (said.empty()) {
    CHECK(found.verdict == Verdict::pass);
  } else {
    check(found, ProbeReason::status, said);
    CHECK(found.code == code);
  }
}

TEST_CASE("smtp: a server that hangs up or resets at any step") {
  SecureBed bed;
  const Script script{greet,
                      hear_ehlo,
                      tls_hello,
                      hear_starttls,
                      go_ahead,
                      Secure{bed.server.get()},
                      hear_ehlo,
                      plain_hello,
                      Hear{"MAIL FROM:<>\r\n"},
                      Say{"250 ok\r\n"},
                      Hear{"RCPT TO:<postmaster@example.net>\r\n"},
                      Say{"250 ok\r\n"},
                      Hear{"RSET\r\n"},
                      Say{"250 ok\r\n"},
                      hear_quit,
                      bye};
  for (std::size_t steps = 0; steps <= script.size(); ++steps) {
    CAPTURE(steps);
    for (const bool reset : {true, false}) {
      const Script part = reset ? cut(script, steps, Reset{})
                                : Script(script.begin(), script.begin() + std::ptrdiff_t(steps));
      ScriptedPeer peer(bed.context(), part);
      auto spec = bed.spec(peer.port());
      spec.smtp.mail_from = "<>";
      spec.smtp.rcpt_to = "postmaster@example.net";
      const auto found = bed.suffer(spec);
      if (steps >= 14) {  // there was a verdict
        CHECK(found.verdict == Verdict::pass);
      } else {
        check(found, ProbeReason::reset, "connection");
      }
    }
  }
}

TEST_CASE("smtp: talk without end is given up at a size") {
  const auto [head, more, sentence] = GENERATE(table<std::string, std::string, std::string>({
      {"220 ", std::string(4096, 'x'), "a reply line is too long"},
      {"220-" + std::string(1 << 20, 'x') + "\r\n", "220 done\r\n", "a reply line is too long"},
      {"", repeated("220-more\r\n", 4096), "a reply has too many lines"},
      {"", repeated("220 mail\r\n", 4096), "before it is asked"},
      {"", std::string(4096, '\0'), "too long"},
      {"", std::string(4096, '\n'), "an empty line"},
      {"220 mail\r\n250-", std::string(4096, 'x'), "before it is asked"},
  }));
  CAPTURE(sentence);
  HostileBed bed;
  ScriptedPeer peer(bed.context(), {Say{head}, Flood{more}});
  check(bed.suffer(smtp(peer.port())), ProbeReason::protocol, sentence);
  CHECK(peer.said() < 8 * bounded);  // a megabyte, and what the sockets hold
}

TEST_CASE("smtp: an answer to EHLO without end") {
  HostileBed bed;
  ScriptedPeer peer(bed.context(), {greet, hear_ehlo, Flood{repeated("250-X\r\n", 4096)}});
  check(bed.suffer(smtp(peer.port())), ProbeReason::protocol, "a reply has too many lines");
  CHECK(peer.said() < bounded);
}

TEST_CASE("smtp: something else than SMTP") {
  const std::string banner =
      GENERATE("SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", "+OK POP3 ready\r\n",
               "* OK IMAP ready\r\n", "99 x\r\n", "620 x\r\n", "220x\r\n", "220-a\r\n250 b\r\n",
               "\x1b[2J\r\n", "\r\n");
  HostileBed bed;
  ScriptedPeer peer(bed.context(), {Say{banner}, Hang{}});
  check(bed.suffer(smtp(peer.port())), ProbeReason::protocol, "");
}

TEST_CASE("smtp: a timeout is of the whole run") {
  HostileBed bed;
  const auto [script, said] = GENERATE(table<Script, std::string>({
      {{Hang{}}, "no greeting within 400 ms"},
      {{Drip{"220 mail.example.net ESMTP ready when you are\r\n", 50ms}},
       "no greeting within 400 ms"},
      {{greet, hear_ehlo, Drip{repeated("250-X\r\n", 100), 50ms}},
       "no answer to EHLO within 400 ms"},
      {{greet, Hang{}}, "no answer to EHLO within 400 ms"},
  }));
  ScriptedPeer peer(bed.context(), script);
  check(bed.suffer(smtp(peer.port(), 400ms)), ProbeReason::timeout, said);
}

TEST_CASE("smtp: whether QUIT is answered changes nothing") {
  HostileBed bed;
  const auto last =
      GENERATE(values<Step>({Step{Hang{}}, Step{Reset{}}, Step{Say{"500 what\r\n"}},
                             Step{Say{"nonsense\r\n"}}, Step{Flood{std::string(4096, 'x')}}}));
  ScriptedPeer peer(bed.context(), {greet, hear_ehlo, plain_hello, hear_quit, last});
  CHECK(bed.suffer(smtp(peer.port(), 500ms)).verdict == Verdict::pass);
  CHECK(peer.said() < bounded);
}

TEST_CASE("smtp: STARTTLS that is missing, refused, or no TLS") {
  SecureBed bed;
  ScriptedPeer missing(bed.context(), {greet, hear_ehlo, plain_hello, hear_quit, bye});
  check(bed.suffer(bed.spec(missing.port())), ProbeReason::starttls,
        "the server does not offer STARTTLS");
  CHECK(bed.suffer(bed.spec(missing.port(), StartTls::optional)).verdict == Verdict::pass);
  for (const auto wanted : {StartTls::required, StartTls::optional}) {
    ScriptedPeer refused(bed.context(), {greet, hear_ehlo, tls_hello, hear_starttls,
                                         Say{"454 not now\r\n"}, hear_quit, bye});
    check(bed.suffer(bed.spec(refused.port(), wanted)), ProbeReason::starttls,
          "expected 220 to STARTTLS, got 454 not now");
    ScriptedPeer garbage(bed.context(), {greet, hear_ehlo, tls_hello, hear_starttls, go_ahead,
                                         Hear{}, Say{"250 let us stay in the clear\r\n"}, Hang{}});
    check(bed.suffer(bed.spec(garbage.port(), wanted)), ProbeReason::tls,
          "expected TLS, got something else");
    CHECK_FALSE(garbage.heard().contains("QUIT"));
  }
  const auto expired = bed.authority.server({.starts = -48h, .ends = -24h});
  ScriptedPeer old(bed.context(), {greet, hear_ehlo, tls_hello, hear_starttls, go_ahead,
                                   Secure{expired.get()}, Hang{}});
  check(bed.suffer(bed.spec(old.port(), StartTls::optional)), ProbeReason::certificate_expired,
        "certificate expired");
  ScriptedPeer hangs(bed.context(), {greet, hear_ehlo, tls_hello, hear_starttls, go_ahead, Hang{}});
  check(bed.suffer(bed.spec(hangs.port(), StartTls::required, 400ms)), ProbeReason::timeout,
        "no TLS handshake within 400 ms");
}

TEST_CASE("smtp: words that were slipped in before TLS count for nothing") {
  SecureBed bed;
  // Were they taken for the answer to EHLO, the probe would pass.
  const Script rest{Secure{bed.server.get()}, hear_ehlo, Say{"550 not to you\r\n"}, hear_quit, bye};
  Script script{greet, hear_ehlo, tls_hello, hear_starttls, Say{"220 go ahead\r\n250 fine\r\n"}};
  script.insert(script.end(), rest.begin(), rest.end());
  ScriptedPeer peer(bed.context(), script);
  check(bed.suffer(bed.spec(peer.port())), ProbeReason::status, "expected 250, got 550 not to you");

  // In a piece of their own they are no TLS.
  script = {greet, hear_ehlo, tls_hello, hear_starttls, go_ahead, Hear{}, Say{"250 fine\r\n"}};
  script.insert(script.end(), rest.begin(), rest.end());
  ScriptedPeer late(bed.context(), script);
  check(bed.suffer(bed.spec(late.port())), ProbeReason::tls, "expected TLS, got something else");
}

TEST_CASE("smtp: TLS from the first byte") {
  SecureBed bed;
  ScriptedPeer good(bed.context(),
                    {Secure{bed.server.get()}, greet, hear_ehlo, plain_hello, hear_quit, bye});
  auto spec = bed.spec(good.port(), StartTls::none);
  spec.smtp.tls = true;
  const auto found = bed.suffer(spec);
  INFO(found.sentence);
  CHECK(found.verdict == Verdict::pass);
  ScriptedPeer plain(bed.context(), {greet, Hang{}});
  spec.port = plain.port();
  check(bed.suffer(spec), ProbeReason::tls, "expected TLS, got something else");
  ScriptedPeer flood(bed.context(), {Secure{bed.server.get()}, Flood{std::string(4096, 'x')}});
  spec.port = flood.port();
  check(bed.suffer(spec), ProbeReason::protocol, "too long");
  CHECK(flood.said() < bounded);
}
