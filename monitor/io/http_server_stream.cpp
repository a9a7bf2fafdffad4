// Answers that come later, and streams; see http_server_connection.hpp.

#include <boost/asio/buffer.hpp>
#include <chrono>
#include <exception>
#include <utility>
#include <vector>

#include "io/http_server_connection.hpp"

namespace sentinel::io {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr std::size_t max_pieces = 16;        // of one write
constexpr std::size_t max_talk = 64 * 1024;   // bytes a client may say into its own stream
constexpr std::size_t max_queue = 64 * 1024;  // events, however short
constexpr std::string_view comment = ":\n\n";

}  // namespace

HttpResponse http_later(std::function<void(HttpReply)> later) {
  HttpResponse response;
  response.later = std::move(later);
  return response;
}

HttpResponse http_events(std::function<void(HttpStream)> stream) {
  HttpResponse response;
  response.content_type = "text/event-stream";
  response.compressible = false;
  // What stands in front of us passes each event on as it comes.
  response.headers.emplace_back("X-Accel-Buffering", "no");
  response.stream = std::move(stream);
  return response;
}

void HttpConnection::defer() {
  state_ = State::deferred;
  arm(response_.patience.value_or(shared_->options.answer_deadline));
  ++deferred_;
  watch_for_end();
  const auto later = std::exchange(response_, {}).later;
  const auto self = shared_from_this();
  try {
    later([weak = weak_from_this(), number = deferred_](HttpResponse response) {
      const auto connection = weak.lock();
      if (connection && connection->state_ == State::deferred && connection->deferred_ == number)
        connection->on_reply(std::move(response));
    });
  } catch (const std::exception&) {
    ++shared_->stats.handler_errors;
    if (state_ == State::deferred)
      on_reply(http_problem(500, "the request could not be worked on"));
  }
}

/// An end is told by a readable socket that has nothing to read; bytes are the next request, which
/// waits for its turn.
void HttpConnection::watch_for_end() {
  socket_.async_wait(
      Socket::wait_read, [self = shared_from_this(), number = deferred_](const error_code& error) {
        if (self->state_ != State::deferred || self->deferred_ != number) return;
        error_code failed;
        self->socket_.non_blocking(true, failed);
        const auto count = self->socket_.receive(asio::buffer(self->thrown_away_, 1),
                                                 asio::socket_base::message_peek, failed);
        if (error || failed || count == 0) self->close();
      });
}

void HttpConnection::on_reply(HttpResponse response) {
  state_ = State::handling;
  timer_.cancel();
  ++armed_;
  response_ = std::move(response);
  answer();
}

void HttpConnection::on_no_reply() {
  ++shared_->stats.late_answers;
  HttpResponse response = http_problem(503, "the answer did not come in time");
  response.headers.emplace_back("Retry-After", "5");
  on_reply(std::move(response));
}

void HttpConnection::begin_stream() {
  state_ = State::streaming;
  ++shared_->stats.streams;
  sent_ = drained_ = queued_ = 0;
  const auto stream = std::exchange(response_, {}).stream;
  read_on();
  if (!push(std::make_shared<const std::string>(std::exchange(out_, {})))) return;
  try {
    stream([weak = weak_from_this()](std::shared_ptr<const std::string> events) {
      const auto connection = weak.lock();
      return connection && connection->push(std::move(events));
    });
  } catch (const std::exception&) {
    ++shared_->stats.handler_errors;
    close();
  }
}

bool HttpConnection::push(std::shared_ptr<const std::string> events) {
  if (state_ != State::streaming) return false;
  if (!events || events->empty()) return true;
  if (queued_ > shared_->options.stream_limit || events_.size() >= max_queue) {
    ++shared_->stats.slow_streams;
    close();
    return false;
  }
  queued_ += events->size();
  events_.push_back(std::move(events));
  if (!pumping_) pump();
  return true;
}

void HttpConnection::pump() {
  pumping_ = !events_.empty();
  if (!pumping_) {
    arm(shared_->options.heartbeat);
    return;
  }
  arm(shared_->options.write_deadline);
  std::vector<asio::const_buffer> pieces;
  for (const auto& events : events_) {
    if (pieces.size() == max_pieces) break;
    pieces.push_back(asio::buffer(*events));
  }
  pieces.front() += sent_;
  socket_.async_write_some(
      pieces, [self = shared_from_this()](const error_code& error, std::size_t count) {
        if (self->state_ != State::streaming) return;
        if (error) {
          self->close();
          return;
        }
        self->sent_ += count;
        while (!self->events_.empty() && self->sent_ >= self->events_.front()->size()) {
          const std::size_t size = self->events_.front()->size();
          self->sent_ -= size;
          self->queued_ -= size;
          self->events_.pop_front();
        }
        self->pump();
      });
}

void HttpConnection::read_on() {
  socket_.async_read_some(asio::buffer(thrown_away_),
                          [self = shared_from_this()](const error_code& error, std::size_t count) {
                            if (self->state_ != State::streaming) return;
                            self->drained_ += count;
                            if (error || self->drained_ > max_talk) {
                              self->close();
                            } else {
                              self->read_on();
                            }
                          });
}

void HttpConnection::on_silence() {
  if (pumping_) {
    ++shared_->stats.timeouts;
    close();
    return;
  }
  static const auto silence = std::make_shared<const std::string>(comment);
  push(silence);
}

}  // namespace sentinel::io
