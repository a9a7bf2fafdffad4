#include "io/probe_dns.hpp"

#include <netinet/in.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <format>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "io/address_lookup.hpp"
#include "io/probe_means.hpp"
#include "io/probe_stream.hpp"
#include "io/probe_text.hpp"
#include "io/runtime.hpp"
#include "io/socket_address.hpp"
#include "protocol/dns.hpp"

namespace sentinel::io {

using core::ProbeOutcome;
using core::ProbeReason;

namespace {

constexpr unsigned ignored_limit = 64;
constexpr std::size_t length_bytes = 2;

/// Unguessable, as a spoofed answer must repeat it.
std::optional<std::uint16_t> random_id() {
  std::uint16_t id = 0;
  if (::getrandom(&id, sizeof id, GRND_NONBLOCK) != static_cast<ssize_t>(sizeof id))
    return std::nullopt;
  return id;
}

class DnsRun final : public ProbeRun, private Poller::Watcher, private ProbeStream::User {
 public:
  explicit DnsRun(std::shared_ptr<ProbeMeans> means)
      : means_(std::move(means)),
        lookup_(network().resolver),
        stream_(*means_, *this),
        key_(network().poller.add(*this)) {}
  ~DnsRun() override {
    DnsRun::abandon();
    network().poller.remove(key_);
  }

  void begin(ProbeTask task, Done done) override {
    task_ = std::move(task);
    done_ = std::move(done);
    phases_ = {};
    ignored_ = 0;
    const auto id = random_id();
    if (!id) return fail_later(failed(ProbeReason::internal, "no random numbers"));
    auto query = protocol::make_dns_query(options().name, options().type, *id);
    if (!query) return fail_later(failed(ProbeReason::internal, std::move(query.error().message)));
    query_ = std::move(*query);
    if (options().tcp) {
      open_tcp({task_.spec->host, task_.address, task_.spec->port});
      return;
    }
    resolve();
  }

  ProbeOutcome timed_out() override {
    const auto timeout = task_.spec->timeout;
    ProbeOutcome outcome;
    if (pending_) {
      outcome = std::move(*pending_);
    } else if (stage_ == Stage::resolving) {
      outcome =
          failed(ProbeReason::resolve, "the name was not resolved within " + for_people(timeout));
    } else if (stage_ == Stage::tcp) {
      outcome = stream_.timed_out(timeout, "no answer");
      note_phases();
    } else {
      outcome = failed(ProbeReason::timeout, "no answer within " + for_people(timeout));
      if (ignored_ > 0) {
        outcome.sentence +=
            std::format("; {} that did not belong to the question {} ignored",
                        ignored_ == 1 ? "a datagram" : std::format("{} datagrams", ignored_),
                        ignored_ == 1 ? "was" : "were");
      }
    }
    outcome.phases = phases_;
    abandon();
    return outcome;
  }

  void abandon() override {
    lookup_.cancel();
    stream_.close();
    close_socket();
    pending_.reset();
    done_ = nullptr;
    stage_ = Stage::idle;
    received_ = {};
  }

 private:
  enum class Stage : std::uint8_t { idle, resolving, udp, tcp };

  NetworkMeans& network() { return means_->network; }
  const core::DnsOptions& options() const { return task_.spec->dns; }

  void resolve() {
    stage_ = Stage::resolving;
    lookup_.begin(task_, [this](AddressLookup::Found found, core::Duration took) {
      phases_.resolve = took;
      if (found)
        ask_udp(*found);
      else
        fail_later(std::move(found.error()));
    });
  }

  void ask_udp(const core::IpAddress& address) {
    stage_ = Stage::udp;
    address_ = address;
    const int family = address.family == core::Family::v4 ? AF_INET : AF_INET6;
    fd_ = ::socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd_ < 0) return fail_later(network_failure(errno));
    // Else a router's word that there is no way is not passed on.
    const int on = 1;
    const bool v4 = family == AF_INET;
    if (::setsockopt(fd_, v4 ? int{IPPROTO_IP} : int{IPPROTO_IPV6},
                     v4 ? int{IP_RECVERR} : int{IPV6_RECVERR}, &on, sizeof on) != 0)
      return fail_later(network_failure(errno));
    const auto to = socket_address(address, task_.spec->port);
    if (::connect(fd_, to.get(), to.size) != 0) return fail_later(network_failure(errno));
    if (const int error = network().poller.watch(key_, fd_))
      return fail_later(network_failure(error));
    sent_ = now();
    if (::send(fd_, query_.bytes.data(), query_.bytes.size(), MSG_NOSIGNAL) < 0)
      fail_later(network_failure(errno));
  }

  void open_tcp(Connector::Goal goal) {
    close_socket();
    stage_ = Stage::tcp;
    received_.clear();
    stream_.open(std::move(goal));
  }

  void on_open() override {
    std::string message{static_cast<char>(query_.bytes.size() >> 8U),
                        static_cast<char>(query_.bytes.size() & 0xFFU)};
    message += query_.bytes;
    stream_.send(message);
  }

  void on_secure() override {}

  void on_data(std::string_view bytes) override {
    // One message is at most 64 KiB long, and what comes behind it is not looked at.
    received_ += bytes;
    if (received_.size() < length_bytes) return;
    const std::size_t length = static_cast<unsigned char>(received_[0]) * std::size_t{256} +
                               static_cast<unsigned char>(received_[1]);
    if (received_.size() < length_bytes + length) return;
    judge(protocol::read_dns_answer(query_,
                                    std::string_view(received_).substr(length_bytes, length)));
  }

  void on_end() override {
    finish(failed(ProbeReason::reset, received_.empty()
                                          ? "the server closed the connection without an answer"
                                          : "the server closed the connection in mid-answer"));
  }

  void on_failed(ProbeOutcome failure) override { finish(std::move(failure)); }

  void on_ready(unsigned /*events*/) override {
    if (pending_) return finish(*std::exchange(pending_, std::nullopt));
    if (stage_ == Stage::udp) drive_udp();
  }

  void drive_udp() {
    std::array<char, 4096> buffer{};
    while (true) {
      const auto size = ::recv(fd_, buffer.data(), buffer.size(), 0);
      if (size < 0) {
        if (errno == EINTR) continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK) return;
        return finish(errno == ECONNREFUSED ? failed(ProbeReason::refused,
                                                     "connection refused: no server at the port")
                                            : network_failure(errno));
      }
      const auto reading = protocol::read_dns_answer(
          query_, std::string_view(buffer.data(), static_cast<std::size_t>(size)));
      if (std::holds_alternative<protocol::DnsForeign>(reading)) {
        if (++ignored_ < ignored_limit) continue;
        return finish(failed(ProbeReason::protocol,
                             "the server sends answers that do not belong to the question"));
      }
      if (std::holds_alternative<protocol::DnsTruncated>(reading)) {
        const bool named = !task_.spec->host.empty();
        const auto text = address_.to_string();
        return open_tcp({named ? text : "", named ? "" : text, task_.spec->port});
      }
      return judge(reading);
    }
  }

  void judge(const protocol::DnsReading& reading) {
    if (stage_ == Stage::udp) phases_.processing = now() - sent_;
    if (const auto* answer = std::get_if<protocol::DnsAnswer>(&reading))
      return finish(protocol::judge_dns(options(), *answer));
    if (const auto* error = std::get_if<protocol::Error>(&reading))
      return finish(failed(ProbeReason::protocol, error->message));
    finish(failed(ProbeReason::protocol, std::holds_alternative<protocol::DnsTruncated>(reading)
                                             ? "the answer is truncated over TCP as well"
                                             : "the answer does not belong to the question"));
  }

  /// Of the exchange over TCP; an answer over UDP that sent us there is part of the way.
  void note_phases() {
    if (stage_ != Stage::tcp) return;
    const auto resolve = phases_.resolve;
    phases_ = stream_.phases();
    if (!options().tcp) phases_.resolve = resolve;
  }

  void close_socket() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

  void fail_later(ProbeOutcome outcome) {
    pending_ = std::move(outcome);
    network().poller.wake(key_);
  }

  void finish(ProbeOutcome outcome) {
    note_phases();
    outcome.phases = phases_;
    const Done done = std::move(done_);
    abandon();
    if (done) done(std::move(outcome));
  }

  std::shared_ptr<ProbeMeans> means_;
  AddressLookup lookup_;
  ProbeStream stream_;
  Poller::Key key_;
  ProbeTask task_;
  Done done_;
  Stage stage_ = Stage::idle;
  std::optional<ProbeOutcome> pending_;
  protocol::DnsQuery query_;
  core::IpAddress address_;
  int fd_ = -1;
  std::string received_;
  unsigned ignored_ = 0;
  core::Time sent_{};
  core::ProbePhases phases_;
};

}  // namespace

std::unique_ptr<ProbeRun> make_dns_run(std::shared_ptr<ProbeMeans> means) {
  return std::make_unique<DnsRun>(std::move(means));
}

}  // namespace sentinel::io
