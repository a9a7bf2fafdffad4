#pragma once

// What goes into the journal of what the cores make known: as in the log, but whatever its level.

#include <optional>
#include <string>

#include "core/action.hpp"
#include "core/alert_core.hpp"
#include "core/pool_event.hpp"
#include "io/journal_model.hpp"
#include "observe/observer.hpp"

namespace sentinel::app {

/// What an action is about; none: Sentinel or its network as a whole.
std::optional<core::Subject> subject_of(const core::Action& action);
std::optional<core::Subject> subject_of(const core::PoolAction& action);

/// None for what is not kept: results of single probes, and notices that only repeat a transition
/// beside them. Time, subject and incident are the caller's to fill in.
std::optional<io::HistoryEntry> history_of(const core::Action& action, const observe::Line& line);
std::optional<io::HistoryEntry> history_of(const core::PoolAction& action,
                                           const observe::Line& line);
io::HistoryEntry history_of(const core::AlertNotice& notice, const observe::Line& line);

}  // namespace sentinel::app
