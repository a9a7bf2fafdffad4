#include "io/http_probe_answer.hpp"

#include <algorithm>
#include <format>
#include <utility>

namespace sentinel::io {

using core::ProbeReason;
using core::Verdict;

namespace {

constexpr std::size_t kept_capacity = 8 * 1024;  // of the body between answers
constexpr std::string_view beginning = "HTTP/1.";

const core::HttpOptions& usual() {
  static const core::HttpOptions options;
  return options;
}

}  // namespace

ProbeAnswer::ProbeAnswer(std::size_t header_limit, std::size_t body_limit, Regexes& regexes)
    : header_limit_(header_limit),
      body_limit_(body_limit),
      regexes_(regexes),
      options_(&usual()),
      reader_({.max_head = header_limit}) {}

void ProbeAnswer::reset(const core::HttpOptions& options, bool to_head) {
  options_ = &options;
  reader_.reset(to_head);
  first_.clear();
  received_ = left_over_ = 0;
  body_.clear();
  if (body_.capacity() > kept_capacity) body_.shrink_to_fit();
  fault_.clear();
  closed_ = whole_ = false;
}

ProbeAnswer::Progress ProbeAnswer::refuse(std::string text) {
  fault_ = std::move(text);
  return Progress::done;
}

ProbeAnswer::Progress ProbeAnswer::feed(std::string_view bytes) {
  received_ += bytes.size();
  if (first_.size() < beginning.size()) {
    first_.append(bytes.substr(0, beginning.size() - first_.size()));
    if (!beginning.starts_with(first_)) return refuse("something that is not HTTP/1");
  }
  while (!bytes.empty() && !reader_.done()) {
    const auto piece = reader_.take(bytes);
    if (!piece) {
      if (reader_.status() == 101) return Progress::done;  // judged by its status
      constexpr std::string_view prefix = "malformed HTTP answer: ";
      std::string_view text = piece.error().message;
      if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
      return refuse(std::string{text});
    }
    if (!reader_.head_done()) continue;
    if (!status_expected(*options_, reader_.status())) return Progress::done;
    // A body that is longer than what is kept is not waited for, nor begun when nobody asks for it.
    if (reader_.sized() && reader_.length() > body_limit_ && !wants_body(*options_))
      return Progress::done;
    body_.append(piece->substr(0, body_limit_ - body_.size()));
    if (body_.size() == body_limit_ && !reader_.done()) return Progress::done;
  }
  if (reader_.done()) {
    whole_ = true;
    left_over_ = bytes.size();
    return Progress::done;
  }
  if (received_ > header_limit_ + 2 * body_limit_)
    return refuse("an answer of more framing than content");
  return Progress::more;
}

void ProbeAnswer::end() {
  if (!fault_.empty() || whole_) return;
  if (reader_.finish()) {
    whole_ = true;
  } else {
    closed_ = true;
  }
}

unsigned ProbeAnswer::status() const {
  const auto status = reader_.status();
  return reader_.head_done() || status == 101 ? status : 0;
}

std::string_view ProbeAnswer::redirect() const {
  const auto code = status();
  const bool leads = code == 301 || code == 302 || code == 303 || code == 307 || code == 308;
  if (!leads || status_expected(*options_, code)) return {};
  return reader_.location();
}

ProbeVerdict ProbeAnswer::judge() const {
  if (!fault_.empty())
    return {Verdict::fail, ProbeReason::protocol, "expected an HTTP answer, got " + fault_};
  if (closed_) {
    return {Verdict::fail, ProbeReason::reset,
            received_ == 0 ? "the connection was closed without an answer"
                           : "the connection was closed in the middle of the answer"};
  }
  const auto code = status();
  if (!status_expected(*options_, code)) {
    const bool redirect = code >= 300 && code <= 399;
    return {Verdict::fail, ProbeReason::status,
            std::format(
                "expected {}, got {}{}", expected_status(*options_), code,
                redirect && options_->max_redirects == 0 ? " (redirects are not followed)" : "")};
  }
  if (auto verdict = judge_body(*options_, regexes_, reader_.content_type(), body_, whole_, code)) {
    return *std::move(verdict);
  }
  return {Verdict::pass, ProbeReason::none, "status " + std::to_string(code)};
}

}  // namespace sentinel::io
