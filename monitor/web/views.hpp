#pragma once

// Views of the core as JSON.

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/core.hpp"
#include "web/api.hpp"
#include "web/journal.hpp"

namespace sentinel::web {

/// Relates the core's time to the wall clock, at one moment.
struct Moment {
  core::Time now;
  std::int64_t unix_ms = 0;
  std::string wall(core::Time t) const;
};

nlohmann::ordered_json summary_json(const core::ServiceView& view, const Moment& moment);
/// The summary with settings, probes and what the Engine said.
nlohmann::ordered_json detail_json(const core::ServiceView& view, const Moment& moment);
nlohmann::ordered_json process_json(const ProcessView& process);
nlohmann::ordered_json journal_json(const std::vector<JournalEntry>& entries);
/// Invalid UTF-8 is replaced.
std::string dump(const nlohmann::ordered_json& json);
/// An answer of the API; nobody keeps a copy of it.
io::HttpResponse json_response(const nlohmann::ordered_json& json, unsigned status = 200);

}  // namespace sentinel::web
