#pragma once

// A small HTTP/1.1 server for our own pages: metrics, health, API. It stands between hostile
// clients and handlers that may be simple, so everything is bounded here: bytes of a message, time
// for it, connections in all and per address.
//
// Refused: any Transfer-Encoding, a body on GET and HEAD, more or fewer than one Host, a Host that
// is not one of our names (DNS rebinding), folded headers, control characters, paths that climb.
// Errors are RFC 9457 problem documents.
//
// A handler answers at once with a whole body, or later (HttpResponse::later), or with a stream of
// server-sent events (HttpResponse::stream). Nothing is read from a client meanwhile but that it
// goes away.

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/time.hpp"
#include "io/error.hpp"

namespace boost::asio {
class io_context;
}

namespace sentinel::io {

using HttpFields = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method{};  // GET, POST, PUT, PATCH, DELETE or OPTIONS; HEAD arrives as GET
  std::string path{};    // begins with '/', percent-decoded, "//" and "/./" folded; never contains
                         // ".." or control characters
  std::string query{};   // what follows '?', still percent-encoded
  HttpFields fields{};   // at most 100
  std::string body{};    // at most HttpServerOptions::body_limit
  bool local = false;    // came over the Unix socket: whoever may open that file
  std::string peer{};    // the same for all addresses of a client (an IPv6 /64 is one), opaque;
                         // empty over the Unix socket

  /// The first field of this name (any case); empty when there is none.
  std::string_view field(std::string_view name) const;
  /// The first query parameter of this name, percent-decoded ('+' is a space); nullopt: none, or
  /// badly encoded.
  std::optional<std::string> parameter(std::string_view name) const;
};

struct HttpResponse;

/// Gives the answer that was promised. Once, on the server's thread; a second one, or one that
/// nobody waits for any more, is dropped.
using HttpReply = std::function<void(HttpResponse)>;

/// Sends whole server-sent events to one client. False: it is gone, or was too slow and was
/// disconnected just now. With nothing to send it only tells which.
using HttpStream = std::function<bool(std::shared_ptr<const std::string> events)>;

struct HttpResponse {
  unsigned status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body{};
  HttpFields headers{};  // further ones; a field with CR, LF or NUL in it is left out
  bool compressible =
      true;  // may be sent with gzip when the client takes it and it is long enough to gain
  /// When set, nothing else counts: it is called at once and sees to it that the reply is given. A
  /// client that had to wait for `patience` (none: the server's) gets 503.
  std::function<void(HttpReply)> later{};
  std::optional<core::Duration> patience{};
  /// When set, status, type and headers are sent, then this is called. The stream ends when the
  /// client goes or the server stops.
  std::function<void(HttpStream)> stream{};
};

/// A problem document (RFC 9457) with the standard title of `status`; `detail` may hold any bytes.
HttpResponse http_problem(unsigned status, std::string_view detail);
HttpResponse http_later(std::function<void(HttpReply)> later);
/// 200, text/event-stream.
HttpResponse http_events(std::function<void(HttpStream)> stream);

/// Runs on the io_context's thread; must be quick. One that throws is answered with 500.
using HttpHandler = std::function<HttpResponse(const HttpRequest&)>;

struct HttpServerOptions {
  std::vector<std::string>
      hosts{};  // names we go by besides localhost and IP addresses, without port
  unsigned max_connections = 256;  // over TCP
  unsigned max_per_address = 64;   // over TCP; an IPv6 /64 counts as one address
  unsigned max_local = 32;         // over Unix sockets, so that a crowd outside cannot lock us out
  std::size_t header_limit = 16 * 1024;
  std::size_t body_limit = 64 * 1024;
  core::Duration message_deadline =
      std::chrono::seconds{5};  // from the connection, later the first byte, to the last one
  core::Duration idle_deadline = std::chrono::seconds{30};  // between requests
  core::Duration write_deadline =
      std::chrono::seconds{10};  // without progress; six times that in all, of what is no stream
  core::Duration answer_deadline = std::chrono::seconds{10};  // of one that comes later
  unsigned max_streams = 64;                                  // more are answered 503
  std::size_t stream_limit = std::size_t{1} << 20U;  // bytes that wait for one client; who is sent
                                                     // more with that many waiting is disconnected
  core::Duration heartbeat = std::chrono::seconds{15};  // a comment into a stream that is silent
};

struct HttpServerStats {
  std::uint64_t accepted = 0;
  std::uint64_t refused_full = 0;  // max_connections or max_local reached
  std::uint64_t refused_per_address = 0;
  std::uint64_t accept_errors = 0;  // out of descriptors or memory; accepting pauses, then goes on
  std::uint64_t requests = 0;       // that reached the handler
  std::uint64_t refused_requests = 0;  // answered by the server itself with 4xx
  std::uint64_t timeouts = 0;          // message or write deadline passed
  std::uint64_t handler_errors = 0;    // handler threw
  std::uint64_t late_answers = 0;      // answered 503, because the answer did not come
  std::uint64_t slow_streams = 0;      // disconnected, because they read too slowly
  unsigned open = 0;                   // connections now, Unix sockets included
  unsigned streams = 0;                // of these
};

class HttpServer {
 public:
  HttpServer(boost::asio::io_context& context, HttpServerOptions options, HttpHandler handler);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// Binds `ADDRESS:PORT` (`127.0.0.1:8090`, `[::1]:0`, `:8090` for all addresses); no names. Gives
  /// the port bound.
  std::expected<std::uint16_t, Error> listen_tcp(const std::string& endpoint);
  /// Binds a Unix socket with these permission bits. A socket left by a dead process is replaced,
  /// one that answers and anything that is no socket are refused. The file is removed by stop().
  std::expected<void, Error> listen_unix(const std::string& path, unsigned mode);

  /// Begins to accept on everything bound; connections made before wait in the backlog.
  void start();
  /// Closes everything; the handler is not called any more. Safe to call twice.
  void stop();

  HttpServerStats stats() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sentinel::io
