#include "server_state.hpp"

#include <boost/asio/post.hpp>

#include <csignal>
#include <format>

namespace sentinel::demo {
namespace {

// After this many failed attempts to listen again the process gives up and exits.
constexpr int most_reopen_attempts = 50;
constexpr std::chrono::milliseconds reopen_pause{200};

}  // namespace

std::expected<std::uint16_t, std::string> Server::State::listen() {
  error_code error;
  const auto host = asio::ip::make_address(address.host, error);
  if (error) {
    return std::unexpected(std::format("'{}' is no IP address", printable(address.host)));
  }
  const tcp::endpoint endpoint{host, address.port};
  const auto attempt = [&](auto&& step) {
    if (!error) {
      step();
    }
  };
  attempt([&] { acceptor.open(endpoint.protocol(), error); });
  attempt([&] { acceptor.set_option(asio::socket_base::reuse_address{true}, error); });
  attempt([&] { acceptor.bind(endpoint, error); });
  attempt([&] { acceptor.listen(asio::socket_base::max_listen_connections, error); });
  if (error) {
    close_acceptor();
    return std::unexpected(std::format("cannot listen on {} port {}: {}", address.host,
                                       address.port, error.message()));
  }
  // A port the system chose stays ours when the socket is closed and opened again.
  address.port = acceptor.local_endpoint(error).port();
  spawn([this](Task&) { return accept_connections(); });
  return address.port;
}

void Server::State::close_acceptor() {
  error_code ignored;
  acceptor.close(ignored);
}

void Server::State::cancel_tasks(bool also_answering) {
  for (auto& [id, task] : tasks) {
    if (also_answering || !task.answering) {
      task.cancel.emit(asio::cancellation_type::terminal);
    }
  }
}

void Server::State::stop(int status) {
  if (stopping) {
    return;
  }
  stopping = true;
  exit_status = status;
  work.reset();
  close_acceptor();
  expiry.cancel();
  grace.cancel();
  error_code ignored;
  signals.cancel(ignored);
  cancel_tasks(false);
  if (tasks.empty()) {
    return;
  }
  grace.expires_after(limits.stop_grace);
  grace.async_wait([this](error_code error) {
    if (!error) {
      cancel_tasks(true);
      // Whatever did not end by itself is destroyed with the context.
      asio::post(context, [this] { context.stop(); });
    }
  });
}

void Server::State::arm_expiry() {
  const auto next = app.faults().next_expiry();
  if (!next || stopping) {
    expiry.cancel();
    return;
  }
  expiry.expires_at(*next);
  expiry.async_wait([this](error_code error) { on_expiry(error); });
}

void Server::State::on_expiry(error_code error) {
  if (error || stopping) {
    return;
  }
  for (const auto fault : app.expire(Instant::current())) {
    log_line(LogLevel::info, "demo.simulation.ended",
             std::format("stopped simulating {}: its time is over", name_of(fault)),
             {{"simulation", name_of(fault)}});
    if (fault == Fault::leak) {
      ballast.release();
    } else if (fault == Fault::refuse) {
      reopen();
    }
  }
  arm_expiry();
}

void Server::State::reopen() {
  if (stopping || acceptor.is_open()) {
    return;
  }
  const auto port = listen();
  if (port) {
    reopen_attempts = 0;
    return;
  }
  if (++reopen_attempts == most_reopen_attempts) {
    log_line(LogLevel::error, "demo.listen.failed", port.error());
    stop(1);
    return;
  }
  grace.expires_after(reopen_pause);
  grace.async_wait([this](error_code error) {
    if (!error) {
      reopen();
    }
  });
}

void Server::State::follow_up(const Reply& reply) {
  if (reply.log.empty()) {
    return;
  }
  log_line(LogLevel::info, "demo.simulation.changed", reply.log);
  switch (reply.follow_up) {
    case FollowUp::none: break;
    case FollowUp::crash: std::abort();
    case FollowUp::exit: stop(reply.exit_code); break;
    case FollowUp::refuse:
      close_acceptor();
      cancel_tasks(false);
      break;
    case FollowUp::leak:
      if (!ballast.grow(reply.leak_mib)) {
        log_line(LogLevel::warning, "demo.leak.failed", "the system gives no more memory to leak");
      }
      break;
    case FollowUp::release: ballast.release(); break;
  }
  arm_expiry();
}

Server::Server(App& app, Metrics& metrics, Address address, ServerLimits limits)
    : state_{std::make_unique<State>(app, metrics, std::move(address), limits)} {}

Server::~Server() = default;

std::expected<std::uint16_t, std::string> Server::open() {
  state_->arm_expiry();
  return state_->listen();
}

void Server::handle_signals(bool ignore_sigterm) {
  state_->signals.add(SIGINT);
  if (ignore_sigterm) {
    std::signal(SIGTERM, SIG_IGN);
  } else {
    state_->signals.add(SIGTERM);
  }
  state_->signals.async_wait([state = state_.get()](error_code error, int number) {
    if (!error) {
      log_line(LogLevel::info, "demo.stopping",
               number == SIGTERM ? "stopping: SIGTERM" : "stopping: SIGINT");
      state->stop(0);
    }
  });
}

int Server::run() {
  state_->context.run();
  return state_->exit_status;
}

void Server::stop() {
  asio::post(state_->context, [state = state_.get()] { state->stop(0); });
}

}  // namespace sentinel::demo
