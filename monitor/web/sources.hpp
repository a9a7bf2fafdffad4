#pragma once

// Where handlers get what they show, and whom they tell what is to be changed. All functions are
// called on the server's thread.

#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/alert_core.hpp"
#include "core/core.hpp"
#include "io/error.hpp"
#include "io/journal_model.hpp"
#include "web/journal.hpp"

namespace sentinel::io {
class Journal;
}

namespace sentinel::web {

/// The process as a whole.
struct ProcessView {
  std::string version;
  std::string revision;
  core::Duration uptime{};
  bool has_engine = true;
  bool engine_up = false;
  std::string engine;         // endpoint
  std::string engine_reason;  // why it is down; escaped
  std::string engine_version;
  std::string api_version;
  bool synchronised = false;
  bool store_durable = false;
  std::string store_reason;
  bool storm = false;
  bool blind = false;  // our own network or resolver seems to fail
  unsigned operations_in_flight = 0;
  unsigned max_concurrent = 0;
  bool config_ok = true;  // of the last load
  std::string config_file;
  std::size_t targets = 0;  // of the file
  std::size_t services = 0;
  bool token = false;  // there is one for changes over TCP
};

struct ApiSource {
  std::function<core::Time()> now;
  std::function<std::int64_t()> unix_ms;
  std::function<ProcessView()> process;
  std::function<std::vector<core::ServiceView>()> services;
  std::function<std::vector<core::ServiceView>(std::string_view)> find;
  std::function<std::optional<core::ServiceView>(core::ServiceId)> service;
  std::function<std::vector<core::ServiceNeeds>()> needs;
  std::function<std::string()> metrics;
  std::function<void(const core::ServiceKey&, core::Duration)> set_maintenance;
  /// Why a service cannot be restarted or released now; empty: it can.
  std::function<std::string(core::ServiceId)> restart_problem;
  std::function<std::string(core::ServiceId)> release_problem;
  std::function<void(core::RestartService)> restart;
  std::function<void(core::ReleaseService)> release;
  /// The last lines of a container: at most 500 and 64 KiB, safe to print. Null: there is no
  /// Engine.
  std::function<void(const core::ContainerId&, std::function<void(std::string)>)> logs;
  const Journal* journal = nullptr;
  /// What the failover beside us tells. Null: nobody takes it.
  std::function<void(const core::Message&)> relay{};
};

/// Incidents and what is told of them. Without `command` there is none of it: lists are empty, and
/// changes are refused.
struct AlertsBackend {
  std::function<std::vector<core::Incident>()> incidents;  // that are not closed
  std::function<std::string(const core::Subject&)> incident_of;
  std::function<std::vector<core::ReceiverView>()> receivers;
  std::function<std::vector<core::Delivery>()> deliveries;
  std::function<std::vector<core::Silence>()> silences;
  std::function<std::string(const core::Silence&)> silence_problem;
  /// Goes into the AlertCore at once: what it changes is to be seen when this returns.
  std::function<void(core::AlertEvent)> command;
  /// slack, webhook, alertmanager or email; may be null, and the answer empty.
  std::function<std::string(std::string_view receiver)> receiver_type;
  /// Of every incident: the configuration's, and `host`. May be null.
  std::function<core::Labels()> labels;

  bool any() const { return static_cast<bool>(command); }
};

/// The journal on disk; see io/journal.hpp.
struct HistoryBackend {
  template <typename T>
  using Answer = std::function<void(std::expected<T, io::Error>)>;
  std::function<void(io::HistoryQuery, Answer<std::vector<io::HistoryEntry>>)> history;
  std::function<void(io::IncidentQuery, Answer<io::IncidentPage>)> incidents;
  std::function<void(io::TimelineQuery, Answer<std::vector<io::StateInterval>>)> timeline;
  std::function<void(io::LatencyQuery, Answer<std::vector<io::LatencyPoint>>)> latency;
  std::function<void(std::string, core::WallTime, Answer<std::vector<io::Availability>>)>
      availability;
  std::function<std::uint64_t()> last_sequence;
  std::function<io::JournalStats()> stats;

  bool any() const { return static_cast<bool>(history); }
};
/// `journal` outlives it.
HistoryBackend history_of(io::Journal& journal);

}  // namespace sentinel::web
