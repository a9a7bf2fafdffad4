#include "io/probe_http.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <format>
#include <optional>
#include <utility>
#include <vector>

#include "io/http_probe_answer.hpp"
#include "io/probe_text.hpp"

namespace sentinel::io {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using core::ProbeReason;
using core::Verdict;

namespace {

constexpr std::size_t read_size = 4 * 1024;
constexpr std::size_t max_addresses = 4;  // of a name, tried one after another

ProbeVerdict fail(ProbeReason reason, std::string sentence) {
  return {Verdict::fail, reason, std::move(sentence)};
}

ProbeVerdict network_verdict(const error_code& error) {
  auto outcome = network_failure(error);
  return fail(outcome.reason, std::move(outcome.sentence));
}

/// Addresses a name or a label must not lead us to: cloud metadata services live there.
bool forbidden(const asio::ip::address& address) {
  if (address.is_v4()) return (address.to_v4().to_uint() >> 16U) == 0xA9FEU;  // 169.254.0.0/16
  const auto v6 = address.to_v6();
  if (v6.is_v4_mapped()) return forbidden(asio::ip::make_address_v4(asio::ip::v4_mapped, v6));
  static const auto metadata = asio::ip::make_address_v6("fd00:ec2::254");
  return v6.is_link_local() || v6 == metadata;
}

bool printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

/// One probe at a time: [resolve], connect, write, read, judge. Runs are used again, so each
/// handler carries the number of the probe it belongs to and does nothing when another has begun.
class Run : public std::enable_shared_from_this<Run> {
 public:
  explicit Run(std::shared_ptr<const ProbeMeans> means)
      : means_(std::move(means)),
        socket_(means_->context),
        answer_(means_->options.header_limit, means_->options.body_limit) {}

  void begin(ProbeTask task, ProbeRun::Done done) {
    done_ = std::move(done);
    addresses_.clear();
    next_address_ = 0;
    last_failure_.reset();
    answer_.reset();
    timeout_ = task.spec->timeout;
    const auto& spec = *task.spec;
    const auto& host = spec.host.empty() ? task.address : spec.host;
    if (host.empty()) {
      finish_later(fail(ProbeReason::no_address, "no address on a shared network"));
      return;
    }
    if (!printable(host) || !printable(spec.http.target) || !spec.http.target.starts_with('/')) {
      finish_later(fail(ProbeReason::internal, "the probe's URL is not valid"));
      return;
    }
    error_code error;
    const auto address = asio::ip::make_address(host, error);
    write_request(spec, !error && address.is_v6() ? '[' + host + ']' : host);
    if (error) {
      resolve(spec);
    } else if (!spec.host.empty() && forbidden(address)) {
      finish_later(
          fail(ProbeReason::unreachable, "link-local and metadata addresses are not probed"));
    } else {
      addresses_.emplace_back(address, spec.port);
      connect();
    }
  }

  core::ProbeOutcome timed_out() {
    const auto* what =
        answer_.header_seen() ? "the answer did not end within " : "no answer within ";
    auto outcome = outcome_of(fail(ProbeReason::timeout, what + for_people(timeout_)));
    abandon();
    return outcome;
  }

  /// Drops everything, reports nothing.
  void abandon() {
    ++number_;
    error_code ignored;
    if (resolver_) resolver_->cancel();
    socket_.close(ignored);
  }

 private:
  void write_request(const core::ProbeSpec& spec, const std::string& host) {
    request_ = std::format(
        "GET {} HTTP/1.1\r\nHost: {}{}\r\nUser-Agent: {}\r\n"
        "Accept: application/health+json, application/json;q=0.9, */*;q=0.8\r\nConnection: "
        "close\r\n\r\n",
        spec.http.target, host, spec.port == 80 ? std::string{} : std::format(":{}", spec.port),
        means_->options.user_agent);
  }

  void resolve(const core::ProbeSpec& spec) {
    if (!resolver_) resolver_.emplace(means_->context);
    resolver_->async_resolve(
        spec.host, std::to_string(spec.port), tcp::resolver::numeric_service,
        [self = shared_from_this(), number = number_](const error_code& error,
                                                      const tcp::resolver::results_type& found) {
          if (number != self->number_) return;
          if (error) {
            self->finish(
                fail(ProbeReason::resolve, "the name cannot be resolved: " + error.message()));
            return;
          }
          for (const auto& entry : found) {
            if (!forbidden(entry.endpoint().address()))
              self->addresses_.push_back(entry.endpoint());
            if (self->addresses_.size() == max_addresses) break;
          }
          if (self->addresses_.empty()) {
            self->finish(fail(ProbeReason::resolve,
                              "the name leads to link-local or metadata addresses only"));
          } else {
            self->connect();
          }
        });
  }

  void connect() {
    if (next_address_ == addresses_.size()) {
      finish(*std::exchange(last_failure_, std::nullopt));
      return;
    }
    error_code ignored;
    socket_.close(ignored);
    socket_.async_connect(addresses_[next_address_++],
                          [self = shared_from_this(), number = number_](const error_code& error) {
                            if (number != self->number_) return;
                            if (error) {
                              self->last_failure_ = network_verdict(error);
                              self->connect();
                            } else {
                              self->write();
                            }
                          });
  }

  void write() {
    asio::async_write(
        socket_, asio::buffer(request_),
        [self = shared_from_this(), number = number_](const error_code& error, std::size_t) {
          if (number != self->number_) return;
          if (error) {
            self->finish(network_verdict(error));
          } else {
            self->read();
          }
        });
  }

  void read() {
    socket_.async_read_some(asio::buffer(buffer_), [self = shared_from_this(), number = number_](
                                                       const error_code& error, std::size_t count) {
      if (number != self->number_) return;
      if (error && error != asio::error::eof) {
        self->finish(network_verdict(error));
        return;
      }
      if (error) {
        self->answer_.end();
      } else if (self->answer_.feed({self->buffer_.data(), count}) == ProbeAnswer::Progress::more) {
        self->read();
        return;
      }
      self->finish(self->answer_.judge());
    });
  }

  /// For failures found while perform() is still running.
  void finish_later(ProbeVerdict verdict) {
    asio::post(means_->context, [self = shared_from_this(), number = number_,
                                 verdict = std::move(verdict)]() mutable {
      if (number == self->number_) self->finish(std::move(verdict));
    });
  }

  core::ProbeOutcome outcome_of(ProbeVerdict verdict) const {
    core::ProbeOutcome outcome;
    outcome.verdict = verdict.verdict;
    outcome.reason = verdict.reason;
    outcome.sentence = std::move(verdict.sentence);
    outcome.code = answer_.status();
    return outcome;
  }

  void finish(ProbeVerdict verdict) {
    auto outcome = outcome_of(std::move(verdict));
    abandon();
    const auto done = std::exchange(done_, nullptr);
    done(std::move(outcome));
  }

  std::shared_ptr<const ProbeMeans> means_;
  ProbeRun::Done done_;
  tcp::socket socket_;
  std::optional<tcp::resolver> resolver_;
  ProbeAnswer answer_;
  std::uint64_t number_ = 0;
  core::Duration timeout_{};
  std::string request_;
  std::vector<tcp::endpoint> addresses_;
  std::size_t next_address_ = 0;
  std::optional<ProbeVerdict> last_failure_;
  std::array<char, read_size> buffer_{};
};

class HttpRun : public ProbeRun {
 public:
  explicit HttpRun(std::shared_ptr<const ProbeMeans> means)
      : run_(std::make_shared<Run>(std::move(means))) {}
  ~HttpRun() override { run_->abandon(); }
  HttpRun(const HttpRun&) = delete;
  HttpRun& operator=(const HttpRun&) = delete;

  void begin(ProbeTask task, Done done) override { run_->begin(std::move(task), std::move(done)); }
  core::ProbeOutcome timed_out() override { return run_->timed_out(); }
  void abandon() override { run_->abandon(); }

 private:
  std::shared_ptr<Run> run_;
};

}  // namespace

std::unique_ptr<ProbeRun> make_http_run(std::shared_ptr<const ProbeMeans> means) {
  return std::make_unique<HttpRun>(std::move(means));
}

}  // namespace sentinel::io
