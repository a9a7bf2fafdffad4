#include "scripted_peer.hpp"

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <utility>

namespace sentinel::test {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {
constexpr auto token = asio::as_tuple(asio::use_awaitable);
}

/// One connection. Each of its functions says whether the script goes on.
class ScriptedPeer::Talk {
 public:
  Talk(tcp::socket socket, std::shared_ptr<Shared> shared)
      : socket_(std::move(socket)), shared_(std::move(shared)), timer_(socket_.get_executor()) {}
  ~Talk() { SSL_free(ssl_); }
  Talk(const Talk&) = delete;
  Talk& operator=(const Talk&) = delete;

  static asio::awaitable<void> play(std::shared_ptr<Talk> talk) {
    for (const Step& step : talk->shared_->script) {
      const bool on =
          co_await std::visit([&talk](const auto& one) { return talk->act(one); }, step);
      if (!on) break;
    }
    talk->close();
  }

  void close() {
    timer_.cancel();
    boost::system::error_code ignored;
    socket_.close(ignored);
  }

 private:
  asio::awaitable<bool> act(const Hear& step) {
    const auto begun = shared_->heard.size();
    if (!step.until.empty() && shared_->heard.find(step.until, used_) != std::string::npos) {
      used_ = shared_->heard.find(step.until, used_) + step.until.size();
      co_return true;
    }
    while (true) {
      const bool more = co_await listen();
      if (!more) co_return false;
      if (step.until.empty() && shared_->heard.size() > begun) co_return true;
      const auto found =
          step.until.empty() ? std::string::npos : shared_->heard.find(step.until, used_);
      if (found == std::string::npos) continue;
      used_ = found + step.until.size();
      co_return true;
    }
  }

  asio::awaitable<bool> act(const Say& step) {
    const bool said = co_await say(step.text);
    co_return said;
  }

  asio::awaitable<bool> act(const Answer& step) {
    const auto text = step.make(shared_->heard);
    const bool said = co_await say(text);
    co_return said;
  }

  asio::awaitable<bool> act(const Drip& step) {
    for (const char byte : step.text) {
      const bool said = co_await say(std::string(1, byte));
      if (!said) co_return false;
      timer_.expires_after(step.every);
      co_await timer_.async_wait(token);
    }
    co_return true;
  }

  asio::awaitable<bool> act(const Flood& step) {
    while (true) {
      const bool said = co_await say(step.text);
      if (!said) co_return false;
    }
  }

  asio::awaitable<bool> act(const Secure& step) {
    ssl_ = SSL_new(step.context);
    SSL_set_bio(ssl_, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(ssl_);
    auto left = step.most;
    while (true) {
      const int result = SSL_do_handshake(ssl_);
      auto flight = sealed();
      if (flight.size() > left) {
        flight.resize(left);
        SSL_free(std::exchange(ssl_, nullptr));
        const bool sent = co_await send(flight);
        co_return sent;
      }
      left -= step.most == SIZE_MAX ? 0 : flight.size();
      const bool sent = co_await send(flight);
      if (!sent) co_return false;
      if (result == 1) co_return true;
      if (SSL_get_error(ssl_, result) != SSL_ERROR_WANT_READ) co_return false;
      const bool more = co_await receive();
      if (!more) co_return false;
    }
  }

  asio::awaitable<bool> act(const Renegotiate& step) {
    for (unsigned i = 0; i < step.times; ++i) {
      SSL_renegotiate(ssl_);
      SSL_do_handshake(ssl_);
      if (i % 256 != 255 && i + 1 < step.times) continue;
      const bool sent = co_await send(sealed());
      if (!sent) co_return false;
    }
    co_return true;
  }

  asio::awaitable<bool> act(const Reset& /*step*/) {
    boost::system::error_code ignored;
    socket_.set_option(asio::socket_base::linger(true, 0), ignored);
    co_return false;
  }

  asio::awaitable<bool> act(const Hang& /*step*/) {
    while (true) {
      const bool more = co_await listen();
      if (!more) co_return false;
    }
  }

  /// What OpenSSL has for the network.
  std::string sealed() {
    std::string bytes(BIO_ctrl_pending(SSL_get_wbio(ssl_)), '\0');
    if (!bytes.empty()) BIO_read(SSL_get_wbio(ssl_), bytes.data(), static_cast<int>(bytes.size()));
    return bytes;
  }

  asio::awaitable<bool> say(std::string text) {
    if (ssl_ != nullptr && !text.empty()) {
      if (SSL_write(ssl_, text.data(), static_cast<int>(text.size())) <= 0) co_return false;
      text = sealed();
    }
    const bool sent = co_await send(std::move(text));
    co_return sent;
  }

  asio::awaitable<bool> send(std::string bytes) {
    const auto [error, count] = co_await asio::async_write(socket_, asio::buffer(bytes), token);
    shared_->said += count;
    co_return !error;
  }

  /// Raw bytes: to what was heard, or to OpenSSL.
  asio::awaitable<bool> receive() {
    const auto [error, count] = co_await socket_.async_read_some(asio::buffer(buffer_), token);
    if (error) co_return false;
    if (ssl_ == nullptr) {
      shared_->heard.append(buffer_.data(), count);
    } else {
      BIO_write(SSL_get_rbio(ssl_), buffer_.data(), static_cast<int>(count));
    }
    co_return true;
  }

  asio::awaitable<bool> listen() {
    if (ssl_ == nullptr) {
      const bool more = co_await receive();
      co_return more;
    }
    std::array<char, 4096> clear{};
    while (true) {
      const int count = SSL_read(ssl_, clear.data(), static_cast<int>(clear.size()));
      if (count > 0) {
        shared_->heard.append(clear.data(), static_cast<std::size_t>(count));
        co_return true;
      }
      if (SSL_get_error(ssl_, count) != SSL_ERROR_WANT_READ) co_return false;
      const bool more = co_await receive();
      if (!more) co_return false;
    }
  }

  tcp::socket socket_;
  std::shared_ptr<Shared> shared_;
  asio::steady_timer timer_;
  SSL* ssl_ = nullptr;
  std::size_t used_ = 0;  // of what was heard
  std::array<char, 16 * 1024> buffer_{};
};

Script cut(const Script& script, std::size_t steps, Step last) {
  Script part(script.begin(), script.begin() + static_cast<std::ptrdiff_t>(steps));
  part.push_back(std::move(last));
  return part;
}

ScriptedPeer::ScriptedPeer(asio::io_context& context, Script script, const std::string& address,
                           std::uint16_t port)
    : acceptor_(std::make_shared<tcp::acceptor>(
          context, tcp::endpoint(asio::ip::make_address(address), port))),
      port_(acceptor_->local_endpoint().port()) {
  shared_->script = std::move(script);
  asio::co_spawn(context, accept(acceptor_, shared_), asio::detached);
}

ScriptedPeer::~ScriptedPeer() {
  acceptor_->close();
  for (const auto& known : shared_->talks)
    if (const auto talk = known.lock()) talk->close();
}

asio::awaitable<void> ScriptedPeer::accept(std::shared_ptr<tcp::acceptor> from,
                                           std::shared_ptr<Shared> shared) {
  while (true) {
    auto [error, socket] = co_await from->async_accept(token);
    if (error) co_return;
    ++shared->accepted;
    shared->heard.clear();
    const auto talk = std::make_shared<Talk>(std::move(socket), shared);
    std::erase_if(shared->talks, [](const auto& known) { return known.expired(); });
    shared->talks.push_back(talk);
    asio::co_spawn(from->get_executor(), Talk::play(talk), asio::detached);
  }
}

std::uint16_t closed_port() {
  asio::io_context context;
  const tcp::acceptor acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  return acceptor.local_endpoint().port();
}

}  // namespace sentinel::test
