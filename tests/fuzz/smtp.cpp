// An SMTP server's side of the talk, cut at places the second byte chooses; the first chooses what
// is asked for. A zero byte stands for the handshake.

#include <string>

#include "fuzz.hpp"
#include "protocol/smtp.hpp"

using namespace sentinel;

namespace {

using Action = protocol::SmtpClient::Action;

struct Outcome {
  bool done = false;
  core::Verdict verdict = core::Verdict::fail;
  core::ProbeReason reason = core::ProbeReason::none;
  std::string sentence;
  std::string said;
  bool operator==(const Outcome&) const = default;
};

/// One reply at a time, as a server that waits for its turn sends it.
Outcome talk(const core::SmtpOptions& options, std::string_view script, std::size_t step) {
  protocol::SmtpClient client(options);
  Outcome out;
  Action action = Action::read;
  while (!script.empty() && action != Action::done) {
    const auto reply = script.substr(0, script.find('\0'));
    script.remove_prefix(std::min(reply.size() + 1, script.size()));
    for (std::size_t at = 0; at < reply.size(); at += step) {
      action = client.resume(reply.substr(at, step));
      if (action == Action::start_tls) action = client.on_tls();
      if (action == Action::send) out.said += client.to_send();
      if (action != Action::read) break;
    }
  }
  if (action != Action::done) action = client.on_closed();
  fuzz::require(action == Action::done && client.judged(), "an end");
  const auto& found = client.outcome();
  out.done = true;
  out.verdict = found.verdict;
  out.reason = found.reason;
  out.sentence = found.sentence;
  return out;
}

/// Whether the script has one reply between the zero bytes, as it must have for any cut to be the
/// same.
bool one_by_one(std::string_view script) {
  while (!script.empty()) {
    const auto reply = script.substr(0, script.find('\0'));
    script.remove_prefix(std::min(reply.size() + 1, script.size()));
    if (const auto end = reply.find('\n'); end != std::string_view::npos && end + 1 < reply.size())
      return false;
  }
  return true;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  core::SmtpOptions options;
  options.tls = (data[0] & 1U) != 0;
  options.starttls = static_cast<core::StartTls>((data[0] >> 1U) % 3U);
  if ((data[0] & 8U) != 0) options.mail_from = "<>";
  if ((data[0] & 24U) == 24U) options.rcpt_to = "a@example.org";
  const auto script = fuzz::view(data + 2, size - 2);
  const auto whole = talk(options, script, std::string::npos);
  const auto cut = talk(options, script, 1 + data[1] % 32U);
  fuzz::require(!one_by_one(script) || whole == cut, "the same however it arrives");
  for (const auto& out : {whole, cut}) {
    fuzz::require(fuzz::printable(out.sentence) && out.sentence.size() < 1024, "one short line");
    fuzz::require(out.said.find("DATA") == std::string::npos, "nothing is delivered");
    fuzz::require((out.verdict == core::Verdict::pass) == (out.reason == core::ProbeReason::none),
                  "a failure has a reason");
    if (options.starttls == core::StartTls::required && !options.tls &&
        out.verdict == core::Verdict::pass)
      fuzz::require(out.said.find("STARTTLS") != std::string::npos, "no downgrade");
  }
  return 0;
}
