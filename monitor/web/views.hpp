#pragma once

// Views of the core as JSON.

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/core.hpp"
#include "io/http_server.hpp"
#include "web/journal.hpp"
#include "web/sources.hpp"

namespace sentinel::web {

/// Relates the core's time to the wall clock, at one moment.
struct Moment {
  core::Time now;
  std::int64_t unix_ms = 0;
  std::string wall(core::Time t) const;
};

/// What a service has to do with others.
struct ServiceLinks {
  std::string incident{};                 // id of the open one it belongs to; empty: none
  std::vector<std::string> depends_on{};  // full names of what it needs directly
};

nlohmann::ordered_json summary_json(const core::ServiceView& view, const ServiceLinks& links,
                                    const Moment& moment);
/// The summary with settings, probes and what the Engine said.
nlohmann::ordered_json detail_json(const core::ServiceView& view, const ServiceLinks& links,
                                   const Moment& moment);
nlohmann::ordered_json process_json(const ProcessView& process);
/// `journal`: of the one on disk, if there is one.
nlohmann::ordered_json status_json(const ProcessView& process,
                                   const std::vector<core::ServiceView>& services,
                                   std::size_t listeners,
                                   const std::optional<io::JournalStats>& journal);
nlohmann::ordered_json engine_json(const ProcessView& process, std::size_t services);
nlohmann::ordered_json journal_json(const std::vector<JournalEntry>& entries);
/// An entry of the journal in memory, as one of the history.
nlohmann::ordered_json history_json(const JournalEntry& entry);
/// Invalid UTF-8 is replaced.
std::string dump(const nlohmann::ordered_json& json);
/// The same without the line feed at its end.
std::string dump_line(const nlohmann::ordered_json& json);
/// An answer of the API; nobody keeps a copy of it.
io::HttpResponse json_response(const nlohmann::ordered_json& json, unsigned status = 200);
/// Whether an If-None-Match names this tag, weak or strong (RFC 9110, 13.1.2).
bool tag_matches(std::string_view given, std::string_view tag);
/// 304 without a body when the request names the answer's ETag.
io::HttpResponse unless_known(const io::HttpRequest& request, io::HttpResponse response);
/// With an ETag made of `seed`, or 304 when the client has that already.
io::HttpResponse tagged_response(const io::HttpRequest& request, std::string body,
                                 std::string_view seed,
                                 std::string_view cache_control = "no-cache");

}  // namespace sentinel::web
