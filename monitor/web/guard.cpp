#include "web/guard.hpp"

#include <algorithm>
#include <chrono>

namespace sentinel::web {

namespace {

using io::HttpRequest;
using io::HttpResponse;

std::string_view media_type(std::string_view field) {
  field = field.substr(0, field.find(';'));
  while (!field.empty() && field.back() == ' ') field.remove_suffix(1);
  return field;
}

bool of_another_origin(const HttpRequest& request) {
  const std::string_view origin = request.field("Origin");
  const std::string host{request.field("Host")};
  return !origin.empty() && origin != "http://" + host && origin != "https://" + host;
}

}  // namespace

bool equal_secrets(std::string_view a, std::string_view b) {
  // The loop runs over what was given, so that its time tells nothing about the secret.
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const char other = b.empty() ? '\0' : b[i % b.size()];
    difference |=
        static_cast<unsigned>(static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(other));
  }
  return difference == 0;
}

core::Time& Guard::clean_at(const std::string& peer, core::Time now) {
  const auto found = guesses_.find(peer);
  if (found != guesses_.end()) return found->second;
  if (guesses_.size() >= max_clients)
    std::erase_if(guesses_, [now](const auto& entry) { return entry.second <= now; });
  return guesses_.size() >= max_clients ? guesses_[std::string{}] : guesses_[peer];
}

std::optional<HttpResponse> Guard::refuse(const HttpRequest& request, core::Time now) {
  if (request.local) return std::nullopt;
  if (token_.empty()) {
    return io::http_problem(
        403, "changes over TCP are off: no token is configured (SENTINEL_TOKEN_FILE)");
  }
  if (of_another_origin(request))
    return io::http_problem(403, "changes from pages of another origin are refused");
  const auto known = guesses_.find(guesses_.contains(request.peer) ? request.peer : std::string{});
  if (known != guesses_.end() && known->second > now + forgotten_after * (max_guesses - 1)) {
    const auto wait = std::chrono::ceil<std::chrono::seconds>(known->second - now -
                                                              forgotten_after * (max_guesses - 1));
    HttpResponse response = io::http_problem(429, "too many wrong tokens; wait a while");
    response.headers.emplace_back("Retry-After", std::to_string(wait.count()));
    return response;
  }
  constexpr std::string_view scheme = "Bearer ";
  const std::string_view given = request.field("Authorization");
  if (given.starts_with(scheme) && equal_secrets(given.substr(scheme.size()), token_))
    return std::nullopt;
  // A page that asks without a token guesses nothing.
  if (!given.empty()) {
    core::Time& clean = clean_at(request.peer, now);
    clean = std::max(clean, now) + forgotten_after;
  }
  HttpResponse response =
      io::http_problem(401, "expected Authorization: Bearer with the configured token");
  response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"sentinel\"");
  return response;
}

std::optional<HttpResponse> Guard::refuse_change(const HttpRequest& request, core::Time now) {
  if (media_type(request.field("Content-Type")) != "application/json")
    return io::http_problem(415, "expected Content-Type: application/json");
  return refuse(request, now);
}

}  // namespace sentinel::web
