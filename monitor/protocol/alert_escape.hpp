#pragma once

// Text on its way into somebody's markup. What comes in is what alert_text.hpp makes: valid UTF-8
// without control characters.

#include <cstdint>
#include <string>
#include <string_view>

namespace sentinel::protocol {

enum class Markup : std::uint8_t {
  chat,      // `@` cannot mention, `<` becomes `‹`
  markdown,  // as chat, and punctuation loses its power by backslashes, addresses are no links
  code,      // for the inside of a fenced block: it cannot be ended
  html,
  url,
  plain,
};

std::string escape_markup(std::string_view text, Markup markup);

}  // namespace sentinel::protocol
