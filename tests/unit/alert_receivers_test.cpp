// `alerts.receivers:` of the file.

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "app/alerts_receivers.hpp"

using namespace sentinel;
using namespace sentinel::app;
using namespace std::chrono_literals;

namespace {

struct Read {
  AlertReceivers receivers;
  std::string errors;  // one a line
};

Read read(const std::string& text, const std::map<std::string, std::string>& environment = {}) {
  Read result;
  Diagnostics errors;
  const Environment variables = [&](const std::string& name) -> std::optional<std::string> {
    const auto found = environment.find(name);
    return found == environment.end() ? std::nullopt : std::optional(found->second);
  };
  const auto tree = parse_yaml(text);
  REQUIRE(tree);
  FileReader reader("test.yaml", errors, variables);
  read_receivers(reader, *tree, "alerts.receivers", variables, "host-a", result.receivers);
  for (const auto& error : errors) result.errors += error.to_string() + "\n";
  return result;
}

class SecretFile {
 public:
  explicit SecretFile(const std::string& content) {
    std::string pattern = (std::filesystem::temp_directory_path() / "alert-XXXXXX").string();
    const int fd = ::mkstemp(pattern.data());
    REQUIRE(fd >= 0);
    path_ = pattern;
    std::ofstream(path_) << content;
  }
  ~SecretFile() { std::filesystem::remove(path_); }
  SecretFile(const SecretFile&) = delete;
  SecretFile& operator=(const SecretFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

bool says(const Read& result, std::string_view text) {
  INFO(result.errors);
  return result.errors.find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("receivers of each kind") {
  const SecretFile hook("https://hooks.example.org/services/T0/B0/secret\n");
  const SecretFile password("correct horse\n");
  const SecretFile key("0123456789abcdef0123\n");
  const auto result = read("team: { slack: { url_file: " + hook.path() + R"( } }
ops:
  rate: 5
  resolved: false
  email: { to: [ops@example.org, "Night <night@example.org>"], from: sentinel@example.org,
           server: mail.example.org, user: sentinel, password_file: )" +
                           password.path() + R"( }
hook: { webhook: { url: "https://hooks.example.org/x", secret_file: )" +
                           key.path() + R"(,
        headers: { X-Team: web } } }
am: { alertmanager: { url: "http://alertmanager:9093", timeout: 3s } }
phone: { ntfy: { url: "https://ntfy.example.org/alerts", token: tk_123 } }
push: { gotify: { url: "https://gotify.example.org/", token: abc } }
chat: { discord: { url: "https://discord.example.org/api/webhooks/1/x" } }
work: { teams: { url: "https://flows.example.org/x?sig=1" } }
own: { webhook: { url: "https://own.example.org/", template: '{"t": "{{ text }}"}' } }
)");
  CHECK(result.errors.empty());
  const auto& [core, io] = result.receivers;
  REQUIRE(io.size() == 9);
  REQUIRE(core.size() == 9);
  CHECK(io[0].kind == io::ReceiverKind::slack);
  CHECK(io[0].url.reveal() == "https://hooks.example.org/services/T0/B0/secret");
  CHECK(io[0].interval == 1s);
  CHECK(io::shown_address(io[0]) == "https://hooks.example.org");
  CHECK(core[1].rate == 5);
  CHECK_FALSE(core[1].resolved);
  CHECK(io[1].mail.port == 587);
  CHECK(io[1].mail.security == io::MailSecurity::starttls);
  CHECK(io[1].mail.password.reveal() == "correct horse");
  CHECK(io[1].mail.envelope.to[1].name == "Night");
  CHECK(io[1].mail.helo == "host-a");
  CHECK(io::shown_address(io[1]) == "smtp://mail.example.org:587");
  CHECK(io[2].signing_key.reveal() == "0123456789abcdef0123");
  CHECK(io[2].headers[0].first == "X-Team");
  CHECK(io[3].kind == io::ReceiverKind::alertmanager);
  CHECK(io[3].timeout == 3s);
  CHECK(core[3].stateful);
  CHECK_FALSE(core[2].stateful);
  CHECK(io[4].url.reveal() == "https://ntfy.example.org/");
  CHECK(io[4].headers[0].second.reveal() == "Bearer tk_123");
  CHECK(io[5].url.reveal() == "https://gotify.example.org/message");
  CHECK(io[5].headers[0].first == "X-Gotify-Key");
  for (std::size_t i = 4; i < 9; ++i) {
    CHECK(io[i].kind == io::ReceiverKind::templated);
    CHECK(io[i].body != nullptr);
  }
  CHECK(io[8].integration == "webhook");
  CHECK(core[8].name == "own");
}

TEST_CASE("mistakes are told with their place, and secrets are not") {
  CHECK(says(read("a: { slack: { ur: x } }"), "a.slack.ur: unknown key; did you mean 'url'?"));
  CHECK(says(read("a: { slakc: {} }"), "did you mean 'slack'?"));
  CHECK(says(read("a: { slack: {} }"), "alerts.receivers.a.slack.url: expected this key"));
  CHECK(says(read("a: { resolved: true }"), "expected a kind"));
  CHECK(says(
      read("a: { slack: { url: 'https://x.example/' }, teams: { url: 'https://x.example/' } }"),
      "expected one kind; this receiver is slack"));
  CHECK(says(read("a: { slack: { url: 'https://x.example/', url_file: /x } }"), "not both"));
  CHECK(says(read("a: { slack: { url_file: /nonexistent/x } }"), "expected a file with the value"));
  CHECK(says(read("a: { slack: { url-file: /nonexistent/x } }"), "expected a file with the value"));
  CHECK(says(read("'a b': { slack: { url: 'https://x.example/' } }"), "expected a name"));
  CHECK(says(read("a: { webhook: { url: 'https://x.example/', secret: short } }"),
             "at least 16 characters"));
  CHECK(
      says(read("a: { webhook: { url: 'https://x.example/', template: '{\"a\": \"{{ x }}\"}' } }"),
           "a.webhook.template: unknown value 'x'"));
  CHECK(says(read("a: { ntfy: { url: 'https://x.example/' } }"), "expected the topic"));
  CHECK(says(read("a: { gotify: { url: 'https://x.example/' } }"),
             "gotify.token: expected this key"));
  CHECK(says(read("a: { slack: { url: 'https://x.example/', timeout: 20s } }"), "timeout"));
  CHECK(says(read("a:\n  slack:\n    url: 'https://169.254.169.254/x'\n"),
             "test.yaml:3:5: alerts.receivers.a.slack.url: expected a host that is no link-local"));
  CHECK(read("a: { slack: { url: 'https://169.254.169.254/x', allow-link-local: true } }")
            .errors.empty());
  for (const auto* url :
       {"ftp://x.example/", "https://", "https://a b/", "https://u:p@x.example/",
        "https://x.example:99999/", "x", "https://x.example/#f", "http://[::1/"}) {
    const auto result = read("a: { slack: { url: '" + std::string{url} + "' } }");
    CHECK(says(result, "expected a URL"));
  }
  const auto secret = read("a: { slack: { url: 'HUNTER2 secret' } }");
  CHECK_FALSE(secret.errors.empty());
  CHECK(secret.errors.find("HUNTER2") == std::string::npos);
  const SecretFile file("HUNTER2 not a url\n");
  const auto from_file = read("a: { slack: { url_file: " + file.path() + " } }");
  CHECK(says(from_file, "in that file: expected a URL"));
  CHECK(from_file.errors.find("HUNTER2") == std::string::npos);
}

TEST_CASE("a template stands in the file as people write it") {
  const auto result = read(R"(
pager:
  template:
    url: https://pager.example.org/v1/events
    token: abcdefgh
    template: |
      {"$escape": "plain",
       "event": {"$switch": "status", "resolved": "close", "*": "open"},
       "id": "{{ incidents.0.id }}",
       "title": "{{ subject | limit 100 }}",
       "links": [{"$if": "link", "$then": "{{ link }}"}],
       "affected": [{"$each": "incidents", "$do": {"what": "{{ item.title }}"}}]}
)");
  CHECK(result.errors.empty());
  REQUIRE(result.receivers.io.size() == 1);
  REQUIRE(result.receivers.io[0].body);
  const auto request = result.receivers.io[0].body->render({});
  REQUIRE(request);
  CHECK(request->body.find("\"event\":\"open\"") != std::string::npos);
}

TEST_CASE("mail receivers are complete, and passwords need TLS") {
  const std::string base = "to: ops@example.org, from: s@example.org, server: mail.example.org";
  CHECK(read("a: { email: { " + base + " } }").errors.empty());
  CHECK(says(read("a: { email: { to: ops@example.org } }"), "email.from: expected this key"));
  CHECK(says(read("a: { email: { " + base + ", user: x } }"), "user and password together"));
  CHECK(says(read("a: { email: { " + base + ", user: x, password: yyyy, security: none } }"),
             "not sent in the clear"));
  CHECK(says(read("a: { email: { " + base + ", security: ssl } }"), "tls, starttls or none"));
  CHECK(says(read("a: { email: { to: 'a b', from: s@example.org, server: m.example.org } }"),
             "expected an address"));
  auto result = read("a: { email: { " + base + ", port: 465 } }");
  CHECK(result.receivers.io[0].mail.security == io::MailSecurity::tls);
  result = read("a: { email: { " + base + ", security: tls } }");
  CHECK(result.receivers.io[0].mail.port == 465);
  result = read("a: { email: { " + base + ", security: none } }");
  CHECK(result.receivers.io[0].mail.port == 25);
}

TEST_CASE("proxies come from the receiver, else from the environment") {
  const std::map<std::string, std::string> environment{
      {"HTTPS_PROXY", "http://user:pw@proxy.example.org:3128"},
      {"NO_PROXY", "internal.example.org"}};
  const auto of = [&](const std::string& keys) {
    const auto result = read("a: { slack: { " + keys + " } }", environment);
    CHECK(result.errors.empty());
    return result.receivers.io.at(0);
  };
  CHECK(of("url: 'https://x.example/'").proxy.reveal() == "http://user:pw@proxy.example.org:3128");
  CHECK(of("url: 'https://x.example/'").no_proxy == "internal.example.org");
  CHECK(of("url: 'http://x.example/'").proxy.empty());
  CHECK(of("url: 'https://x.example/', proxy: none").proxy.empty());
  CHECK(of("url: 'https://x.example/', proxy: 'other.example.org:80'").proxy.reveal() ==
        "http://other.example.org:80");
  CHECK(
      says(read("a: { slack: { url: 'https://x.example/', proxy: 'ftp://x' } }"), "none or a URL"));
}
