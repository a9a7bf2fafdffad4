#pragma once

// Readiness of many short-lived descriptors, for the price of one epoll_ctl each.
//
// A probe's connection lives for a few system calls; what Asio adds to them (a second epoll_ctl,
// FIONBIO, poll and SO_ERROR after connect, a receive that finds nothing) is a tenth of the whole
// probe. So probes have an epoll instance of their own, which the loop watches as one descriptor.
//
// Descriptors are watched edge-triggered, for reading and writing at once: whoever is told must
// read until EAGAIN or a short read (and then on, if the peer has closed: `closed`). Keys carry a
// generation, so a watcher may be removed or destroyed at any time, also from inside a call.

#include <cstddef>
#include <cstdint>
#include <memory>

namespace boost::asio {
class io_context;
}

namespace sentinel::io {

class Poller {
 public:
  enum Events : unsigned {
    woken = 0,  // by wake()
    readable = 1,
    writable = 2,
    closed = 4,  // the peer ended its side, or the connection failed
  };

  class Watcher {
   public:
    Watcher() = default;
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;
    /// On the loop's thread, never from inside a call to the poller.
    virtual void on_ready(unsigned events) = 0;

   protected:
    ~Watcher() = default;
  };

  using Key = std::uint64_t;
  static constexpr Key none = 0;

  explicit Poller(boost::asio::io_context& context);
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  /// Never `none`.
  Key add(Watcher& watcher);
  /// The descriptor must be non-blocking; it is not owned. Closing it ends the watch. Several
  /// descriptors may be watched under one key. Returns 0 or errno.
  int watch(Key key, int fd);
  /// What is watched under the key is told to another watcher from now on.
  void rebind(Key key, Watcher& watcher);
  /// on_ready(woken) soon.
  void wake(Key key);
  /// No further calls. Keys that are not known (any more) are ignored.
  void remove(Key key);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sentinel::io
