#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sentinel::demo {

/// A query parameter that cannot be used, and what would have been right.
struct QueryError {
  std::string parameter;
  std::string message;
  std::string expected;
};

/// The parameters of a request target's query. At most 8, each name once.
class Query {
 public:
  static constexpr std::size_t most_parameters = 8;

  /// `text` is what follows the question mark, percent-encoded.
  [[nodiscard]] static std::expected<Query, QueryError> parse(std::string_view text);

  /// Fails with the first parameter that is not among `known`.
  [[nodiscard]] std::expected<void, QueryError> only(
      std::initializer_list<std::string_view> known) const;

  /// A whole number from `least` to `most`; no value when the parameter is absent.
  [[nodiscard]] std::expected<std::optional<std::int64_t>, QueryError> number(
      std::string_view name, std::int64_t least, std::int64_t most) const;

  /// A duration from `least` to `most`; no value when the parameter is absent.
  [[nodiscard]] std::expected<std::optional<std::chrono::milliseconds>, QueryError> duration(
      std::string_view name, std::chrono::milliseconds least, std::chrono::milliseconds most) const;

 private:
  [[nodiscard]] const std::string* find(std::string_view name) const;

  std::vector<std::pair<std::string, std::string>> parameters_;
};

}  // namespace sentinel::demo
