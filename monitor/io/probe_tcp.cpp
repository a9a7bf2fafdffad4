#include "io/probe_tcp.hpp"

#include <string>
#include <utility>

#include "io/probe_stream.hpp"
#include "io/probe_text.hpp"
#include "protocol/escape.hpp"
#include "protocol/json.hpp"

namespace sentinel::io {

using core::ProbeReason;
using core::Verdict;

namespace {

constexpr std::size_t shown_limit = 80;
constexpr std::size_t kept_capacity = 4 * 1024;

std::string shown(std::string_view text) {
  return protocol::json::quote(protocol::one_line(text.substr(0, 4 * shown_limit), shown_limit));
}

class TcpRun final : public ProbeRun, private ProbeStream::User {
 public:
  explicit TcpRun(std::shared_ptr<ProbeMeans> means)
      : means_(std::move(means)), stream_(*means_, *this) {}

  void begin(ProbeTask task, Done done) override {
    task_ = std::move(task);
    done_ = std::move(done);
    received_.clear();
    if (received_.capacity() > kept_capacity) received_.shrink_to_fit();
    const bool greets = task_.spec->kind == core::ProbeKind::tls || !task_.spec->tcp.send.empty();
    stream_.open({.host = task_.spec->host,
                  .address = task_.address,
                  .port = task_.spec->port,
                  .speaks_first = greets});
  }

  core::ProbeOutcome timed_out() override {
    auto outcome = stream_.timed_out(task_.spec->timeout,
                                     received_.empty() ? "no answer" : wanted() + " did not come");
    abandon();
    return outcome;
  }

  void abandon() override { stream_.close(); }

 private:
  std::string wanted() const { return shown(task_.spec->tcp.expect); }

  void on_open() override {
    const auto& spec = *task_.spec;
    if (spec.kind == core::ProbeKind::tls) {
      stream_.secure(spec.tls, spec.host);
      return;
    }
    if (!spec.tcp.send.empty()) stream_.send(spec.tcp.send);
    if (spec.tcp.expect.empty()) pass("connected");
  }

  void on_secure() override {
    auto outcome = stream_.tls_verdict();
    outcome.phases = stream_.phases();
    if (outcome.verdict == Verdict::pass)
      outcome.sentence = stream_.tls_version() + ", " + outcome.sentence;
    finish(std::move(outcome));
  }

  void on_data(std::string_view bytes) override {
    const auto& expect = task_.spec->tcp.expect;
    received_.append(bytes);
    if (received_.contains(expect)) {
      pass("got " + wanted());
    } else if (received_.size() > means_->options.body_limit + expect.size()) {
      wrong();
    }
  }

  void on_end() override {
    if (received_.empty()) {
      finish(failed(ProbeReason::reset, "the connection was closed without an answer"));
    } else {
      wrong();
    }
  }

  void on_failed(core::ProbeOutcome failure) override { finish(std::move(failure)); }

  void pass(std::string sentence) {
    core::ProbeOutcome outcome;
    outcome.verdict = Verdict::pass;
    outcome.sentence = std::move(sentence);
    outcome.phases = stream_.phases();
    finish(std::move(outcome));
  }

  void wrong() {
    auto outcome = failed(ProbeReason::body, "expected " + wanted() + ", got " + shown(received_));
    outcome.phases = stream_.phases();
    finish(std::move(outcome));
  }

  void finish(core::ProbeOutcome outcome) {
    stream_.close();
    const auto done = std::exchange(done_, nullptr);
    done(std::move(outcome));
  }

  std::shared_ptr<ProbeMeans> means_;
  ProbeStream stream_;
  ProbeTask task_;
  Done done_;
  std::string received_;
};

}  // namespace

std::unique_ptr<ProbeRun> make_tcp_run(std::shared_ptr<ProbeMeans> means) {
  return std::make_unique<TcpRun>(std::move(means));
}

}  // namespace sentinel::io
