#include "io/connector.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "io/probe_text.hpp"
#include "io/runtime.hpp"

namespace sentinel::io {

using core::ProbeReason;
using namespace std::chrono_literals;

namespace {

constexpr core::Duration stagger = 250ms;  // RFC 8305, section 8
constexpr std::size_t max_candidates = 4;  // and so attempts at once

bool printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

/// Families take turns, beginning with that of the first address; otherwise the order stays.
std::vector<core::IpAddress> interleaved(const Resolver::Addresses& addresses) {
  std::vector<core::IpAddress> result;
  std::vector<core::IpAddress> same;
  std::vector<core::IpAddress> other;
  for (const auto& address : addresses)
    (address.family == addresses.front().family ? same : other).push_back(address);
  for (std::size_t i = 0; result.size() < max_candidates && i < addresses.size(); ++i) {
    if (i < same.size()) result.push_back(same[i]);
    if (i < other.size() && result.size() < max_candidates) result.push_back(other[i]);
  }
  return result;
}

/// A packet less for each connection, and one less when its answer is followed by our close. Only a
/// wish: what is not sent within 40 ms is acknowledged by itself (tcp(7), TCP_QUICKACK).
void acknowledge_with_data(int fd) {
  const int off = 0;
  ::setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &off, sizeof off);
}

/// 0 or EINPROGRESS when it is on its way, else errno.
int start_connect(int fd, const core::IpAddress& address, std::uint16_t port) {
  if (address.family == core::Family::v4) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    std::memcpy(&to.sin_addr, address.bytes.data(), 4);
    return ::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0 ? 0 : errno;
  }
  sockaddr_in6 to{};
  to.sin6_family = AF_INET6;
  to.sin6_port = htons(port);
  std::memcpy(&to.sin6_addr, address.bytes.data(), 16);
  return ::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0 ? 0 : errno;
}

/// The more it says about the service, the higher.
int telling(ProbeReason reason) {
  switch (reason) {
    case ProbeReason::refused: return 4;
    case ProbeReason::reset: return 3;
    case ProbeReason::timeout: return 2;
    case ProbeReason::unreachable: return 1;
    default: return 0;
  }
}

}  // namespace

Connector::Connector(NetworkMeans& means, User& user) : means_(means), user_(user) {}

Connector::~Connector() { close(); }

void Connector::open(Goal goal) {
  close();
  goal_ = std::move(goal);
  phases_ = {};
  failure_.reset();
  began_ = std::chrono::steady_clock::now();
  key_ = means_.poller.add(*this);
  candidates_.clear();
  next_ = 0;
  const bool own = goal_.host.empty();
  const std::string& host = own ? goal_.address : goal_.host;
  if (host.empty()) {
    fail_later(failed(ProbeReason::no_address, "no address on a shared network"));
    return;
  }
  if (!printable(host)) {
    fail_later(failed(ProbeReason::internal, "the probe's host is not valid"));
    return;
  }
  if (const auto address = core::IpAddress::parse(host)) {
    if (!own && forbidden_address(*address)) {
      fail_later(
          failed(ProbeReason::unreachable, "link-local and metadata addresses are not probed"));
      return;
    }
    candidates_.push_back(*address);
    stage_ = Stage::connecting;
    next_attempt();
    return;
  }
  if (const auto* answer = means_.resolver.known(host)) {
    resolved(*answer);
    return;
  }
  stage_ = Stage::resolving;
  ticket_ = means_.resolver.resolve(host, [this](const Resolver::Answer& answer) {
    ticket_.reset();
    phases_.resolve = std::chrono::steady_clock::now() - began_;
    began_ = std::chrono::steady_clock::now();
    resolved(answer);
  });
}

void Connector::refuse(core::ProbeOutcome failure) {
  close();
  phases_ = {};
  candidates_.clear();
  key_ = means_.poller.add(*this);
  fail_later(std::move(failure));
}

void Connector::resolved(const Resolver::Answer& answer) {
  if (!answer) {
    fail_later(failed(ProbeReason::resolve, answer.error().text));
    return;
  }
  candidates_ = interleaved(*answer);
  stage_ = Stage::connecting;
  next_attempt();
}

void Connector::next_attempt() {
  while (next_ < candidates_.size()) {
    const auto& address = candidates_[next_++];
    const int family = address.family == core::Family::v4 ? AF_INET : AF_INET6;
    const int fd = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd >= 0 && goal_.speaks_first) acknowledge_with_data(fd);
    int error = fd < 0 ? errno : start_connect(fd, address, goal_.port);
    if (error == EINPROGRESS) error = 0;
    if (error == 0) error = means_.poller.watch(key_, fd);
    if (error != 0) {
      if (fd >= 0) ::close(fd);
      note(network_failure(error));
      continue;
    }
    attempts_.push_back({.fd = fd, .address = address});
    if (next_ < candidates_.size()) {
      if (!stagger_) {
        stagger_ = std::make_unique<Alarm>(means_.context, [this] {
          if (stage_ == Stage::connecting) next_attempt();
        });
      }
      stagger_->set(now() + stagger);
    }
    return;
  }
  if (attempts_.empty())
    fail_later(std::move(failure_).value_or(failed(ProbeReason::internal, "no address to try")));
}

void Connector::on_ready(unsigned events) {
  if (stage_ == Stage::failing) {
    fail(*std::exchange(failure_, std::nullopt));
    return;
  }
  // All attempts share one key: the poller says that one of them is ready, not which.
  if (attempts_.size() == 1 && (events & Poller::closed) == 0) {
    if ((events & Poller::writable) != 0) connected(0, events);
    return;
  }
  for (std::size_t i = attempts_.size(); i-- > 0 && stage_ == Stage::connecting;) check(i);
}

void Connector::check(std::size_t index) {
  const int fd = attempts_[index].fd;
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  sockaddr_storage peer{};
  socklen_t length = sizeof peer;
  if (error != 0) {
    ::close(fd);
    attempts_.erase(attempts_.begin() + static_cast<std::ptrdiff_t>(index));
    attempt_failed(error);
  } else if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &length) == 0) {
    // Whatever else was reported for it may have been lost among the others.
    connected(index, Poller::readable | Poller::writable | Poller::closed);
  }
}

void Connector::attempt_failed(int error) {
  note(network_failure(error));
  next_attempt();
}

void Connector::note(core::ProbeOutcome failure) {
  if (!failure_ || telling(failure.reason) > telling(failure_->reason))
    failure_ = std::move(failure);
}

void Connector::connected(std::size_t index, unsigned events) {
  const int fd = std::exchange(attempts_[index].fd, -1);
  address_ = attempts_[index].address;
  phases_.connect = std::chrono::steady_clock::now() - began_;
  const auto key = std::exchange(key_, Poller::none);
  close();
  user_.on_connected(fd, key, events);
}

void Connector::fail(core::ProbeOutcome failure) {
  close();
  failure.phases = phases_;
  user_.on_unconnected(std::move(failure));
}

void Connector::fail_later(core::ProbeOutcome failure) {
  if (!candidates_.empty() && !goal_.host.empty()) means_.resolver.forget(goal_.host);
  stage_ = Stage::failing;
  failure_ = std::move(failure);
  means_.poller.wake(key_);
}

void Connector::drop_attempts() {
  for (const auto& attempt : attempts_)
    if (attempt.fd >= 0) ::close(attempt.fd);
  attempts_.clear();
}

void Connector::close() {
  if (stage_ == Stage::idle) return;
  stage_ = Stage::idle;
  if (ticket_) means_.resolver.cancel(*std::exchange(ticket_, std::nullopt));
  if (stagger_) stagger_->set(std::nullopt);
  means_.poller.remove(std::exchange(key_, Poller::none));
  drop_attempts();
}

core::ProbeOutcome Connector::timed_out(core::Duration timeout) const {
  auto outcome =
      stage_ == Stage::resolving
          ? failed(ProbeReason::resolve, "the name was not resolved within " + for_people(timeout))
          : failed(ProbeReason::timeout, "no connection within " + for_people(timeout));
  outcome.phases = phases_;
  return outcome;
}

}  // namespace sentinel::io
