// Alerts by e-mail: dialogues with servers that are good, that refuse, and that mean harm.

#include "sender_bed.hpp"

using namespace sentinel;
using namespace sentinel::test;
using namespace std::chrono_literals;
using core::SendResult;
using io::MailSecurity;

namespace {

const Step greet = Say{"220 mail.example.net ESMTP\r\n"};
const Step hear_ehlo = Hear{"EHLO host-a\r\n"};
const Step plain_hello = Say{"250-mail.example.net\r\n250 8BITMIME\r\n"};
const Step tls_hello = Say{"250-mail.example.net\r\n250 STARTTLS\r\n"};
const Step auth_hello = Say{"250-mail.example.net\r\n250 AUTH PLAIN\r\n"};
const Step fine = Say{"250 fine\r\n"};
const Step hear_from = Hear{"MAIL FROM:<sentinel@example.org>"};
const Step hear_end = Hear{"\r\n.\r\n"};

io::ReceiverSpec mail(std::uint16_t port, MailSecurity security = MailSecurity::none) {
  io::ReceiverSpec spec;
  spec.name = "ops";
  spec.integration = "email";
  spec.kind = io::ReceiverKind::email;
  spec.timeout = 5s;
  spec.mail.host = "127.0.0.1";
  spec.mail.port = port;
  spec.mail.security = security;
  spec.mail.helo = "host-a";
  spec.mail.envelope = {.from = {"", "sentinel@example.org"},
                        .to = {{"", "ops@example.org"}, {"", "night@example.org"}}};
  return spec;
}

Script dialogue(Script begin, const Script& rest) {
  begin.insert(begin.end(), rest.begin(), rest.end());
  return begin;
}

const Script delivery{hear_from,
                      fine,
                      Hear{"RCPT TO:<ops@example.org>"},
                      fine,
                      Hear{"RCPT TO:<night@example.org>"},
                      fine,
                      Hear{"DATA\r\n"},
                      Say{"354 go on\r\n"},
                      hear_end,
                      Say{"250 queued\r\n"}};

}  // namespace

TEST_CASE("a relay of one's own takes the mail") {
  SenderBed bed;
  ScriptedPeer peer(bed.context(), dialogue({greet, hear_ehlo, plain_hello}, delivery));
  check(bed.send(mail(peer.port())), SendResult::accepted, "");
  CHECK(peer.heard().find("Subject: [CRITICAL] web unreachable: connection refused\r\n") !=
        std::string::npos);
}

TEST_CASE("a server that does not answer the QUIT holds nobody up") {
  SenderBed bed;
  ScriptedPeer peer(bed.context(),
                    dialogue(dialogue({greet, hear_ehlo, plain_hello}, delivery), {Hang{}}));
  auto spec = mail(peer.port());
  spec.timeout = 10s;
  const auto sent = bed.send(spec);
  check(sent, SendResult::accepted, "");
  CHECK(sent.took < 9s);
}

TEST_CASE("STARTTLS and AUTH: the password goes over TLS only") {
  SenderBed bed;
  const TestAuthority authority;
  const auto server = authority.server();
  ScriptedPeer peer(
      bed.context(),
      dialogue({greet, hear_ehlo, tls_hello, Hear{"STARTTLS\r\n"}, Say{"220 go\r\n"},
                Secure{server.get()}, hear_ehlo, auth_hello,
                // "\0sentinel\0topsecret"
                Hear{"AUTH PLAIN AHNlbnRpbmVsAHRvcHNlY3JldA==\r\n"}, Say{"235 welcome\r\n"}},
               delivery));
  auto spec = mail(peer.port(), MailSecurity::starttls);
  spec.ca_file = authority.file();
  spec.mail.user = "sentinel";
  spec.mail.password = io::Secret{"topsecret"};
  const auto sent = bed.send(spec);
  INFO(peer.heard());
  check(sent, SendResult::accepted, "");
}

TEST_CASE("TLS from the first byte") {
  SenderBed bed;
  const TestAuthority authority;
  const auto server = authority.server();
  ScriptedPeer peer(bed.context(),
                    dialogue({Secure{server.get()}, greet, hear_ehlo, plain_hello}, delivery));
  auto spec = mail(peer.port(), MailSecurity::tls);
  spec.ca_file = authority.file();
  check(bed.send(spec), SendResult::accepted, "");
}

TEST_CASE("without the STARTTLS we require nothing is sent, and it is tried again") {
  SenderBed bed;
  const TestAuthority authority;
  const TestAuthority stranger("Strange authority");
  const auto foreign = stranger.server();
  const std::vector<Script> scripts{
      Script{greet, hear_ehlo, auth_hello, Hear{}, Hang{}},
      Script{greet, hear_ehlo, Say{"502 what?\r\n"}, Hear{"HELO"}, Say{"250 hi\r\n"}, Hang{}},
      Script{greet, hear_ehlo, tls_hello, Hear{"STARTTLS\r\n"}, Say{"454 not now\r\n"}, Hang{}},
      // Words slipped in before TLS.
      Script{greet, hear_ehlo, tls_hello, Hear{"STARTTLS\r\n"},
             Say{"220 go\r\n250-x\r\n250 AUTH PLAIN\r\n"}, Hang{}},
      Script{greet, hear_ehlo, tls_hello, Hear{"STARTTLS\r\n"}, Say{"220 go\r\n"},
             Secure{foreign.get()}, Hang{}}};
  const auto which = GENERATE(0U, 1U, 2U, 3U, 4U);
  ScriptedPeer peer(bed.context(), scripts.at(which));
  auto spec = mail(peer.port(), MailSecurity::starttls);
  spec.timeout = 2s;
  spec.ca_file = authority.file();
  spec.mail.user = "sentinel";
  spec.mail.password = io::Secret{"topsecret"};
  check(bed.send(spec), SendResult::retry, "");
  CHECK(peer.heard().find("AUTH") == std::string::npos);
  CHECK(peer.heard().find("MAIL") == std::string::npos);
}

TEST_CASE("refusals: 4xx is tried again, 5xx is not") {
  SenderBed bed;
  const auto [script, result, detail] = GENERATE(table<Script, SendResult, std::string>({
      {{Say{"421 too busy\r\n"}}, SendResult::retry, "421 too busy"},
      {{Say{"554 go away\r\n"}}, SendResult::permanent, "554 go away"},
      {{greet, hear_ehlo, plain_hello, hear_from, Say{"451 later\r\n"}, Hear{}},
       SendResult::retry,
       "451 later"},
      {{greet, hear_ehlo, plain_hello, hear_from, Say{"550 not you\r\n"}, Hear{}},
       SendResult::permanent,
       "550 not you"},
      {{greet, hear_ehlo, plain_hello, hear_from, fine, Hear{"RCPT"}, Say{"550 no such user\r\n"},
        Hear{"RCPT"}, Say{"550 nor this\r\n"}, Hear{}},
       SendResult::permanent,
       "550 no such user"},
      {{greet, hear_ehlo, plain_hello, hear_from, fine, Hear{"RCPT"}, Say{"450 greylisted\r\n"},
        Hear{"RCPT"}, Say{"550 nor this\r\n"}, Hear{}},
       SendResult::retry,
       "450 greylisted"},
      {{greet, hear_ehlo, plain_hello, hear_from, fine, Hear{"RCPT"}, fine, Hear{"RCPT"}, fine,
        Hear{"DATA"}, Say{"354 go on\r\n"}, hear_end, Say{"554 spam\r\n"}, Hear{}},
       SendResult::permanent,
       "554 spam"},
      {{greet, hear_ehlo, plain_hello, hear_from, fine, Hear{"RCPT"}, fine, Hear{"RCPT"}, fine,
        Hear{"DATA"}, Say{"354 go on\r\n"}, hear_end, Reset{}},
       SendResult::retry,
       ""},
      {{greet, hear_ehlo, Hang{}}, SendResult::retry, ""},
      {{greet, hear_ehlo, Flood{"250-x\r\n"}}, SendResult::retry, ""},
      {{Flood{"220-x\r\n"}}, SendResult::retry, ""},
      {{Reset{}}, SendResult::retry, ""},
  }));
  ScriptedPeer peer(bed.context(), script);
  auto spec = mail(peer.port());
  spec.timeout = 5s;
  check(bed.send(spec), result, detail);
  CHECK(peer.said() < (std::size_t{4} << 20U));
}

TEST_CASE("one recipient who is gone does not silence the others") {
  SenderBed bed;
  ScriptedPeer peer(bed.context(),
                    {greet, hear_ehlo, plain_hello, hear_from, fine, Hear{"RCPT"},
                     Say{"550 gone\r\n"}, Hear{"RCPT TO:<night@example.org>"}, fine,
                     Hear{"DATA\r\n"}, Say{"354 go on\r\n"}, hear_end, Say{"250 queued\r\n"}});
  check(bed.send(mail(peer.port())), SendResult::accepted, "");
}

TEST_CASE("passwords are never sent in the clear, and never shown") {
  SenderBed bed;
  auto spec = mail(closed_port());
  spec.mail.user = "sentinel";
  spec.mail.password = io::Secret{"topsecret"};
  check(bed.send(spec), SendResult::permanent, "a password is not sent without TLS");

  const TestAuthority authority;
  const auto server = authority.server();
  ScriptedPeer peer(bed.context(), {Secure{server.get()}, greet, hear_ehlo, auth_hello,
                                    Hear{"AUTH PLAIN"}, Say{"535 topsecret is wrong\r\n"}, Hear{}});
  spec = mail(peer.port(), MailSecurity::tls);
  spec.ca_file = authority.file();
  spec.mail.user = "sentinel";
  spec.mail.password = io::Secret{"topsecret"};
  const auto sent = bed.send(spec);
  check(sent, SendResult::permanent, "535 *** is wrong");
  // The password as it travels.
  ScriptedPeer echo(bed.context(),
                    {Secure{server.get()}, greet, hear_ehlo, auth_hello, Hear{"AUTH PLAIN"},
                     Say{"535 AHNlbnRpbmVsAHRvcHNlY3JldA== dG9wc2VjcmV0\r\n"}, Hear{}});
  spec.mail.port = echo.port();
  check(bed.send(spec), SendResult::permanent, "535 ***== ***");
}
