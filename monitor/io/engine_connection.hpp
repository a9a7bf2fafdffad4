#pragma once

// One connection to the Engine, or to another process of this host (local_caller.hpp), and the one
// HTTP exchange under way on it. Used by engine_client.cpp, probe_exec.cpp, container_logs.cpp and
// local_caller.cpp only: this header brings Asio along.
//
// Every exchange ends exactly once, by its handler or by abandon(). The deadline is one timer; when
// it strikes, the socket is closed and the outcome is `timeout`, whatever the aborted operations
// say afterwards. A GET on a kept connection that the Engine had closed before answering is sent
// once more on a new one; nothing else is ever sent twice.

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.hpp"
#include "io/engine_answers.hpp"
#include "io/engine_endpoint.hpp"
#include "protocol/http_response.hpp"

namespace sentinel::io {

class EngineConnection : public std::enable_shared_from_this<EngineConnection> {
 public:
  struct Exchange {
    std::string method = "GET";
    std::string target;
    std::string body;          // JSON, with POST
    core::Duration timeout{};  // from sending to the end of the answer; of a stream, to its head
    protocol::HttpLimits limits;
    std::function<void(EngineResult)> on_end;
    // Streams only: a 200's body goes here instead of into the answer.
    std::function<void()> on_head;
    std::function<void(std::string_view)> on_body;
  };

  /// `scratch` is shared by all connections of a thread: bytes live in it only while they are
  /// handled.
  EngineConnection(boost::asio::io_context& context, const EngineEndpoint& endpoint,
                   core::Duration connect_timeout, std::span<char> scratch);

  /// Handlers run from the io_context, never from inside this call. One exchange at a time.
  void start(Exchange exchange);
  /// Ends without calling any handler.
  void abandon();
  /// Ends the exchange under way with `cancelled`, through the io_context.
  void cancel();
  bool busy() const { return exchange_ != nullptr; }
  /// Whether the next exchange can go over the present connection.
  bool connected() const { return socket_.is_open() && !busy(); }
  /// Closes the connection unless it is used again within this time.
  void expire_after(core::Duration idle);

 private:
  using Socket = boost::asio::basic_stream_socket<boost::asio::generic::stream_protocol,
                                                  boost::asio::io_context::executor_type>;
  using Timer =
      boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                        boost::asio::wait_traits<std::chrono::steady_clock>,
                                        boost::asio::io_context::executor_type>;
  using Resolver =
      boost::asio::ip::basic_resolver<boost::asio::ip::tcp, boost::asio::io_context::executor_type>;
  using Endpoint = boost::asio::generic::stream_protocol::endpoint;

  void connect();
  void connect_to(std::vector<Endpoint> endpoints, std::size_t index);
  void on_connected();
  void send();
  void wait_readable();
  void on_readable();
  /// Handles what was read; false: the exchange is over.
  bool on_bytes(std::string_view bytes);
  void on_broken(int code);
  void arm(core::Duration timeout, EngineFailure on_strike);
  void close();
  void end(EngineResult result);
  void end_later(EngineFailure failure);
  void fail(EngineFailure::Kind kind, std::string text) {
    end(std::unexpected(EngineFailure{kind, std::move(text)}));
  }

  boost::asio::io_context& context_;
  const EngineEndpoint& endpoint_;
  core::Duration connect_timeout_;
  std::span<char> scratch_;
  Socket socket_;
  Timer timer_;
  std::unique_ptr<Resolver> resolver_;  // TCP only
  std::shared_ptr<Exchange> exchange_;  // shared, so that a handler may end what it is part of
  protocol::HttpResponseReader reader_;
  std::string request_;
  std::string body_;
  std::uint64_t turn_ =
      0;  // of the connection and exchange; handlers of an earlier turn do nothing
  bool reused_ = false;
  bool heard_ = false;  // a byte of the answer came
  bool head_told_ = false;
};

}  // namespace sentinel::io
