#include "server_state.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/cancel_after.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <array>
#include <optional>

namespace sentinel::demo {
namespace {

constexpr auto as_tuple = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds accept_pause{50};

http::response<http::string_body> to_message(const Reply& reply, unsigned version,
                                             bool keep_alive) {
  http::response<http::string_body> message{http::int_to_status(reply.status), version};
  message.set(http::field::content_type, reply.content_type);
  message.set(http::field::cache_control, "no-store");
  message.set("X-Content-Type-Options", "nosniff");
  if (!reply.allow.empty()) {
    message.set(http::field::allow, reply.allow);
  }
  message.keep_alive(keep_alive);
  message.body() = reply.body;
  message.prepare_payload();
  return message;
}

// Where the wire bends HTTP, answer what is wrong with it; no value for a peer that is gone, or
// too slow: at its deadline the stream has closed the socket already.
std::optional<Reply> reply_to_error(error_code error) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    return problem(431, "the request line and header fields are too long");
  }
  if (error == http::error::body_limit) {
    return problem(413, "the parameters belong into the query, the body must be empty");
  }
  if (error.category() == make_error_code(http::error::bad_method).category() &&
      error != http::error::end_of_stream && error != http::error::partial_message) {
    return problem(400, "this is not a well-formed HTTP/1.1 request");
  }
  return std::nullopt;
}

// What Beast lets pass but no honest client sends.
std::optional<Reply> refusal(const http::request<http::string_body>& request, bool has_body) {
  if (request.count(http::field::transfer_encoding) > 0) {
    return problem(501, "Transfer-Encoding is not supported");
  }
  if (request.version() == 11 && request.count(http::field::host) != 1) {
    return problem(400, "there must be exactly one Host field");
  }
  const bool reads = request.method() == http::verb::get || request.method() == http::verb::head;
  if (reads && has_body) {
    return problem(400, "GET and HEAD have no body");
  }
  return std::nullopt;
}

}  // namespace

asio::awaitable<void> Server::State::accept_connections() {
  while (acceptor.is_open() && !stopping) {
    auto [error, socket] = co_await acceptor.async_accept(as_tuple);
    if (!error && connections >= limits.connections) {
      metrics.connection_over_limit();
    } else if (!error) {
      ++connections;
      spawn([this, &socket](Task& task) { return serve(std::move(socket), task); });
    } else if (acceptor.is_open() && error != asio::error::connection_aborted) {
      // Out of descriptors or memory: wait for some connection to end.
      asio::steady_timer pause{context, accept_pause};
      co_await pause.async_wait(as_tuple);
    }
  }
}

asio::awaitable<void> Server::State::serve(tcp::socket socket, Task& task) {
  struct Counted {
    std::size_t& connections;
    ~Counted() { --connections; }
  } const counted{connections};
  beast::tcp_stream stream{std::move(socket)};
  error_code ignored;
  stream.socket().set_option(tcp::no_delay{true}, ignored);
  co_await serve_requests(stream, task);
}

asio::awaitable<void> Server::State::serve_requests(beast::tcp_stream& stream, Task& task) {
  beast::flat_buffer buffer{limits.header_bytes + limits.body_bytes};
  for (std::size_t served = 1; !stopping; ++served) {
    if (buffer.size() == 0) {
      const bool readable = co_await wait_for_request(stream);
      if (!readable) {
        co_return;
      }
    }
    http::request_parser<http::string_body> parser;
    parser.header_limit(limits.header_bytes);
    parser.body_limit(limits.body_bytes);
    stream.expires_after(limits.message);
    auto [header_error, header_bytes] =
        co_await http::async_read_header(stream, buffer, parser, as_tuple);
    auto error = header_error;
    std::optional<Reply> refused;
    if (!error) {
      refused = refusal(parser.get(), parser.content_length().value_or(0) > 0);
    }
    if (!error && !refused) {
      auto [body_error, body_bytes] = co_await http::async_read(stream, buffer, parser, as_tuple);
      error = body_error;
    }
    if (error) {
      refused = reply_to_error(error);
      if (!refused) {
        co_return;
      }
    }
    if (refused) {
      metrics.request("other", refused->status, {});
      const bool sent = co_await send(stream, task, *refused, 11, false, false);
      if (sent) {
        co_await linger(stream);
      }
      co_return;
    }
    const auto arrived = std::chrono::steady_clock::now();
    const auto& request = parser.get();
    stream.expires_never();
    if (const auto hang = app.faults().end_of(Fault::hang, arrived)) {
      const bool still_there = co_await hold_back(stream, *hang);
      if (!still_there) {
        co_return;
      }
    }
    const auto reply = answer(request);
    const bool patient = co_await hold_back_for(stream, reply, arrived);
    if (!patient) {
      co_return;
    }
    const bool keep_alive = request.keep_alive() && !stopping &&
                            reply.follow_up == FollowUp::none &&
                            served < limits.requests_per_connection;
    task.answering = true;
    const bool sent = co_await send(stream, task, reply, request.version(),
                                    request.method() == http::verb::head, keep_alive);
    metrics.request(reply.route, reply.status, std::chrono::steady_clock::now() - arrived);
    if (!keep_alive && sent) {
      error_code ignored;
      stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
    }
    // Told is told, even when the one who told us left without reading the answer.
    follow_up(reply);
    task.answering = false;
    if (!sent || !keep_alive) {
      co_return;
    }
  }
}

asio::awaitable<bool> Server::State::wait_for_request(beast::tcp_stream& stream) {
  auto [error] = co_await stream.socket().async_wait(tcp::socket::wait_read,
                                                     asio::cancel_after(limits.idle, as_tuple));
  co_return !error;
}

// Waits without answering until `until`; false as soon as the peer has gone.
asio::awaitable<bool> Server::State::hold_back(beast::tcp_stream& stream, SteadyTime until) {
  constexpr std::chrono::hours at_once{1};
  bool watch_peer = true;
  for (auto now = std::chrono::steady_clock::now(); now < until;
       now = std::chrono::steady_clock::now()) {
    const auto left =
        until - now > at_once ? std::chrono::steady_clock::duration{at_once} : until - now;
    if (!watch_peer) {
      asio::steady_timer timer{context, left};
      auto [error] = co_await timer.async_wait(as_tuple);
      if (error) {
        co_return false;
      }
      continue;
    }
    auto [error] = co_await stream.socket().async_wait(tcp::socket::wait_read,
                                                       asio::cancel_after(left, as_tuple));
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) {
      co_return false;
    }
    if (error) {
      continue;  // The time is over: the loop's condition sees it.
    }
    std::array<char, 1> byte{};
    error_code peek_error;
    stream.socket().non_blocking(true, peek_error);
    stream.socket().receive(asio::buffer(byte), tcp::socket::message_peek, peek_error);
    if (peek_error) {
      co_return false;
    }
    // The next request is here already; the socket stays readable and tells nothing more.
    watch_peer = false;
  }
  co_return true;
}

asio::awaitable<bool> Server::State::hold_back_for(beast::tcp_stream& stream, const Reply& reply,
                                                   SteadyTime arrived) {
  if (reply.delay.count() == 0) {
    co_return true;
  }
  const bool still_there = co_await hold_back(stream, arrived + reply.delay);
  co_return still_there;
}

asio::awaitable<bool> Server::State::send(beast::tcp_stream& stream, Task& task, const Reply& reply,
                                          unsigned version, bool head_only, bool keep_alive) {
  auto message = to_message(reply, version, keep_alive);
  task.answering = true;
  stream.expires_after(limits.message);
  error_code error;
  if (head_only) {
    http::response<http::empty_body> head{std::move(message.base())};
    http::response_serializer<http::empty_body> serializer{head};
    auto [head_error, head_bytes] = co_await http::async_write_header(stream, serializer, as_tuple);
    error = head_error;
  } else {
    auto [full_error, full_bytes] = co_await http::async_write(stream, message, as_tuple);
    error = full_error;
  }
  task.answering = false;
  stream.expires_never();
  co_return !error;
}

// Reads what a refused peer still sends, within bounds: closing at once would reset the
// connection and could take the answer away from it.
asio::awaitable<void> Server::State::linger(beast::tcp_stream& stream) {
  error_code ignored;
  stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
  stream.expires_after(std::chrono::milliseconds{500});
  std::array<char, 4096> scrap{};
  for (int reads = 0; reads < 16; ++reads) {
    auto [error, bytes] = co_await stream.async_read_some(asio::buffer(scrap), as_tuple);
    if (error) {
      co_return;
    }
  }
}

Reply Server::State::answer(const http::request<http::string_body>& request) {
  const auto now = Instant::current();
  const std::string_view target{request.target().data(), request.target().size()};
  const bool reads = request.method() == http::verb::get || request.method() == http::verb::head;
  if (target == "/metrics" && reads) {
    return {.content_type = "text/plain; version=0.0.4; charset=utf-8",
            .body = metrics.text(app, facts(), now),
            .route = "/metrics"};
  }
  const auto method = request.method_string();
  const auto host = request[http::field::host];
  const auto origin = request[http::field::origin];
  return app.handle({.method = {method.data(), method.size()},
                     .target = target,
                     .host = {host.data(), host.size()},
                     .origin = {origin.data(), origin.size()},
                     .body_bytes = request.body().size()},
                    facts(), now);
}

}  // namespace sentinel::demo
