#include "io/http_probe.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <deque>
#include <format>
#include <optional>
#include <unordered_set>
#include <utility>
#include <vector>

#include "io/http_probe_answer.hpp"
#include "io/runtime.hpp"
#include "protocol/escape.hpp"

namespace sentinel::io {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using core::ProbeReason;
using core::Verdict;

namespace {

constexpr std::size_t read_size = 4 * 1024;
constexpr std::size_t max_addresses = 4;  // of a name, tried one after another
constexpr std::size_t kept_runs = 16;     // idle ones, with their buffers
constexpr core::Duration shortest_timeout = std::chrono::milliseconds{1};
constexpr core::Duration longest_timeout = std::chrono::hours{1};

/// `2 s`, `1.5 s`, `250 ms`.
std::string for_people(core::Duration duration) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  if (ms < 1000) return std::format("{} ms", ms);
  if (ms % 1000 == 0) return std::format("{} s", ms / 1000);
  return std::format("{:.1f} s", static_cast<double>(ms) / 1000);
}

ProbeVerdict fail(ProbeReason reason, std::string sentence) {
  return {Verdict::fail, reason, std::move(sentence)};
}

ProbeVerdict network_failure(const error_code& error) {
  namespace e = boost::system::errc;
  if (error == e::connection_refused) return fail(ProbeReason::refused, "connection refused");
  if (error == e::network_unreachable)
    return fail(ProbeReason::unreachable, "network is unreachable");
  if (error == e::host_unreachable) return fail(ProbeReason::unreachable, "no route to host");
  if (error == e::permission_denied || error == e::operation_not_permitted) {
    return fail(ProbeReason::unreachable, "a local firewall rule refuses the connection");
  }
  if (error == e::timed_out) return fail(ProbeReason::timeout, "the connection timed out");
  if (error == e::connection_reset || error == e::broken_pipe)
    return fail(ProbeReason::reset, "connection reset");
  if (error == e::too_many_files_open || error == e::too_many_files_open_in_system ||
      error == e::no_buffer_space || error == e::not_enough_memory ||
      error == e::address_not_available) {
    return fail(ProbeReason::internal, "this host is out of sockets or memory: " + error.message());
  }
  return fail(ProbeReason::unreachable, protocol::one_line(error.message(), 120));
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

}  // namespace

class Prober::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& context, ProberOptions options, Sink sink)
      : context_(context), options_(std::move(options)), sink_(std::move(sink)) {}

  void perform(const core::StartProbe& probe) {
    if (stopped_) return;
    if (stats_.running < options_.concurrency) {
      start(probe, core::Duration{});
    } else if (waiting_.size() < options_.queue_limit) {
      waiting_.push_back({probe, now()});
    } else {
      ++stats_.overflowed;
      asio::post(context_, [self = shared_from_this(), token = probe.token] {
        self->deliver(token, fail(ProbeReason::internal, "too many probes are waiting"), {}, 0);
      });
    }
  }

  void stop();

  ProberStats stats() const {
    auto result = stats_;
    result.waiting = waiting_.size();
    return result;
  }

 private:
  class Run;
  struct Waiting {
    core::StartProbe probe;
    core::Time since;
  };

  void start(const core::StartProbe& probe, core::Duration lag);
  void finished(const std::shared_ptr<Run>& run, core::ProbeToken token, ProbeVerdict verdict,
                core::Duration took, unsigned status);

  void deliver(const core::ProbeToken& token, ProbeVerdict verdict, core::Duration took,
               unsigned status) {
    if (stopped_) return;
    ++stats_.finished;
    core::ProbeFinished finished{.token = token, .outcome = {}};
    finished.outcome.verdict = verdict.verdict;
    finished.outcome.reason = verdict.reason;
    finished.outcome.sentence = std::move(verdict.sentence);
    finished.outcome.took = took;
    finished.outcome.code = status;
    sink_(std::move(finished));
  }

  asio::io_context& context_;
  ProberOptions options_;
  Sink sink_;
  ProberStats stats_;
  bool stopped_ = false;
  std::deque<Waiting> waiting_;
  std::unordered_set<std::shared_ptr<Run>> running_;
  std::vector<std::shared_ptr<Run>> idle_;
};

/// One probe at a time: [resolve], connect, write, read, judge. Runs are used again, so each
/// handler carries the number of the probe it belongs to and does nothing when another has begun.
class Prober::Impl::Run : public std::enable_shared_from_this<Run> {
 public:
  explicit Run(const std::shared_ptr<Impl>& owner)
      : owner_(owner),
        socket_(owner->context_),
        timer_(owner->context_),
        answer_(owner->options_.header_limit, owner->options_.body_limit) {}

  void begin(const core::StartProbe& probe) {
    token_ = probe.token;
    begun_ = now();
    addresses_.clear();
    next_address_ = 0;
    last_failure_.reset();
    answer_.reset();
    const auto& spec = *probe.spec;
    timeout_ = std::clamp(spec.timeout, shortest_timeout, longest_timeout);
    timer_.expires_after(std::chrono::duration_cast<std::chrono::steady_clock::duration>(timeout_));
    timer_.async_wait([self = shared_from_this(), number = number_](const error_code& error) {
      if (error || number != self->number_) return;
      const auto* what =
          self->answer_.header_seen() ? "the answer did not end within " : "no answer within ";
      self->finish(fail(ProbeReason::timeout, what + for_people(self->timeout_)));
    });
    const auto& host = spec.host.empty() ? probe.address : spec.host;
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

  /// Drops everything, reports nothing.
  void abandon() {
    ++number_;
    error_code ignored;
    timer_.cancel();
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
        owner_->options_.user_agent);
  }

  void resolve(const core::ProbeSpec& spec) {
    if (!resolver_) resolver_.emplace(owner_->context_);
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
                              self->last_failure_ = network_failure(error);
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
            self->finish(network_failure(error));
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
        self->finish(network_failure(error));
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
    asio::post(owner_->context_, [self = shared_from_this(), number = number_,
                                  verdict = std::move(verdict)]() mutable {
      if (number == self->number_) self->finish(std::move(verdict));
    });
  }

  void finish(ProbeVerdict verdict) {
    const auto took = now() - begun_;
    const auto status = answer_.status();
    abandon();
    owner_->finished(shared_from_this(), token_, std::move(verdict), took, status);
  }

  std::shared_ptr<Impl> owner_;
  tcp::socket socket_;
  asio::steady_timer timer_;
  std::optional<tcp::resolver> resolver_;
  ProbeAnswer answer_;
  std::uint64_t number_ = 0;
  core::ProbeToken token_;
  core::Time begun_{};
  core::Duration timeout_{};
  std::string request_;
  std::vector<tcp::endpoint> addresses_;
  std::size_t next_address_ = 0;
  std::optional<ProbeVerdict> last_failure_;
  std::array<char, read_size> buffer_{};
};

void Prober::Impl::start(const core::StartProbe& probe, core::Duration lag) {
  const auto seconds = std::chrono::duration<double>(lag).count();
  const auto bucket =
      std::ranges::lower_bound(probe_lag_bounds, seconds) - probe_lag_bounds.begin();
  ++stats_.lag_buckets.at(static_cast<std::size_t>(bucket));
  stats_.lag_sum += lag;
  stats_.lag_max = std::max(stats_.lag_max, lag);
  std::shared_ptr<Run> run;
  if (idle_.empty()) {
    run = std::make_shared<Run>(shared_from_this());
  } else {
    run = std::move(idle_.back());
    idle_.pop_back();
  }
  ++stats_.running;
  running_.insert(run);
  run->begin(probe);
}

// The token is a copy: the run may begin another probe before the sink is told.
void Prober::Impl::finished(const std::shared_ptr<Run>& run, core::ProbeToken token,
                            ProbeVerdict verdict, core::Duration took, unsigned status) {
  running_.erase(run);
  --stats_.running;
  if (stopped_) return;
  if (idle_.size() < kept_runs) idle_.push_back(run);
  if (!waiting_.empty()) {
    const auto next = std::move(waiting_.front());
    waiting_.pop_front();
    start(next.probe, now() - next.since);
  }
  deliver(token, std::move(verdict), took, status);
}

void Prober::Impl::stop() {
  if (stopped_) return;
  stopped_ = true;
  waiting_.clear();
  idle_.clear();  // they refer to this object
  const auto running = std::exchange(running_, {});
  for (const auto& run : running) run->abandon();
  stats_.running = 0;
}

Prober::Prober(asio::io_context& context, ProberOptions options, Sink sink)
    : impl_(std::make_shared<Impl>(context, std::move(options), std::move(sink))) {}

Prober::~Prober() { stop(); }

void Prober::perform(const core::StartProbe& probe) { impl_->perform(probe); }

void Prober::stop() { impl_->stop(); }

ProberStats Prober::stats() const { return impl_->stats(); }

}  // namespace sentinel::io
