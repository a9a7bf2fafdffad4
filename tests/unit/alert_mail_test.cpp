// E-mail as it travels.

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <string_view>

#include "alert_samples.hpp"
#include "protocol/alert_mail.hpp"
#include "protocol/alert_request.hpp"

using namespace sentinel;
using namespace sentinel::protocol;

namespace {

const MailEnvelope envelope{.from = {"", "sentinel@example.org"},
                            .to = {{"", "ops@example.org"}, {"Jörg", "joerg@example.org"}}};

/// Every line ends with CR LF, is short, and is ASCII without controls.
void check_lines(std::string_view mail) {
  while (!mail.empty()) {
    const auto end = mail.find("\r\n");
    REQUIRE(end != std::string_view::npos);
    const auto line = mail.substr(0, end);
    const bool identity = line.starts_with("Message-Id: ") || line.starts_with("In-Reply-To: ") ||
                          line.starts_with("References: ");
    CHECK(line.size() <= (identity ? 200 : 78));
    for (const char c : line) REQUIRE((c >= ' ' && c < 0x7F));
    mail.remove_prefix(end + 2);
  }
}

std::string headers_of(const std::string& mail) { return mail.substr(0, mail.find("\r\n\r\n")); }

std::size_t count(std::string_view text, std::string_view part) {
  std::size_t n = 0;
  for (auto at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

}  // namespace

TEST_CASE("a mail has the headers that mail programs thread and silence by") {
  const auto mail = mail_message(test::sample_delivery(), envelope, test::at(140));
  check_lines(mail);
  const auto headers = headers_of(mail);
  for (const auto* line :
       {"Date: Thu, 05 Mar 2026 10:02:20 +0000\r\n", "From: sentinel@example.org\r\n",
        "To: ops@example.org,\r\n =?UTF-8?B?SsO2cmc=?= <joerg@example.org>\r\n",
        "Subject: [CRITICAL] web unreachable: connection refused\r\n",
        "Message-Id: <01JNJ3Z7K8W9X0YABCDEFGHJKM.1@host-a>\r\n",
        "References: <01JNJ3Z7K8W9X0YABCDEFGHJKM@host-a>\r\n", "Auto-Submitted: auto-generated\r\n",
        "Precedence: bulk\r\n", "MIME-Version: 1.0\r\n", "X-Sentinel-Status: firing\r\n"}) {
    INFO(line);
    CHECK(headers.find(line) != std::string::npos);
  }
  CHECK(mail.find("text/plain; charset=utf-8") < mail.find("text/html; charset=utf-8"));
  CHECK(mail.ends_with("\r\n--=_sentinel--\r\n"));
}

TEST_CASE("the same message is the same mail at each attempt; a reminder is another") {
  auto delivery = test::sample_delivery();
  const auto id = [](const std::string& mail) {
    const auto begin = mail.find("Message-Id: ");
    return mail.substr(begin, mail.find("\r\n", begin) - begin);
  };
  const auto first = id(mail_message(delivery, envelope, test::at(1)));
  CHECK(first == id(mail_message(delivery, envelope, test::at(99))));
  delivery.message.kind = core::MessageKind::reminder;
  const auto reminder = id(mail_message(delivery, envelope, test::at(1)));
  CHECK(first != reminder);
  CHECK(reminder == id(mail_message(delivery, envelope, test::at(99))));
  delivery = test::sample_delivery(core::MessageKind::resolved);
  CHECK(first != id(mail_message(delivery, envelope, test::at(1))));
}

TEST_CASE("hostile content adds no header, no part and no markup") {
  for (const std::size_t times : {1U, 3U, 500U}) {
    const auto mail = mail_message(test::evil_delivery(times, 20), envelope, test::at(0));
    check_lines(mail);
    const auto headers = headers_of(mail);
    CHECK(count("\r\n" + headers, "\r\nBcc:") == 0);
    CHECK(count("\r\n" + headers, "\r\nSubject:") == 1);
    CHECK(count(mail, "\r\n--=_sentinel\r\n") == 2);
    CHECK(count(mail, "\r\n--=_sentinel--") == 1);
    CHECK(count(mail, "\r\n\r\n") < 40);
    CHECK(mail.find("<script", mail.find("text/html")) == std::string::npos);
    CHECK(mail.find("\r\n.\r\n") == std::string::npos);
    CHECK(mail.size() <= max_alert_body);
  }
}

TEST_CASE("headers are encoded where they must be, and folded") {
  CHECK(encoded_header("plain", 9) == "plain");
  CHECK(encoded_header("\xC3\xA4", 9) == "=?UTF-8?B?w6Q=?=");
  CHECK(encoded_header("=?UTF-8?B?SGVsbG8=?=", 9).starts_with("=?UTF-8?B?PT9"));
  const auto long_one = encoded_header(std::string(60, 'a') + " " + std::string(60, 'b'), 9);
  CHECK(long_one.find("\r\n b") != std::string::npos);
  std::string umlauts;
  for (int i = 0; i < 90; ++i) umlauts += "\xC3\xA4";
  const auto encoded = encoded_header(umlauts, 9);
  CHECK(count(encoded, "=?UTF-8?B?") == count(encoded, "?="));
  CHECK(count(encoded, "\r\n ") == count(encoded, "=?UTF-8?B?") - 1);
}

TEST_CASE("quoted-printable keeps what matters at the ends of lines") {
  CHECK(quoted_printable("a b \nc\t\n") == "a b=20\r\nc=09\r\n");
  CHECK(quoted_printable("x=y\xC3\xA4") == "x=3Dy=C3=A4");
  CHECK(quoted_printable(".\n..\nFrom me\n--x") == "=2E\r\n=2E.\r\n=46rom me\r\n=2D-x");
  const auto long_line = quoted_printable(std::string(200, 'x'));
  CHECK(long_line.find("=\r\n") == 75);
  // A line that is broken begins a new one.
  CHECK(quoted_printable(std::string(75, 'x') + ".").ends_with("x=\r\n=2E"));
}

TEST_CASE("HTML is escaped") {
  CHECK(html_escape("<a href=\"x\">'&") == "&lt;a href=&quot;x&quot;&gt;&#39;&amp;");
}

TEST_CASE("addresses are taken as SMTP can carry them, or not at all") {
  CHECK(parse_mail_address("ops@example.org")->address == "ops@example.org");
  const auto named = parse_mail_address("\"Ops & Co\" <ops+x@mail.example.org>");
  REQUIRE(named);
  CHECK(named->name == "Ops & Co");
  CHECK(named->address == "ops+x@mail.example.org");
  for (const auto* bad :
       {"", "ops", "@example.org", "ops@", "a b@example.org", "ops@exa mple.org",
        "ops@example.org>", "x <ops@example.org", "ops@example.org\r\nRCPT TO:<x@y>",
        "\"a\"@example.org", "a..b@example.org", ".a@example.org", "ops@-_", "ops@[127.0.0.1]",
        "<>", "\xC3\xA4@example.org"}) {
    INFO(bad);
    CHECK_FALSE(parse_mail_address(bad));
  }
}
