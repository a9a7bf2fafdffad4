// What a receiver of alerts answers: the first byte chooses how it is spoken to and how it ended,
// the rest is what it says, as lines. Nothing of it may show a secret or more than one short line.

#include <algorithm>
#include <chrono>
#include <string>

#include "fuzz.hpp"
#include "io/sender_answer.hpp"

using namespace sentinel;

namespace {

constexpr std::string_view secret = "topsecret";
constexpr std::string_view secret_base64 = "dG9wc2VjcmV0";

io::ReceiverSpec receiver(bool mail) {
  io::ReceiverSpec spec;
  spec.kind = mail ? io::ReceiverKind::email : io::ReceiverKind::webhook;
  spec.url = io::Secret{"https://hooks.example.org/" + std::string{secret}};
  spec.headers = {{"Authorization", io::Secret{"Bearer " + std::string{secret}}}};
  spec.signing_key = io::Secret{std::string{secret}};
  spec.mail.user = "sentinel";
  spec.mail.password = io::Secret{std::string{secret}};
  return spec;
}

void check(const core::Sent& sent, bool mail) {
  fuzz::require(fuzz::printable(sent.detail) && sent.detail.size() < 300, "one short line");
  fuzz::require(sent.detail.find(secret) == std::string::npos, "no secret");
  fuzz::require(!mail || sent.detail.find(secret_base64) == std::string::npos, "no encoded secret");
  fuzz::require((sent.result == core::SendResult::accepted) == sent.detail.empty(), "a reason");
  if (sent.retry_after)
    fuzz::require(
        *sent.retry_after >= core::Duration{} && *sent.retry_after <= std::chrono::hours{1},
        "a wait that ends");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const bool mail = (data[0] & 1U) != 0;
  auto said = fuzz::view(data + 1, size - 1);
  const auto spec = receiver(mail);
  io::SenderAnswer answer(spec, spec.url.reveal());
  std::size_t heard = 0;
  bool good = true;
  while (!said.empty()) {
    const auto line = said.substr(0, std::min(said.find('\n'), said.size() - 1) + 1);
    said.remove_prefix(line.size());
    heard += line.size();
    if (mail)
      good = answer.on_reply(line);
    else
      good = (data[0] & 2U) != 0 ? answer.on_header(line) : answer.on_body(line);
    fuzz::require(good == (heard <= io::SenderAnswer::max_bytes), "as much as is allowed");
  }
  const long status = (data[0] & 2U) != 0 ? 429 : 100 + (data[0] * 2);
  if (!mail) {
    check(answer.judge_http(status), mail);
  } else if (const auto sent = answer.judge_smtp(status)) {
    fuzz::require(sent->result != core::SendResult::accepted, "a failure is none");
    check(*sent, mail);
  }
  return 0;
}
