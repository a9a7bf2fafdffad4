#pragma once

// Who may change things: whoever may open the Unix socket, and over TCP whoever knows the token.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/time.hpp"
#include "io/http_server.hpp"

namespace sentinel::web {

/// In time that does not depend on where the two differ.
bool equal_secrets(std::string_view a, std::string_view b);

/// Refuses in this order: no token configured and pages of another origin (403), a client that has
/// guessed too often (429), a wrong token or none (401).
class Guard {
 public:
  static constexpr unsigned max_guesses = 10;  // wrong ones of one client; one is forgotten each
                                               // `forgotten_after`
  static constexpr core::Duration forgotten_after = std::chrono::seconds{6};
  static constexpr std::size_t max_clients = 1000;  // more that guess share the limit of one

  /// `token` empty: nobody over TCP.
  explicit Guard(std::string token) : token_{std::move(token)} {}
  void set_token(std::string token) { token_ = std::move(token); }
  bool has_token() const { return !token_.empty(); }

  /// nullopt: go on.
  std::optional<io::HttpResponse> refuse(const io::HttpRequest& request, core::Time now);
  /// The same for a call with a body, which has to be JSON: from a page of another origin a browser
  /// asks us first then, and is refused (415 before everything else).
  std::optional<io::HttpResponse> refuse_change(const io::HttpRequest& request, core::Time now);

 private:
  /// When all of a client's guesses are forgotten.
  core::Time& clean_at(const std::string& peer, core::Time now);

  std::string token_;
  std::unordered_map<std::string, core::Time> guesses_;
};

}  // namespace sentinel::web
