#include "io/local_caller.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <utility>
#include <vector>

#include "io/engine_connection.hpp"
#include "protocol/escape.hpp"

namespace sentinel::io {
namespace asio = boost::asio;

namespace {

constexpr std::size_t scratch_bytes = std::size_t{16} << 10U;
constexpr std::size_t max_head = std::size_t{16} << 10U;

std::string connect_text(const LocalCallerOptions& options, int code) {
  const std::string where = protocol::one_line(options.path, 128);
  if (code == ENOENT) return "there is no socket at " + where;
  if (code == EACCES)
    return "permission denied on " + where + ": this process is in none of its groups";
  if (code == ECONNREFUSED) return "connection refused on " + where + ": nobody listens there";
  // A Unix socket whose backlog is full says EAGAIN at once.
  if (code == EAGAIN) return options.peer + " accepts no more connections on " + where;
  return where + ": " + std::generic_category().message(code);
}

}  // namespace

struct LocalCaller::Impl : std::enable_shared_from_this<Impl> {
  Impl(asio::io_context& loop, LocalCallerOptions given)
      : context(loop), options(std::move(given)), scratch(scratch_bytes) {
    endpoint.path = options.path;
    endpoint.peer = options.peer;
  }

  bool call(std::string target, std::string body, Done done) {
    if (stopped || connection) return false;
    // The kernel answers a connect to a Unix socket at once, or its backlog is full.
    const core::Duration connecting = options.timeout / 5;
    EngineConnection::Exchange exchange;
    exchange.method = body.empty() ? "GET" : "POST";
    exchange.target = std::move(target);
    exchange.body = std::move(body);
    exchange.timeout = options.timeout - connecting;
    exchange.limits.max_head = max_head;
    exchange.limits.max_body = options.max_body;
    exchange.on_end = [this, done = std::move(done)](EngineResult result) mutable {
      // The connection is still at work on this call: the next may begin when it has returned.
      asio::post(context, [self = shared_from_this(), done = std::move(done),
                           result = std::move(result)]() mutable {
        if (self->stopped) return;
        self->connection->abandon();
        self->connection.reset();
        done(self->read(std::move(result)));
      });
    };
    connection =
        std::make_shared<EngineConnection>(context, endpoint, connecting, std::span(scratch));
    connection->start(std::move(exchange));
    return true;
  }

  Result read(EngineResult result) const {
    if (result) return Answer{result->status, std::move(result->body)};
    const EngineFailure& failure = result.error();
    if (failure.code != 0)
      return std::unexpected(Error{connect_text(options, failure.code), failure.code});
    return std::unexpected(Error{failure.text});
  }

  void stop() {
    stopped = true;
    if (connection) connection->abandon();
    connection.reset();
  }

  asio::io_context& context;
  LocalCallerOptions options;
  EngineEndpoint endpoint;
  std::vector<char> scratch;
  std::shared_ptr<EngineConnection> connection;
  bool stopped = false;
};

LocalCaller::LocalCaller(asio::io_context& context, LocalCallerOptions options)
    : impl_(std::make_shared<Impl>(context, std::move(options))) {}

LocalCaller::~LocalCaller() { stop(); }

bool LocalCaller::call(std::string target, std::string body, Done done) {
  return impl_->call(std::move(target), std::move(body), std::move(done));
}

bool LocalCaller::busy() const { return impl_->connection != nullptr; }

void LocalCaller::stop() { impl_->stop(); }

}  // namespace sentinel::io
