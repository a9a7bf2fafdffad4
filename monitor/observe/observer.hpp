#pragma once

// From the core's actions to log lines. Nothing is decided here: one action gives one line or none,
// and a fact that two actions tell (a transition and the notice beside it) is said once, by the one
// that says more.

#include <chrono>
#include <optional>
#include <string>

#include "core/action.hpp"
#include "observe/log.hpp"

namespace sentinel::observe {

/// A line before it is written; strings own their text.
struct Line {
  LogLevel level = LogLevel::info;
  std::string event;
  std::string msg;
  std::vector<LogField> fields;
};

/// For fields that are told in milliseconds.
constexpr double milliseconds(core::Duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

/// Nothing, when the log does not take lines of its level.
void write(Log& log, Line line);

/// The line of an action, none for actions that are not to be made known. Actions that only repeat
/// what another line says are at debug level.
std::optional<Line> line_of(const core::Action& action);

/// What a transition is called in plain words: `demo-service unreachable: connection refused`.
std::string sentence_of(const core::Transition& transition);

class Observer {
 public:
  explicit Observer(Log& log) : log_{log} {}
  void on(const core::Action& action);

 private:
  Log& log_;
};

}  // namespace sentinel::observe
