#pragma once

// Private to the alert_*.cpp of this folder: the data model of templates, which is the `sentinel`
// object of the generic webhook as well. Documented in docs/alerts.md.

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/alert_model.hpp"
#include "protocol/alert_text.hpp"

namespace sentinel::protocol {

nlohmann::json alert_document(const core::Delivery& delivery, const AlertText& text);

/// Text that is a valid UTF-8 string in any case.
std::string dump(const nlohmann::json& value);

/// Visible ASCII of a header's value, anything else left out; at most 200 bytes.
std::string header_value(std::string_view text);

}  // namespace sentinel::protocol
