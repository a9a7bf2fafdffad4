#include "protocol/matchers.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "protocol/escape.hpp"
#include "protocol/settings_text.hpp"

namespace sentinel::protocol {

namespace {

constexpr std::size_t max_label = 64;
constexpr std::size_t max_value = 256;

// The longer signs first: each begins like none after it.
constexpr std::array<std::pair<std::string_view, core::Matcher::Op>, 4> signs{{
    {"!=", core::Matcher::Op::not_equal},
    {"!~", core::Matcher::Op::not_like},
    {"=", core::Matcher::Op::equal},
    {"~", core::Matcher::Op::like},
}};

}  // namespace

Parsed<std::string> parse_label_name(std::string_view text) {
  const bool good =
      !text.empty() && text.size() <= max_label && std::ranges::all_of(text, [](char c) {
        return text::is_digit(c) || text::is_alpha(c) || c == '_' || c == '-' || c == '.';
      });
  if (!good) return text::expected_form("a label's name of 1 to 64 letters, digits, _, - or .");
  return std::string(text);
}

Parsed<core::Matcher> parse_matcher(std::string_view text) {
  const auto expected = [] {
    return text::expected_form(
        "LABEL=VALUE, LABEL!=VALUE, or with * and ? in the value LABEL~VALUE, LABEL!~VALUE");
  };
  const auto at = text.find_first_of("=!~");
  if (at == std::string_view::npos) return expected();
  auto name = parse_label_name(text::trim(text.substr(0, at)));
  if (!name) return expected();
  const std::string_view rest = text.substr(at);
  for (const auto& [sign, op] : signs) {
    if (!rest.starts_with(sign)) continue;
    const std::string_view value = text::trim(rest.substr(sign.size()));
    // What a log line would have to escape matches no label.
    if (value.size() > max_value || one_line(value, 4 * max_value) != value) return expected();
    return core::Matcher{std::move(*name), op, std::string(value)};
  }
  return expected();
}

std::string format_matcher(const core::Matcher& matcher) {
  const auto sign =
      std::ranges::find(signs, matcher.op, &std::pair<std::string_view, core::Matcher::Op>::second);
  return matcher.label + std::string(sign->first) + matcher.value;
}

Parsed<core::Matchers> parse_matchers(std::string_view text) {
  core::Matchers out;
  for (const std::string_view part : text::split(text, ',', max_matchers + 1)) {
    auto matcher = parse_matcher(part);
    if (!matcher) return std::unexpected(std::move(matcher.error()));
    if (out.size() >= max_matchers)
      return text::expected_form("at most " + std::to_string(max_matchers) + " matchers");
    out.push_back(std::move(*matcher));
  }
  return out;
}

std::string format_matchers(const core::Matchers& matchers) {
  std::string out;
  for (const core::Matcher& matcher : matchers)
    out += (out.empty() ? "" : ",") + format_matcher(matcher);
  return out;
}

std::string_view word_of(core::Matcher::Op op) {
  switch (op) {
    case core::Matcher::Op::equal: return "equal";
    case core::Matcher::Op::not_equal: return "not_equal";
    case core::Matcher::Op::like: return "like";
    case core::Matcher::Op::not_like: return "not_like";
  }
  return "equal";
}

std::optional<core::Matcher::Op> parse_op(std::string_view word) {
  using enum core::Matcher::Op;
  for (const auto op : {equal, not_equal, like, not_like})
    if (word_of(op) == word) return op;
  return std::nullopt;
}

}  // namespace sentinel::protocol
