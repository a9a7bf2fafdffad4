#pragma once

// Templates (alert_template.hpp) of services that many people use.

#include <string_view>

namespace sentinel::protocol {

/// `ntfy` (parameter `topic`), `gotify`, `discord`, `teams`; empty: there is none of that name.
std::string_view preset_template(std::string_view service);

}  // namespace sentinel::protocol
