#pragma once

// A plain blocking HTTP client over POSIX sockets: the tests must not share the server's HTTP code.

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstdint>
#include <format>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace demo_test {

struct Answer {
  unsigned status = 0;  ///< 0: nothing that looks like an answer came
  std::string head;
  std::string body;
};

/// One TCP connection to 127.0.0.1. Every wait has a deadline.
class Connection {
 public:
  explicit Connection(std::uint16_t port) : socket_{::socket(AF_INET, SOCK_STREAM, 0)} {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    open_ = connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  ~Connection() { close(socket_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  [[nodiscard]] bool open() const { return open_; }

  void send(std::string_view text) const {
    while (!text.empty()) {
      const auto sent = ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) {
        return;
      }
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
  }

  void finish_sending() const { shutdown(socket_, SHUT_WR); }

  /// The next answer; no value when none came in time or the peer closed first.
  std::optional<Answer> receive(std::chrono::milliseconds patience, bool head_only = false) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    std::size_t head_end = std::string::npos;
    while ((head_end = pending_.find("\r\n\r\n")) == std::string::npos) {
      if (!fill(deadline)) {
        return std::nullopt;
      }
    }
    Answer answer{.status = 0, .head = pending_.substr(0, head_end + 2), .body = {}};
    pending_.erase(0, head_end + 4);
    std::from_chars(answer.head.data() + 9, answer.head.data() + 12, answer.status);
    std::size_t length = 0;
    constexpr std::string_view field = "Content-Length: ";
    if (const auto at = answer.head.find(field); at != std::string::npos) {
      std::from_chars(answer.head.data() + at + field.size(),
                      answer.head.data() + answer.head.size(), length);
    }
    while (!head_only && pending_.size() < length) {
      if (!fill(deadline)) {
        return std::nullopt;
      }
    }
    if (!head_only) {
      answer.body = pending_.substr(0, length);
      pending_.erase(0, length);
    }
    return answer;
  }

  /// Whether the peer closes within `patience` without sending anything more.
  bool closed_within(std::chrono::milliseconds patience) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    const auto before = pending_.size();
    while (fill(deadline)) {
    }
    return closed_ && pending_.size() == before;
  }

 private:
  bool fill(std::chrono::steady_clock::time_point deadline) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    pollfd waiting{.fd = socket_, .events = POLLIN, .revents = 0};
    if (closed_ || left.count() <= 0 || poll(&waiting, 1, static_cast<int>(left.count())) != 1) {
      return false;
    }
    char buffer[4096];
    const auto got = recv(socket_, buffer, sizeof buffer, 0);
    if (got <= 0) {
      closed_ = true;
      return false;
    }
    pending_.append(buffer, static_cast<std::size_t>(got));
    return true;
  }

  int socket_;
  bool open_ = false;
  bool closed_ = false;
  std::string pending_;
};

inline std::string request_text(std::string_view method, std::string_view target) {
  return std::format("{} {} HTTP/1.1\r\nHost: demo\r\n\r\n", method, target);
}

/// One request on a connection of its own.
inline std::optional<Answer> ask(std::uint16_t port, std::string_view method,
                                 std::string_view target,
                                 std::chrono::milliseconds patience = std::chrono::seconds{10}) {
  Connection connection{port};
  if (!connection.open()) {
    return std::nullopt;
  }
  connection.send(request_text(method, target));
  return connection.receive(patience, method == "HEAD");
}

/// The status of one request; 0 when there was no answer.
inline unsigned status_of(std::uint16_t port, std::string_view method, std::string_view target,
                          std::chrono::milliseconds patience = std::chrono::seconds{10}) {
  const auto answer = ask(port, method, target, patience);
  return answer ? answer->status : 0;
}

/// Asks `condition` until it holds or `patience` is over; says whether it held.
template <typename Condition>
bool eventually(Condition condition,
                std::chrono::milliseconds patience = std::chrono::seconds{10}) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) {
      return false;
    }
    poll(nullptr, 0, 5);
  }
  return true;
}

}  // namespace demo_test
