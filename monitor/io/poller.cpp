#include "io/poller.hpp"

#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

namespace sentinel::io {

namespace asio = boost::asio;

class Poller::Impl : public std::enable_shared_from_this<Impl> {
 public:
  explicit Impl(asio::io_context& context) : context_(context), epoll_(context) {
    const int fd = ::epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
    epoll_.assign(fd);
  }

  Key add(Watcher& watcher) {
    std::uint32_t index = 0;
    if (free_.empty()) {
      index = static_cast<std::uint32_t>(slots_.size());
      slots_.push_back({});
    } else {
      index = free_.back();
      free_.pop_back();
    }
    slots_[index].watcher = &watcher;
    return (Key{slots_[index].generation} << 32U) | index;
  }

  int watch(Key key, int fd) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    event.data.u64 = key;
    if (::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_ADD, fd, &event) != 0) return errno;
    if (!waiting_) wait();
    return 0;
  }

  void rebind(Key key, Watcher& watcher) {
    if (Slot* slot = find(key)) slot->watcher = &watcher;
  }

  void wake(Key key) {
    woken_.push_back(key);
    if (woken_.size() > 1) return;
    asio::post(context_, [self = shared_from_this()] {
      const auto keys = std::exchange(self->woken_, {});
      for (const Key each : keys) self->tell(each, woken);
    });
  }

  void remove(Key key) {
    Slot* slot = find(key);
    if (slot == nullptr) return;
    slot->watcher = nullptr;
    if (++slot->generation == 0) slot->generation = 1;
    free_.push_back(static_cast<std::uint32_t>(key));
  }

  void close() {
    slots_.clear();
    free_.clear();
    boost::system::error_code ignored;
    epoll_.close(ignored);
  }

 private:
  struct Slot {
    Watcher* watcher = nullptr;
    std::uint32_t generation = 1;
  };
  static constexpr int batch = 256;

  Slot* find(Key key) {
    const auto index = static_cast<std::uint32_t>(key);
    if (index >= slots_.size() || slots_[index].generation != key >> 32U) return nullptr;
    return &slots_[index];
  }

  void tell(Key key, unsigned events) {
    const Slot* slot = find(key);
    if (slot != nullptr && slot->watcher != nullptr) slot->watcher->on_ready(events);
  }

  // Asio arms the descriptor anew with each wait, so nothing that came meanwhile is missed.
  void wait() {
    waiting_ = true;
    epoll_.async_wait(asio::posix::stream_descriptor::wait_read,
                      [self = shared_from_this()](const boost::system::error_code& error) {
                        if (error) return;
                        self->collect();
                        if (self->epoll_.is_open()) self->wait();
                      });
  }

  /// One batch; what is left makes the descriptor ready again, after others had their turn.
  void collect() {
    std::array<epoll_event, batch> events{};
    const int count = ::epoll_wait(epoll_.native_handle(), events.data(), batch, 0);
    for (int i = 0; i < count; ++i) {
      const auto& event = events[static_cast<std::size_t>(i)];
      unsigned what = 0;
      if ((event.events & EPOLLIN) != 0) what |= readable;
      if ((event.events & EPOLLOUT) != 0) what |= writable;
      if ((event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) what |= closed | readable;
      tell(event.data.u64, what);
    }
  }

  asio::io_context& context_;
  asio::posix::stream_descriptor epoll_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
  std::vector<Key> woken_;
  bool waiting_ = false;
};

Poller::Poller(asio::io_context& context) : impl_(std::make_shared<Impl>(context)) {}
Poller::~Poller() { impl_->close(); }
Poller::Key Poller::add(Watcher& watcher) { return impl_->add(watcher); }
int Poller::watch(Key key, int fd) { return impl_->watch(key, fd); }
void Poller::rebind(Key key, Watcher& watcher) { impl_->rebind(key, watcher); }
void Poller::wake(Key key) { impl_->wake(key); }
void Poller::remove(Key key) { impl_->remove(key); }

}  // namespace sentinel::io
