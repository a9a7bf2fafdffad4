// A template and what a message says, a zero byte between them. What is made of them is one JSON
// document within its bounds, whatever either says.

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string>

#include "fuzz.hpp"
#include "protocol/alert_mail.hpp"
#include "protocol/alert_presets.hpp"
#include "protocol/alert_slack.hpp"
#include "protocol/alert_template.hpp"
#include "protocol/alert_webhook.hpp"

using namespace sentinel;

namespace {

core::Delivery delivery_of(std::string_view said) {
  const std::string text{said};
  core::Delivery delivery;
  delivery.key = delivery.receiver = text;
  auto& message = delivery.message;
  message.host = text;
  message.group = {{text, text}};
  core::MessageItem item;
  auto& incident = item.incident;
  incident.id = incident.title = incident.text = incident.cause = text;
  incident.health_output = incident.log_tail = text;
  incident.lines = {{{}, text, text}};
  incident.members = {{incident.root, text, text, {}, {}}};
  item.labels = {{text, text}};
  item.link = item.runbook = "https://" + text;
  message.items = {item, item};
  return delivery;
}

void require_json(const std::string& body) {
  fuzz::require(body.size() <= protocol::max_alert_body, "a bounded body");
  fuzz::require(!nlohmann::json::parse(body, nullptr, false).is_discarded(), "JSON");
}

void require_request(const protocol::AlertRequest& request) {
  require_json(request.body);
  for (const auto& [name, value] : request.headers)
    fuzz::require(fuzz::printable(value), "headers of one line");
}

void require_preset(std::size_t which, const core::Delivery& delivery) {
  constexpr std::array<std::string_view, 4> names{"ntfy", "gotify", "discord", "teams"};
  const auto known = protocol::AlertTemplate::parse(protocol::preset_template(names.at(which)));
  const auto request = (*known)->render(delivery);
  fuzz::require(request.has_value(), "presets always fit");
  require_request(*request);
}

void require_mail(const core::Delivery& delivery) {
  const auto mail = protocol::mail_message(
      delivery, {.from = {{}, "a@example.org"}, .to = {{{}, "b@example.org"}}}, {});
  std::size_t column = 0;
  for (const char c : mail) {
    column = c == '\n' ? 0 : column + 1;
    fuzz::require(column <= 201 && (c == '\r' || c == '\n' || (c >= ' ' && c < 0x7F)),
                  "short lines of ASCII");
  }
  fuzz::require(mail.find("\r\n.\r\n") == std::string::npos, "no end before the end");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = fuzz::view(data, size);
  const auto zero = std::min(input.find('\0'), input.size());
  const auto delivery = delivery_of(input.substr(std::min(zero + 1, input.size())));

  const auto made = protocol::AlertTemplate::parse(input.substr(0, zero));
  if (made) {
    if (const auto request = (*made)->render(delivery)) require_json(request->body);
  } else {
    fuzz::require(fuzz::printable(made.error().message), "an error of one line");
  }
  // One of the channels, for each takes its time.
  switch (size % 8) {
    case 0: require_request(protocol::slack_request(delivery)); break;
    case 1: require_request(protocol::webhook_request(delivery)); break;
    case 2: require_request(protocol::alertmanager_request(delivery, {})); break;
    case 3: require_mail(delivery); break;
    default: require_preset(size % 4, delivery);
  }
  return 0;
}
