#pragma once

// Slack's incoming webhooks: `{"text": fallback, "blocks": [...]}`, and whoever speaks the same.
//
// Text from outside stands in `plain_text` objects and in preformatted rich text only, where Slack
// looks for neither markup nor mentions nor links; the fallback has `&`, `<` and `>` escaped.
// Limits (Slack's documentation): 50 blocks, 150 characters in a header, 3000 in a section; about
// 13,200 in all. Counted here in bytes, of which a character has at least one.

#include "protocol/alert_request.hpp"

namespace sentinel::protocol {

AlertRequest slack_request(const core::Delivery& delivery);

}  // namespace sentinel::protocol
