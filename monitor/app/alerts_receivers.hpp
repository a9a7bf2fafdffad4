#pragma once

// `alerts.receivers:` of the file. What each key means: docs/alerts.md.

#include <string>
#include <vector>

#include "app/config_reader.hpp"
#include "core/alert_model.hpp"
#include "io/receivers.hpp"

namespace sentinel::app {

struct AlertReceivers {
  std::vector<core::AlertReceiver> core;  // in order of the file; same order as `io`
  std::vector<io::ReceiverSpec> io;
};

/// Appends to `out`; errors go to `reader`. `environment`: of its proxies; `host`: what we call
/// ourselves in SMTP. Files of secrets and templates are read now.
void read_receivers(FileReader& reader, const YamlNode& node, const std::string& prefix,
                    const Environment& environment, const std::string& host, AlertReceivers& out);

}  // namespace sentinel::app
