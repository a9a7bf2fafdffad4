#pragma once

// Peers that follow a script, on the loop that the test turns itself: everything happens in one
// thread, so that what a peer had sent when the probe hung up is known to a few kilobytes.

#include <openssl/ssl.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace sentinel::test {

/// Reads until this was heard; with an empty text, until anything was.
struct Hear {
  std::string until;
};
struct Say {
  std::string text;
};
/// Says what it makes of all that was heard on the connection.
struct Answer {
  std::function<std::string(std::string_view heard)> make;
};
/// Byte by byte.
struct Drip {
  std::string text;
  std::chrono::milliseconds every;
};
/// Again and again until the other side hangs up.
struct Flood {
  std::string text;
};
/// TLS from here on, as the server. Of what it would send in the handshake only the first `most`
/// bytes are, then the script goes on in the clear.
struct Secure {
  SSL_CTX* context = nullptr;
  std::size_t most = SIZE_MAX;
};
/// Asks for another handshake (TLS 1.2), this many times.
struct Renegotiate {
  unsigned times = 1;
};
/// RST.
struct Reset {};
/// Until the other side hangs up.
struct Hang {};

using Step = std::variant<Hear, Say, Answer, Drip, Flood, Secure, Renegotiate, Reset, Hang>;
/// When it is over the connection is closed properly.
using Script = std::vector<Step>;

/// The first `steps` of a script, then `last`.
Script cut(const Script& script, std::size_t steps, Step last);

/// Listens on a port of the loopback interface and plays the script to each who connects.
class ScriptedPeer {
 public:
  ScriptedPeer(boost::asio::io_context& context, Script script,
               const std::string& address = "127.0.0.1", std::uint16_t port = 0);
  ~ScriptedPeer();
  ScriptedPeer(const ScriptedPeer&) = delete;
  ScriptedPeer& operator=(const ScriptedPeer&) = delete;

  std::uint16_t port() const { return port_; }
  unsigned accepted() const { return shared_->accepted; }
  /// Bytes on all connections that the network took, TLS included.
  std::size_t said() const { return shared_->said; }
  /// What came on the last connection, decrypted.
  const std::string& heard() const { return shared_->heard; }

 private:
  class Talk;
  struct Shared {
    Script script;
    unsigned accepted = 0;
    std::size_t said = 0;
    std::string heard;
    std::vector<std::weak_ptr<Talk>> talks;
  };

  static boost::asio::awaitable<void> accept(std::shared_ptr<boost::asio::ip::tcp::acceptor> from,
                                             std::shared_ptr<Shared> shared);

  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
  std::shared_ptr<boost::asio::ip::tcp::acceptor> acceptor_;
  std::uint16_t port_ = 0;
};

/// A port of the loopback interface where nothing listens.
std::uint16_t closed_port();

}  // namespace sentinel::test
