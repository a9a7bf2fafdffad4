#include "protocol/alert_escape.hpp"

#include "protocol/alert_mail.hpp"
#include "protocol/settings_text.hpp"

namespace sentinel::protocol {
namespace {

constexpr std::string_view nothing = "\u200B";   // breaks a word for machines, not for people
constexpr std::string_view angle = "\u2039";     // looks like <
constexpr std::string_view backtick = "\u02CB";  // looks like `

std::string url_escape(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  constexpr std::string_view unreserved = "-._~";
  std::string out;
  for (const char c : text) {
    if (text::is_alpha(c) || text::is_digit(c) || unreserved.find(c) != std::string_view::npos) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      ((out += '%') += digits[byte >> 4U]) += digits[byte & 0xFU];
    }
  }
  return out;
}

std::string chat_escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') {
      out += angle;
    } else {
      out += c;
      if (c == '@') out += nothing;
    }
  }
  return out;
}

std::string markdown_escape(std::string_view text) {
  constexpr std::string_view special = "\\`*_{}[]()#+-!|~><";
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (special.find(c) != std::string_view::npos ||
        (c == ':' && text.substr(i).starts_with("://")))
      out += '\\';
    out += c;
    if (c == '@') out += nothing;
  }
  return out;
}

std::string code_escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '`') {
      out += backtick;
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

std::string escape_markup(std::string_view text, Markup markup) {
  switch (markup) {
    case Markup::chat: return chat_escape(text);
    case Markup::markdown: return markdown_escape(text);
    case Markup::code: return code_escape(text);
    case Markup::html: return html_escape(text);
    case Markup::url: return url_escape(text);
    case Markup::plain: break;
  }
  return std::string{text};
}

}  // namespace sentinel::protocol
