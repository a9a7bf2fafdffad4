// E-mail by a real server, read back by a parser that is not ours.

#include <openssl/pem.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>

#include "../unit/alert_samples.hpp"
#include "netns.hpp"
#include "real_server.hpp"
#include "sender_bed.hpp"

using namespace sentinel;
using namespace sentinel::test;
using namespace std::chrono_literals;
using core::SendResult;
using io::MailSecurity;
using nlohmann::json;

namespace {

constexpr std::uint16_t submission = 587;
constexpr std::uint16_t submissions = 465;

/// `hash`: of the password, by crypt(3).
std::string config(const std::string& folder, const std::string& hash) {
  return "pki own cert \"" + folder + "/tls.pem\"\npki own key \"" + folder + "/tls.key\"" + R"(
table users { "sentinel" = ")" +
         hash + R"(" }
table people { "ops@example.org" = "nobody", "night@example.org" = "nobody" }
listen on lo port 587 tls-require pki own auth <users> hostname mail.example.org
listen on lo port 465 smtps pki own auth <users> hostname mail.example.org
action "keep" maildir "/run/mail" virtual <people>
match auth from any for domain "example.org" action "keep"
)";
}

// What a mail holds, as Python's own reader of mail sees it.
constexpr std::string_view parser = R"(
import email, email.policy, json, sys
mail = email.message_from_binary_file(open(sys.argv[1], "rb"), policy=email.policy.default)
parts = [{"type": p.get_content_type(), "text": p.get_content(), "defects": [str(d) for d in p.defects]}
         for p in mail.iter_parts()]
defects = [str(d) for d in mail.defects]
for value in mail.values():
    defects += [str(d) for d in getattr(value, "defects", [])]
print(json.dumps({"headers": [[k, str(v)] for k, v in mail.items()], "defects": defects, "parts": parts,
                  "type": mail.get_content_type(), "date": mail["Date"].datetime.timestamp(),
                  "to": [a.addr_spec for a in mail["To"].addresses]}))
)";

class MailServer {
 public:
  MailServer() : inside_(network_), server_(command(), {submission, submissions}) {
    const auto context = authority_.server({.names = "DNS:mail.example.org,IP:127.0.0.1"});
    save("tls.pem",
         [&](FILE* file) { return PEM_write_X509(file, SSL_CTX_get0_certificate(context.get())); });
    save("tls.key", [&](FILE* file) {
      return PEM_write_PrivateKey(file, SSL_CTX_get0_privatekey(context.get()), nullptr, nullptr, 0,
                                  nullptr, nullptr);
    });
    auto hash = shell("openssl passwd -6 -salt 0123456789abcdef 'correct horse'");
    while (hash.ends_with('\n')) hash.pop_back();
    server_.write("smtpd.conf", config(server_.folder(), hash));
    server_.write("parser.py", std::string{parser});
    std::filesystem::create_directory(server_.folder() + "/mail");
    std::filesystem::permissions(server_.folder() + "/mail", std::filesystem::perms{0777});
    server_.start();
  }

  RealServer& server() { return server_; }

  io::ReceiverSpec receiver(MailSecurity security) const {
    io::ReceiverSpec spec;
    spec.name = "ops";
    spec.integration = "email";
    spec.kind = io::ReceiverKind::email;
    spec.ca_file = authority_.file();
    spec.mail.host = "127.0.0.1";
    spec.mail.port = security == MailSecurity::tls ? submissions : submission;
    spec.mail.security = security;
    spec.mail.helo = "host-a";
    spec.mail.user = "sentinel";
    spec.mail.password = io::Secret{"correct horse"};
    spec.mail.envelope = {.from = {"Sentinel", "sentinel@example.org"},
                          .to = {{"J\xC3\xB6rg", "ops@example.org"}}};
    return spec;
  }

  /// The mail that came since the last call, once it is there.
  json next() {
    std::string found;
    const bool came = eventually([&] {
      const std::filesystem::path box = server_.folder() + "/mail/new";
      if (!std::filesystem::exists(box)) return false;
      for (const auto& file : std::filesystem::directory_iterator(box))
        if (!seen_.contains(file.path())) found = file.path();
      return !found.empty();
    });
    INFO(server_.read("log"));
    REQUIRE(came);
    seen_.insert(found);
    return json::parse(shell("python3 '" + server_.folder() + "/parser.py' '" + found + "'"));
  }

 private:
  /// Queue and control socket have fixed places.
  static std::string command() {
    return "mount -t tmpfs -o mode=711 none /var/spool && mount -t tmpfs -o mode=755 none /run && "
           "mkdir /run/mail && mount --bind mail /run/mail && exec smtpd -d -f \"$PWD/smtpd.conf\"";
  }
  template <class Write>
  void save(const std::string& name, Write write) {
    const std::unique_ptr<FILE, int (*)(FILE*)> file(
        fopen((server_.folder() + "/" + name).c_str(), "we"), &fclose);
    REQUIRE(file);
    REQUIRE(write(file.get()) == 1);
    std::filesystem::permissions(server_.folder() + "/" + name, std::filesystem::perms{0600});
  }

  Namespace network_;
  Namespace::Inside inside_;
  TestAuthority authority_;
  RealServer server_;
  std::set<std::string> seen_;
};

std::string header(const json& mail, std::string_view name) {
  std::string found;
  for (const auto& one : mail["headers"]) {
    if (one[0].get<std::string>() != name) continue;
    CHECK(found.empty());
    found = one[1];
  }
  return found;
}

void check_form(const json& mail) {
  INFO(mail.dump(1));
  CHECK(mail["defects"].empty());
  CHECK(mail["type"] == "multipart/alternative");
  REQUIRE(mail["parts"].size() == 2);
  CHECK(mail["parts"][0]["type"] == "text/plain");
  CHECK(mail["parts"][1]["type"] == "text/html");
  for (const auto& part : mail["parts"]) CHECK(part["defects"].empty());
  CHECK(mail["to"] == json::parse(R"(["ops@example.org"])"));
  CHECK(header(mail, "From") == "Sentinel <sentinel@example.org>");
  CHECK(header(mail, "Auto-Submitted") == "auto-generated");
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(
      std::chrono::system_clock::now().time_since_epoch());
  CHECK(std::abs(mail["date"].get<double>() - static_cast<double>(now.count())) < 600);
}

}  // namespace

TEST_CASE("a real mail server takes fall and return, as one thread, by STARTTLS and by TLS") {
  MailServer peer;
  SenderBed bed;
  for (const auto security : {MailSecurity::starttls, MailSecurity::tls}) {
    bed.sender().configure({peer.receiver(security)});
    auto fall = sample_delivery();
    fall.message.items[0].incident.text = "web unreachable: \xC3\xBC\xE2\x82\xAC";
    check(bed.end(bed.begin("ops", fall)), SendResult::accepted, "");
    const auto first = peer.next();
    check_form(first);
    CHECK(header(first, "Subject") == "[CRITICAL] web unreachable: \xC3\xBC\xE2\x82\xAC");
    CHECK(header(first, "Message-Id") == "<01JNJ3Z7K8W9X0YABCDEFGHJKM.1@host-a>");
    CHECK(header(first, "X-Sentinel-Status") == "firing");
    CHECK(header(first, "Received").find("TLS") != std::string::npos);
    const std::string text = first["parts"][0]["text"];
    for (const auto* part : {"Cause: refused", "restarted, attempt 2 of 5: healthy",
                             "  | panic: out of memory", "Runbook: https://wiki.example.org/web"})
      CHECK(text.find(part) != std::string::npos);

    check(bed.end(bed.begin("ops", sample_delivery(core::MessageKind::resolved))),
          SendResult::accepted, "");
    const auto second = peer.next();
    check_form(second);
    CHECK(header(second, "Message-Id") == "<01JNJ3Z7K8W9X0YABCDEFGHJKM.2@host-a>");
    CHECK(header(second, "X-Sentinel-Status") == "resolved");
    for (const auto* thread : {"In-Reply-To", "References"}) {
      CHECK(header(second, thread) == "<01JNJ3Z7K8W9X0YABCDEFGHJKM@host-a>");
      CHECK(header(first, thread) == header(second, thread));
    }
  }
}

TEST_CASE("a real mail server refuses: password, recipient, and we refuse its certificate") {
  MailServer peer;
  SenderBed bed;
  auto spec = peer.receiver(MailSecurity::starttls);
  spec.mail.password = io::Secret{"wrong horse"};
  auto sent = bed.send(spec);
  check(sent, SendResult::permanent, "answered 535");
  CHECK(sent.detail.find("horse") == std::string::npos);
  spec = peer.receiver(MailSecurity::tls);
  spec.mail.envelope.to = {{"", "ops@elsewhere.example.net"}};
  check(bed.send(spec), SendResult::permanent, "answered 550");
  const TestAuthority stranger("Strange authority");
  for (const auto security : {MailSecurity::starttls, MailSecurity::tls}) {
    spec = peer.receiver(security);
    spec.ca_file = stranger.file();
    check(bed.send(spec), SendResult::retry, "certificate");
  }
}

TEST_CASE("a mail server that hangs or is gone gets the mail when it is back, as the same mail") {
  MailServer peer;
  SenderBed bed;
  auto hurried = peer.receiver(MailSecurity::starttls);
  hurried.timeout = 2s;
  bed.sender().configure({hurried});
  peer.server().signal(SIGSTOP);
  check(bed.end(bed.begin("ops", sample_delivery())), SendResult::retry, "timed out");
  peer.server().signal(SIGCONT);
  bed.sender().configure({peer.receiver(MailSecurity::starttls)});
  check(bed.end(bed.begin("ops", sample_delivery())), SendResult::accepted, "");
  const auto first = header(peer.next(), "Message-Id");
  peer.server().kill();
  check(bed.end(bed.begin("ops", sample_delivery())), SendResult::retry, "");
  peer.server().start();
  check(bed.end(bed.begin("ops", sample_delivery())), SendResult::accepted, "");
  CHECK(header(peer.next(), "Message-Id") == first);
}

TEST_CASE("hostile content arrives as text, in a mail of the usual form") {
  MailServer peer;
  SenderBed bed;
  bed.sender().configure({peer.receiver(MailSecurity::starttls)});
  for (const std::size_t times : {1U, 200U}) {
    check(bed.end(bed.begin("ops", evil_delivery(times, 3))), SendResult::accepted, "");
    const auto mail = peer.next();
    check_form(mail);
    CHECK(header(mail, "Bcc").empty());
    CHECK(inert(header(mail, "Subject"), false));
    CHECK(inert(mail["parts"][0]["text"].get<std::string>(), true));
    const std::string html = mail["parts"][1]["text"];
    CHECK(inert(html, true));
    for (const auto* tag : {"<script", "<img", "javascript:x\">"})
      CHECK(html.find(tag) == std::string::npos);
  }
}
