#pragma once

// What is asked of a body: text in it, a regular expression, values in a JSON document, the word of
// a health document. Everything here is bounded: the body by who reads it, nesting and number of
// values by protocol/json, regular expressions by RE2's linear time and `regex_memory`.

#include <cstddef>
#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/probe_spec.hpp"

namespace re2 {
class RE2;
}

namespace sentinel::io {

struct ProbeVerdict {
  core::Verdict verdict = core::Verdict::fail;
  core::ProbeReason reason = core::ProbeReason::none;
  std::string sentence;  // escaped, one line
};

/// Compiled once, shared by all probes that use the same text.
class Regexes {
 public:
  static constexpr std::size_t memory = std::size_t{1} << 20U;  // bytes per expression
  static constexpr std::size_t limit = 2048;                    // expressions kept

  Regexes();
  ~Regexes();
  Regexes(const Regexes&) = delete;
  Regexes& operator=(const Regexes&) = delete;

  /// nullptr when it cannot be compiled.
  std::shared_ptr<const re2::RE2> get(const std::string& text);

 private:
  std::map<std::string, std::shared_ptr<const re2::RE2>, std::less<>> known_;
};

/// Whether the answer's body matters beyond its framing.
bool wants_body(const core::HttpOptions& options);

/// Whether the status is among the expected ones.
bool status_expected(const core::HttpOptions& options, unsigned status);
/// `2xx`, `200-204, 301`.
std::string expected_status(const core::HttpOptions& options);

/// What the body says; nullopt: nothing against it. `whole`: nothing of it is missing.
std::optional<ProbeVerdict> judge_body(const core::HttpOptions& options, Regexes& regexes,
                                       std::string_view content_type, std::string_view body,
                                       bool whole, unsigned status);

}  // namespace sentinel::io
