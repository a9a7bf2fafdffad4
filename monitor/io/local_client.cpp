#include "io/local_client.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <format>
#include <limits>
#include <optional>
#include <system_error>
#include <utility>

#include "io/http_server_parse.hpp"
#include "io/runtime.hpp"

namespace sentinel::io {

namespace {

constexpr std::size_t header_limit = 16 * 1024;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Error system_failure(std::string_view what, int code) {
  return {std::format("{}: {}", what, std::system_category().message(code)), code};
}

Error late() { return {"no answer in time", ETIMEDOUT}; }

/// Waits until the socket is ready; the error says late or broken.
std::expected<void, Error> wait(int fd, short events, core::Time deadline) {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now()).count();
    if (left <= 0) return std::unexpected(late());
    pollfd entry{.fd = fd, .events = events, .revents = 0};
    const int result = ::poll(
        &entry, 1, static_cast<int>(std::min<std::int64_t>(left, std::numeric_limits<int>::max())));
    if (result > 0) return {};
    if (result < 0 && errno != EINTR)
      return std::unexpected(system_failure("waiting for the answer", errno));
  }
}

std::expected<void, Error> connect_to(int fd, const sockaddr* address, socklen_t size,
                                      core::Time deadline) {
  if (::connect(fd, address, size) == 0) return {};
  if (errno != EINPROGRESS) return std::unexpected(system_failure("cannot connect", errno));
  if (auto ready = wait(fd, POLLOUT, deadline); !ready) return ready;
  int error = 0;
  socklen_t length = sizeof error;
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) return std::unexpected(system_failure("cannot connect", error));
  return {};
}

std::expected<void, Error> send_all(int fd, std::string_view bytes, core::Time deadline) {
  while (!bytes.empty()) {
    const auto count = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      if (auto ready = wait(fd, POLLOUT, deadline); !ready) return ready;
    } else if (errno == EPIPE || errno == ECONNRESET) {
      return {};  // an answer may have come nevertheless: refused early
    } else if (errno != EINTR) {
      return std::unexpected(system_failure("cannot send", errno));
    }
  }
  return {};
}

struct Head {
  LocalReply reply;
  std::optional<std::size_t> body_length;
};

/// Our own server's answers only: HTTP/1.1, no Transfer-Encoding.
std::optional<Head> parse_head(std::string_view text) {
  Head head;
  if (header_suspect(text) || !text.starts_with("HTTP/1.") || text.size() < 13) return std::nullopt;
  const auto code = text.substr(9, 3);
  const auto [stop, error] =
      std::from_chars(code.data(), code.data() + code.size(), head.reply.status);
  if (error != std::errc{} || stop != code.data() + 3 || head.reply.status < 100 ||
      head.reply.status > 599)
    return std::nullopt;
  text.remove_prefix(text.find("\r\n") + 2);
  while (!text.starts_with("\r\n")) {
    const auto line = text.substr(0, text.find("\r\n"));
    text.remove_prefix(line.size() + 2);
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    const auto name = line.substr(0, colon);
    auto value = line.substr(colon + 1);
    while (value.starts_with(' ')) value.remove_prefix(1);
    if (same_word(name, "Content-Type")) {
      head.reply.content_type = value;
    } else if (same_word(name, "Transfer-Encoding")) {
      return std::nullopt;
    } else if (same_word(name, "Content-Length")) {
      std::size_t length = 0;
      const auto [end, bad] = std::from_chars(value.data(), value.data() + value.size(), length);
      if (bad != std::errc{} || end != value.data() + value.size() || head.body_length)
        return std::nullopt;
      head.body_length = length;
    }
  }
  return head;
}

std::expected<LocalReply, Error> receive(int fd, std::size_t body_limit, core::Time deadline) {
  std::string data;
  std::optional<Head> head;
  std::array<char, 16 * 1024> part{};
  while (true) {
    if (!head) {
      if (const auto length = header_length(data); length != 0) {
        head = parse_head(std::string_view{data}.substr(0, length));
        if (!head) return std::unexpected(Error{"the answer is not HTTP"});
        data.erase(0, length);
      } else if (data.size() > header_limit) {
        return std::unexpected(Error{"the answer is not HTTP"});
      }
    }
    if (head && (data.size() > body_limit || head->body_length.value_or(0) > body_limit)) {
      return std::unexpected(Error{std::format("the answer is longer than {} bytes", body_limit)});
    }
    if (head && head->body_length && data.size() >= *head->body_length) {
      head->reply.body = data.substr(0, *head->body_length);
      return head->reply;
    }
    const auto count = ::recv(fd, part.data(), part.size(), 0);
    if (count > 0) {
      data.append(part.data(), static_cast<std::size_t>(count));
    } else if (count == 0) {
      if (!head || head->body_length)
        return std::unexpected(Error{"the connection was closed before the answer was complete"});
      head->reply.body = std::move(data);
      return head->reply;
    } else if (errno == EAGAIN) {
      if (auto ready = wait(fd, POLLIN, deadline); !ready) return std::unexpected(ready.error());
    } else if (errno != EINTR) {
      return std::unexpected(system_failure("cannot read the answer", errno));
    }
  }
}

std::optional<std::string> tcp_address(std::string_view endpoint) {
  const auto colon = endpoint.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  auto host = endpoint.substr(0, colon);
  const auto port_text = endpoint.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [stop, error] =
      std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (error != std::errc{} || stop != port_text.data() + port_text.size() || port == 0)
    return std::nullopt;
  if (host.starts_with('[') && host.ends_with(']')) {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port);
    if (::inet_pton(AF_INET6, std::string(host.substr(1, host.size() - 2)).c_str(),
                    &address.sin6_addr) != 1)
      return std::nullopt;
    return std::string(reinterpret_cast<const char*>(&address), sizeof address);
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (::inet_pton(AF_INET, std::string(host).c_str(), &address.sin_addr) != 1) return std::nullopt;
  return std::string(reinterpret_cast<const char*>(&address), sizeof address);
}

/// Whether this can stand in a request line or field without becoming another.
bool plain(std::string_view text, bool spaces) {
  return std::ranges::all_of(
      text, [spaces](char c) { return (c > 0x20 && c < 0x7f) || (spaces && c == ' '); });
}

}  // namespace

LocalClient::LocalClient(std::string unix_path, std::string address, LocalClientOptions options)
    : unix_path_(std::move(unix_path)),
      address_(std::move(address)),
      options_(std::move(options)) {}

std::expected<LocalClient, Error> LocalClient::to(std::string_view endpoint,
                                                  LocalClientOptions options) {
  if (!plain(options.token, false))
    return std::unexpected(Error{"the token holds blanks or control characters"});
  if (endpoint.starts_with("unix://")) endpoint.remove_prefix(7);
  if (endpoint.starts_with('/')) {
    sockaddr_un address{};
    if (endpoint.size() >= sizeof address.sun_path) {
      return std::unexpected(Error{std::format("the path of a Unix socket has at most {} bytes",
                                               sizeof address.sun_path - 1)});
    }
    address.sun_family = AF_UNIX;
    std::ranges::copy(endpoint, std::begin(address.sun_path));
    return LocalClient(std::string(endpoint),
                       std::string(reinterpret_cast<const char*>(&address), sizeof address),
                       std::move(options));
  }
  auto address = tcp_address(endpoint);
  if (!address)
    return std::unexpected(
        Error{std::format("`{}` is neither a socket's path nor IP:PORT", endpoint)});
  return LocalClient({}, *std::move(address), std::move(options));
}

std::expected<LocalReply, Error> LocalClient::get(std::string_view target) const {
  if (!target.starts_with('/') || !plain(target, false))
    return std::unexpected(Error{"the request's path is not valid"});
  return call(std::format("GET {} HTTP/1.1\r\n", target));
}

std::expected<LocalReply, Error> LocalClient::post(std::string_view target, std::string_view body,
                                                   std::string_view content_type) const {
  if (!target.starts_with('/') || !plain(target, false) || !plain(content_type, true)) {
    return std::unexpected(Error{"the request's path or type is not valid"});
  }
  return call(std::format("POST {} HTTP/1.1\r\nContent-Type: {}\r\nContent-Length: {}\r\n", target,
                          content_type, body.size()),
              body);
}

std::expected<LocalReply, Error> LocalClient::remove(std::string_view target) const {
  if (!target.starts_with('/') || !plain(target, false))
    return std::unexpected(Error{"the request's path is not valid"});
  return call(std::format("DELETE {} HTTP/1.1\r\n", target));
}

std::expected<LocalReply, Error> LocalClient::call(std::string head, std::string_view body) const {
  const auto deadline = core::after(now(), options_.deadline);
  sockaddr_storage address{};
  std::memcpy(&address, address_.data(), std::min(address_.size(), sizeof address));
  const Descriptor socket{
      ::socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (socket.get() < 0) return std::unexpected(system_failure("cannot open a socket", errno));
  const auto named = [this](Error error) {
    if (!unix_path_.empty()) error.text = unix_path_ + ": " + error.text;
    return std::unexpected(std::move(error));
  };
  const auto connected = connect_to(socket.get(), reinterpret_cast<const sockaddr*>(&address),
                                    static_cast<socklen_t>(address_.size()), deadline);
  if (!connected) return named(connected.error());
  head += "Host: localhost\r\nUser-Agent: sentinel\r\nConnection: close\r\n";
  if (!options_.token.empty()) head += std::format("Authorization: Bearer {}\r\n", options_.token);
  head += "\r\n";
  head += body;
  if (const auto sent = send_all(socket.get(), head, deadline); !sent) return named(sent.error());
  auto reply = receive(socket.get(), options_.body_limit, deadline);
  if (!reply) return named(reply.error());
  return reply;
}

}  // namespace sentinel::io
