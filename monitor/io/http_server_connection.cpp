#include "io/http_server_connection.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <chrono>
#include <exception>
#include <format>
#include <utility>

#include "io/http_server_parse.hpp"
#include "io/runtime.hpp"

namespace sentinel::io {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

namespace {

constexpr std::size_t read_size = 4 * 1024;
constexpr std::size_t max_fields = 100;
constexpr std::size_t gzip_from = 1024;  // below, the header costs what is gained
constexpr unsigned max_requests =
    10'000;  // on one connection, so that no client keeps its place for ever
constexpr std::size_t drain_limit = 256 * 1024;  // bytes read and thrown away before a close
constexpr core::Duration drain_deadline = std::chrono::seconds{1};

using HeaderParser = http::request_parser<http::empty_body>;

struct Refusal {
  unsigned status;
  std::string detail;
};

unsigned status_of(const error_code& error) {
  if (error == http::error::header_limit) return 431;
  if (error == http::error::bad_version) return 505;
  return 400;
}

/// What Beast accepts and we do not.
std::optional<Refusal> check_header(const HeaderParser& parser, const HttpServerOptions& options,
                                    bool local) {
  const auto& fields = parser.get();
  const auto count = [&fields](http::field name) {
    const auto range = fields.equal_range(name);
    return std::distance(range.first, range.second);
  };
  if (std::distance(fields.begin(), fields.end()) > static_cast<std::ptrdiff_t>(max_fields)) {
    return Refusal{431, std::format("more than {} header fields", max_fields)};
  }
  if (count(http::field::host) != 1) return Refusal{400, "exactly one Host field is expected"};
  const std::string_view host = fields[http::field::host];
  if (!valid_host(host)) return Refusal{400, "the Host field is not valid"};
  if (!local && !host_allowed(host, options.hosts)) {
    return Refusal{
        421,
        "this Host is not one of our names; add it to the configured hosts, or use the address"};
  }
  if (count(http::field::transfer_encoding) != 0) {
    return Refusal{411, "Transfer-Encoding is not taken; send a Content-Length"};
  }
  if (const auto lengths = count(http::field::content_length);
      lengths > 1 || (lengths == 1 && !plain_length(fields[http::field::content_length]))) {
    return Refusal{400, "a Content-Length is one number"};
  }
  switch (fields.method()) {
    case http::verb::get:
    case http::verb::head:
      if (parser.content_length().value_or(0) != 0)
        return Refusal{400, "a GET or HEAD request has no body"};
      break;
    case http::verb::post:
    case http::verb::put:
    case http::verb::patch:
    case http::verb::delete_:
    case http::verb::options: break;
    default: return Refusal{501, "this method is not supported"};
  }
  if (parser.content_length().value_or(0) > options.body_limit) {
    return Refusal{413, std::format("a body has at most {} bytes", options.body_limit)};
  }
  if (const std::string_view expect = fields[http::field::expect];
      !expect.empty() && !same_word(expect, "100-continue")) {
    return Refusal{417, "only Expect: 100-continue is known"};
  }
  return std::nullopt;
}

bool sendable(const std::pair<std::string, std::string>& field) {
  const auto bad = [](char c) { return c == '\r' || c == '\n' || c == '\0'; };
  return !field.first.empty() && std::ranges::none_of(field.first, bad) &&
         std::ranges::none_of(field.second, bad);
}

bool bodiless(unsigned status) { return status < 200 || status == 204 || status == 304; }

}  // namespace

HttpConnection::HttpConnection(Socket socket, std::shared_ptr<HttpServerShared> shared,
                               std::optional<AddressKey> address)
    : socket_(std::move(socket)),
      timer_(socket_.get_executor()),
      shared_(std::move(shared)),
      address_(address) {
  ++shared_->stats.open;
  if (address_) {
    ++shared_->open_tcp;
    ++shared_->per_address[*address_];
  } else {
    ++shared_->open_local;
  }
}

void HttpConnection::start() {
  shared_->connections.emplace(this, shared_from_this());
  wait_for_request(shared_->options.message_deadline);
}

void HttpConnection::close() {
  if (state_ == State::closed) return;
  if (state_ == State::streaming) --shared_->stats.streams;
  state_ = State::closed;
  error_code ignored;
  timer_.cancel();
  socket_.close(ignored);
  --shared_->stats.open;
  if (address_) {
    --shared_->open_tcp;
    if (const auto found = shared_->per_address.find(*address_);
        found != shared_->per_address.end() && --found->second == 0) {
      shared_->per_address.erase(found);
    }
  } else {
    --shared_->open_local;
  }
  shared_->connections.erase(this);
}

void HttpConnection::wait_for_request(core::Duration deadline) {
  state_ = State::waiting;
  out_ = {};
  if (!in_.empty()) {  // pipelined
    begin_message();
    on_input();
    return;
  }
  in_ = {};
  arm(deadline);
  socket_.async_wait(Socket::wait_read, [self = shared_from_this()](const error_code& error) {
    if (self->state_ != State::waiting) return;
    if (error) {
      self->close();
      return;
    }
    self->begin_message();
    self->read_more();
  });
}

void HttpConnection::begin_message() {
  state_ = State::reading;
  request_.reset();
  head_ = gzip_wanted_ = false;
  arm(shared_->options.message_deadline);
}

void HttpConnection::read_more() {
  const auto used = in_.size();
  in_.resize(used + read_size);
  socket_.async_read_some(
      asio::buffer(in_.data() + used, read_size),
      [self = shared_from_this(), used](const error_code& error, std::size_t count) {
        if (self->state_ != State::reading) return;
        self->in_.resize(used + count);
        if (error) {
          self->close();
          return;
        }
        self->on_input();
      });
}

void HttpConnection::on_input() {
  if (request_) {
    if (in_.size() < body_length_) {
      read_more();
    } else {
      on_body();
    }
    return;
  }
  if (in_.starts_with("\r\n")) in_.erase(0, 2);  // RFC 9112, 2.2
  const auto limit = shared_->options.header_limit;
  const auto length = header_length(std::string_view{in_}.substr(0, limit));
  if (length != 0) {
    on_header(length);
  } else if (in_.size() >= limit) {
    refuse(431, std::format("a request's header has at most {} bytes", limit));
  } else if (!in_.empty() && in_.front() != '\r' && (in_.front() < 'A' || in_.front() > 'Z')) {
    refuse(400, "this is not HTTP");  // a TLS greeting, most likely: no need to wait for the rest
  } else {
    read_more();
  }
}

void HttpConnection::on_header(std::size_t length) {
  const auto& options = shared_->options;
  const bool local = !address_;
  const std::string_view header{in_.data(), length};
  if (header_suspect(header)) {
    refuse(400, "the header holds control characters or folded lines");
    return;
  }
  HeaderParser parser;
  parser.header_limit(static_cast<std::uint32_t>(options.header_limit));
  parser.body_limit(boost::none);
  error_code error;
  parser.put(asio::buffer(header), error);
  if (error || !parser.is_header_done()) {
    refuse(status_of(error), "the header is not valid HTTP");
    return;
  }
  if (const auto refusal = check_header(parser, options, local)) {
    refuse(refusal->status, refusal->detail);
    return;
  }
  const auto& message = parser.get();
  auto target = parse_target(message.target());
  if (!target) {
    refuse(400, target.error());
    return;
  }
  if (!local && !target->authority.empty() && !host_allowed(target->authority, options.hosts)) {
    refuse(421, "the host in the request target is not one of our names");
    return;
  }

  HttpRequest request;
  head_ = message.method() == http::verb::head;
  request.method = head_ ? "GET" : std::string{message.method_string()};
  request.path = std::move(target->path);
  request.query = std::move(target->query);
  request.local = local;
  if (address_) request.peer.assign(address_->begin(), address_->end());
  std::string accepted;  // several fields of one name are one list
  for (const auto& field : message) {
    request.fields.emplace_back(field.name_string(), field.value());
    if (field.name() == http::field::accept_encoding) accepted.append(field.value()).push_back(',');
  }
  gzip_wanted_ = accepts_gzip(accepted);
  ++served_;
  last_ = !parser.keep_alive() || message.version() < 11 || served_ >= max_requests;
  body_length_ = static_cast<std::size_t>(parser.content_length().value_or(0));
  const bool expects_continue = !message[http::field::expect].empty();
  in_.erase(0, length);
  request_ = std::move(request);
  if (in_.size() >= body_length_) {
    on_body();
    return;
  }
  if (expects_continue) {
    static constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    error_code ignored;
    // 25 bytes into an empty send buffer; should it be full nevertheless, the client sends after a
    // while anyway.
    socket_.non_blocking(true, ignored);
    socket_.write_some(asio::buffer(go_on), ignored);
  }
  read_more();
}

void HttpConnection::on_body() {
  auto request = std::move(*request_);
  request_.reset();
  request.body = in_.substr(0, body_length_);
  in_.erase(0, body_length_);
  handle(std::move(request));
}

void HttpConnection::handle(HttpRequest request) {
  state_ = State::handling;
  timer_.cancel();
  ++armed_;
  ++shared_->stats.requests;
  in_turn([self = shared_from_this(), request = std::move(request), asked = now()] {
    if (self->state_ != State::handling) return;
    if (now() - asked > self->shared_->options.answer_deadline)
      self->on_no_reply();
    else
      self->work_on(request);
  });
}

/// Whoever may open the Unix socket waits for nobody.
void HttpConnection::in_turn(HttpTurns::Work work) {
  if (address_)
    shared_->turns->take(std::move(work));
  else
    work();
}

void HttpConnection::work_on(const HttpRequest& request) {
  try {
    response_ = shared_->handler(request);
  } catch (const std::exception&) {
    ++shared_->stats.handler_errors;
    response_ = http_problem(500, "the request could not be worked on");
  }
  if (state_ == State::handling) answer();  // else the handler stopped the server
}

void HttpConnection::answer() {
  if (response_.later) {
    defer();
    return;
  }
  if (response_.status < 200 || response_.status > 599)
    response_ = http_problem(500, "the handler gave no valid status");
  if (response_.stream && shared_->stats.streams >= shared_->options.max_streams) {
    response_ = http_problem(503, "there are as many streams as there may be");
    response_.headers.emplace_back("Retry-After", "10");
  }
  if (response_.stream) last_ = true;
  if (gzip_wanted_ && response_.compressible && response_.body.size() >= gzip_from &&
      !bodiless(response_.status)) {
    gzip_ = std::make_unique<GzipCompressor>(response_.body);
    compress();
  } else {
    respond(std::move(response_));
  }
}

void HttpConnection::compress() {
  switch (gzip_->step()) {
    case GzipCompressor::Progress::more:
      // Never at once: between two steps the loop goes round.
      asio::post(socket_.get_executor(), [self = shared_from_this()] {
        self->in_turn([self] {
          if (self->state_ == State::handling) self->compress();
        });
      });
      return;
    case GzipCompressor::Progress::done:
      response_.body = gzip_->take();
      response_.headers.emplace_back("Content-Encoding", "gzip");
      break;
    case GzipCompressor::Progress::failed: break;  // plain text will do
  }
  gzip_.reset();
  respond(std::move(response_));
}

void HttpConnection::refuse(unsigned status, std::string_view detail) {
  ++shared_->stats.refused_requests;
  last_ = true;
  respond(http_problem(status, detail));
}

void HttpConnection::respond(HttpResponse response) {
  const auto given = [&response](std::string_view name) {
    return std::ranges::any_of(response.headers,
                               [name](const auto& field) { return same_word(field.first, name); });
  };
  out_ = std::format("HTTP/1.1 {} {}\r\nDate: {}\r\n", response.status,
                     reason_phrase(response.status), shared_->date());
  const auto field = [this](std::string_view name, std::string_view value) {
    out_.append(name).append(": ").append(value).append("\r\n");
  };
  const auto by_default = [&](std::string_view name, std::string_view value) {
    if (!given(name)) field(name, value);
  };
  if (!bodiless(response.status)) {
    if (sendable({"Content-Type", response.content_type}))
      field("Content-Type", response.content_type);
    if (!response.stream) field("Content-Length", std::to_string(response.body.size()));
  }
  by_default("Cache-Control", "no-store");
  by_default("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
  field("X-Content-Type-Options", "nosniff");
  field("Referrer-Policy", "no-referrer");
  field("Cross-Origin-Resource-Policy", "same-origin");
  if (response.compressible) by_default("Vary", "Accept-Encoding");
  for (const auto& header : response.headers) {
    if (sendable(header)) field(header.first, header.second);
  }
  if (last_) field("Connection", "close");
  out_.append("\r\n");
  if (head_ || bodiless(response.status)) response.body.clear();
  response_ = std::move(response);
  if (response_.stream && !head_) {
    begin_stream();
  } else {
    send();
  }
}

void HttpConnection::send() {
  state_ = State::writing;
  sent_ = 0;
  write_until_ = now() + shared_->options.write_deadline * 6;
  write_some();
}

void HttpConnection::write_some() {
  arm(std::min(shared_->options.write_deadline, write_until_ - now()));
  const auto& body = response_.body;
  const auto from_head = std::min(sent_, out_.size());
  const auto from_body = sent_ - from_head;
  const std::array<asio::const_buffer, 2> rest{asio::buffer(out_) + from_head,
                                               asio::buffer(body) + from_body};
  socket_.async_write_some(rest,
                           [self = shared_from_this()](const error_code& error, std::size_t count) {
                             if (self->state_ != State::writing) return;
                             if (error) {
                               self->close();
                               return;
                             }
                             self->sent_ += count;
                             if (self->sent_ < self->out_.size() + self->response_.body.size()) {
                               self->write_some();
                             } else {
                               self->on_sent();
                             }
                           });
}

void HttpConnection::on_sent() {
  response_ = {};
  if (!last_) {
    wait_for_request(shared_->options.idle_deadline);
    return;
  }
  state_ = State::draining;
  error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
  arm(drain_deadline);
  in_.resize(read_size);
  drain();
}

void HttpConnection::drain() {
  socket_.async_read_some(asio::buffer(in_),
                          [self = shared_from_this()](const error_code& error, std::size_t count) {
                            if (self->state_ != State::draining) return;
                            self->drained_ += count;
                            if (error || self->drained_ > drain_limit) {
                              self->close();
                            } else {
                              self->drain();
                            }
                          });
}

void HttpConnection::arm(core::Duration deadline) {
  timer_.expires_after(std::chrono::duration_cast<std::chrono::steady_clock::duration>(deadline));
  timer_.async_wait([self = shared_from_this(), number = ++armed_](const error_code& error) {
    if (!error && number == self->armed_) self->on_deadline();
  });
}

void HttpConnection::on_deadline() {
  switch (state_) {
    case State::reading: {
      ++shared_->stats.timeouts;
      error_code ignored;
      socket_.cancel(ignored);
      refuse(408, "the request did not arrive in time");
      return;
    }
    case State::writing:
      ++shared_->stats.timeouts;
      close();
      return;
    case State::deferred: on_no_reply(); return;
    case State::streaming: on_silence(); return;
    case State::waiting:
    case State::draining: close(); return;
    case State::handling:
    case State::closed: return;
  }
}

}  // namespace sentinel::io
