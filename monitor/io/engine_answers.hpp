#pragma once

// What comes of one HTTP exchange with the Engine, and what it means to the core.

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "core/action.hpp"
#include "core/event.hpp"
#include "protocol/engine_json.hpp"

namespace sentinel::io {

struct EngineAnswer {
  unsigned status = 0;
  std::string body;  // empty for streams
  std::string date;
};

struct EngineFailure {
  enum class Kind : std::uint8_t {
    connect,
    timeout,
    closed,
    protocol,
    cancelled
  } kind = Kind::closed;
  std::string text;  // escaped
  int code = 0;      // errno of connecting, where there is one
};

using EngineResult = std::expected<EngineAnswer, EngineFailure>;

/// "restart: the Engine answered 409 because ...", or the failure's own words.
std::string result_text(std::string_view what, const EngineResult& result);

/// The answer to an inspect of `asked`; its token is left to the caller.
core::Inspected read_inspected(const core::ContainerId& asked, const EngineResult& result,
                               const protocol::InspectContext& context, std::int64_t our_clock_ns);

/// The answer to an operation. Without an HTTP status nothing is known of it.
core::OperationDone read_operation(core::OperationId op, core::Step step,
                                   const EngineResult& result);

/// `/containers/ID/STEP`, for a restart and a stop with the whole seconds it waits, rounded up.
std::string operation_target(const core::ContainerId& id, core::Step step,
                             core::Duration stop_timeout);

/// Steps that wait for the container to stop.
inline bool waits_for_stop(core::Step step) {
  return step == core::Step::restart || step == core::Step::stop;
}

}  // namespace sentinel::io
