#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "protocol/smtp.hpp"

using namespace sentinel;
using namespace sentinel::protocol;
using core::ProbeReason;
using core::Verdict;
using Action = SmtpClient::Action;

namespace {

/// What the server says, and what the client must say to it: a command, "TLS", or "" for nothing.
struct Turn {
  std::string server;
  std::string client;
};

struct Run {
  core::ProbeOutcome outcome;
  bool done = false;
  std::string unexpected;
};

/// Plays the script with replies cut into pieces of `step` bytes, then closes.
Run play(const core::SmtpOptions& options, const std::vector<Turn>& script, std::size_t step) {
  Run run;
  SmtpClient client(options);
  for (const auto& turn : script) {
    Action action = Action::read;
    for (std::size_t at = 0; at < turn.server.size(); at += step) {
      action = client.resume(std::string_view(turn.server).substr(at, step));
      if (action != Action::read) break;
    }
    std::string said;
    if (action == Action::send) said = client.to_send();
    if (action == Action::start_tls) {
      said = "TLS ";
      if (client.on_tls() == Action::send) said += client.to_send();
    }
    if (said.ends_with("\r\n")) said.resize(said.size() - 2);
    if (said != turn.client) {
      run.unexpected = said;
      return run;
    }
    if (action == Action::done) run.done = true;
  }
  if (!run.done) run.done = client.on_closed() == Action::done;
  run.outcome = client.outcome();
  return run;
}

core::ProbeOutcome talk(const core::SmtpOptions& options, const std::vector<Turn>& script) {
  REQUIRE(SmtpClient::check(options));
  const auto whole = play(options, script, std::string::npos);
  INFO("instead: " << whole.unexpected);
  REQUIRE(whole.done);
  for (const std::size_t step : {1U, 3U}) {
    const auto cut = play(options, script, step);
    REQUIRE(cut.done);
    CHECK(cut.outcome.reason == whole.outcome.reason);
    CHECK(cut.outcome.sentence == whole.outcome.sentence);
  }
  return whole.outcome;
}

const Turn greeting{"220 mail.example.org ESMTP\r\n", "EHLO sentinel"};
const std::string extensions =
    "250-mail.example.org\r\n250-PIPELINING\r\n250-starttls\r\n250 SIZE 1\r\n";
const Turn bye{"221 bye\r\n", ""};

core::SmtpOptions with(core::StartTls starttls) {
  core::SmtpOptions options;
  options.starttls = starttls;
  return options;
}

}  // namespace

TEST_CASE("SMTP: greeting, EHLO, QUIT") {
  const auto outcome = talk({}, {greeting, {extensions, "QUIT"}, bye});
  CHECK(outcome.verdict == Verdict::pass);
  CHECK(outcome.reason == ProbeReason::none);
  CHECK(outcome.code == 250);
  CHECK(
      talk({}, {{"220-mail\r\n220-be patient\r\n220\r\n", "EHLO sentinel"}, {"250 mail\n", "QUIT"}})
          .verdict == Verdict::pass);  // the end is not said properly: no matter
}

TEST_CASE("SMTP: a server that refuses") {
  const auto busy = talk({}, {{"421 too busy\r\n", "QUIT"}});
  CHECK(busy.verdict == Verdict::fail);
  CHECK(busy.reason == ProbeReason::status);
  CHECK(busy.sentence == "expected 220, got 421 too busy");
  CHECK(busy.code == 421);
  CHECK(talk({}, {{"554-5.7.1 go away\r\n554 now\r\n", "QUIT"}, bye}).sentence ==
        "expected 220, got 554 5.7.1 go away");
  CHECK(talk({}, {greeting, {"421 4.3.2 later\r\n", "QUIT"}}).sentence ==
        "expected 250, got 421 4.3.2 later");
  CHECK(talk({}, {{"554\r\n", "QUIT"}}).sentence == "expected 220, got 554");
}

TEST_CASE("SMTP: HELO only when no TLS is asked for") {
  const Turn unknown{"502 what?\r\n", "HELO sentinel"};
  CHECK(talk({}, {greeting, unknown, {"250 hello\r\n", "QUIT"}, bye}).verdict == Verdict::pass);
  CHECK(talk({}, {greeting, unknown, {"502 what?\r\n", "QUIT"}, bye}).sentence ==
        "expected 250, got 502 what?");
  for (const auto starttls : {core::StartTls::optional, core::StartTls::required}) {
    CHECK(talk(with(starttls), {greeting, {"502 what?\r\n", "QUIT"}}).reason ==
          ProbeReason::status);
  }
  core::SmtpOptions smtps;
  smtps.tls = true;
  CHECK(talk(smtps, {greeting, {"502 what?\r\n", "QUIT"}}).reason == ProbeReason::status);
}

TEST_CASE("SMTP: STARTTLS") {
  const auto optional = with(core::StartTls::optional);
  const auto required = with(core::StartTls::required);
  const std::vector<Turn> good{greeting,
                               {extensions, "STARTTLS"},
                               {"220 go ahead\r\n", "TLS EHLO sentinel"},
                               {"250 mail\r\n", "QUIT"},
                               bye};
  CHECK(talk(optional, good).verdict == Verdict::pass);
  CHECK(talk(required, good).verdict == Verdict::pass);

  const std::string plain = "250-mail\r\n250 PIPELINING\r\n";
  CHECK(talk(optional, {greeting, {plain, "QUIT"}, bye}).verdict == Verdict::pass);
  const auto missing = talk(required, {greeting, {plain, "QUIT"}, bye});
  CHECK(missing.reason == ProbeReason::starttls);
  CHECK(missing.sentence == "the server does not offer STARTTLS");
  // Its own name is no extension, nor is a word that begins alike.
  CHECK(talk(required, {greeting, {"250-STARTTLS\r\n250 STARTTLSX\r\n", "QUIT"}}).reason ==
        ProbeReason::starttls);

  for (const auto& options : {optional, required}) {
    const auto refused = talk(
        options, {greeting, {extensions, "STARTTLS"}, {"454 no certificate\r\n", "QUIT"}, bye});
    CHECK(refused.reason == ProbeReason::starttls);
    CHECK(refused.sentence == "expected 220 to STARTTLS, got 454 no certificate");
  }
  // Not asked for, not used; nor over smtps.
  CHECK(talk({}, {greeting, {extensions, "QUIT"}}).verdict == Verdict::pass);
  auto smtps = required;
  smtps.tls = true;
  CHECK(talk(smtps, {greeting, {extensions, "QUIT"}}).verdict == Verdict::pass);
}

TEST_CASE("SMTP: what came before TLS is forgotten with it") {
  const auto options = with(core::StartTls::required);
  SmtpClient client(options);
  REQUIRE(client.resume(greeting.server) == Action::send);
  REQUIRE(client.resume(extensions) == Action::send);
  // An attacker in the middle puts its own answer behind the server's.
  REQUIRE(client.resume("220 go ahead\r\n250 mail.example.org\r\n250 half a li") ==
          Action::start_tls);
  REQUIRE(client.on_tls() == Action::send);
  CHECK(client.to_send() == "EHLO sentinel\r\n");
  CHECK_FALSE(client.judged());
  REQUIRE(client.resume("421 the real one\r\n") == Action::send);
  CHECK(client.outcome().sentence == "expected 250, got 421 the real one");
}

TEST_CASE("SMTP: the dialogue stops before DATA") {
  core::SmtpOptions options;
  options.mail_from = "<>";
  options.rcpt_to = "postmaster@example.org";
  const Turn hello{"250 mail\r\n", "MAIL FROM:<>"};
  const Turn mail{"250 ok\r\n", "RCPT TO:<postmaster@example.org>"};
  for (const auto* accepted : {"250 ok\r\n", "251 forwarded\r\n", "252 perhaps\r\n"}) {
    CHECK(talk(options, {greeting, hello, mail, {accepted, "RSET"}, {"250 ok\r\n", "QUIT"}, bye})
              .verdict == Verdict::pass);
  }
  const auto refused =
      talk(options, {greeting, hello, mail, {"550 5.1.1 unknown\r\n", "QUIT"}, bye});
  CHECK(refused.reason == ProbeReason::status);
  CHECK(refused.sentence == "expected 250, got 550 5.1.1 unknown");
  CHECK(refused.code == 550);
  options.rcpt_to.clear();
  options.mail_from = "probe@example.org";
  CHECK(talk(options, {greeting,
                       {"250 mail\r\n", "MAIL FROM:<probe@example.org>"},
                       {"250 ok\r\n", "RSET"},
                       {"250 ok\r\n", "QUIT"},
                       bye})
            .verdict == Verdict::pass);
}

TEST_CASE("SMTP: other protocols and broken replies") {
  const auto refuses = [](std::string_view bytes) {
    const auto outcome = talk({}, {{std::string(bytes), ""}});
    CHECK(outcome.reason == ProbeReason::protocol);
    return outcome.sentence;
  };
  CHECK(refuses("SSH-2.0-OpenSSH_9.2\r\n") == "expected an SMTP greeting, got SSH-2.0-OpenSSH_9.2");
  CHECK(refuses("HTTP/1.1 400 Bad Request\r\n") ==
        "expected an SMTP greeting, got HTTP/1.1 400 Bad Request");
  CHECK(refuses("\r\n") == "expected an SMTP greeting, got an empty line");
  CHECK(refuses("2200 x\r\n").starts_with("expected an SMTP greeting"));
  CHECK(refuses("120 x\r\n").starts_with("expected an SMTP greeting"));
  CHECK(refuses("22\r\n").starts_with("expected an SMTP greeting"));
  CHECK(refuses("\x1b[2J\r\n") == "expected an SMTP greeting, got \\x1b[2J");
  CHECK(refuses("220-a\r\n221 b\r\n") == "the lines of a reply differ in their code");
  const auto early = play({}, {{"220 a\r\n250 b\r\n", ""}}, std::string::npos);
  CHECK(early.outcome.sentence == "the server answers before it is asked");
}

TEST_CASE("SMTP: the peer ends in the middle") {
  const auto outcome = talk({}, {greeting, {"250-mail\r\n250-half", ""}});
  CHECK(outcome.reason == ProbeReason::reset);
  CHECK(outcome.sentence ==
        "the server closed the connection instead of sending the answer to EHLO");
  CHECK(talk({}, {}).sentence ==
        "the server closed the connection instead of sending the greeting");
}

TEST_CASE("SMTP: long replies are cut off") {
  core::SmtpOptions options;
  SmtpClient endless_line(options);
  const std::string kilobyte(1024, 'a');
  CHECK(endless_line.resume("220 " + kilobyte) == Action::read);
  CHECK(endless_line.resume(kilobyte) == Action::done);
  CHECK(endless_line.outcome().sentence == "a reply line is too long");
  SmtpClient endless_reply(options);
  Action action = Action::read;
  unsigned lines = 0;
  while (action == Action::read) {
    REQUIRE(++lines < 1000);
    action = endless_reply.resume("220-" + std::string(1000, 'x') + "\r\n");
  }
  CHECK(action == Action::done);
  CHECK(lines == smtp_reply_lines + 1);
  CHECK(endless_reply.outcome().sentence == "a reply has too many lines");
  CHECK(endless_reply.resume("220 more\r\n") == Action::done);
}

TEST_CASE("SMTP: nothing that is said can hold a second command") {
  core::SmtpOptions options;
  for (const auto* name : {"a\r\nQUIT", "a b", "", "a\x01", "\xc3\xa4.example", "<a>"}) {
    options.ehlo = name;
    CHECK_FALSE(SmtpClient::check(options));
  }
  options.ehlo = "probe.example.org";
  for (const auto* address : {"a@b>\r\nDATA", "a b@c", "a@b\n", "<a@b>"}) {
    options.mail_from = address;
    CHECK_FALSE(SmtpClient::check(options));
    options.mail_from = "<>";
    options.rcpt_to = address;
    CHECK_FALSE(SmtpClient::check(options));
    options.rcpt_to.clear();
  }
  options.rcpt_to = std::string(300, 'a');
  CHECK_FALSE(SmtpClient::check(options));
  options.rcpt_to = "a@b";
  CHECK(SmtpClient::check(options));
}
