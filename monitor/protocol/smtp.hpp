#pragma once

// An SMTP client that looks and leaves (RFC 5321, STARTTLS of RFC 3207), sans-io: start() and
// resume(bytes) say what to do next, the caller does it.
//
//   greeting --220--> ehlo --250--> [starttls --220--> TLS --> ehlo --250-->] [mail --> rcpt -->
//   rset -->] quit
//
// - With neither smtps nor STARTTLS asked for, a refused EHLO is followed by HELO.
// - STARTTLS `optional`: used when offered. One that is offered and refused fails in any case:
// going
//   on in the clear is what an attacker would want.
// - What came before TLS is forgotten with it: bytes behind the answer to STARTTLS are dropped, and
//   EHLO is asked again.
// - The dialogue stops before DATA: nothing is ever delivered.
// - Once there is a verdict, QUIT is said and its answer is waited for, but changes nothing.
//
// A reply line holds at most 2,048 bytes, a reply 256 lines. A reply nobody asked for is a fault.

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "core/probe_spec.hpp"
#include "protocol/error.hpp"

namespace sentinel::protocol {

inline constexpr std::size_t smtp_line_bytes = 2048;
inline constexpr std::size_t smtp_reply_lines = 256;

class SmtpClient {
 public:
  enum class Action : std::uint8_t {
    read,       // more bytes are needed
    send,       // to_send(), then read
    start_tls,  // drop what else was read, shake hands, then on_tls()
    done,       // outcome(); close
  };

  /// An address or name that must not go on the wire: controls, white space, brackets, other than
  /// ASCII, or too long.
  static std::expected<void, Error> check(const core::SmtpOptions& options);

  /// The options must have passed check() and live as long as the client. With options.tls the
  /// handshake is over before the first byte.
  explicit SmtpClient(const core::SmtpOptions& options) : options_(&options) {}

  /// All of `bytes` is taken in.
  Action resume(std::string_view bytes);
  /// After start_tls: the handshake went well.
  Action on_tls();
  /// The peer closed the connection.
  Action on_closed();

  std::string_view to_send() const { return command_; }
  /// There is a verdict; whatever happens now is manners.
  bool judged() const { return stage_ >= Stage::quit; }
  /// Once judged().
  const core::ProbeOutcome& outcome() const { return outcome_; }
  /// What is waited for: `greeting`, `answer to EHLO`.
  std::string_view waiting_for() const;
  /// The last reply's code, 0 before the first.
  unsigned code() const { return code_; }

 private:
  enum class Stage : std::uint8_t {
    greeting,
    ehlo,
    helo,
    starttls,
    handshake,
    mail,
    rcpt,
    rset,
    quit,
    done
  };

  Action on_line(std::string_view line);
  Action on_reply();
  Action after_hello();
  Action ask(Stage stage, std::string command);
  Action say_ehlo();
  Action refuse(core::ProbeReason reason, std::string expected);
  Action judge(core::ProbeReason reason, std::string sentence);
  Action no_smtp(std::string sentence);
  Action end();

  const core::SmtpOptions* options_;
  Stage stage_ = Stage::greeting;
  std::string command_;
  std::string line_;
  std::string text_;  // of the reply's first line
  std::size_t lines_ = 0;
  unsigned code_ = 0;
  unsigned reply_code_ = 0;  // of the lines so far
  bool secure_ = false;
  bool offers_starttls_ = false;
  core::ProbeOutcome outcome_;
};

}  // namespace sentinel::protocol
