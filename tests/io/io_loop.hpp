#pragma once

// An io_context on a thread of its own, and a raw client for it. Whatever waits here has a
// deadline.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace sentinel::test {

inline constexpr std::chrono::seconds patience{20};  // sanitizers on a busy machine

class Loop {
 public:
  Loop() : guard_(boost::asio::make_work_guard(context_)), thread_([this] { context_.run(); }) {}
  ~Loop() {
    guard_.reset();
    context_.stop();
    thread_.join();
  }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  boost::asio::io_context& context() { return context_; }

  /// Runs `f` on the loop's thread and gives its result.
  template <typename F>
  auto call(F f) {
    std::packaged_task<decltype(f())()> task(std::move(f));
    auto result = task.get_future();
    boost::asio::post(context_, std::move(task));
    return result.get();
  }

 private:
  boost::asio::io_context context_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_;
  std::thread thread_;
};

/// Polls until true or out of patience.
template <typename F>
bool eventually(F condition) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    ::poll(nullptr, 0, 2);
  }
  return true;
}

class RawClient {
 public:
  explicit RawClient(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    open_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  explicit RawClient(const std::string& path)
      : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(std::data(address.sun_path), sizeof address.sun_path - 1);
    open_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  ~RawClient() { ::close(fd_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool open() const { return open_; }
  int fd() const { return fd_; }

  /// False when the peer does not take it.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  }

  /// More bytes; empty: closed, reset or out of patience (see `closed`).
  std::string some() {
    pollfd entry{.fd = fd_, .events = POLLIN, .revents = 0};
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(patience).count();
    if (::poll(&entry, 1, static_cast<int>(ms)) != 1) return {};
    std::array<char, 65536> buffer{};
    const auto count = ::recv(fd_, buffer.data(), buffer.size(), 0);
    if (count <= 0) {
      closed_ = true;
      return {};
    }
    return {buffer.data(), static_cast<std::size_t>(count)};
  }

  bool closed() const { return closed_; }

  std::string until_closed() {
    std::string all;
    for (auto part = some(); !part.empty(); part = some()) all += part;
    return all;
  }

  /// One response by its Content-Length; what follows stays for the next.
  std::string response(bool body = true) {
    while (true) {
      if (const auto end = rest_.find("\r\n\r\n"); end != std::string::npos) {
        std::size_t length = end + 4;
        constexpr std::string_view field = "\r\nContent-Length: ";
        if (const auto at = rest_.find(field); body && at < end) {
          length += std::strtoul(rest_.c_str() + at + field.size(), nullptr, 10);
        }
        if (rest_.size() >= length) {
          auto result = rest_.substr(0, length);
          rest_.erase(0, length);
          return result;
        }
      }
      const auto part = some();
      if (part.empty()) return std::exchange(rest_, {});
      rest_ += part;
    }
  }

 private:
  int fd_;
  bool open_ = false;
  bool closed_ = false;
  std::string rest_;
};

/// Removed with everything in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "sentinel-test-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    path_ = pattern;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::string file(std::string_view name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace sentinel::test
