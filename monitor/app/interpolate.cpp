#include "app/interpolate.hpp"

#include <algorithm>

namespace sentinel::app {

namespace {

bool good_name(std::string_view name) {
  const auto letter = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
  };
  return !name.empty() && name.size() <= 128 && letter(name.front()) &&
         std::ranges::all_of(name, [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

std::unexpected<protocol::Error> refuse(std::string text) {
  return std::unexpected(protocol::Error{std::move(text)});
}

}  // namespace

std::expected<std::string, protocol::Error> interpolate(std::string_view text,
                                                        const Environment& environment) {
  std::string out;
  while (!text.empty()) {
    const auto dollar = std::min(text.find('$'), text.size());
    out += text.substr(0, dollar);
    text.remove_prefix(dollar);
    if (text.starts_with("$$")) {
      out += '$';
      text.remove_prefix(2);
    } else if (text.starts_with("${")) {
      const auto close = text.find('}');
      const auto inside = text.substr(2, close == std::string_view::npos ? 0 : close - 2);
      const auto dash = inside.find(":-");
      const std::string name{inside.substr(0, dash)};
      if (!good_name(name))
        return refuse("expected ${NAME} or ${NAME:-default}, and $$ for a dollar sign");
      const auto value = environment ? environment(name) : std::nullopt;
      if (dash != std::string_view::npos && (!value || value->empty())) {
        out += inside.substr(dash + 2);
      } else if (value) {
        out += *value;
      } else {
        return refuse("expected the variable " + name + " to be set, or ${" + name + ":-default}");
      }
      text.remove_prefix(close + 1);
    } else if (!text.empty()) {
      out += '$';
      text.remove_prefix(1);
    }
    if (out.size() > max_interpolated_bytes)
      return refuse("expected at most " + std::to_string(max_interpolated_bytes) +
                    " bytes with all variables replaced");
  }
  return out;
}

}  // namespace sentinel::app
