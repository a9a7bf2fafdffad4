#include "io/engine_endpoint.hpp"

#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "protocol/escape.hpp"

namespace sentinel::io {
namespace {

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

std::unexpected<Error> bad(std::string_view text, std::string_view why) {
  return std::unexpected(
      Error{"Engine address " + protocol::one_line(text, 128) + ": " + std::string(why), 0});
}

}  // namespace

std::expected<EngineEndpoint, Error> parse_engine_endpoint(std::string_view text) {
  constexpr std::string_view form = "expected unix:///PATH or tcp://HOST:PORT";
  EngineEndpoint endpoint;
  std::string_view rest = text;
  if (take(rest, "unix://") || rest.starts_with('/')) {
    if (!rest.starts_with('/'))
      return bad(text, "expected an absolute path, as in unix:///var/run/docker.sock");
    if (rest.size() >= sizeof(sockaddr_un::sun_path))
      return bad(text, "the path is too long for a socket");
    if (rest.find('\0') != std::string_view::npos) return bad(text, form);
    endpoint.path = rest;
    return endpoint;
  }
  if (rest.starts_with("https://") || rest.starts_with("ssh://") || rest.starts_with("npipe://")) {
    return bad(
        text,
        "this kind of address is not supported yet; expected unix:///PATH or tcp://HOST:PORT");
  }
  if (!take(rest, "tcp://") && !take(rest, "http://")) return bad(text, form);
  if (rest.ends_with('/')) rest.remove_suffix(1);
  const auto colon = rest.rfind(':');
  if (colon == std::string_view::npos) return bad(text, form);
  std::string_view host = rest.substr(0, colon);
  const std::string_view port = rest.substr(colon + 1);
  const bool good_port = !port.empty() && port.size() <= 5 &&
                         std::ranges::all_of(port, [](char c) { return c >= '0' && c <= '9'; });
  const std::string_view written = host;
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const bool good_host =
      !host.empty() && host.size() <= 253 && std::ranges::all_of(host, [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               c == '.' || c == '-' || c == '_' || c == ':';
      });
  if (!good_port || !good_host || std::stoi(std::string(port)) > 65535) return bad(text, form);
  endpoint.local = false;
  endpoint.path.clear();
  endpoint.host = host;
  endpoint.port = port;
  endpoint.host_field = std::string(written) + ":" + std::string(port);
  return endpoint;
}

std::string describe_connect_error(const EngineEndpoint& endpoint, int code) {
  const std::string where = endpoint.local ? endpoint.path : endpoint.host + ":" + endpoint.port;
  if (endpoint.local && code == EACCES) {
    struct stat info{};
    if (::stat(endpoint.path.c_str(), &info) == 0) {
      return "permission denied on " + where + ": its group is " + std::to_string(info.st_gid) +
             ", set SENTINEL_DOCKER_GID=" + std::to_string(info.st_gid);
    }
    return "permission denied on " + where + ": a directory above it is closed to us";
  }
  if (endpoint.local && code == ENOENT) return "there is no Engine socket at " + where;
  if (code == ECONNREFUSED) return "connection refused on " + where + ": no Engine listens there";
  // A Unix socket whose backlog is full says EAGAIN at once, or ENOTCONN at the first use.
  if (endpoint.local && (code == EAGAIN || code == ENOTCONN))
    return "the Engine accepts no more connections on " + where;
  return where + ": " + std::generic_category().message(code);
}

}  // namespace sentinel::io
