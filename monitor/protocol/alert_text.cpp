#include "protocol/alert_text.hpp"

#include <algorithm>
#include <format>

#include "core/judgement.hpp"
#include "protocol/escape.hpp"
#include "protocol/settings_text.hpp"

namespace sentinel::protocol {
namespace {

using core::Incident;
using core::MessageKind;
using core::WallTime;

constexpr std::size_t max_labels = 32;
constexpr std::size_t first_actions = 5;  // of those shown, from the beginning
constexpr std::size_t container_digits = 12;

std::string word(std::string_view text) { return one_line(text, max_alert_word); }
std::string sentence(std::string_view text) { return one_line(text, max_alert_sentence); }

/// Formatting goes wrong beyond the years of the calendar.
WallTime in_calendar(WallTime time) {
  constexpr WallTime last = std::chrono::sys_days{std::chrono::year{9999} / 12 / 31};
  return std::clamp(time, WallTime{}, last);
}

core::Duration between(WallTime from, WallTime to) {
  return std::max(in_calendar(to) - in_calendar(from), WallTime::duration{});
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  bool blank = true;  // of several blank lines one is enough, and none in front
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = text.substr(0, end);
    if (!line.empty() || !blank) lines.push_back(line);
    blank = line.empty();
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  return lines;
}

enum class Keep : std::uint8_t { head, tail };

/// Health output or log lines: at most max_alert_output bytes in max_alert_output_lines lines.
std::string output(std::string_view raw, Keep keep) {
  constexpr std::size_t looked_at = 4 * max_alert_output;  // who shows less need not read more
  constexpr std::size_t grown = 8 * looked_at;             // a hidden character becomes \u{202e}
  constexpr std::string_view mark = "...";
  if (raw.size() > looked_at)
    raw = keep == Keep::head ? raw.substr(0, looked_at) : raw.substr(raw.size() - looked_at);
  const std::string safe = many_lines(raw, grown);
  const auto lines = lines_of(safe);
  std::vector<std::string_view> kept;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < lines.size() && kept.size() < max_alert_output_lines; ++i) {
    const auto line = keep == Keep::head ? lines[i] : lines[lines.size() - 1 - i];
    if (bytes + line.size() + 1 > max_alert_output - mark.size() - 1) break;
    bytes += line.size() + 1;
    kept.push_back(line);
  }
  if (kept.empty() && !lines.empty())  // one line that is too long by itself
    return cut(keep == Keep::head ? lines.front() : lines.back(), max_alert_output);
  const bool whole = kept.size() == lines.size();
  if (keep == Keep::tail) std::ranges::reverse(kept);
  std::string out;
  if (!whole && keep == Keep::tail) (out += mark) += '\n';
  for (const auto line : kept) (out += line) += '\n';
  if (!whole && keep == Keep::head) (out += mark) += '\n';
  if (!out.empty()) out.pop_back();
  return out;
}

std::vector<std::pair<std::string, std::string>> label_list(const core::Labels& labels) {
  std::vector<std::pair<std::string, std::string>> list;
  for (const auto& [name, value] : labels) {
    if (list.size() == max_labels) break;
    list.emplace_back(word(name), word(value));
  }
  return list;
}

std::string headline_of(const std::string& title, const std::string& text) {
  if (text.empty()) return title;
  if (title.empty() || text == title || text.starts_with(title + " ") ||
      text.starts_with(title + ":"))
    return text;
  return title + ": " + text;
}

void add_actions(const Incident& incident, AlertItem& item) {
  const auto& lines = incident.lines;
  const auto add = [&](const core::IncidentLine& line) {
    item.actions.push_back(
        {std::format("{:%T}", std::chrono::floor<std::chrono::seconds>(in_calendar(line.at))),
         sentence(line.text), word(line.result)});
  };
  if (lines.size() <= max_alert_actions) {
    for (const auto& line : lines) add(line);
    return;
  }
  item.actions_left_out = lines.size() - max_alert_actions;
  for (std::size_t i = 0; i < first_actions; ++i) add(lines[i]);
  for (auto i = lines.size() - (max_alert_actions - first_actions); i < lines.size(); ++i)
    add(lines[i]);
}

AlertItem item_of(const core::MessageItem& from, const core::Message& message) {
  const Incident& incident = from.incident;
  AlertItem item;
  item.resolved = incident.ended.has_value();
  item.severity = incident.severity;
  item.id = word(incident.id);
  item.kind = word(core::to_string(incident.root.kind));
  item.subject = word(incident.root.to_string());
  item.title = word(incident.title.empty() ? incident.root.name : incident.title);
  item.cause = word(incident.cause);
  item.sentence =
      sentence(item.resolved && !incident.end_text.empty() ? incident.end_text : incident.text);
  item.headline = headline_of(item.title, item.sentence);
  item.host = word(message.host);
  item.began = utc_text(incident.began);
  if (incident.ended) item.ended = utc_text(*incident.ended);
  item.lasted = core::in_words(between(incident.began, incident.ended.value_or(message.made)));
  item.container = word(std::string_view(incident.container).substr(0, container_digits));
  add_actions(incident, item);
  for (const auto& member : incident.members) {
    if (item.members.size() == max_alert_members) break;
    item.members.push_back(
        {word(member.title), sentence(member.text), member.recovered.has_value()});
  }
  item.more_members = incident.members.size() - item.members.size() + incident.more_members;
  item.health_output = output(incident.health_output, Keep::head);
  item.log_tail = output(incident.log_tail, Keep::tail);
  item.link = safe_url(from.link);
  item.runbook = safe_url(from.runbook);
  item.labels = label_list(from.labels);
  return item;
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return out;
}

std::string status_word(const AlertText& text) {
  switch (text.kind) {
    case MessageKind::digest: return "DIGEST";
    case MessageKind::test: return "TEST";
    case MessageKind::reminder:
      return text.resolved ? "RESOLVED" : "STILL " + upper(core::to_string(text.severity));
    default: return text.resolved ? "RESOLVED" : upper(core::to_string(text.severity));
  }
}

std::string subject_of(const AlertText& text) {
  std::string line = "[" + status_word(text) + "] ";
  if (!text.note.empty()) {
    line += text.note;
  } else if (!text.items.empty()) {
    line += text.items.front().headline;
    const auto others = text.items.size() - 1 + text.more;
    if (others > 0) {
      const auto tail = std::format(" (and {} more)", others);
      return one_line(line, max_alert_subject - tail.size()) + tail;
    }
  } else {
    line += text.kind == MessageKind::test ? "a message from Sentinel, to see that it arrives"
                                           : "a message from Sentinel";
  }
  return one_line(line, max_alert_subject);
}

}  // namespace

std::vector<std::pair<std::string_view, std::string>> AlertItem::facts() const {
  std::vector<std::pair<std::string_view, std::string>> list;
  const auto add = [&](std::string_view name, std::string value) {
    if (!value.empty()) list.emplace_back(name, std::move(value));
  };
  add("Subject", subject);
  add("Host", host);
  add("Severity", std::string{core::to_string(severity)});
  add("Cause", cause);
  add("Since", began);
  add("Ended", ended);
  add(resolved ? "Lasted" : "For", lasted);
  add("Container", container);
  add("Incident", id);
  return list;
}

AlertText alert_text(const core::Message& message) {
  AlertText text;
  text.kind = message.kind;
  text.host = word(message.host);
  text.note = sentence(message.note);
  text.more = message.more;
  text.group = label_list(message.group);
  for (const auto& item : message.items) {
    if (text.items.size() == core::Message::max_items) break;
    text.items.push_back(item_of(item, message));
  }
  text.more += message.items.size() - text.items.size();
  text.resolved = message.kind == MessageKind::resolved ||
                  (!text.items.empty() && std::ranges::all_of(text.items, &AlertItem::resolved));
  for (const auto& item : text.items)
    if (text.resolved || !item.resolved) text.severity = std::max(text.severity, item.severity);
  text.subject = subject_of(text);
  return text;
}

bool shorten(AlertText& text) {
  bool shorter = false;
  for (std::size_t i = 1; i < text.items.size(); ++i) {
    auto& item = text.items[i];
    shorter = shorter || !item.health_output.empty() || !item.log_tail.empty();
    item.health_output.clear();
    item.log_tail.clear();
  }
  if (shorter) return true;
  if (text.items.size() < 2) return false;
  const auto kept = text.items.size() / 2;
  text.more += text.items.size() - kept;
  text.items.resize(kept);
  return true;
}

std::string plain_text(const AlertItem& item) {
  std::string out = (item.resolved ? "Resolved: " : "") + item.headline + "\n";
  for (const auto& [name, value] : item.facts()) out += std::format("{}: {}\n", name, value);
  if (!item.actions.empty()) out += "What was done:\n";
  for (std::size_t i = 0; i < item.actions.size(); ++i) {
    const auto& action = item.actions[i];
    if (i == first_actions && item.actions_left_out > 0)
      out += std::format("  ({} more)\n", item.actions_left_out);
    out += std::format("  {} {}{}{}\n", action.at, action.text, action.result.empty() ? "" : ": ",
                       action.result);
  }
  if (!item.members.empty() || item.more_members > 0) out += "Also affected:\n";
  for (const auto& member : item.members)
    out += std::format("  {}{}\n", headline_of(member.title, member.text),
                       member.recovered ? " (works again)" : "");
  if (item.more_members > 0) out += std::format("  and {} more\n", item.more_members);
  const auto block = [&](std::string_view name, const std::string& content) {
    if (content.empty()) return;
    (out += name) += ":\n";
    for (const auto line : lines_of(content)) ((out += "  | ") += line) += '\n';
  };
  block("Last health output", item.health_output);
  block("Last log lines", item.log_tail);
  if (!item.link.empty()) out += "Dashboard: " + item.link + "\n";
  if (!item.runbook.empty()) out += "Runbook: " + item.runbook + "\n";
  return out;
}

std::string plain_text(const AlertText& text, std::size_t max_bytes) {
  std::string out;
  if (!text.note.empty()) out += text.note + "\n\n";
  if (text.items.empty() && text.note.empty())
    out += "This is a message from Sentinel on " + text.host + ".\n";
  for (const auto& item : text.items) (out += plain_text(item)) += '\n';
  if (text.more > 0) out += std::format("and {} more incidents\n", text.more);
  while (out.ends_with('\n')) out.pop_back();
  if (out.size() <= max_bytes) return out;
  const auto shorter = cut(out, max_bytes);
  // At a line where that does not cost much.
  const auto line = shorter.rfind('\n');
  if (line == std::string::npos || line + 200 < shorter.size()) return shorter;
  return cut(shorter.substr(0, line + 1) + "...", max_bytes);
}

std::string cut(std::string_view text, std::size_t max_bytes) {
  constexpr std::string_view mark = "...";
  if (text.size() <= max_bytes) return std::string{text};
  const bool marked = max_bytes >= mark.size();
  auto end = marked ? max_bytes - mark.size() : max_bytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80) --end;
  return std::string{text.substr(0, end)} + std::string{marked ? mark : ""};
}

std::string safe_url(std::string_view url) {
  constexpr std::string_view harmless = "-._~:/?#[]@!$&+,;=%";
  constexpr std::string_view digits = "0123456789ABCDEF";
  if (!url.starts_with("https://") && !url.starts_with("http://")) return {};
  std::string out;
  for (const char c : url) {
    if (text::is_digit(c) || text::is_alpha(c) || harmless.find(c) != std::string_view::npos) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      ((out += '%') += digits[byte >> 4U]) += digits[byte & 0xFU];
    }
    if (out.size() > max_alert_url) return {};
  }
  return out;
}

std::string utc_text(WallTime time) {
  return std::format("{:%F %T} UTC", std::chrono::floor<std::chrono::seconds>(in_calendar(time)));
}

std::string rfc3339(WallTime time) { return std::format("{:%FT%T}Z", in_calendar(time)); }

}  // namespace sentinel::protocol
