#include "query.hpp"

#include "duration.hpp"

#include <algorithm>
#include <charconv>
#include <format>

namespace sentinel::demo {
namespace {

std::optional<std::string> percent_decode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '+') {
      decoded += ' ';
    } else if (text[at] != '%') {
      decoded += text[at];
    } else {
      unsigned value = 0;
      const auto digits = text.substr(at + 1, 2);
      const auto [end, error] =
          std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
      if (digits.size() != 2 || error != std::errc{} || end != digits.data() + 2) {
        return std::nullopt;
      }
      decoded += static_cast<char>(value);
      at += 2;
    }
  }
  return decoded;
}

}  // namespace

std::expected<Query, QueryError> Query::parse(std::string_view text) {
  Query query;
  while (!text.empty()) {
    const auto item = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(item.size() + 1, text.size()));
    if (item.empty()) {
      continue;
    }
    const auto equals = item.find('=');
    const auto name = percent_decode(item.substr(0, equals));
    const auto value = equals == std::string_view::npos ? std::optional<std::string>{""}
                                                        : percent_decode(item.substr(equals + 1));
    if (!name || !value) {
      return std::unexpected(QueryError{std::string{item.substr(0, equals)},
                                        "has a broken percent-encoding",
                                        "%XX with two hexadecimal digits"});
    }
    if (query.find(*name) != nullptr) {
      return std::unexpected(QueryError{*name, "is given twice", "each parameter once"});
    }
    if (query.parameters_.size() == most_parameters) {
      return std::unexpected(QueryError{*name, "is one too many",
                                        std::format("at most {} parameters", most_parameters)});
    }
    query.parameters_.emplace_back(*name, *value);
  }
  return query;
}

std::expected<void, QueryError> Query::only(std::initializer_list<std::string_view> known) const {
  for (const auto& [name, value] : parameters_) {
    if (std::ranges::find(known, name) == known.end()) {
      std::string names;
      for (const auto each : known) {
        names += names.empty() ? "" : ", ";
        names += each;
      }
      return std::unexpected(
          QueryError{name, "is not known here", names.empty() ? "no parameter" : names});
    }
  }
  return {};
}

std::expected<std::optional<std::int64_t>, QueryError> Query::number(std::string_view name,
                                                                     std::int64_t least,
                                                                     std::int64_t most) const {
  const auto* text = find(name);
  if (text == nullptr) {
    return std::nullopt;
  }
  std::int64_t value = 0;
  const auto* const last = text->data() + text->size();
  const auto [end, error] = std::from_chars(text->data(), last, value);
  if (error != std::errc{} || end != last || value < least || value > most) {
    return std::unexpected(QueryError{std::string{name}, std::format("'{}' is refused", *text),
                                      std::format("a whole number from {} to {}", least, most)});
  }
  return value;
}

std::expected<std::optional<std::chrono::milliseconds>, QueryError> Query::duration(
    std::string_view name, std::chrono::milliseconds least, std::chrono::milliseconds most) const {
  const auto* text = find(name);
  if (text == nullptr) {
    return std::nullopt;
  }
  const auto value = parse_duration(*text);
  if (!value || *value < least || *value > most) {
    const auto why = value ? std::string{"is out of range"} : value.error();
    return std::unexpected(QueryError{std::string{name}, std::format("'{}' {}", *text, why),
                                      std::format("{}, from {} to {}", duration_form,
                                                  format_duration(least), format_duration(most))});
  }
  return *value;
}

const std::string* Query::find(std::string_view name) const {
  const auto found =
      std::ranges::find(parameters_, name, &std::pair<std::string, std::string>::first);
  return found == parameters_.end() ? nullptr : &found->second;
}

}  // namespace sentinel::demo
