// Where a redirect leads: the target of the request, then the Location, separated by NUL.

#include <string>

#include "fuzz.hpp"
#include "io/http_redirect.hpp"

using namespace sentinel;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const auto text = fuzz::view(data + 1, size - 1);
  const auto end = text.find('\0');
  io::HttpPlace from{.tls = (data[0] & 1U) != 0,
                     .host = (data[0] & 2U) != 0 ? "2001:db8::1" : "www.example.net",
                     .port = (data[0] & 4U) != 0 ? std::uint16_t{8080} : std::uint16_t{443},
                     .target = std::string(text.substr(0, end))};
  if (!io::http_target_valid(from.target)) from.target = "/a/b?c";
  const auto location = end == std::string_view::npos ? text : text.substr(end + 1);
  const auto to = io::follow_redirect(from, location);
  if (!to) {
    fuzz::require(fuzz::printable(to.error()) && to.error().size() < 500, "one line");
    return 0;
  }
  fuzz::require(to->host == from.host, "the same host");
  fuzz::require(to->tls || !from.tls, "never from https to http");
  fuzz::require(to->port != 0, "a port");
  fuzz::require(io::http_target_valid(to->target), "a target that can be sent");
  const auto path = to->target.substr(0, to->target.find('?')) + "/";
  fuzz::require(!path.contains("/../") && !path.contains("/./"), "no dots are left");
  return 0;
}
