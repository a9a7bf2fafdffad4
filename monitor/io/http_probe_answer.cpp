#include "io/http_probe_answer.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <format>
#include <iterator>
#include <optional>
#include <utility>

#include "io/http_server_parse.hpp"
#include "protocol/escape.hpp"
#include "protocol/json.hpp"

namespace sentinel::io {

namespace http = boost::beast::http;
using Parser = http::response_parser<http::string_body>;

namespace {

constexpr std::size_t kept_capacity = 8 * 1024;  // of the buffer between answers
constexpr std::size_t output_limit = 200;  // bytes of a document's own explanation in a sentence

bool media_type_is(std::string_view content_type, std::string_view wanted) {
  auto type = content_type.substr(0, content_type.find(';'));
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) type.remove_suffix(1);
  return same_word(type, wanted);
}

/// The words of draft-inadarei-api-health-check-06, section 3.1, with the aliases it gives.
std::optional<core::Verdict> verdict_of(std::string_view word) {
  const auto is = [word](std::string_view other) { return same_word(word, other); };
  if (is("pass") || is("ok") || is("up")) return core::Verdict::pass;
  if (is("warn")) return core::Verdict::warn;
  if (is("fail") || is("error") || is("down")) return core::Verdict::fail;
  return std::nullopt;
}

/// What a lenient parser lets through and we do not; nullptr: nothing.
const char* framing_fault(const Parser& parser) {
  const auto& message = parser.get();
  const auto range = message.equal_range(http::field::transfer_encoding);
  const auto codings = std::distance(range.first, range.second);
  const auto lengths = message.equal_range(http::field::content_length);
  const auto count = std::distance(lengths.first, lengths.second);
  if (count > 1 || (count == 1 && !plain_length(message[http::field::content_length]))) {
    return "a Content-Length that is not one number";
  }
  if (codings == 0) return nullptr;
  if (codings > 1 || !same_word(message[http::field::transfer_encoding], "chunked")) {
    return "an unknown Transfer-Encoding";
  }
  if (message.version() < 11) return "a Transfer-Encoding in HTTP/1.0";
  if (count != 0) return "both Transfer-Encoding and Content-Length";
  return nullptr;
}

}  // namespace

struct ProbeAnswer::Impl {
  Impl(std::size_t header, std::size_t body) : header_limit(header), body_limit(body) { begin(); }

  std::size_t header_limit;
  std::size_t body_limit;
  std::size_t received = 0;
  std::string pending;  // not taken by the parser yet
  std::optional<Parser> parser;
  std::string fault;    // not HTTP as we know it
  bool closed = false;  // in the middle
  bool whole = false;   // the body is all there

  void begin() {
    parser.emplace();
    parser->header_limit(static_cast<std::uint32_t>(header_limit));
    parser->body_limit(boost::none);  // counted here
    parser->eager(false);
  }

  Progress refuse(std::string text) {
    fault = std::move(text);
    return Progress::done;
  }

  /// Takes a complete header off `pending`.
  std::optional<Progress> take_header() {
    if (received > pending.size() + 4 * header_limit) return refuse("too many preliminary answers");
    if (!std::string_view{"HTTP/1."}.starts_with(std::string_view{pending}.substr(0, 7))) {
      return refuse("something that is not HTTP/1");
    }
    const auto length = header_length(std::string_view{pending}.substr(0, header_limit));
    if (length == 0) {
      if (pending.size() >= header_limit)
        return refuse(std::format("a header of more than {} bytes", header_limit));
      return Progress::more;
    }
    if (header_suspect(std::string_view{pending}.substr(0, length))) {
      return refuse("a header with control characters or folded lines");
    }
    boost::system::error_code error;
    parser->put(boost::asio::buffer(pending.data(), length), error);
    if (error && error != http::error::need_more) return refuse("a header that is not valid HTTP");
    if (!parser->is_header_done()) return refuse("a header that is not valid HTTP");
    pending.erase(0, length);
    const auto status = parser->get().result_int();
    if (status < 100 || status > 599)
      return refuse(std::format("the impossible status {}", status));
    if (const auto* text = framing_fault(*parser)) return refuse(text);
    if (status < 200 && status != 101) {
      begin();
      return std::nullopt;  // the final answer follows
    }
    if (status < 200 || status > 299) return Progress::done;  // judged by its status alone
    if (parser->content_length().value_or(0) > body_limit) return Progress::done;
    parser->eager(true);
    return std::nullopt;
  }

  Progress take_body() {
    while (!parser->is_done()) {
      if (pending.empty()) return Progress::more;
      boost::system::error_code error;
      const auto used = parser->put(boost::asio::buffer(pending), error);
      pending.erase(0, used);
      if (parser->get().body().size() > body_limit) return Progress::done;
      if (error == http::error::need_more) {
        if (pending.size() > header_limit) return refuse("chunks with endless framing");
        if (received > header_limit + 2 * body_limit)
          return refuse("an answer of more framing than content");
        return Progress::more;
      }
      if (error) return refuse("a body that is not framed properly");
      if (received > header_limit + 2 * body_limit && !parser->is_done()) {
        return refuse("an answer of more framing than content");
      }
      if (used == 0 && !parser->is_done()) return Progress::more;
    }
    whole = true;
    return Progress::done;
  }

  /// The verdict of a health document, when the body is one.
  std::optional<ProbeVerdict> document() const {
    if (!whole) return std::nullopt;
    const auto& message = parser->get();
    const std::string_view type = message[http::field::content_type];
    const bool health = media_type_is(type, "application/health+json");
    if (!health && !media_type_is(type, "application/json")) return std::nullopt;
    const auto parsed = protocol::json::parse(
        message.body(), {.max_bytes = body_limit, .max_depth = 64, .max_values = 20'000},
        {"status", "output"});
    if (!parsed) return std::nullopt;
    const auto verdict = verdict_of((*parsed)["status"].text());
    if (!verdict) return std::nullopt;
    const auto output = protocol::one_line((*parsed)["output"].text(), output_limit);
    const auto explained = [&output](std::string text) {
      return output.empty() ? text : text + ": " + output;
    };
    switch (*verdict) {
      case core::Verdict::pass: break;
      case core::Verdict::warn:
        return ProbeVerdict{core::Verdict::warn, core::ProbeReason::none,
                            explained("reports warn")};
      case core::Verdict::fail:
        return ProbeVerdict{
            core::Verdict::fail, core::ProbeReason::status,
            explained(std::format("reports fail with status {}", message.result_int()))};
    }
    return std::nullopt;
  }
};

ProbeAnswer::ProbeAnswer(std::size_t header_limit, std::size_t body_limit)
    : impl_(std::make_unique<Impl>(header_limit, body_limit)) {}

ProbeAnswer::~ProbeAnswer() = default;

void ProbeAnswer::reset() {
  impl_->received = 0;
  impl_->pending.clear();
  if (impl_->pending.capacity() > kept_capacity) impl_->pending.shrink_to_fit();
  impl_->fault.clear();
  impl_->closed = impl_->whole = false;
  impl_->begin();
}

ProbeAnswer::Progress ProbeAnswer::feed(std::string_view bytes) {
  impl_->received += bytes.size();
  impl_->pending.append(bytes);
  while (!impl_->parser->is_header_done()) {
    if (const auto progress = impl_->take_header()) return *progress;
  }
  return impl_->take_body();
}

void ProbeAnswer::end() {
  if (!impl_->fault.empty() || impl_->whole) return;
  boost::system::error_code error;
  if (impl_->parser->is_header_done()) impl_->parser->put_eof(error);
  if (!impl_->parser->is_header_done() || error) {
    impl_->closed = true;
  } else {
    impl_->whole = true;
  }
}

unsigned ProbeAnswer::status() const {
  const auto status = impl_->parser->is_header_done() ? impl_->parser->get().result_int() : 0U;
  return status >= 100 && status <= 599 ? status : 0U;
}

bool ProbeAnswer::header_seen() const { return impl_->parser->is_header_done(); }

ProbeVerdict ProbeAnswer::judge() const {
  using core::ProbeReason;
  using core::Verdict;
  if (!impl_->fault.empty()) {
    return {Verdict::fail, ProbeReason::protocol, "expected an HTTP answer, got " + impl_->fault};
  }
  if (impl_->closed) {
    if (impl_->received == 0)
      return {Verdict::fail, ProbeReason::reset, "the connection was closed without an answer"};
    return {Verdict::fail, ProbeReason::reset,
            "the connection was closed in the middle of the answer"};
  }
  const auto code = status();
  if (code >= 300 && code <= 399) {
    return {Verdict::fail, ProbeReason::status,
            std::format("expected 2xx, got {} (redirects are not followed)", code)};
  }
  if (code < 200 || code > 299)
    return {Verdict::fail, ProbeReason::status, std::format("expected 2xx, got {}", code)};
  if (auto verdict = impl_->document()) return *std::move(verdict);
  return {Verdict::pass, ProbeReason::none, std::format("status {}", code)};
}

}  // namespace sentinel::io
