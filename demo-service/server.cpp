#include "server.hpp"

#include "ballast.hpp"
#include "log.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancel_after.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include <array>
#include <csignal>
#include <format>
#include <map>
#include <optional>

namespace sentinel::demo {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using SteadyTime = std::chrono::steady_clock::time_point;

namespace {

constexpr auto as_tuple = asio::as_tuple(asio::use_awaitable);

// After this many failed attempts to listen again the process gives up and exits.
constexpr int most_reopen_attempts = 50;
constexpr std::chrono::milliseconds reopen_pause{200};
constexpr std::chrono::milliseconds accept_pause{50};

http::response<http::string_body> to_message(const Reply& reply, unsigned version, bool keep_alive) {
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

// Where the wire bends HTTP, answer what is wrong with it; no value for a peer that is gone.
std::optional<Reply> reply_to_error(error_code error) {
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
        return problem(431, "the request line and header fields are too long");
    }
    if (error == http::error::body_limit) {
        return problem(413, "the parameters belong into the query, the body must be empty");
    }
    if (error == beast::error::timeout) {
        return problem(408, "the request took too long to arrive");
    }
    if (error.category() == make_error_code(http::error::bad_method).category() &&
        error != http::error::end_of_stream && error != http::error::partial_message) {
        return problem(400, "this is not a well-formed HTTP/1.1 request");
    }
    return std::nullopt;
}

// What Beast lets pass but no honest client sends.
std::optional<Reply> refusal(const http::request<http::string_body>& request,
                             bool has_body) {
    if (request.count(http::field::transfer_encoding) > 0) {
        return problem(501, "Transfer-Encoding is not supported");
    }
    if (request.version() == 11 && request.count(http::field::host) != 1) {
        return problem(400, "there must be exactly one Host field");
    }
    const bool reads =
        request.method() == http::verb::get || request.method() == http::verb::head;
    if (reads && has_body) {
        return problem(400, "GET and HEAD have no body");
    }
    return std::nullopt;
}

} // namespace

struct Server::State {
    /// A running coroutine and how to end it.
    struct Task {
        asio::cancellation_signal cancel;
        bool answering = false; ///< an answer is on its way: let it leave before the end
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
        : app{the_app}, metrics{the_metrics}, address{std::move(the_address)},
          limits{the_limits} {}

    [[nodiscard]] Facts facts() const {
        return {.leaked_mib = ballast.mib(), .connections = connections};
    }

    template <typename Make> void spawn(Make make) {
        const auto id = next_task++;
        auto& task = tasks[id];
        asio::co_spawn(context, make(task),
                       asio::bind_cancellation_slot(
                           task.cancel.slot(), [this, id](const std::exception_ptr& failure) {
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
    case FollowUp::none:
        break;
    case FollowUp::crash:
        std::abort();
    case FollowUp::exit:
        stop(reply.exit_code);
        break;
    case FollowUp::refuse:
        close_acceptor();
        cancel_tasks(false);
        break;
    case FollowUp::leak:
        if (!ballast.grow(reply.leak_mib)) {
            log_line(LogLevel::warning, "demo.leak.failed",
                     "the system gives no more memory to leak");
        }
        break;
    case FollowUp::release:
        ballast.release();
        break;
    }
    arm_expiry();
}

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
            auto [body_error, body_bytes] =
                co_await http::async_read(stream, buffer, parser, as_tuple);
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
    auto [error] = co_await stream.socket().async_wait(
        tcp::socket::wait_read, asio::cancel_after(limits.idle, as_tuple));
    co_return !error;
}

// Waits without answering until `until`; false as soon as the peer has gone.
asio::awaitable<bool> Server::State::hold_back(beast::tcp_stream& stream, SteadyTime until) {
    constexpr std::chrono::hours at_once{1};
    bool watch_peer = true;
    for (auto now = std::chrono::steady_clock::now(); now < until;
         now = std::chrono::steady_clock::now()) {
        const auto left = until - now > at_once ? std::chrono::steady_clock::duration{at_once}
                                                : until - now;
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
            continue; // The time is over: the loop's condition sees it.
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

asio::awaitable<bool> Server::State::send(beast::tcp_stream& stream, Task& task,
                                          const Reply& reply, unsigned version, bool head_only,
                                          bool keep_alive) {
    auto message = to_message(reply, version, keep_alive);
    task.answering = true;
    stream.expires_after(limits.message);
    error_code error;
    if (head_only) {
        http::response<http::empty_body> head{std::move(message.base())};
        http::response_serializer<http::empty_body> serializer{head};
        auto [head_error, head_bytes] =
            co_await http::async_write_header(stream, serializer, as_tuple);
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
    const bool reads =
        request.method() == http::verb::get || request.method() == http::verb::head;
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

} // namespace sentinel::demo
