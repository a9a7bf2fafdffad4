#pragma once

// From a host and a port to a connected, non-blocking TCP socket: name, addresses, and which of
// them answers first (RFC 8305: families take turns, the next attempt begins after 250 ms or when
// the last one has failed).

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/ip.hpp"
#include "core/probe_spec.hpp"
#include "io/poller.hpp"
#include "io/resolver.hpp"

namespace sentinel::io {

class Alarm;

/// What a connector needs; outlives it.
struct NetworkMeans {
  boost::asio::io_context& context;
  Poller poller;
  Resolver resolver;
};

class Connector final : private Poller::Watcher {
 public:
  class User {
   public:
    User() = default;
    User(const User&) = delete;
    User& operator=(const User&) = delete;
    /// The descriptor is the user's now, to be closed, and so is the key it is watched under (see
    /// Poller::rebind). `events` have been reported already. Never called from inside open().
    virtual void on_connected(int fd, Poller::Key key, unsigned events) = 0;
    /// Resolve, refused, unreachable, reset, timeout, no_address or internal, with a sentence.
    virtual void on_unconnected(core::ProbeOutcome failure) = 0;

   protected:
    ~User() = default;
  };

  Connector(NetworkMeans& means, User& user);
  ~Connector();

  struct Goal {
    std::string host;     // a name, or an address; forbidden ones are refused
    std::string address;  // used when `host` is empty: the container's own, as the Engine gives it
    std::uint16_t port = 0;
    // We send at once when it stands: the last packet of the handshake then travels with that.
    bool speaks_first = false;
  };
  /// One of the user's functions is called once, unless close() comes first.
  void open(Goal goal);
  /// on_unconnected() with this, soon: for what the user finds wrong before it opens.
  void refuse(core::ProbeOutcome failure);
  /// Drops everything. Safe at any time.
  void close();

  /// For a timeout that is over: "no connection within 2 s", "the name was not resolved within
  /// 2 s".
  core::ProbeOutcome timed_out(core::Duration timeout) const;
  /// `resolve` and `connect`, as far as they came.
  const core::ProbePhases& phases() const { return phases_; }
  /// Where the connection leads, once connected.
  const core::IpAddress& address() const { return address_; }
  /// Whether an attempt is under way.
  bool busy() const { return stage_ != Stage::idle; }

 private:
  enum class Stage : std::uint8_t { idle, failing, resolving, connecting };
  struct Attempt {
    int fd = -1;
    core::IpAddress address;
  };

  void on_ready(unsigned events) override;
  void resolved(const Resolver::Answer& answer);
  void next_attempt();
  void check(std::size_t index);
  void attempt_failed(int error);
  void connected(std::size_t index, unsigned events);
  void fail(core::ProbeOutcome failure);
  void fail_later(core::ProbeOutcome failure);
  void drop_attempts();
  void note(core::ProbeOutcome failure);

  NetworkMeans& means_;
  User& user_;
  Stage stage_ = Stage::idle;
  Goal goal_;
  Poller::Key key_ = Poller::none;
  std::optional<Resolver::Ticket> ticket_;
  std::vector<core::IpAddress> candidates_;
  std::size_t next_ = 0;
  std::vector<Attempt> attempts_;
  std::optional<core::ProbeOutcome> failure_;  // the most telling so far
  std::unique_ptr<Alarm> stagger_;             // only made for names with several addresses
  std::chrono::steady_clock::time_point began_;
  core::ProbePhases phases_;
  core::IpAddress address_;
};

}  // namespace sentinel::io
