#include "io/engine_answers.hpp"

#include <chrono>
#include <utility>

namespace sentinel::io {
namespace {

core::OperationResult operation_result(unsigned status) {
  using enum core::OperationResult;
  if (status >= 200 && status < 300) return done;
  if (status == 304) return not_modified;
  if (status == 404) return gone;
  if (status == 409) return conflict;
  return failed;
}

}  // namespace

std::string result_text(std::string_view what, const EngineResult& result) {
  if (!result) return result.error().text;
  const std::string message = protocol::error_message(result->body);
  return std::string(what) + ": the Engine answered " + std::to_string(result->status) +
         (message.empty() ? "" : " " + message);
}

core::Inspected read_inspected(const core::ContainerId& asked, const EngineResult& result,
                               const protocol::InspectContext& context, std::int64_t our_clock_ns) {
  core::Inspected answer;
  answer.id = asked;
  if (result && result->status == 404) {
    answer.outcome = core::Inspected::Outcome::gone;
    return answer;
  }
  if (!result || result->status != 200) {
    answer.error = result_text("inspect", result);
    return answer;
  }
  auto facts = protocol::parse_inspect(result->body, context,
                                       protocol::engine_clock(our_clock_ns, result->date));
  if (!facts) {
    answer.error = std::move(facts.error().message);
  } else if (facts->info->id != asked) {
    // Ids are looked up among names too: this container is merely called like the one we meant.
    answer.outcome = core::Inspected::Outcome::gone;
  } else {
    answer.outcome = core::Inspected::Outcome::found;
    answer.facts = std::move(*facts);
  }
  return answer;
}

core::OperationDone read_operation(core::OperationId op, core::Step step,
                                   const EngineResult& result) {
  core::OperationDone answer{op, step, core::OperationResult::unknown, {}};
  if (result)
    answer.result = operation_result(result->status);
  else if (result.error().kind == EngineFailure::Kind::timeout)
    answer.result = core::OperationResult::timed_out;
  if (answer.result != core::OperationResult::done) {
    answer.detail = result_text(to_string(step), result);
  }
  return answer;
}

std::string operation_target(const core::ContainerId& id, core::Step step,
                             core::Duration stop_timeout) {
  std::string target = "/containers/" + id.hex() + "/" + std::string(to_string(step));
  if (waits_for_stop(step)) {
    target += "?t=" + std::to_string(std::chrono::ceil<std::chrono::seconds>(stop_timeout).count());
  }
  return target;
}

}  // namespace sentinel::io
