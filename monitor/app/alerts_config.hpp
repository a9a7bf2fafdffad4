#pragma once

// Reads `alerts:` and `journal:` of the file, for monitor and failover alike.

#include <cstddef>
#include <string_view>

#include "app/alert_settings.hpp"
#include "app/config_reader.hpp"
#include "io/journal_model.hpp"

namespace sentinel::app {

inline constexpr std::string_view alerts_key = "alerts";
inline constexpr std::string_view journal_key = "journal";
inline constexpr std::size_t max_routes = 256;

/// Upon `settings`; errors go to the reader. Without `routes` everything goes to all receivers.
/// `environment`: of proxies.
void read_alerts(FileReader& reader, const YamlNode& node, const Environment& environment,
                 AlertSettings& settings);
void read_journal(FileReader& reader, const YamlNode& node, io::JournalLimits& limits);

}  // namespace sentinel::app
