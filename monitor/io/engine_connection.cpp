#include "io/engine_connection.hpp"

#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <utility>

#include "protocol/escape.hpp"

namespace sentinel::io {
namespace asio = boost::asio;
using boost::system::error_code;
using Kind = EngineFailure::Kind;

namespace {

/// Reads per turn of the loop: a firehose must not starve the rest.
constexpr int reads_per_turn = 16;

std::string seconds_text(core::Duration duration) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  return ms % 1000 == 0 ? std::to_string(ms / 1000) + " s" : std::to_string(ms) + " ms";
}

}  // namespace

EngineConnection::EngineConnection(asio::io_context& context, const EngineEndpoint& endpoint,
                                   core::Duration connect_timeout, std::span<char> scratch)
    : context_(context),
      endpoint_(endpoint),
      connect_timeout_(connect_timeout),
      scratch_(scratch),
      socket_(context),
      timer_(context) {}

void EngineConnection::start(Exchange exchange) {
  ++turn_;
  exchange_ = std::make_shared<Exchange>(std::move(exchange));
  request_ = protocol::http_request(exchange_->method, exchange_->target, endpoint_.host_field,
                                    exchange_->body);
  reused_ = socket_.is_open();
  if (reused_) {
    send();
  } else {
    connect();
  }
}

void EngineConnection::connect() {
  arm(connect_timeout_, {Kind::connect, "no connection to " + endpoint_.peer + " within " +
                                            seconds_text(connect_timeout_)});
  if (endpoint_.local) {
    connect_to({Endpoint(asio::local::stream_protocol::endpoint(endpoint_.path))}, 0);
    return;
  }
  if (!resolver_) resolver_ = std::make_unique<Resolver>(context_);
  resolver_->async_resolve(
      endpoint_.host, endpoint_.port,
      [self = shared_from_this(), turn = turn_](const error_code& error,
                                                const Resolver::results_type& results) {
        if (turn != self->turn_) return;
        std::vector<Endpoint> endpoints;
        for (const auto& result : results) endpoints.emplace_back(result.endpoint());
        if (error || endpoints.empty()) {
          self->fail(Kind::connect,
                     "the Engine's host name " + self->endpoint_.host + " cannot be resolved");
          return;
        }
        self->connect_to(std::move(endpoints), 0);
      });
}

void EngineConnection::connect_to(std::vector<Endpoint> endpoints, std::size_t index) {
  error_code error;
  socket_.close(error);
  socket_.open(endpoints[index].protocol(), error);
  if (!error) socket_.non_blocking(true, error);
  if (error) {
    end_later({Kind::connect, "no socket for the Engine: " + error.message()});
    return;
  }
  const Endpoint target = endpoints[index];
  socket_.async_connect(target, [self = shared_from_this(), turn = turn_,
                                 endpoints = std::move(endpoints),
                                 index](const error_code& failed) mutable {
    if (turn != self->turn_) return;
    if (!failed) {
      self->on_connected();
    } else if (index + 1 < endpoints.size()) {
      self->connect_to(std::move(endpoints), index + 1);
    } else {
      self->close();
      self->end(std::unexpected(EngineFailure{
          Kind::connect, describe_connect_error(self->endpoint_, failed.value()), failed.value()}));
    }
  });
}

void EngineConnection::on_connected() {
  if (!endpoint_.local) {
    error_code ignored;
    socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  }
  reused_ = false;
  send();
}

void EngineConnection::send() {
  reader_ = protocol::HttpResponseReader(exchange_->limits);
  body_.clear();
  heard_ = false;
  head_told_ = false;
  arm(exchange_->timeout, {Kind::timeout, "no answer from " + endpoint_.peer + " within " +
                                              seconds_text(exchange_->timeout)});
  asio::async_write(
      socket_, asio::buffer(request_),
      [self = shared_from_this(), turn = turn_](const error_code& error, std::size_t /*size*/) {
        // An answer may still be readable (the Engine refused and closed): only the read side
        // decides, unless there is nothing to hope for.
        if (turn != self->turn_ || !error || self->heard_) return;
        self->on_broken(error.value());
      });
  wait_readable();
}

void EngineConnection::wait_readable() {
  socket_.async_wait(Socket::wait_read,
                     [self = shared_from_this(), turn = turn_](const error_code& error) {
                       if (turn != self->turn_) return;
                       if (error) {
                         self->on_broken(error.value());
                       } else {
                         self->on_readable();
                       }
                     });
}

void EngineConnection::on_readable() {
  for (int i = 0; i < reads_per_turn; ++i) {
    error_code error;
    const std::size_t size =
        socket_.read_some(asio::buffer(scratch_.data(), scratch_.size()), error);
    if (error == asio::error::would_block || error == asio::error::interrupted) break;
    if (error) {
      on_broken(error == asio::error::eof ? 0 : error.value());
      return;
    }
    heard_ = true;
    if (!on_bytes({scratch_.data(), size})) return;
    if (size < scratch_.size()) break;
  }
  wait_readable();
}

bool EngineConnection::on_bytes(std::string_view bytes) {
  const std::uint64_t turn = turn_;
  const auto exchange = exchange_;
  while (!bytes.empty() && !reader_.done()) {
    auto piece = reader_.take(bytes);
    if (!piece) {
      fail(Kind::protocol, piece.error().message);
      return false;
    }
    const bool streaming = exchange->on_body && reader_.head_done() && reader_.status() == 200;
    if (streaming && !head_told_) {
      head_told_ = true;
      timer_.cancel();  // from here on the session watches
      exchange->on_head();
      if (turn != turn_) return false;  // the handler ended us
    }
    if (piece->empty()) continue;
    if (streaming) {
      exchange->on_body(*piece);
      if (turn != turn_) return false;
    } else {
      body_.append(*piece);
    }
  }
  if (!reader_.done()) return true;
  if (!reader_.keep_alive() || !bytes.empty()) close();
  end(EngineAnswer{reader_.status(), std::move(body_), reader_.date()});
  return false;
}

void EngineConnection::on_broken(int code) {
  if (reused_ && !heard_ && exchange_->method == "GET") {
    // The Engine had closed the idle connection; this is no sign of trouble.
    close();
    ++turn_;
    connect();
    return;
  }
  close();
  if (code == 0 && heard_ && reader_.finish()) {
    end(EngineAnswer{reader_.status(), std::move(body_), reader_.date()});
    return;
  }
  std::string text = endpoint_.peer + (heard_ ? " closed the connection in mid-answer"
                                              : " closed the connection without an answer");
  if (code == ENOTCONN) {
    text = describe_connect_error(endpoint_, code);
  } else if (code != 0) {
    text += ": " + error_code(code, boost::system::system_category()).message();
  }
  fail(Kind::closed, std::move(text));
}

void EngineConnection::arm(core::Duration timeout, EngineFailure on_strike) {
  timer_.expires_after(std::chrono::duration_cast<std::chrono::steady_clock::duration>(timeout));
  timer_.async_wait([self = shared_from_this(), turn = turn_,
                     failure = std::move(on_strike)](const error_code& error) mutable {
    // A timer that struck just as it was re-armed or cancelled reports success all the same.
    if (error || turn != self->turn_ || self->timer_.expiry() > std::chrono::steady_clock::now() ||
        self->head_told_)
      return;
    self->close();
    self->end(std::unexpected(std::move(failure)));
  });
}

void EngineConnection::close() {
  error_code ignored;
  if (resolver_) resolver_->cancel();
  socket_.close(ignored);
}

void EngineConnection::end(EngineResult result) {
  if (!exchange_) return;
  ++turn_;
  timer_.cancel();
  if (!result) close();
  // A large body's memory goes with the answer; nothing is kept for the next one.
  auto on_end = std::move(exchange_->on_end);
  exchange_.reset();
  body_ = {};
  on_end(std::move(result));
}

void EngineConnection::end_later(EngineFailure failure) {
  asio::post(context_,
             [self = shared_from_this(), turn = turn_, failure = std::move(failure)]() mutable {
               if (turn == self->turn_) self->end(std::unexpected(std::move(failure)));
             });
}

void EngineConnection::abandon() {
  ++turn_;
  timer_.cancel();
  close();
  exchange_.reset();
}

void EngineConnection::cancel() {
  if (!exchange_) return;
  ++turn_;  // nothing of the exchange happens any more
  timer_.cancel();
  close();
  end_later({Kind::cancelled, "the Engine is lost"});
}

void EngineConnection::expire_after(core::Duration idle) {
  if (!connected()) return;
  timer_.expires_after(std::chrono::duration_cast<std::chrono::steady_clock::duration>(idle));
  timer_.async_wait([self = shared_from_this(), turn = turn_](const error_code& error) {
    if (!error && turn == self->turn_) self->close();
  });
}

}  // namespace sentinel::io
