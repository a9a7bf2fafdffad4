#pragma once

// A probe's connection: host and port to bytes, with TLS from the start or later (STARTTLS), and
// with the time of each phase.
//
// The user is told in its own functions, never from inside open(), secure() or send(), and may call
// close() or open() from any of them. It must live as long as the stream.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/probe_spec.hpp"
#include "io/connector.hpp"
#include "io/probe_means.hpp"

namespace sentinel::io {

class ProbeStream final : private Connector::User, private Poller::Watcher {
 public:
  class User {
   public:
    User() = default;
    User(const User&) = delete;
    User& operator=(const User&) = delete;
    virtual void on_open() = 0;
    /// The handshake is done and the certificate good enough; see tls_verdict().
    virtual void on_secure() = 0;
    /// Valid during the call only. What was received before secure() is not carried over: with
    /// STARTTLS the user refuses bytes behind the reply that allows TLS.
    virtual void on_data(std::string_view bytes) = 0;
    /// The peer ended its side properly.
    virtual void on_end() = 0;
    /// Any reason of network, name or TLS, with phases; the stream is closed.
    virtual void on_failed(core::ProbeOutcome failure) = 0;

   protected:
    ~User() = default;
  };

  ProbeStream(ProbeMeans& means, User& user);
  ~ProbeStream();

  /// Who is told from now on.
  void set_user(User& user) { user_ = &user; }

  void open(Connector::Goal goal);
  /// on_failed() with this, soon: for what the user finds wrong before it opens.
  void refuse(core::ProbeOutcome failure);
  /// TLS from here on. `host` as in TlsClient::start; `options` must live until the stream is
  /// closed.
  void secure(const core::TlsOptions& options, std::string_view host);
  /// What the socket does not take at once is kept and sent when it does.
  void send(std::string_view bytes);
  void close();
  /// The next exchange on a connection that stays open begins: its phases are counted from zero.
  void restart_phases();

  /// What became of the time that is over: the stream's part of ProbeRun::timed_out(). `waiting`
  /// is said when the connection stands: "no answer".
  core::ProbeOutcome timed_out(core::Duration timeout, std::string_view waiting) const;

  /// Resolve, connect and tls; processing from the last send to the first byte after it; transfer
  /// from that byte to now.
  core::ProbePhases phases() const;
  bool is_open() const { return fd_ >= 0; }
  /// Pass or warn (expiring), with cert_not_after; a failure of TLS has it as well.
  const core::ProbeOutcome& tls_verdict() const { return tls_.verdict(); }
  std::string tls_version() const { return tls_.version(); }
  const core::IpAddress& address() const { return connector_.address(); }

 private:
  using Clock = std::chrono::steady_clock;

  void on_connected(int fd, Poller::Key key, unsigned events) override;
  void on_unconnected(core::ProbeOutcome failure) override;
  void on_ready(unsigned events) override;
  void handshake();
  void flush();
  void read();
  void got(std::string_view bytes);
  void failed_with(core::ProbeOutcome failure);
  void network_failed(int error);

  ProbeMeans& means_;
  User* user_;
  Connector connector_;
  TlsClient tls_;
  int fd_ = -1;
  Poller::Key key_ = Poller::none;
  std::uint64_t life_ = 0;  // changes with each open() and close()
  bool shaking_hands_ = false;
  bool begun_ = false;        // the user knows that it is open
  bool readable_ = false;     // not known to be drained
  bool peer_closed_ = false;  // so read on until its end
  int pending_error_ = 0;
  std::optional<core::ProbeOutcome> pending_failure_;
  std::string unsent_;
  Clock::time_point tls_began_;
  Clock::time_point sent_;
  Clock::time_point first_byte_;
  core::ProbePhases phases_;
};

}  // namespace sentinel::io
