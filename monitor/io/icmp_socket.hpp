#pragma once

// The one ICMP socket of a family, and the echo requests that are under way on it.

#include <cstdint>
#include <expected>
#include <string>
#include <unordered_map>

#include "core/ip.hpp"
#include "core/time.hpp"
#include "io/poller.hpp"
#include "protocol/icmp.hpp"

namespace sentinel::io {

class IcmpSocket final : private Poller::Watcher {
 public:
  class User {
   public:
    User() = default;
    User(const User&) = delete;
    User& operator=(const User&) = delete;
    virtual void on_reply(std::uint16_t sequence, core::Duration round_trip) = 0;
    virtual void on_refused(std::uint16_t sequence, protocol::IcmpError why) = 0;

   protected:
    ~User() = default;
  };

  IcmpSocket(Poller& poller, core::Family family) : poller_(poller), family_(family) {}
  ~IcmpSocket();

  /// Opens the socket unless it is open; the error is a sentence that says what to do.
  std::expected<void, std::string> open();
  /// Sends one request. The sequence number is held until release() or a call of the user's, of
  /// which there is one at most. The error is errno; EAGAIN when all numbers are taken.
  std::expected<std::uint16_t, int> send(const core::IpAddress& target, User& user);
  void release(std::uint16_t sequence) { flights_.erase(sequence); }
  /// Takes what has arrived, now.
  void collect();

 private:
  struct Flight {
    User* user = nullptr;
    core::IpAddress target;
    std::uint64_t token = 0;
    core::Time sent{};
  };

  void on_ready(unsigned events) override;
  bool receive();
  void drain_errors();
  void on_echo(const protocol::IcmpEcho& echo, const core::IpAddress& source);
  void on_error(protocol::IcmpError error, const core::IpAddress& target, std::uint16_t sequence);
  int prepare();

  Poller& poller_;
  core::Family family_;
  Poller::Key key_ = Poller::none;
  int fd_ = -1;
  bool raw_ = false;
  std::uint16_t id_ = 0;  // raw only; a ping socket's is looked after by the kernel
  std::uint16_t next_ = 0;
  std::unordered_map<std::uint16_t, Flight> flights_;
};

}  // namespace sentinel::io
