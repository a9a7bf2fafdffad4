#pragma once

// Where the Engine listens, and what it means when it does not.

#include <expected>
#include <string>
#include <string_view>

#include "io/error.hpp"

namespace sentinel::io {

struct EngineEndpoint {
  bool local = true;  // a Unix socket, else plain TCP (a socket proxy)
  std::string path = "/var/run/docker.sock";
  std::string host;
  std::string port;
  std::string host_field = "localhost";  // of the HTTP requests
  std::string peer = "the Engine";       // how sentences call whoever listens there
};

/// `unix:///PATH`, `/PATH`, or `tcp://HOST:PORT` for a proxy that speaks plain HTTP. TLS and ssh
/// are refused.
std::expected<EngineEndpoint, Error> parse_engine_endpoint(std::string_view text);

/// A sentence about a failed connect(2) that says what to do where we know: e.g. which group may
/// open the socket.
std::string describe_connect_error(const EngineEndpoint& endpoint, int code);

}  // namespace sentinel::io
