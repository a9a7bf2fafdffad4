#include "protocol/alert_slack.hpp"

#include <algorithm>
#include <format>
#include <string>
#include <string_view>

#include "protocol/alert_document.hpp"
#include "protocol/alert_text.hpp"

namespace sentinel::protocol {
namespace {

using nlohmann::json;

constexpr std::size_t max_blocks = 50;
constexpr std::size_t max_header = 150;
constexpr std::size_t max_section = 3000;
constexpr std::size_t max_total = 12'000;  // and room for what we write ourselves

/// `&`, `<`, `>` as Slack asks.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      default: out += c;
    }
  }
  return out;
}

json plain(std::string_view text, std::size_t max_bytes) {
  return {{"type", "plain_text"}, {"text", cut(text, max_bytes)}, {"emoji", false}};
}

json rich(const char* type, json elements) {
  return {{"type", type}, {"elements", std::move(elements)}};
}

class Blocks {
 public:
  bool room(std::size_t blocks, std::size_t bytes) const {
    return list_.size() + blocks <= max_blocks && bytes_ + bytes <= max_total;
  }
  void header(std::string_view text) {
    add({{"type", "header"}, {"text", plain(text, max_header)}}, std::min(text.size(), max_header));
  }
  void section(std::string_view text) {
    if (text.empty()) return;
    add({{"type", "section"}, {"text", plain(text, max_section)}},
        std::min(text.size(), max_section));
  }
  /// A title of ours and preformatted text.
  void output(std::string_view title, std::string_view text) {
    if (text.empty()) return;
    const auto content = cut(text, max_section - title.size());
    const json name = {{"type", "text"}, {"text", title}, {"style", {{"bold", true}}}};
    const json body = {{"type", "text"}, {"text", content}};
    add({{"type", "rich_text"},
         {"elements", json::array({rich("rich_text_section", json::array({name})),
                                   rich("rich_text_preformatted", json::array({body}))})}},
        title.size() + content.size());
  }
  void links(const AlertItem& item) {
    json elements = json::array();
    const auto link = [&](std::string_view name, const std::string& url) {
      if (url.empty()) return;
      if (!elements.empty()) elements.push_back({{"type", "text"}, {"text", "  "}});
      elements.push_back({{"type", "link"}, {"url", url}, {"text", name}});
    };
    link("Dashboard", item.link);
    link("Runbook", item.runbook);
    if (elements.empty()) return;
    const json line = rich("rich_text_section", std::move(elements));
    add({{"type", "rich_text"}, {"elements", json::array({line})}},
        item.link.size() + item.runbook.size());
  }
  void divider() { add(json::object({{"type", "divider"}}), 0); }
  json take() { return std::move(list_); }

 private:
  void add(json block, std::size_t bytes) {
    if (!room(1, bytes)) return;
    list_.push_back(std::move(block));
    bytes_ += bytes;
  }

  json list_ = json::array();
  std::size_t bytes_ = 0;
};

/// Facts, what was done and who else is affected, without the outputs.
std::string summary(AlertItem item) {
  item.health_output.clear();
  item.log_tail.clear();
  item.link.clear();
  item.runbook.clear();
  return plain_text(item);
}

std::string line_of(const AlertItem& item) {
  return std::format("{}{} ({} {})", item.resolved ? "Resolved: " : "", item.headline,
                     item.resolved ? "lasted" : "for", item.lasted);
}

}  // namespace

AlertRequest slack_request(const core::Delivery& delivery) {
  constexpr std::size_t whole_blocks = 6;
  constexpr std::size_t whole_bytes = 8000;  // of one incident told in full
  const AlertText text = alert_text(delivery.message);
  Blocks blocks;
  blocks.header(text.subject);
  if (!text.note.empty()) blocks.section(text.note);
  if (text.items.empty() && text.note.empty())
    blocks.section("This is a message from Sentinel on " + text.host + ".");
  std::size_t left_out = text.more;
  for (const auto& item : text.items) {
    if (blocks.room(whole_blocks, &item == &text.items.front() ? 0 : whole_bytes)) {
      if (&item != &text.items.front()) blocks.divider();
      blocks.section(summary(item));
      blocks.output("Last health output", item.health_output);
      blocks.output("Last log lines", item.log_tail);
      blocks.links(item);
    } else if (const auto line = line_of(item); blocks.room(2, line.size() + 100)) {
      blocks.section(line);
    } else {
      ++left_out;
    }
  }
  if (left_out > 0) blocks.section(std::format("and {} more incidents", left_out));
  const json body = {{"text", escaped(text.subject)}, {"blocks", blocks.take()}};
  return {.path = {}, .headers = {{"Content-Type", "application/json"}}, .body = dump(body)};
}

}  // namespace sentinel::protocol
