#include "io/http_server.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <ctime>
#include <format>

#include "io/http_server_connection.hpp"

namespace sentinel::io {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using unix_stream = asio::local::stream_protocol;

namespace {

constexpr int backlog = 128;
constexpr core::Duration accept_pause = std::chrono::milliseconds{200};

AddressKey key_of(const tcp::endpoint& peer) {
  AddressKey key{};
  if (peer.address().is_v4()) {
    const auto bytes = peer.address().to_v4().to_bytes();
    std::ranges::copy(bytes, key.begin());
    key.back() = 4;
    return key;
  }
  const auto address = peer.address().to_v6();
  const auto bytes = address.to_bytes();
  if (address.is_v4_mapped()) {
    std::copy(bytes.begin() + 12, bytes.end(), key.begin());
    key.back() = 4;
    return key;
  }
  std::copy_n(bytes.begin(), 8, key.begin());  // whoever has one address of a /64 has them all
  key.back() = 6;
  return key;
}

struct Endpoint {
  std::string address;  // empty: all
  std::uint16_t port = 0;
};

std::expected<Endpoint, Error> parse_endpoint(const std::string& text) {
  const auto bad = [&text] {
    return std::unexpected(
        Error{std::format("`{}` is no ADDRESS:PORT such as 127.0.0.1:8090", text)});
  };
  const auto colon = text.rfind(':');
  if (colon == std::string::npos) return bad();
  Endpoint result{.address = text.substr(0, colon)};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + colon + 1, end, result.port);
  if (error != std::errc{} || stop != end) return bad();
  if (result.address.starts_with('[') && result.address.ends_with(']')) {
    result.address = result.address.substr(1, result.address.size() - 2);
  } else if (result.address.contains(':')) {
    return bad();
  }
  return result;
}

Error failure(std::string_view what, const std::string& where, const error_code& error) {
  return {std::format("{} {}: {}", what, where, error.message()), error.value()};
}

/// Whether something answers behind this Unix socket's file.
bool answers(const sockaddr_un& address) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return true;  // cannot tell: leave it alone
  const int result = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int error = errno;
  ::close(fd);
  // A full backlog says EAGAIN: somebody is there.
  return result == 0 || error == EAGAIN || error == EACCES || error == EPERM;
}

}  // namespace

std::string_view HttpServerShared::date() {
  const auto second = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  if (const auto count = second.time_since_epoch().count(); count != date_second_) {
    static constexpr std::array days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr std::array months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const auto time = static_cast<std::time_t>(count);
    std::tm parts{};
    ::gmtime_r(&time, &parts);
    date_ = std::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
                        days.at(static_cast<std::size_t>(parts.tm_wday)), parts.tm_mday,
                        months.at(static_cast<std::size_t>(parts.tm_mon)), parts.tm_year + 1900,
                        parts.tm_hour, parts.tm_min, parts.tm_sec);
    date_second_ = count;
  }
  return date_;
}

class HttpServer::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& context, HttpServerOptions options, HttpHandler handler)
      : context_(context), shared_(std::make_shared<HttpServerShared>(context)) {
    shared_->options = std::move(options);
    shared_->handler = std::move(handler);
  }

  std::expected<std::uint16_t, Error> listen_tcp(const std::string& text) {
    const auto endpoint = parse_endpoint(text);
    if (!endpoint) return std::unexpected(endpoint.error());
    error_code error;
    if (endpoint->address.empty()) {
      // Both families on one socket; a kernel without IPv6 gets the other.
      if (auto port = bind_tcp({tcp::v6(), endpoint->port}, text)) return port;
      return bind_tcp({tcp::v4(), endpoint->port}, text);
    }
    const auto address = asio::ip::make_address(endpoint->address, error);
    if (error)
      return std::unexpected(
          Error{std::format("`{}` is no IP address to listen on", endpoint->address)});
    return bind_tcp({address, endpoint->port}, text);
  }

  std::expected<void, Error> listen_unix(const std::string& path, unsigned mode) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path) {
      return std::unexpected(Error{std::format("the path of a Unix socket has 1 to {} bytes: {}",
                                               sizeof address.sun_path - 1, path)});
    }
    std::ranges::copy(path, std::begin(address.sun_path));
    struct stat found{};
    if (::lstat(path.c_str(), &found) == 0) {
      if (!S_ISSOCK(found.st_mode))
        return std::unexpected(Error{path + " exists and is no socket"});
      if (answers(address)) {
        return std::unexpected(
            Error{path + " is in use: another Sentinel is running here", EADDRINUSE});
      }
      if (::unlink(path.c_str()) != 0) {
        return std::unexpected(failure("cannot remove the stale socket", path,
                                       {errno, boost::system::system_category()}));
      }
    }
    unix_stream::acceptor acceptor(context_);
    error_code error;
    acceptor.open(unix_stream{}, error);
    if (error) return std::unexpected(failure("cannot open", path, error));
    // Linux takes a new socket file's mode from the socket and the umask: never wider than asked
    // for, not for a moment.
    ::fchmod(acceptor.native_handle(), static_cast<mode_t>(mode));
    acceptor.bind(unix_stream::endpoint{path}, error);
    if (error) return std::unexpected(failure("cannot bind", path, error));
    if (::chmod(path.c_str(), static_cast<mode_t>(mode)) != 0 ||
        ::lstat(path.c_str(), &found) != 0) {
      return std::unexpected(
          failure("cannot set the mode of", path, {errno, boost::system::system_category()}));
    }
    acceptor.listen(backlog, error);
    if (error) return std::unexpected(failure("cannot listen on", path, error));
    files_.push_back({path, found.st_dev, found.st_ino});
    local_.push_back(std::make_shared<Listener<unix_stream>>(std::move(acceptor)));
    return {};
  }

  void start() {
    for (const auto& listener : tcp_) accept(listener);
    for (const auto& listener : local_) accept(listener);
  }

  void stop() {
    if (shared_->stopped) return;
    shared_->stopped = true;
    shared_->turns->stop();
    for (const auto& listener : tcp_) listener->close();
    for (const auto& listener : local_) listener->close();
    const auto connections = std::move(shared_->connections);
    shared_->connections = {};
    for (const auto& [raw, connection] : connections) connection->close();
    for (const auto& file : files_) {
      struct stat found{};
      if (::lstat(file.path.c_str(), &found) == 0 && found.st_dev == file.device &&
          found.st_ino == file.inode) {
        ::unlink(file.path.c_str());
      }
    }
    files_.clear();
  }

  HttpServerStats stats() const { return shared_->stats; }

 private:
  template <typename Protocol>
  struct Listener {
    explicit Listener(typename Protocol::acceptor open)
        : acceptor(std::move(open)), pause(acceptor.get_executor()) {}
    void close() {
      error_code ignored;
      acceptor.close(ignored);
      pause.cancel();
    }
    typename Protocol::acceptor acceptor;
    asio::steady_timer pause;
  };

  struct SocketFile {
    std::string path;
    dev_t device;
    ino_t inode;
  };

  std::expected<std::uint16_t, Error> bind_tcp(const tcp::endpoint& endpoint,
                                               const std::string& text) {
    tcp::acceptor acceptor(context_);
    error_code error;
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error && endpoint.address().is_v6()) {
      acceptor.set_option(asio::ip::v6_only(!endpoint.address().is_unspecified()), error);
    }
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(backlog, error);
    if (error) return std::unexpected(failure("cannot listen on", text, error));
    const auto port = acceptor.local_endpoint(error).port();
    if (error) return std::unexpected(failure("cannot listen on", text, error));
    tcp_.push_back(std::make_shared<Listener<tcp>>(std::move(acceptor)));
    return port;
  }

  template <typename Protocol>
  void accept(const std::shared_ptr<Listener<Protocol>>& listener) {
    listener->acceptor.async_accept([self = shared_from_this(), listener](
                                        const error_code& error, typename Protocol::socket socket) {
      if (self->shared_->stopped) return;
      if (!error) {
        self->admit(std::move(socket));
      } else if (error != asio::error::connection_aborted && error != asio::error::interrupted) {
        self->pause(listener);
        return;
      }
      self->accept(listener);
    });
  }

  /// Out of descriptors or memory. The connection stays in the backlog, so trying again at once
  /// would spin.
  template <typename Protocol>
  void pause(const std::shared_ptr<Listener<Protocol>>& listener) {
    ++shared_->stats.accept_errors;
    const auto connections = shared_->connections;
    for (const auto& [raw, connection] : connections) {
      if (connection->waiting()) connection->close();
    }
    listener->pause.expires_after(
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(accept_pause));
    listener->pause.async_wait([self = shared_from_this(), listener](const error_code& error) {
      if (!error && !self->shared_->stopped) self->accept(listener);
    });
  }

  void admit(tcp::socket socket) {
    auto& stats = shared_->stats;
    ++stats.accepted;
    error_code error;
    const auto peer = socket.remote_endpoint(error);
    if (error) return;  // gone already
    const auto key = key_of(peer);
    if (shared_->open_tcp >= shared_->options.max_connections) {
      ++stats.refused_full;
      turn_away(socket);
      return;
    }
    if (const auto found = shared_->per_address.find(key);
        found != shared_->per_address.end() && found->second >= shared_->options.max_per_address) {
      ++stats.refused_per_address;
      turn_away(socket);
      return;
    }
    socket.set_option(tcp::no_delay(true), error);
    std::make_shared<HttpConnection>(std::move(socket), shared_, key)->start();
  }

  void admit(unix_stream::socket socket) {
    ++shared_->stats.accepted;
    if (shared_->open_local >= shared_->options.max_local) {
      ++shared_->stats.refused_full;
      turn_away(socket);
      return;
    }
    std::make_shared<HttpConnection>(std::move(socket), shared_, std::nullopt)->start();
  }

  /// Says why, as far as that costs nothing.
  template <typename Socket>
  static void turn_away(Socket& socket) {
    static constexpr std::string_view answer =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: "
        "application/problem+json\r\nContent-Length: 0\r\n"
        "Retry-After: 5\r\nConnection: close\r\n\r\n";
    error_code ignored;
    socket.non_blocking(true, ignored);
    socket.write_some(asio::buffer(answer), ignored);
    socket.shutdown(Socket::shutdown_both, ignored);
  }

  asio::io_context& context_;
  std::shared_ptr<HttpServerShared> shared_;
  std::vector<std::shared_ptr<Listener<tcp>>> tcp_;
  std::vector<std::shared_ptr<Listener<unix_stream>>> local_;
  std::vector<SocketFile> files_;
};

HttpServer::HttpServer(asio::io_context& context, HttpServerOptions options, HttpHandler handler)
    : impl_(std::make_shared<Impl>(context, std::move(options), std::move(handler))) {}

HttpServer::~HttpServer() { stop(); }

std::expected<std::uint16_t, Error> HttpServer::listen_tcp(const std::string& endpoint) {
  return impl_->listen_tcp(endpoint);
}

std::expected<void, Error> HttpServer::listen_unix(const std::string& path, unsigned mode) {
  return impl_->listen_unix(path, mode);
}

void HttpServer::start() { impl_->start(); }

void HttpServer::stop() { impl_->stop(); }

HttpServerStats HttpServer::stats() const { return impl_->stats(); }

}  // namespace sentinel::io
