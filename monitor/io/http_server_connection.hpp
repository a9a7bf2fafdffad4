#pragma once

// One client's connection; for http_server.cpp only.
//
//   state      waits for              left by
//   waiting    a first byte           it -> reading; deadline -> closed
//   reading    header, then body      a whole message -> handling; deadline, bad input -> an error
//                                     is written, then draining
//   handling   its turn, then gzip    -> writing, deferred or streaming
//   deferred   the handler's reply    it -> handling; deadline -> 503 is written; client gone ->
//                                     closed
//   writing    the peer to read all   sent -> waiting, or draining when this was the last answer;
//                                     deadline -> closed
//   streaming  events, or silence     client gone or too slow -> closed
//   draining   the peer to close      end or deadline -> closed. Closing at once would let a reset
//                                     overtake the answer
//
// While waiting it holds no buffers.

#include <array>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "io/http_server.hpp"
#include "io/http_server_gzip.hpp"
#include "io/http_turns.hpp"

namespace sentinel::io {

using AddressKey = std::array<std::uint8_t, 16>;

struct AddressKeyHash {
  std::size_t operator()(const AddressKey& key) const noexcept {
    return std::hash<std::string_view>{}({reinterpret_cast<const char*>(key.data()), key.size()});
  }
};

class HttpConnection;

/// What connections share with their server; lives until the last handler has run.
struct HttpServerShared {
  explicit HttpServerShared(boost::asio::io_context& context)
      : turns{std::make_shared<HttpTurns>(context)} {}

  HttpServerOptions options;
  HttpHandler handler;
  HttpServerStats stats;
  bool stopped = false;
  unsigned open_tcp = 0;
  unsigned open_local = 0;
  std::unordered_map<AddressKey, unsigned, AddressKeyHash> per_address;
  std::unordered_map<HttpConnection*, std::shared_ptr<HttpConnection>> connections;
  std::shared_ptr<HttpTurns> turns;

  /// The Date field's value (RFC 9110, 5.6.7), made once a second.
  std::string_view date();

 private:
  std::int64_t date_second_ = -1;
  std::string date_;
};

class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  using Socket = boost::asio::generic::stream_protocol::socket;

  /// `address`: none for a Unix socket.
  HttpConnection(Socket socket, std::shared_ptr<HttpServerShared> shared,
                 std::optional<AddressKey> address);

  void start();
  void close();
  bool waiting() const { return state_ == State::waiting; }

 private:
  enum class State { waiting, reading, handling, deferred, writing, streaming, draining, closed };

  void wait_for_request(core::Duration deadline);
  void begin_message();
  void read_more();
  void on_input();
  void on_header(std::size_t length);
  void on_body();
  void handle(HttpRequest request);
  void in_turn(HttpTurns::Work work);
  void work_on(const HttpRequest& request);
  void answer();
  void compress();
  void defer();
  void watch_for_end();
  void on_reply(HttpResponse response);
  void on_no_reply();
  void refuse(unsigned status, std::string_view detail);
  void respond(HttpResponse response);
  void send();
  void write_some();
  void on_sent();
  void begin_stream();
  bool push(std::shared_ptr<const std::string> events);
  void pump();
  void read_on();
  void on_silence();
  void drain();
  void arm(core::Duration deadline);
  void on_deadline();

  Socket socket_;
  boost::asio::steady_timer timer_;
  std::shared_ptr<HttpServerShared> shared_;
  std::optional<AddressKey> address_;
  State state_ = State::waiting;
  std::uint64_t armed_ = 0;  // a replaced deadline's handler finds another number here

  std::string in_;
  std::optional<HttpRequest> request_;  // header read, body still missing
  std::size_t body_length_ = 0;
  bool head_ = false;
  bool gzip_wanted_ = false;
  bool last_ = false;  // close after the answer
  unsigned served_ = 0;

  HttpResponse response_;
  std::unique_ptr<GzipCompressor> gzip_;
  std::string out_;
  std::size_t sent_ = 0;
  core::Time write_until_{};
  std::size_t drained_ = 0;

  std::uint64_t deferred_ = 0;                             // a late reply finds another number here
  std::deque<std::shared_ptr<const std::string>> events_;  // of the first, `sent_` bytes are
  std::size_t queued_ = 0;                                 // bytes of all of them
  bool pumping_ = false;                                   // a write is under way
  std::array<char, 256> thrown_away_{};
};

}  // namespace sentinel::io
