#include "io/probe_http.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "io/http_probe_answer.hpp"
#include "io/http_redirect.hpp"
#include "io/http_server_parse.hpp"
#include "io/probe_stream.hpp"
#include "io/probe_text.hpp"
#include "io/runtime.hpp"
#include "protocol/escape.hpp"

namespace sentinel::io {

using core::ProbeReason;
using core::Verdict;

namespace {

constexpr std::size_t max_parked = 1024;
constexpr core::Duration parked_at_most = std::chrono::minutes{2};
constexpr core::Duration sweep_after = std::chrono::seconds{10};

bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
}

bool is_value(std::string_view text) {
  return std::ranges::all_of(
      text, [](char c) { return static_cast<unsigned char>(c) >= 0x20 ? c != 0x7f : c == '\t'; });
}

/// Connections that were kept alive, by the probe and the address they belong to.
class Parked {
 public:
  std::unique_ptr<ProbeStream> take(const core::ProbeSpec& spec, const std::string& address) {
    const auto found = places_.find({&spec, address});
    if (found == places_.end()) return nullptr;
    auto stream = std::move(found->second->stream);
    places_.erase(found);
    return stream && stream->is_open() ? std::move(stream) : nullptr;
  }

  /// False, and the stream stays where it is, when there is no room.
  bool put(std::shared_ptr<const core::ProbeSpec> spec, const std::string& address,
           std::unique_ptr<ProbeStream>& stream) {
    const auto time = now();
    if (time - swept_ > sweep_after) {
      swept_ = time;
      std::erase_if(places_, [time](const auto& entry) {
        return !entry.second->stream->is_open() || time - entry.second->since > parked_at_most;
      });
    }
    if (places_.size() >= max_parked) return false;
    const auto key = std::pair{spec.get(), address};
    auto place = std::make_unique<Place>();
    place->spec = std::move(spec);
    place->since = time;
    place->stream = std::move(stream);
    place->stream->set_user(*place);
    places_.insert_or_assign(key, std::move(place));
    return true;
  }

 private:
  /// Whatever comes on a connection nobody uses ends it.
  struct Place final : ProbeStream::User {
    std::shared_ptr<const core::ProbeSpec> spec;  // so that its address means nothing else
    core::Time since{};
    std::unique_ptr<ProbeStream> stream;

    void on_open() override {}
    void on_secure() override {}
    void on_data(std::string_view /*bytes*/) override { stream->close(); }
    void on_end() override { stream->close(); }
    void on_failed(core::ProbeOutcome /*failure*/) override {}
  };

  core::Time swept_{};
  std::map<std::pair<const core::ProbeSpec*, std::string>, std::unique_ptr<Place>> places_;
};

class HttpRun final : public ProbeRun, private ProbeStream::User {
 public:
  HttpRun(std::shared_ptr<ProbeMeans> means, std::shared_ptr<Parked> parked)
      : means_(std::move(means)),
        parked_(std::move(parked)),
        stream_(std::make_unique<ProbeStream>(*means_, static_cast<ProbeStream::User&>(*this))),
        answer_(means_->options.header_limit, means_->options.body_limit, means_->regexes) {}

  void begin(ProbeTask task, Done done) override {
    task_ = std::move(task);
    done_ = std::move(done);
    const auto& spec = *task_.spec;
    const auto& http = spec.http;
    redirects_ = 0;
    reused_ = false;
    at_ = {.tls = http.tls,
           .host = spec.host.empty() ? task_.address : spec.host,
           .port = spec.port,
           .target = http.target};
    bare_ = false;
    answer_.reset(http, http.method == "HEAD");
    if (const char* what = unusable()) {
      stream_->refuse(failed(ProbeReason::internal, what));
      return;
    }
    if (http.keep_alive) {
      if (auto kept = parked_->take(spec, task_.address)) {
        reused_ = true;
        stream_ = std::move(kept);
        stream_->set_user(*this);
        stream_->restart_phases();
        ask();
        return;
      }
    }
    connect();
  }

  core::ProbeOutcome timed_out() override {
    auto outcome = stream_->timed_out(
        task_.spec->timeout, answer_.header_seen() ? "the answer did not end" : "no answer");
    outcome.code = answer_.status();
    abandon();
    return outcome;
  }

  void abandon() override { stream_->close(); }

 private:
  const char* unusable() const {
    const auto& http = task_.spec->http;
    if (!http_target_valid(http.target)) return "the probe's URL is not valid";
    if (!is_token(http.method)) return "the probe's method is not valid";
    for (const auto& [name, value] : http.headers)
      if (!is_token(name) || !is_value(value)) return "the probe's header fields are not valid";
    return nullptr;
  }

  void connect() {
    // A redirect stays on the same host: name or address are those of the probe.
    stream_->open({.host = task_.spec->host,
                   .address = task_.address,
                   .port = at_.port,
                   .speaks_first = true});
  }

  void on_open() override {
    if (at_.tls) {
      stream_->secure(task_.spec->tls, task_.spec->host);
    } else {
      ask();
    }
  }

  void on_secure() override { ask(); }

  void ask() {
    write_request();
    stream_->send(request_);
  }

  bool given(std::string_view name) const {
    return std::ranges::any_of(task_.spec->http.headers,
                               [name](const auto& field) { return same_word(field.first, name); });
  }

  void write_request() {
    const auto& http = task_.spec->http;
    request_.clear();
    request_.append(bare_ && http.method != "HEAD" ? "GET" : http.method);
    request_.append(" ").append(at_.target).append(" HTTP/1.1\r\n");
    if (!given("Host")) {
      request_.append("Host: ");
      const bool v6 = at_.host.contains(':');
      if (v6) request_.append("[");
      request_.append(at_.host);
      if (v6) request_.append("]");
      if (at_.port != (at_.tls ? 443 : 80)) request_.append(":").append(std::to_string(at_.port));
      request_.append("\r\n");
    }
    if (!given("User-Agent"))
      request_.append("User-Agent: ").append(means_->options.user_agent).append("\r\n");
    if (!given("Accept"))
      request_.append("Accept: application/health+json, application/json;q=0.9, */*;q=0.8\r\n");
    for (const auto& [name, value] : http.headers) {
      if (same_word(name, "Connection") || same_word(name, "Content-Length") ||
          same_word(name, "Transfer-Encoding")) {
        continue;  // framing is ours
      }
      request_.append(name).append(": ").append(value).append("\r\n");
    }
    const bool with_body = !bare_ && (!http.body.empty() || http.method == "POST" ||
                                      http.method == "PUT" || http.method == "PATCH");
    if (with_body)
      request_.append("Content-Length: ").append(std::to_string(http.body.size())).append("\r\n");
    if (!http.keep_alive) request_.append("Connection: close\r\n");
    request_.append("\r\n");
    if (with_body) request_.append(http.body);
  }

  void on_data(std::string_view bytes) override {
    if (answer_.feed(bytes) == ProbeAnswer::Progress::done) answered();
  }

  void on_end() override {
    if (again()) return;
    answer_.end();
    answered();
  }

  void on_failed(core::ProbeOutcome failure) override {
    if (failure.reason == ProbeReason::reset && again()) return;
    failure.code = answer_.status();
    finish(std::move(failure));
  }

  /// A connection that was kept may have been closed just before we used it: one more try, on a new
  /// one.
  bool again() {
    if (!reused_ || answer_.anything_seen()) return false;
    reused_ = false;
    connect();
    return true;
  }

  void answered() {
    if (const auto location = answer_.redirect();
        !location.empty() && task_.spec->http.max_redirects > 0) {
      follow(std::string{location});
      return;
    }
    auto verdict = answer_.judge();
    core::ProbeOutcome outcome;
    if (at_.tls) {
      outcome.cert_not_after = stream_->tls_verdict().cert_not_after;
      if (verdict.verdict == Verdict::pass && outcome.cert_not_after)
        note_expiry(verdict, *outcome.cert_not_after);
    }
    outcome.verdict = verdict.verdict;
    outcome.reason = verdict.reason;
    outcome.sentence = std::move(verdict.sentence);
    outcome.code = answer_.status();
    outcome.phases = stream_->phases();
    if (task_.spec->http.keep_alive && answer_.reusable() && redirects_ == 0 &&
        outcome.verdict != Verdict::fail && parked_->put(task_.spec, task_.address, stream_)) {
      stream_ = std::make_unique<ProbeStream>(*means_, static_cast<ProbeStream::User&>(*this));
    }
    finish(std::move(outcome));
  }

  /// A kept connection may be older than its certificate has left.
  void note_expiry(ProbeVerdict& verdict, std::int64_t not_after) const {
    using namespace std::chrono;
    const auto expiry = judge_expiry(
        not_after, duration_cast<seconds>(system_clock::now().time_since_epoch()).count(),
        task_.spec->tls);
    if (expiry.verdict == Verdict::pass) return;
    verdict = {expiry.verdict, expiry.reason, expiry.sentence};
  }

  void follow(const std::string& location) {
    const auto& http = task_.spec->http;
    const auto code = answer_.status();
    const auto refuse = [&](std::string sentence) {
      auto outcome = failed(ProbeReason::redirect, std::move(sentence));
      outcome.code = code;
      outcome.phases = stream_->phases();
      outcome.cert_not_after = at_.tls ? stream_->tls_verdict().cert_not_after : std::nullopt;
      finish(std::move(outcome));
    };
    auto next = follow_redirect(at_, location);
    if (!next) {
      refuse(std::move(next.error()));
    } else if (*next == at_) {
      refuse("the redirect leads to itself");
    } else if (redirects_ == http.max_redirects) {
      refuse("more than " + std::to_string(http.max_redirects) +
             (http.max_redirects == 1 ? " redirect" : " redirects"));
    } else {
      ++redirects_;
      // RFC 9110, 15.4: only 307 and 308 promise that the method stays.
      if (code != 307 && code != 308) bare_ = true;
      at_ = *std::move(next);
      reused_ = false;
      answer_.reset(http, http.method == "HEAD");
      connect();
    }
  }

  void finish(core::ProbeOutcome outcome) {
    stream_->close();
    const auto done = std::exchange(done_, nullptr);
    done(std::move(outcome));
  }

  std::shared_ptr<ProbeMeans> means_;
  std::shared_ptr<Parked> parked_;
  std::unique_ptr<ProbeStream> stream_;
  ProbeAnswer answer_;
  ProbeTask task_;
  Done done_;
  std::string request_;
  HttpPlace at_;
  unsigned redirects_ = 0;
  bool bare_ = false;    // after a redirect that turns the request into a GET without body
  bool reused_ = false;  // the connection was kept from an earlier run
};

}  // namespace

std::function<std::unique_ptr<ProbeRun>()> http_runs(std::shared_ptr<ProbeMeans> means) {
  return [means = std::move(means), parked = std::make_shared<Parked>()] {
    return std::make_unique<HttpRun>(means, parked);
  };
}

}  // namespace sentinel::io
