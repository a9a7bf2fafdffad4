#include "protocol/alert_presets.hpp"

#include <array>

namespace sentinel::protocol {
namespace {

struct Preset {
  std::string_view name;
  std::string_view text;
};

// A message of ntfy is shown as it is, and holds 4096 bytes.
constexpr std::string_view ntfy = R"({
  "$escape": "plain",
  "topic": "{{ params.topic }}",
  "title": "{{ subject }}",
  "message": "{{ text | limit 3900 }}",
  "priority": {"$switch": "status", "resolved": 3,
               "*": {"$switch": "severity", "critical": 5, "warning": 4, "*": 3}},
  "tags": {"$switch": "status", "resolved": ["white_check_mark"],
           "*": {"$switch": "severity", "critical": ["rotating_light"], "*": ["warning"]}},
  "click": {"$if": "link", "$then": "{{ link }}"}
})";

constexpr std::string_view gotify = R"({
  "$escape": "plain",
  "title": "{{ subject }}",
  "message": "{{ text | limit 12000 }}",
  "priority": {"$switch": "status", "resolved": 4,
               "*": {"$switch": "severity", "critical": 8, "warning": 6, "*": 4}},
  "extras": {
    "client::display": {"contentType": "text/plain"},
    "client::notification": {"$if": "link", "$then": {"click": {"url": "{{ link }}"}}}
  }
})";

// An embed holds 256 characters of title, 4096 of description; nothing in it may mention anybody.
constexpr std::string_view discord = R"({
  "$escape": "markdown",
  "username": "Sentinel",
  "allowed_mentions": {"parse": []},
  "embeds": [{
    "title": "{{ subject | limit 120 }}",
    "url": {"$if": "link", "$then": "{{ link | plain }}"},
    "color": {"$switch": "status", "resolved": 3046706,
              "*": {"$switch": "severity", "critical": 12986408, "warning": 15690752, "*": 1402304}},
    "description": "```\n{{ text | code | limit 3900 }}\n```",
    "timestamp": "{{ made | plain }}"
  }]
})";

// Runs of text are no Markdown in an adaptive card, unlike its text blocks. 28 KB in all.
constexpr std::string_view teams = R"({
  "$escape": "plain",
  "type": "message",
  "attachments": [{
    "contentType": "application/vnd.microsoft.card.adaptive",
    "contentUrl": null,
    "content": {
      "type": "AdaptiveCard",
      "version": "1.4",
      "msteams": {"width": "Full"},
      "body": [
        {"type": "RichTextBlock", "inlines": [{
          "type": "TextRun", "text": "{{ subject }}", "size": "Large", "weight": "Bolder",
          "color": {"$switch": "status", "resolved": "Good",
                    "*": {"$switch": "severity", "critical": "Attention", "warning": "Warning", "*": "Default"}}}]},
        {"type": "RichTextBlock", "inlines": [{
          "type": "TextRun", "text": "{{ text | limit 9000 }}", "fontType": "Monospace"}]}
      ],
      "actions": [
        {"$if": "link", "$then": {"type": "Action.OpenUrl", "title": "Dashboard", "url": "{{ link }}"}},
        {"$if": "runbook", "$then": {"type": "Action.OpenUrl", "title": "Runbook", "url": "{{ runbook }}"}}
      ]
    }
  }]
})";

constexpr std::array<Preset, 4> presets{
    {{"ntfy", ntfy}, {"gotify", gotify}, {"discord", discord}, {"teams", teams}}};

}  // namespace

std::string_view preset_template(std::string_view service) {
  for (const auto& preset : presets)
    if (preset.name == service) return preset.text;
  return {};
}

}  // namespace sentinel::protocol
