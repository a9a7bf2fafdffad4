#include "io/probe_stream.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "io/probe_text.hpp"

namespace sentinel::io {

using core::ProbeReason;

namespace {

constexpr int reads_at_once = 8;                 // then others have their turn
constexpr std::size_t kept_capacity = 4 * 1024;  // of what was not sent
constexpr std::chrono::steady_clock::time_point not_yet{};

}  // namespace

ProbeStream::ProbeStream(ProbeMeans& means, User& user)
    : means_(means), user_(&user), connector_(means.network, *this) {}

ProbeStream::~ProbeStream() { close(); }

void ProbeStream::open(Connector::Goal goal) {
  close();
  phases_ = {};
  sent_ = first_byte_ = not_yet;
  connector_.open(std::move(goal));
}

void ProbeStream::refuse(core::ProbeOutcome failure) {
  close();
  phases_ = {};
  connector_.refuse(std::move(failure));
}

void ProbeStream::close() {
  ++life_;
  connector_.close();
  if (fd_ < 0) return;
  tls_.reset();
  means_.network.poller.remove(std::exchange(key_, Poller::none));
  ::close(std::exchange(fd_, -1));
  shaking_hands_ = begun_ = readable_ = peer_closed_ = false;
  pending_error_ = 0;
  pending_failure_.reset();
  unsent_.clear();
  if (unsent_.capacity() > kept_capacity) unsent_.shrink_to_fit();
}

void ProbeStream::restart_phases() {
  phases_ = {};
  sent_ = first_byte_ = not_yet;
}

void ProbeStream::on_connected(int fd, Poller::Key key, unsigned events) {
  fd_ = fd;
  key_ = key;
  means_.network.poller.rebind(key, *this);
  phases_.resolve = connector_.phases().resolve;
  phases_.connect = connector_.phases().connect;
  begun_ = true;
  const auto life = life_;
  user_->on_open();
  if (life == life_ && (events & (Poller::readable | Poller::closed)) != 0) on_ready(events);
}

void ProbeStream::on_unconnected(core::ProbeOutcome failure) {
  ++life_;
  user_->on_failed(std::move(failure));
}

void ProbeStream::secure(const core::TlsOptions& options, std::string_view host) {
  tls_began_ = Clock::now();
  if (!tls_.start(means_.tls, fd_, options, host)) {
    pending_failure_ = tls_.failure();
    means_.network.poller.wake(key_);
    return;
  }
  shaking_hands_ = true;
  // The first flight needs no answer of the user.
  means_.network.poller.wake(key_);
}

void ProbeStream::send(std::string_view bytes) {
  sent_ = Clock::now();
  first_byte_ = not_yet;
  if (unsent_.empty() && !tls_.active()) {
    const auto count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0 && errno != EAGAIN) {
      // A peer that refuses in words before it hangs up is heard first: see read().
      pending_error_ = errno;
      means_.network.poller.wake(key_);
      return;
    }
    if (count > 0) bytes.remove_prefix(static_cast<std::size_t>(count));
    unsent_.append(bytes);
    return;
  }
  unsent_.append(bytes);
  if (tls_.active()) flush();
}

void ProbeStream::flush() {
  std::string_view left = unsent_;
  if (tls_.active()) {
    if (tls_.send(left) == TlsClient::Progress::failed) {
      pending_failure_ = tls_.failure();
      means_.network.poller.wake(key_);
    }
  } else if (!left.empty()) {
    const auto count = ::send(fd_, left.data(), left.size(), MSG_NOSIGNAL);
    if (count < 0 && errno != EAGAIN) pending_error_ = errno;
    if (count > 0) left.remove_prefix(static_cast<std::size_t>(count));
  }
  unsent_.erase(0, unsent_.size() - left.size());
}

void ProbeStream::on_ready(unsigned events) {
  if ((events & Poller::readable) != 0) readable_ = true;
  if ((events & Poller::closed) != 0) peer_closed_ = true;
  if (pending_failure_) {
    failed_with(*std::exchange(pending_failure_, std::nullopt));
    return;
  }
  if (shaking_hands_) {
    handshake();
    return;
  }
  if (!unsent_.empty() && (events & Poller::writable) != 0) flush();
  if (readable_ || pending_error_ != 0) read();
}

void ProbeStream::handshake() {
  const auto progress = tls_.handshake();
  if (progress == TlsClient::Progress::again) return;
  phases_.tls = Clock::now() - tls_began_;
  shaking_hands_ = false;
  if (progress != TlsClient::Progress::done) {
    failed_with(tls_.failure());
    return;
  }
  readable_ = true;  // what came behind the handshake is in OpenSSL already
  const auto life = life_;
  user_->on_secure();
  if (life != life_) return;
  read();
}

void ProbeStream::read() {
  const auto life = life_;
  for (int i = 0; i < reads_at_once; ++i) {
    auto& scratch = means_.scratch;
    if (tls_.active() && !shaking_hands_) {
      std::size_t count = 0;
      switch (tls_.receive(scratch.data(), scratch.size(), count)) {
        case TlsClient::Progress::again:
          readable_ = false;
          if (pending_error_ != 0) network_failed(pending_error_);
          return;
        case TlsClient::Progress::done: got({scratch.data(), count}); break;
        case TlsClient::Progress::closed: user_->on_end(); return;
        case TlsClient::Progress::failed: failed_with(tls_.failure()); return;
      }
    } else {
      const auto count = ::recv(fd_, scratch.data(), scratch.size(), 0);
      if (count == 0) {
        user_->on_end();
        return;
      }
      if (count < 0) {
        const int error = errno;
        if (error == EINTR) continue;
        if (error == EAGAIN) readable_ = false;
        if (error != EAGAIN || pending_error_ != 0)
          network_failed(error == EAGAIN ? pending_error_ : error);
        return;
      }
      const auto size = static_cast<std::size_t>(count);
      if (size < scratch.size() && !peer_closed_) readable_ = false;
      got({scratch.data(), size});
    }
    if (life != life_ || shaking_hands_ || !readable_) return;
  }
  means_.network.poller.wake(key_);
}

void ProbeStream::got(std::string_view bytes) {
  if (first_byte_ == not_yet) {
    first_byte_ = Clock::now();
    if (sent_ != not_yet) phases_.processing = first_byte_ - sent_;
  }
  user_->on_data(bytes);
}

void ProbeStream::network_failed(int error) { failed_with(network_failure(error)); }

void ProbeStream::failed_with(core::ProbeOutcome failure) {
  failure.phases = phases();
  if (!failure.cert_not_after) failure.cert_not_after = tls_.not_after();
  close();
  user_->on_failed(std::move(failure));
}

core::ProbePhases ProbeStream::phases() const {
  auto phases = phases_;
  if (fd_ < 0 && phases == core::ProbePhases{}) return connector_.phases();
  if (first_byte_ != not_yet) phases.transfer = Clock::now() - first_byte_;
  return phases;
}

core::ProbeOutcome ProbeStream::timed_out(core::Duration timeout, std::string_view waiting) const {
  if (connector_.busy()) return connector_.timed_out(timeout);
  auto outcome =
      shaking_hands_
          ? failed(ProbeReason::timeout, "no TLS handshake within " + for_people(timeout))
          : failed(ProbeReason::timeout, std::string{waiting} + " within " + for_people(timeout));
  outcome.phases = phases();
  outcome.cert_not_after = tls_.not_after();
  return outcome;
}

}  // namespace sentinel::io
