#include "io/icmp_socket.hpp"

#include <linux/errqueue.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <string_view>
#include <system_error>
#include <utility>

#include "io/runtime.hpp"
#include "io/socket_address.hpp"

namespace sentinel::io {

using core::Family;

namespace {

constexpr unsigned packets_per_turn = 512;
constexpr unsigned errors_per_turn = 512;
constexpr int receive_bytes = 1 << 20;  // replies of thousands of targets may come at once
constexpr std::size_t packet_bytes = 1280;

template <class Value>
int set(int fd, int level, int option, const Value& value) {
  return ::setsockopt(fd, level, option, &value, sizeof value) == 0 ? 0 : errno;
}

}  // namespace

IcmpSocket::~IcmpSocket() {
  poller_.remove(key_);
  if (fd_ >= 0) ::close(fd_);
}

std::expected<void, std::string> IcmpSocket::open() {
  if (fd_ >= 0) return {};
  const int domain = family_ == Family::v4 ? AF_INET : AF_INET6;
  const int protocol = family_ == Family::v4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6};
  constexpr int flags = SOCK_CLOEXEC | SOCK_NONBLOCK;
  fd_ = ::socket(domain, SOCK_DGRAM | flags, protocol);
  raw_ = fd_ < 0 && (errno == EACCES || errno == EPERM || errno == EPROTONOSUPPORT);
  if (raw_) fd_ = ::socket(domain, SOCK_RAW | flags, protocol);
  int error = fd_ < 0 ? errno : 0;
  if (raw_ && (error == EACCES || error == EPERM)) {
    return std::unexpected(
        "echo requests are not permitted: widen the sysctl net.ipv4.ping_group_range to the "
        "monitor's group, or give it CAP_NET_RAW");
  }
  if (error == 0) error = prepare();
  if (error == 0) return {};
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  return std::unexpected("no socket for echo requests: " + std::generic_category().message(error));
}

int IcmpSocket::prepare() {
  set(fd_, SOL_SOCKET, SO_RCVBUF, receive_bytes);  // as much of it as the system allows
  int error = 0;
  if (raw_) {
    // The kernel drops what we would.
    if (family_ == Family::v4) {
      const std::uint32_t wanted =
          1U << ICMP_ECHOREPLY | 1U << ICMP_DEST_UNREACH | 1U << ICMP_TIME_EXCEEDED;
      error = set(fd_, SOL_RAW, ICMP_FILTER, icmp_filter{~wanted});
    } else {
      icmp6_filter filter{};
      ICMP6_FILTER_SETBLOCKALL(&filter);
      for (const int type : {ICMP6_ECHO_REPLY, ICMP6_DST_UNREACH, ICMP6_PACKET_TOO_BIG,
                             ICMP6_TIME_EXCEEDED, ICMP6_PARAM_PROB})
        ICMP6_FILTER_SETPASS(type, &filter);
      error = set(fd_, IPPROTO_ICMPV6, ICMP6_FILTER, filter);
    }
    if (::getrandom(&id_, sizeof id_, GRND_NONBLOCK) != static_cast<ssize_t>(sizeof id_))
      error = error != 0 ? error : EAGAIN;
  } else {
    error = family_ == Family::v4 ? set(fd_, IPPROTO_IP, IP_RECVERR, 1)
                                  : set(fd_, IPPROTO_IPV6, IPV6_RECVERR, 1);
  }
  if (error != 0) return error;
  if (key_ == Poller::none) key_ = poller_.add(*this);
  return poller_.watch(key_, fd_);
}

std::expected<std::uint16_t, int> IcmpSocket::send(const core::IpAddress& target, User& user) {
  if (flights_.size() > std::numeric_limits<std::uint16_t>::max()) return std::unexpected(EAGAIN);
  while (flights_.contains(next_)) ++next_;
  const std::uint16_t sequence = next_++;
  Flight flight{.user = &user, .target = target};
  if (::getrandom(&flight.token, sizeof flight.token, GRND_NONBLOCK) !=
      static_cast<ssize_t>(sizeof flight.token))
    return std::unexpected(EAGAIN);
  const auto packet = protocol::icmp_echo_request(
      family_, {.id = id_, .sequence = sequence, .token = flight.token});
  const auto to = socket_address(target, 0);
  flight.sent = now();
  // A failure may be an earlier packet's, which the socket reports when it is used next: those are
  // in the error queue as well, and taking them out of there clears them.
  for (int attempt = 0; attempt < 3; ++attempt) {
    if (::sendto(fd_, packet.data(), packet.size(), MSG_NOSIGNAL, to.get(), to.size) >= 0) {
      flights_.emplace(sequence, std::move(flight));
      return sequence;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK || raw_) break;
    const int error = errno;
    if (attempt < 2) drain_errors();
    errno = error;
  }
  return std::unexpected(errno);
}

void IcmpSocket::on_ready(unsigned /*events*/) { collect(); }

void IcmpSocket::collect() {
  if (!raw_) drain_errors();
  for (unsigned i = 0; i < packets_per_turn; ++i) {
    if (!receive()) return;
  }
  poller_.wake(key_);  // others first
}

/// False: nothing is left.
bool IcmpSocket::receive() {
  std::array<char, packet_bytes> buffer{};
  sockaddr_storage from{};
  socklen_t from_size = sizeof from;
  const auto size = ::recvfrom(fd_, buffer.data(), buffer.size(), 0,
                               reinterpret_cast<sockaddr*>(&from), &from_size);
  if (size < 0) {
    // Another errno is an ICMP error of some packet: the error queue has it.
    if (errno == EAGAIN || errno == EWOULDBLOCK) return false;
    if (!raw_) drain_errors();
    return true;
  }
  const auto source = ip_address(from);
  if (!source) return true;
  const auto message =
      protocol::parse_icmp(family_, std::string_view(buffer.data(), static_cast<std::size_t>(size)),
                           raw_ && family_ == Family::v4);
  if (const auto* echo = std::get_if<protocol::IcmpEcho>(&message)) {
    on_echo(*echo, *source);
  } else if (const auto* failure = std::get_if<protocol::IcmpFailure>(&message)) {
    if (failure->id == id_) on_error(failure->error, failure->target, failure->sequence);
  }
  return true;
}

void IcmpSocket::drain_errors() {
  for (unsigned i = 0; i < errors_per_turn; ++i) {
    std::array<char, packet_bytes> buffer{};
    alignas(cmsghdr) std::array<char, 512> control{};
    sockaddr_storage target{};
    iovec part{.iov_base = buffer.data(), .iov_len = buffer.size()};
    msghdr message{};
    message.msg_name = &target;
    message.msg_namelen = sizeof target;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const auto size = ::recvmsg(fd_, &message, MSG_ERRQUEUE);
    if (size < 0) return;
    const auto address = ip_address(target);
    const auto request = protocol::parse_icmp_request(
        family_, std::string_view(buffer.data(), static_cast<std::size_t>(size)));
    if (!address || !request) continue;
    for (cmsghdr* part_of = CMSG_FIRSTHDR(&message); part_of != nullptr;
         part_of = CMSG_NXTHDR(&message, part_of)) {
      const bool ours = (part_of->cmsg_level == IPPROTO_IP && part_of->cmsg_type == IP_RECVERR) ||
                        (part_of->cmsg_level == IPPROTO_IPV6 && part_of->cmsg_type == IPV6_RECVERR);
      if (!ours) continue;
      sock_extended_err error{};
      std::memcpy(&error, CMSG_DATA(part_of), sizeof error);
      if (error.ee_origin != SO_EE_ORIGIN_ICMP && error.ee_origin != SO_EE_ORIGIN_ICMP6) continue;
      if (const auto why = protocol::icmp_error(family_, error.ee_type, error.ee_code))
        on_error(*why, *address, request->sequence);
    }
  }
}

void IcmpSocket::on_echo(const protocol::IcmpEcho& echo, const core::IpAddress& source) {
  const auto at = flights_.find(echo.sequence);
  if (at == flights_.end()) return;
  const Flight& flight = at->second;
  if ((raw_ && echo.id != id_) || echo.token != flight.token || source != flight.target) return;
  User& user = *flight.user;
  const auto round_trip = now() - flight.sent;
  flights_.erase(at);
  user.on_reply(echo.sequence, round_trip);
}

void IcmpSocket::on_error(protocol::IcmpError error, const core::IpAddress& target,
                          std::uint16_t sequence) {
  const auto at = flights_.find(sequence);
  if (at == flights_.end() || at->second.target != target) return;
  User& user = *at->second.user;
  flights_.erase(at);
  user.on_refused(sequence, error);
}

}  // namespace sentinel::io
