#pragma once

// Messages to render: an ordinary one, and ones with everything in it that could do harm.

#include <chrono>
#include <string>

#include "core/alert_model.hpp"

namespace sentinel::test {

inline core::WallTime at(int seconds) {
  using namespace std::chrono;
  return sys_days{year{2026} / 3 / 5} + hours{10} + std::chrono::seconds{seconds};
}

inline core::Incident sample_incident() {
  core::Incident incident;
  incident.id = "01JNJ3Z7K8W9X0YABCDEFGHJKM";
  incident.root = {core::SubjectKind::service, "shop", "web", 1};
  incident.title = "web";
  incident.cause = "refused";
  incident.text = "web unreachable: connection refused";
  incident.container = std::string(64, 'a');
  incident.began = at(0);
  incident.sequence = 1;
  incident.health_output = "connect: connection refused\nexit 1";
  incident.log_tail = "starting\nlistening on 8080\npanic: out of memory";
  incident.lines = {{at(10), "restarted, attempt 1 of 5", "failed"},
                    {at(30), "restarted, attempt 2 of 5", "healthy"}};
  incident.members = {
      {{core::SubjectKind::service, "shop", "api", 1}, "api", "api unreachable", at(5), {}}};
  return incident;
}

inline core::Delivery sample_delivery(core::MessageKind kind = core::MessageKind::firing) {
  core::MessageItem item{.incident = sample_incident(),
                         .labels = {{"kind", "service"},
                                    {"project", "shop"},
                                    {"service", "web"},
                                    {"severity", "critical"},
                                    {"cause", "refused"}},
                         .link = "https://sentinel.example.org/#/incident/1",
                         .runbook = "https://wiki.example.org/web"};
  if (kind == core::MessageKind::resolved) {
    item.incident.ended = at(125);
    item.incident.end_text = "web is healthy (was unhealthy for 2 min 5 s)";
    item.incident.sequence = 2;
  }
  core::Delivery delivery;
  delivery.id = 7;
  delivery.key = "01JNJ3Z7K8W9X0YABCDEFGHJKM:1:team";
  delivery.receiver = "team";
  delivery.message.kind = kind;
  delivery.message.host = "host-a";
  delivery.message.group = {{"project", "shop"}};
  delivery.message.items = {item};
  delivery.message.made = at(130);
  return delivery;
}

/// What a container, a peer or a name might say to do harm somewhere.
inline const std::string& evil() {
  static const std::string text =
      "<!channel> <@U1> <!here|x> @here @everyone <script>alert(1)</script> \" ' ` ``` &amp; "
      "<a href=\"javascript:x\">x</a> [x](https://evil.example) *b* _i_ ~s~ {{ text }} {\"$if\":1} "
      "\r\nBcc: victim@example.org\r\n\r\n--=_sentinel\r\n.\r\n\x1b[31m\x07 \xE2\x80\xAE rtl "
      "\xFF\xFE\xC0\xAF \xED\xA0\x80 =?UTF-8?B?SGVsbG8=?= %0d%0aX: y \\u0000 \xF0\x9F\x94\xA5";
  return text;
}

inline core::Delivery evil_delivery(std::size_t times = 1, std::size_t items = 1) {
  std::string text;
  for (std::size_t i = 0; i < times; ++i) text += evil();
  text += std::string(1, '\0') + "end";
  // Of what there are many, each is short: it would only be memory.
  const std::string some = text.substr(0, 4 * evil().size());
  auto delivery = sample_delivery();
  delivery.key = text;
  delivery.receiver = text;
  auto& message = delivery.message;
  message.host = text;
  message.note = text;
  message.group = {{text, text}};
  core::MessageItem item;
  auto& incident = item.incident;
  incident.id = text;
  incident.root = {core::SubjectKind::service, text, text, 1};
  incident.title = incident.cause = incident.text = incident.end_text = incident.container = text;
  incident.health_output = incident.log_tail = text;
  for (int i = 0; i < 60; ++i) incident.lines.push_back({at(i), some, some});
  for (int i = 0; i < 100; ++i)
    incident.members.push_back(
        {{core::SubjectKind::service, some, some, 1}, some, some, at(i), {}});
  incident.began = core::WallTime::max();
  item.labels = {{text, text}, {"cause", text}};
  item.link = "https://x.example/" + text;
  item.runbook = "javascript:" + text;
  message.items.assign(items, item);
  return delivery;
}

/// Valid UTF-8 without controls (but line feeds where allowed) and without bidi controls.
inline bool inert(std::string_view text, bool line_feeds) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte == '\n' && line_feeds) continue;
    if (byte < 0x20 || byte == 0x7F || byte >= 0xF8 || byte == 0xC0 || byte == 0xC1) return false;
    if (text.substr(i).starts_with("\xE2\x80\xAE")) return false;
  }
  return true;
}

}  // namespace sentinel::test
