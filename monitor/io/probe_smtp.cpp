#include "io/probe_smtp.hpp"

#include <format>
#include <optional>
#include <string_view>
#include <utility>

#include "io/probe_means.hpp"
#include "io/probe_stream.hpp"
#include "io/probe_text.hpp"
#include "io/runtime.hpp"
#include "protocol/smtp.hpp"

namespace sentinel::io {

using core::ProbeOutcome;
using core::ProbeReason;
using protocol::SmtpClient;
using Action = SmtpClient::Action;

namespace {

class SmtpRun final : public ProbeRun, private ProbeStream::User {
 public:
  explicit SmtpRun(std::shared_ptr<ProbeMeans> means)
      : means_(std::move(means)), stream_(*means_, *this) {}

  void begin(ProbeTask task, Done done) override {
    task_ = std::move(task);
    done_ = std::move(done);
    heard_.reset();
    secured_ = false;
    phases_ = {};
    client_.emplace(options());
    if (const auto good = SmtpClient::check(options()); !good) {
      stream_.refuse(failed(ProbeReason::internal, good.error().message));
    } else {
      stream_.open({task_.spec->host, task_.address, task_.spec->port});
    }
  }

  ProbeOutcome timed_out() override {
    // Once there is a verdict, only the answer to QUIT is missing.
    ProbeOutcome outcome =
        client_->judged()
            ? verdict()
            : stream_.timed_out(task_.spec->timeout, std::format("no {}", client_->waiting_for()));
    complete(outcome);
    abandon();
    return outcome;
  }

  void abandon() override {
    stream_.close();
    done_ = nullptr;
  }

 private:
  const core::SmtpOptions& options() const { return task_.spec->smtp; }

  void on_open() override {
    opened_ = now();
    if (options().tls) stream_.secure(task_.spec->tls, task_.spec->host);
  }

  void on_secure() override {
    secured_ = true;
    if (options().tls) {
      opened_ = now();  // the greeting comes now
    } else {
      act(client_->on_tls());
    }
  }

  void on_data(std::string_view bytes) override {
    if (!heard_) {
      heard_ = now();
      phases_.processing = *heard_ - opened_;
    }
    act(client_->resume(bytes));
  }

  void on_end() override { act(client_->on_closed()); }

  void on_failed(ProbeOutcome failure) override {
    if (client_->judged()) {
      failure = verdict();  // a lack of manners, no more
    } else if (failure.reason == ProbeReason::reset) {
      failure.sentence += std::format(" while waiting for the {}", client_->waiting_for());
    }
    finish(std::move(failure));
  }

  void act(Action action) {
    switch (action) {
      case Action::read: break;
      case Action::send: stream_.send(client_->to_send()); break;
      case Action::start_tls: stream_.secure(task_.spec->tls, task_.spec->host); break;
      case Action::done: finish(verdict()); break;
    }
  }

  /// The talk's, or what the certificate has to warn of.
  ProbeOutcome verdict() const {
    auto outcome = client_->outcome();
    if (!secured_) return outcome;
    const auto& tls = stream_.tls_verdict();
    outcome.cert_not_after = tls.cert_not_after;
    if (outcome.verdict == core::Verdict::pass && tls.verdict != core::Verdict::pass) {
      outcome.verdict = tls.verdict;
      outcome.reason = tls.reason;
      outcome.sentence = tls.sentence;
    }
    return outcome;
  }

  void complete(ProbeOutcome& outcome) {
    if (outcome.code == 0) outcome.code = client_->code();
    // The stream's phases are of its last exchange; a talk has several.
    const auto stream = stream_.phases();
    phases_.resolve = stream.resolve;
    phases_.connect = stream.connect;
    phases_.tls = stream.tls;
    if (heard_)
      phases_.transfer = now() - *heard_ - (options().tls ? core::Duration{} : stream.tls);
    outcome.phases = phases_;
  }

  void finish(ProbeOutcome outcome) {
    complete(outcome);
    const Done done = std::move(done_);
    abandon();
    if (done) done(std::move(outcome));
  }

  std::shared_ptr<ProbeMeans> means_;
  ProbeStream stream_;
  ProbeTask task_;
  Done done_;
  std::optional<SmtpClient> client_;
  bool secured_ = false;
  core::Time opened_{};              // from when on the greeting is waited for
  std::optional<core::Time> heard_;  // the first byte
  core::ProbePhases phases_;
};

}  // namespace

std::unique_ptr<ProbeRun> make_smtp_run(std::shared_ptr<ProbeMeans> means) {
  return std::make_unique<SmtpRun>(std::move(means));
}

}  // namespace sentinel::io
