#include "protocol/smtp.hpp"

#include <algorithm>
#include <format>
#include <utility>

#include "protocol/escape.hpp"

namespace sentinel::protocol {
namespace {

using core::ProbeReason;
using core::StartTls;
using core::Verdict;

constexpr std::size_t longest_name = 255;
constexpr std::size_t longest_address = 254;  // RFC 5321, 4.5.3.1.3, without the brackets
constexpr std::size_t shown_bytes = 200;

bool speakable(std::string_view text) {
  return std::ranges::all_of(text,
                             [](char c) { return c > ' ' && c < '\x7f' && c != '<' && c != '>'; });
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Whether an EHLO line names this extension, which is its first word.
bool names(std::string_view line, std::string_view extension) {
  line = line.substr(0, line.find(' '));
  return std::ranges::equal(line, extension, [](char a, char b) {
    return (a >= 'a' && a <= 'z' ? static_cast<char>(a - 'a' + 'A') : a) == b;
  });
}

std::string bracketed(std::string_view address) {
  return address == "<>" ? std::string(address) : std::format("<{}>", address);
}

}  // namespace

std::expected<void, Error> SmtpClient::check(const core::SmtpOptions& options) {
  const auto bad = [](std::string_view what, std::string_view text) {
    return std::unexpected(
        Error{std::format("\"{}\" cannot be sent as {}", one_line(text, shown_bytes), what)});
  };
  if (options.ehlo.empty() || options.ehlo.size() > longest_name || !speakable(options.ehlo))
    return bad("the name in EHLO", options.ehlo);
  if (options.mail_from != "<>" &&
      (options.mail_from.size() > longest_address || !speakable(options.mail_from)))
    return bad("a sender", options.mail_from);
  if (options.rcpt_to.size() > longest_address || !speakable(options.rcpt_to))
    return bad("a recipient", options.rcpt_to);
  return {};
}

SmtpClient::Action SmtpClient::resume(std::string_view bytes) {
  while (!bytes.empty()) {
    if (stage_ == Stage::done) return Action::done;
    const auto end = bytes.find('\n');
    const auto part = bytes.substr(0, end);
    if (line_.size() + part.size() > smtp_line_bytes) return no_smtp("a reply line is too long");
    line_ += part;
    if (end == std::string_view::npos) return Action::read;
    bytes.remove_prefix(end + 1);
    std::string line = std::exchange(line_, {});
    if (line.ends_with('\r')) line.pop_back();
    const Action action = on_line(line);
    if (action == Action::read) continue;
    if (action == Action::start_tls || action == Action::done || bytes.empty()) return action;
    return no_smtp("the server answers before it is asked");
  }
  return stage_ == Stage::done ? Action::done : Action::read;
}

SmtpClient::Action SmtpClient::on_line(std::string_view line) {
  const bool shaped = line.size() >= 3 && line[0] >= '2' && line[0] <= '5' && is_digit(line[1]) &&
                      is_digit(line[2]) && (line.size() == 3 || line[3] == ' ' || line[3] == '-');
  if (!shaped) {
    return no_smtp(std::format("expected an SMTP {}, got {}", waiting_for(),
                               line.empty() ? "an empty line" : one_line(line, shown_bytes)));
  }
  const unsigned code = static_cast<unsigned>(line[0] - '0') * 100 +
                        static_cast<unsigned>(line[1] - '0') * 10 +
                        static_cast<unsigned>(line[2] - '0');
  const std::string_view text = line.size() > 4 ? line.substr(4) : std::string_view{};
  if (lines_ == 0) {
    reply_code_ = code;
    text_ = one_line(text, shown_bytes);
    if (stage_ == Stage::ehlo) offers_starttls_ = false;
  } else {
    if (code != reply_code_) return no_smtp("the lines of a reply differ in their code");
    // The first line of an answer to EHLO greets, the others name extensions.
    if (stage_ == Stage::ehlo && names(text, "STARTTLS")) offers_starttls_ = true;
  }
  if (++lines_ > smtp_reply_lines) return no_smtp("a reply has too many lines");
  if (line.size() > 3 && line[3] == '-') return Action::read;
  lines_ = 0;
  return on_reply();
}

SmtpClient::Action SmtpClient::on_reply() {
  if (stage_ == Stage::quit) return end();
  code_ = reply_code_;
  const unsigned kind = code_ / 100;
  switch (stage_) {
    case Stage::greeting: return code_ == 220 ? say_ehlo() : refuse(ProbeReason::status, "220");
    case Stage::ehlo:
      if (code_ == 250) return after_hello();
      if (kind == 5 && !options_->tls && options_->starttls == StartTls::none)
        return ask(Stage::helo, "HELO " + options_->ehlo);
      return refuse(ProbeReason::status, "250");
    case Stage::helo: return code_ == 250 ? after_hello() : refuse(ProbeReason::status, "250");
    case Stage::starttls:
      if (code_ != 220) return refuse(ProbeReason::starttls, "220 to STARTTLS");
      stage_ = Stage::handshake;
      return Action::start_tls;
    case Stage::mail:
      if (code_ != 250) return refuse(ProbeReason::status, "250");
      if (options_->rcpt_to.empty()) return ask(Stage::rset, "RSET");
      return ask(Stage::rcpt, "RCPT TO:" + bracketed(options_->rcpt_to));
    case Stage::rcpt:
      if (code_ < 250 || code_ > 252) return refuse(ProbeReason::status, "250");
      return ask(Stage::rset, "RSET");
    case Stage::rset:
      return code_ == 250 ? judge(ProbeReason::none, {}) : refuse(ProbeReason::status, "250");
    case Stage::handshake:
    case Stage::quit:
    case Stage::done: break;
  }
  return no_smtp("the server answers before it is asked");
}

SmtpClient::Action SmtpClient::after_hello() {
  if (!secure_ && !options_->tls && options_->starttls != StartTls::none) {
    if (offers_starttls_) return ask(Stage::starttls, "STARTTLS");
    if (options_->starttls == StartTls::required)
      return judge(ProbeReason::starttls, "the server does not offer STARTTLS");
  }
  if (options_->mail_from.empty()) return judge(ProbeReason::none, {});
  return ask(Stage::mail, "MAIL FROM:" + bracketed(options_->mail_from));
}

SmtpClient::Action SmtpClient::on_tls() {
  secure_ = true;
  line_.clear();
  lines_ = 0;
  return say_ehlo();
}

SmtpClient::Action SmtpClient::on_closed() {
  if (!judged()) {
    outcome_.reason = ProbeReason::reset;
    outcome_.sentence =
        std::format("the server closed the connection instead of sending the {}", waiting_for());
    outcome_.code = code_;
  }
  return end();
}

SmtpClient::Action SmtpClient::say_ehlo() { return ask(Stage::ehlo, "EHLO " + options_->ehlo); }

SmtpClient::Action SmtpClient::ask(Stage stage, std::string command) {
  stage_ = stage;
  command_ = std::move(command) + "\r\n";
  return Action::send;
}

SmtpClient::Action SmtpClient::refuse(ProbeReason reason, std::string expected) {
  return judge(reason, std::format("expected {}, got {}{}{}", expected, code_,
                                   text_.empty() ? "" : " ", text_));
}

SmtpClient::Action SmtpClient::judge(ProbeReason reason, std::string sentence) {
  outcome_.verdict = reason == ProbeReason::none ? Verdict::pass : Verdict::fail;
  outcome_.reason = reason;
  outcome_.sentence = std::move(sentence);
  outcome_.code = code_;
  return ask(Stage::quit, "QUIT");
}

SmtpClient::Action SmtpClient::no_smtp(std::string sentence) {
  if (judged()) return end();
  outcome_.reason = ProbeReason::protocol;
  outcome_.sentence = std::move(sentence);
  outcome_.code = code_;
  return end();
}

SmtpClient::Action SmtpClient::end() {
  stage_ = Stage::done;
  line_.clear();
  return Action::done;
}

std::string_view SmtpClient::waiting_for() const {
  switch (stage_) {
    case Stage::greeting: return "greeting";
    case Stage::ehlo: return "answer to EHLO";
    case Stage::helo: return "answer to HELO";
    case Stage::starttls: return "answer to STARTTLS";
    case Stage::handshake: return "TLS handshake";
    case Stage::mail: return "answer to MAIL FROM";
    case Stage::rcpt: return "answer to RCPT TO";
    case Stage::rset: return "answer to RSET";
    case Stage::quit:
    case Stage::done: return "answer to QUIT";
  }
  return {};
}

}  // namespace sentinel::protocol
