#include "app/relay.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "protocol/escape.hpp"

namespace sentinel::app {

namespace {

using nlohmann::json;

constexpr std::size_t max_word = 256;
constexpr std::size_t max_text = 1024;
constexpr std::size_t max_actions = 64;

/// One line of it, empty when it is no text.
std::string text_of(const json& object, const char* key, std::size_t limit) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return {};
  return protocol::one_line(found->get_ref<const std::string&>(), limit);
}

core::Subject subject_of_silence() { return core::subject_of_self("failover"); }

/// `server:POOL/SERVER`, `pool:POOL`; what failover says of itself is told apart from our own.
std::optional<core::Subject> parse_subject(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto kind = text.substr(0, colon);
  const std::string rest{text.substr(colon + 1)};
  if (rest.empty()) return std::nullopt;
  if (kind == "pool") return core::Subject{core::SubjectKind::pool, rest, {}, 0};
  if (kind == "sentinel") return core::subject_of_self("failover-" + rest);
  const auto slash = rest.find('/');
  if (kind != "server" || slash == std::string::npos || slash == 0 || slash + 1 == rest.size())
    return std::nullopt;
  return core::Subject{core::SubjectKind::server, rest.substr(0, slash), rest.substr(slash + 1), 0};
}

core::Severity severity_of(std::string_view word) {
  if (word == core::to_string(core::Severity::critical)) return core::Severity::critical;
  if (word == core::to_string(core::Severity::info)) return core::Severity::info;
  return core::Severity::warning;
}

}  // namespace

std::expected<core::AlertEvents, std::string> Relay::on(std::string_view body, core::Time now) {
  const json message = json::parse(body, nullptr, false);
  if (!message.is_object() || !message.contains("sentinel") || !message["sentinel"].is_object())
    return std::unexpected("expected the body of a webhook of Sentinel");
  const json& said = message["sentinel"];
  const auto incidents = said.find("incidents");
  if (incidents == said.end() || !incidents->is_array())
    return std::unexpected("expected sentinel.incidents, a list");

  struct Row {
    const json* incident;
    core::Subject subject;
    std::string id;
  };
  std::vector<Row> rows;
  for (const json& incident : *incidents) {
    if (!incident.is_object()) return std::unexpected("expected objects in sentinel.incidents");
    auto id = text_of(incident, "id", max_word);
    const auto subject = parse_subject(text_of(incident, "subject", max_word));
    if (!subject || id.empty())
      return std::unexpected(
          "expected an id and the subject of a server, a pool or failover itself");
    rows.push_back({&incident, *subject, std::move(id)});
  }

  core::AlertEvents out;
  for (const Row& row : rows) {
    const json& incident = *row.incident;
    auto sentence = text_of(incident, "sentence", max_text);
    const bool known = told_.contains(row.id);
    if (text_of(incident, "status", max_word) == "resolved") {
      // The end is told more than once, and by then it may have failed anew. One that we do not
      // know may have begun before we did.
      const bool anew = !known && std::ranges::any_of(told_, [&](const auto& one) {
        return one.second.subject == row.subject;
      });
      if (anew) continue;
      out.emplace_back(core::SubjectRecovered{row.subject, std::move(sentence)});
      told_.erase(row.id);
      continue;
    }
    if (!known && told_.size() >= max_incidents) continue;
    core::SubjectFailed fact;
    fact.subject = row.subject;
    fact.title = text_of(incident, "title", max_word);
    fact.severity = severity_of(text_of(incident, "severity", max_word));
    fact.cause = text_of(incident, "cause", max_word);
    fact.text = std::move(sentence);
    out.emplace_back(std::move(fact));
    Told& entry = told_[row.id];
    entry.subject = row.subject;
    auto& told = entry.actions;
    const auto actions = incident.find("actions");
    if (actions == incident.end() || !actions->is_array()) continue;
    for (const json& action : *actions) {
      if (!action.is_object() || told.size() >= max_actions) continue;
      auto text = text_of(action, "text", max_text);
      if (text.empty() || !told.insert(text_of(action, "at", max_word) + text).second) continue;
      out.emplace_back(
          core::SubjectActed{row.subject, std::move(text), text_of(action, "result", max_word)});
    }
  }
  if (std::exchange(silent_, false))
    out.emplace_back(core::SubjectRecovered{subject_of_silence(), "failover is heard of again"});
  deadline_ = core::after(now, silence);
  return out;
}

core::AlertEvents Relay::on_tick(core::Time now) {
  core::AlertEvents out;
  if (!deadline_ || now < *deadline_) return out;
  deadline_.reset();
  silent_ = true;
  core::SubjectFailed fact;
  fact.subject = subject_of_silence();
  fact.title = "Sentinel failover";
  fact.severity = core::Severity::critical;
  fact.cause = "silent";
  fact.text = "failover has not been heard of for 2 minutes; its rules stay as they were";
  out.emplace_back(std::move(fact));
  return out;
}

}  // namespace sentinel::app
