#pragma once

// Incidents, alerts and what the journal keeps, as JSON.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/alert_core.hpp"
#include "io/journal_model.hpp"
#include "web/sources.hpp"

namespace sentinel::web {

std::string wall_text(core::WallTime at);
/// The full name in `service:shop/web/1`; empty: the subject is no service.
std::string_view service_of_subject(std::string_view subject);

/// `common`: labels that all have.
nlohmann::ordered_json incident_json(const core::Incident& incident, const core::Labels& common);
nlohmann::ordered_json history_json(const io::HistoryEntry& entry);
nlohmann::ordered_json receiver_json(const core::ReceiverView& view, const AlertsBackend& alerts);
/// A list; empty without alerting.
nlohmann::ordered_json receivers_json(const AlertsBackend& alerts);
nlohmann::ordered_json delivery_json(const core::Delivery& delivery);
nlohmann::ordered_json silence_json(const core::Silence& silence);
/// By their end, as an object with one list.
nlohmann::ordered_json silences_json(std::vector<core::Silence> silences);
nlohmann::ordered_json interval_json(const io::StateInterval& interval);
nlohmann::ordered_json point_json(const io::LatencyPoint& point);
nlohmann::ordered_json availability_json(const io::Availability& availability);

}  // namespace sentinel::web
