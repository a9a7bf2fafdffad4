#include "protocol/alert_mail.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <format>

#include "protocol/alert_request.hpp"
#include "protocol/alert_text.hpp"
#include "protocol/escape.hpp"
#include "protocol/settings_text.hpp"

namespace sentinel::protocol {
namespace {

using core::MessageKind;
using core::WallTime;

constexpr std::string_view hex = "0123456789ABCDEF";
constexpr std::size_t max_address = 254;
constexpr std::size_t max_local = 64;
constexpr std::size_t line_limit = 78;
constexpr std::size_t max_plain = std::size_t{128} * 1024;
/// Quoted-printable never holds `=` before `_`, so that no content can end a part.
constexpr std::string_view boundary = "=_sentinel";

bool is_atom(char c) {
  return text::is_alpha(c) || text::is_digit(c) ||
         std::string_view{"!#$%&'*+-/=?^_`{|}~"}.find(c) != std::string_view::npos;
}

bool dotted(std::string_view part, bool (*good)(char)) {
  if (part.empty() || part.front() == '.' || part.back() == '.') return false;
  return part.find("..") == std::string_view::npos &&
         std::ranges::all_of(part, [&](char c) { return c == '.' || good(c); });
}

bool is_domain(char c) { return text::is_alpha(c) || text::is_digit(c) || c == '-'; }

/// What may stand on either side of the @ of a message's identity.
std::string id_part(std::string_view part, std::string_view otherwise) {
  std::string out;
  for (const char c : part.substr(0, 64))
    if (is_domain(c) || (c == '.' && !out.empty() && out.back() != '.')) out += c;
  while (out.ends_with('.')) out.pop_back();
  return out.empty() ? std::string{otherwise} : out;
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto byte = [&](std::size_t k) {
      return i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0U;
    };
    const unsigned bits = (byte(0) << 16U) | (byte(1) << 8U) | byte(2);
    for (unsigned k = 0; k < 4; ++k)
      out += i + k > bytes.size() ? '=' : digits[(bits >> (18U - 6U * k)) & 63U];
  }
  return out;
}

/// Bytes of the next character of valid UTF-8.
std::size_t character(std::string_view text) {
  std::size_t n = 1;
  while (n < text.size() && (static_cast<unsigned char>(text[n]) & 0xC0U) == 0x80) ++n;
  return n;
}

std::string encoded_words(std::string_view text, std::size_t used) {
  constexpr std::string_view begin = "=?UTF-8?B?";
  constexpr std::string_view end = "?=";
  std::string out;
  while (!text.empty()) {
    std::size_t taken = 0;
    while (taken < text.size()) {
      const auto next = taken + character(text.substr(taken));
      if (taken > 0 && used + begin.size() + (next + 2) / 3 * 4 + end.size() >
                           std::min<std::size_t>(line_limit, 75))
        break;
      taken = next;
    }
    if (!out.empty()) out += "\r\n ";
    ((out += begin) += base64(text.substr(0, taken))) += end;
    text.remove_prefix(taken);
    used = 1;
  }
  return out;
}

std::string folded(std::string_view text, std::size_t used) {
  std::string out;
  while (!text.empty()) {
    const auto room = line_limit - std::min(used, line_limit / 2);
    if (text.size() <= room) {
      out += text;
      break;
    }
    auto space = text.rfind(' ', room);
    if (space == std::string_view::npos || space == 0) space = text.find(' ', 1);
    if (space == std::string_view::npos) {
      out += text;
      break;
    }
    (out += text.substr(0, space)) += "\r\n ";
    text.remove_prefix(space + 1);
    used = 1;
  }
  return out;
}

std::string address_header(const MailAddress& to) {
  if (to.name.empty()) return to.address;
  const bool plain = std::ranges::all_of(
      to.name, [](char c) { return text::is_alpha(c) || text::is_digit(c) || c == ' '; });
  const auto name = one_line(to.name, max_alert_word);
  return (plain ? name : encoded_words(name, 8)) + " <" + to.address + ">";
}

std::string date_header(WallTime now) {
  constexpr std::array days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  constexpr WallTime last = std::chrono::sys_days{std::chrono::year{9999} / 12 / 31};
  now = std::clamp(now, WallTime{}, last);
  const auto day = std::chrono::floor<std::chrono::days>(now);
  const std::chrono::year_month_day date{day};
  const auto time = std::chrono::floor<std::chrono::seconds>(now - day);
  return std::format("{}, {:02} {} {:04} {:%T} +0000", days[std::chrono::weekday{day}.c_encoding()],
                     static_cast<unsigned>(date.day()),
                     months[static_cast<unsigned>(date.month()) - 1], static_cast<int>(date.year()),
                     time);
}

struct Identity {
  std::string message;
  std::string thread;  // empty: none
};

Identity identity_of(const core::Delivery& delivery) {
  const auto& message = delivery.message;
  const auto host = id_part(message.host, "sentinel");
  if (message.items.empty() || message.kind == MessageKind::digest)
    return {std::format("<{}@{}>", id_part(delivery.key, "message"), host), {}};
  const auto& incident = message.items.front().incident;
  const auto id = id_part(incident.id, "incident");
  // A reminder brings nothing new, and must not be taken for a copy all the same.
  const auto again =
      message.kind == MessageKind::reminder
          ? std::format(
                ".{}",
                std::chrono::floor<std::chrono::seconds>(message.made).time_since_epoch().count())
          : std::string{};
  return {std::format("<{}.{}{}@{}>", id, incident.sequence, again, host),
          std::format("<{}@{}>", id, host)};
}

std::string_view colour_of(const AlertItem& item) {
  if (item.resolved) return "#2e7d32";
  switch (item.severity) {
    case core::Severity::critical: return "#c62828";
    case core::Severity::warning: return "#ef6c00";
    default: return "#1565c0";
  }
}

void add_block(std::string& html, std::string_view name, const std::string& content) {
  if (content.empty()) return;
  html += std::format(
      "<p style=\"margin:8px 0 2px\"><b>{}</b></p>\n<pre "
      "style=\"margin:0;padding:8px;background:#f3f3f3;"
      "white-space:pre-wrap;word-break:break-word\">{}</pre>\n",
      name, html_escape(content));
}

std::string html_of(const AlertItem& item) {
  std::string html = std::format(
      "<div style=\"border-left:6px solid {};padding:4px 12px;margin:0 0 20px\">\n<h2 "
      "style=\"margin:4px 0;font-size:18px\">{}{}</h2>\n<table style=\"border-spacing:0\">\n",
      colour_of(item), item.resolved ? "Resolved: " : "", html_escape(item.headline));
  for (const auto& [name, value] : item.facts())
    html +=
        std::format("<tr><td style=\"padding:1px 12px 1px 0;color:#555\">{}</td><td>{}</td></tr>\n",
                    name, html_escape(value));
  html += "</table>\n";
  if (!item.actions.empty()) {
    html += "<p style=\"margin:8px 0 2px\"><b>What was done</b></p>\n<ul style=\"margin:0\">\n";
    for (const auto& action : item.actions)
      html += std::format("<li>{} {}{}<b>{}</b></li>\n", action.at, html_escape(action.text),
                          action.result.empty() ? "" : ": ", html_escape(action.result));
    if (item.actions_left_out > 0)
      html += std::format("<li>and {} more</li>\n", item.actions_left_out);
    html += "</ul>\n";
  }
  if (!item.members.empty() || item.more_members > 0) {
    html += "<p style=\"margin:8px 0 2px\"><b>Also affected</b></p>\n<ul style=\"margin:0\">\n";
    for (const auto& member : item.members)
      html += std::format("<li><b>{}</b> {}{}</li>\n", html_escape(member.title),
                          html_escape(member.text), member.recovered ? " (works again)" : "");
    if (item.more_members > 0) html += std::format("<li>and {} more</li>\n", item.more_members);
    html += "</ul>\n";
  }
  add_block(html, "Last health output", item.health_output);
  add_block(html, "Last log lines", item.log_tail);
  const auto link = [&](std::string_view name, const std::string& url) {
    if (!url.empty())
      html += std::format("<p style=\"margin:8px 0\"><a href=\"{}\">{}</a></p>\n", html_escape(url),
                          name);
  };
  link("Dashboard", item.link);
  link("Runbook", item.runbook);
  return html + "</div>\n";
}

std::string html_of(const AlertText& text) {
  std::string html =
      "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"></head>\n"
      "<body style=\"font:14px/1.4 sans-serif;color:#222\">\n";
  if (!text.note.empty()) html += "<p>" + html_escape(text.note) + "</p>\n";
  if (text.items.empty() && text.note.empty())
    html += "<p>This is a message from Sentinel on " + html_escape(text.host) + ".</p>\n";
  for (const auto& item : text.items) html += html_of(item);
  if (text.more > 0) html += std::format("<p>and {} more incidents</p>\n", text.more);
  return html + "</body></html>\n";
}

std::string written(const AlertText& text, const Identity& identity, const MailEnvelope& envelope,
                    WallTime now) {
  constexpr std::string_view part =
      "Content-Type: {}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n";
  std::string out;
  const auto header = [&](std::string_view name, std::string_view value) {
    (((out += name) += ": ") += value) += "\r\n";
  };
  header("Date", date_header(now));
  header("From", address_header(envelope.from));
  std::string to;
  for (const auto& one : envelope.to) to += (to.empty() ? "" : ",\r\n ") + address_header(one);
  header("To", to);
  header("Subject", encoded_header(text.subject, 9));
  header("Message-Id", identity.message);
  if (!identity.thread.empty()) {
    header("In-Reply-To", identity.thread);
    header("References", identity.thread);
  }
  header("Auto-Submitted", "auto-generated");
  header("Precedence", "bulk");
  header("X-Auto-Response-Suppress", "All");
  header("X-Sentinel-Status", text.resolved ? "resolved" : "firing");
  header("X-Sentinel-Severity", core::to_string(text.severity));
  header("MIME-Version", "1.0");
  header("Content-Type", std::format("multipart/alternative; boundary=\"{}\"", boundary));
  const auto add = [&](std::string_view type, std::string_view content) {
    out += std::format("\r\n--{}\r\n", boundary);
    out += std::vformat(part, std::make_format_args(type));
    out += quoted_printable(content);
  };
  add("text/plain", plain_text(text, max_plain));
  add("text/html", html_of(text));
  out += std::format("\r\n--{}--\r\n", boundary);
  return out;
}

}  // namespace

std::expected<MailAddress, Error> parse_mail_address(std::string_view text) {
  MailAddress result;
  auto address = text::trim(text);
  if (std::ranges::any_of(address, [](char c) { return (c >= 0 && c < ' ') || c == 0x7F; }))
    return text::expected_form("an address in one line");
  if (address.ends_with('>')) {
    const auto open = address.rfind('<');
    if (open == std::string_view::npos)
      return text::expected_form("an address such as ops@example.org");
    result.name = one_line(text::trim(address.substr(0, open)), max_alert_word);
    if (result.name.size() >= 2 && result.name.front() == '"' && result.name.back() == '"')
      result.name = result.name.substr(1, result.name.size() - 2);
    address = address.substr(open + 1, address.size() - open - 2);
  }
  const auto at = address.rfind('@');
  if (at == std::string_view::npos || address.size() > max_address || at > max_local ||
      !dotted(address.substr(0, at), is_atom) || !dotted(address.substr(at + 1), is_domain))
    return text::expected_form("an address such as ops@example.org or Operators <ops@example.org>");
  result.address = address;
  return result;
}

std::string encoded_header(std::string_view text, std::size_t used) {
  const bool plain = std::ranges::all_of(text, [](char c) { return c >= ' ' && c < 0x7F; });
  // What looks like an encoded word would be shown as what it encodes.
  if (plain && text.find("=?") == std::string_view::npos) return folded(text, used);
  return encoded_words(text, used);
}

std::string quoted_printable(std::string_view text) {
  constexpr std::size_t most = 75;  // and the = of a soft break
  std::string out;
  std::size_t column = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') {
      out += "\r\n";
      column = 0;
      continue;
    }
    const bool last = i + 1 == text.size() || text[i + 1] == '\n';
    // White space at the end of a line would be lost, a dot or "From " at its beginning changed.
    const auto is_plain = [&] {
      const bool first = column == 0 && (c == '.' || c == 'F' || c == '-');
      return (c > ' ' && c < 0x7F && c != '=' && !first) || (c == ' ' && !last);
    };
    if (column + (is_plain() ? 1 : 3) > most) {
      out += "=\r\n";
      column = 0;
    }
    const bool plain = is_plain();
    const std::size_t width = plain ? 1 : 3;
    if (plain) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      ((out += '=') += hex[byte >> 4U]) += hex[byte & 0xFU];
    }
    column += width;
  }
  return out;
}

std::string html_escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string mail_message(const core::Delivery& delivery, const MailEnvelope& envelope,
                         WallTime now) {
  AlertText text = alert_text(delivery.message);
  std::string mail = written(text, identity_of(delivery), envelope, now);
  while (mail.size() > max_alert_body && shorten(text))
    mail = written(text, identity_of(delivery), envelope, now);
  return mail;
}

}  // namespace sentinel::protocol
