#pragma once

// The inside of Server, for server.cpp (start, stop, faults of the whole server) and session.cpp
// (connections) alone: the one header here that shows Asio and Beast.

#include "ballast.hpp"
#include "log.hpp"
#include "server.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include <map>

namespace sentinel::demo {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using SteadyTime = std::chrono::steady_clock::time_point;

struct Server::State {
  /// A running coroutine and how to end it.
  struct Task {
    asio::cancellation_signal cancel;
    bool answering = false;  ///< an answer is on its way: let it leave before the end
  };

  App& app;
  Metrics& metrics;
  Address address;
  ServerLimits limits;
  Ballast ballast;
  std::uint64_t next_task = 0;
  std::size_t connections = 0;
  int exit_status = 0;
  int reopen_attempts = 0;
  bool stopping = false;
  // Coroutines refer to their own entry, so it must stay where it is, and outlive the context.
  std::map<std::uint64_t, Task> tasks;
  asio::io_context context{1};
  // While `refuse` is on there may be nothing else to wait for.
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  tcp::acceptor acceptor{context};
  asio::signal_set signals{context};
  asio::steady_timer expiry{context};
  asio::steady_timer grace{context};

  State(App& the_app, Metrics& the_metrics, Address the_address, ServerLimits the_limits)
      : app{the_app}, metrics{the_metrics}, address{std::move(the_address)}, limits{the_limits} {}

  [[nodiscard]] Facts facts() const {
    return {.leaked_mib = ballast.mib(), .connections = connections};
  }

  template <typename Make>
  void spawn(Make make) {
    const auto id = next_task++;
    auto& task = tasks[id];
    asio::co_spawn(context, make(task),
                   asio::bind_cancellation_slot(task.cancel.slot(),
                                                [this, id](const std::exception_ptr& failure) {
                                                  tasks.erase(id);
                                                  report(failure);
                                                  if (stopping && tasks.empty()) {
                                                    grace.cancel();
                                                  }
                                                }));
  }

  static void report(const std::exception_ptr& failure) {
    try {
      if (failure) {
        std::rethrow_exception(failure);
      }
    } catch (const boost::system::system_error& error) {
      if (error.code() != asio::error::operation_aborted) {
        log_line(LogLevel::warning, "demo.connection.failed", error.what());
      }
    } catch (const std::exception& error) {
      log_line(LogLevel::error, "demo.connection.failed", error.what());
    }
  }

  std::expected<std::uint16_t, std::string> listen();
  void close_acceptor();
  void cancel_tasks(bool also_answering);
  void stop(int status);
  void arm_expiry();
  void on_expiry(error_code error);
  void reopen();
  void follow_up(const Reply& reply);

  asio::awaitable<void> accept_connections();
  asio::awaitable<void> serve(tcp::socket socket, Task& task);
  asio::awaitable<void> serve_requests(beast::tcp_stream& stream, Task& task);
  asio::awaitable<bool> wait_for_request(beast::tcp_stream& stream);
  asio::awaitable<bool> hold_back(beast::tcp_stream& stream, SteadyTime until);
  asio::awaitable<bool> hold_back_for(beast::tcp_stream& stream, const Reply& reply,
                                      SteadyTime arrived);
  asio::awaitable<bool> send(beast::tcp_stream& stream, Task& task, const Reply& reply,
                             unsigned version, bool head_only, bool keep_alive);
  asio::awaitable<void> linger(beast::tcp_stream& stream);
  Reply answer(const http::request<http::string_body>& request);
};

}  // namespace sentinel::demo
