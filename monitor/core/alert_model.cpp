#include "core/alert_model.hpp"

#include <algorithm>
#include <utility>

#include "core/alert_core.hpp"
#include "core/window.hpp"

namespace sentinel::core {

std::string_view to_string(SubjectKind kind) {
  switch (kind) {
    case SubjectKind::service: return "service";
    case SubjectKind::server: return "server";
    case SubjectKind::pool: return "pool";
    case SubjectKind::engine: return "engine";
    case SubjectKind::sentinel: return "sentinel";
  }
  std::unreachable();
}

std::string Subject::to_string() const {
  std::string out{core::to_string(kind)};
  out += ':';
  out += group;
  if (!name.empty()) {
    if (!group.empty()) out += '/';
    out += name;
  }
  if (replica != 0) {
    out += '/';
    out += std::to_string(replica);
  }
  return out;
}

std::string_view to_string(Severity severity) {
  switch (severity) {
    case Severity::info: return "info";
    case Severity::warning: return "warning";
    case Severity::critical: return "critical";
  }
  std::unreachable();
}

std::string_view to_string(MessageKind kind) {
  switch (kind) {
    case MessageKind::firing: return "firing";
    case MessageKind::changed: return "changed";
    case MessageKind::reminder: return "reminder";
    case MessageKind::resolved: return "resolved";
    case MessageKind::digest: return "digest";
    case MessageKind::test: return "test";
  }
  std::unreachable();
}

std::string_view to_string(SendResult result) {
  switch (result) {
    case SendResult::accepted: return "accepted";
    case SendResult::retry: return "retry";
    case SendResult::permanent: return "permanent";
  }
  std::unreachable();
}

std::string_view to_string(AlertNoticeKind kind) {
  switch (kind) {
    case AlertNoticeKind::incident_opened: return "incident_opened";
    case AlertNoticeKind::incident_joined: return "incident_joined";
    case AlertNoticeKind::incident_changed: return "incident_changed";
    case AlertNoticeKind::incident_ended: return "incident_ended";
    case AlertNoticeKind::accepted: return "accepted";
    case AlertNoticeKind::retried: return "retried";
    case AlertNoticeKind::dead: return "dead";
    case AlertNoticeKind::suppressed: return "suppressed";
    case AlertNoticeKind::silence_added: return "silence_added";
    case AlertNoticeKind::silence_ended: return "silence_ended";
  }
  std::unreachable();
}

bool matches(const Matchers& matchers, const Labels& labels) {
  return std::ranges::all_of(matchers, [&](const Matcher& matcher) {
    const auto found = labels.find(matcher.label);
    const std::string_view value = found == labels.end() ? std::string_view{} : found->second;
    switch (matcher.op) {
      case Matcher::Op::equal: return value == matcher.value;
      case Matcher::Op::not_equal: return value != matcher.value;
      case Matcher::Op::like: return glob_matches(matcher.value, value, true);
      case Matcher::Op::not_like: return !glob_matches(matcher.value, value, true);
    }
    std::unreachable();
  });
}

}  // namespace sentinel::core
