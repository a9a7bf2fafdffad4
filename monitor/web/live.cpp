#include "web/live.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/alert_facts.hpp"
#include "observe/text.hpp"
#include "web/incident_views.hpp"
#include "web/parameters.hpp"
#include "web/pool_views.hpp"

namespace sentinel::web {

namespace {

using Json = nlohmann::ordered_json;
using io::HttpRequest;
using io::HttpResponse;

constexpr std::size_t most_missed = 1000;  // entries that are sent again
constexpr std::size_t most_recent = 64;

/// Whether what services need may be another after it.
bool new_graph(core::NoticeKind kind) {
  using enum core::NoticeKind;
  return kind == service_added || kind == service_removed || kind == container_started ||
         kind == recreating || kind == label_warning;
}

}  // namespace

void Live::on(const core::Action& action) {
  if (const auto* transition = std::get_if<core::Transition>(&action)) {
    changed_[transition->key] = transition->service;
    return;
  }
  const auto* notice = std::get_if<core::Notice>(&action);
  if (notice == nullptr) return;
  if (new_graph(notice->kind)) needs_known_ = false;
  if (notice->service == 0) {
    engine_changed_ = true;
  } else if (notice->kind == core::NoticeKind::service_removed) {
    changed_.erase(notice->key);
    gone_.push_back(notice->key);
  } else {
    changed_[notice->key] = notice->service;
  }
}

void Live::on(const core::AlertAction& action) {
  if (const auto* store = std::get_if<core::StoreIncident>(&action)) {
    if (events_.any()) incidents_.insert_or_assign(store->incident.id, store->incident);
  } else if (std::holds_alternative<core::StoreDelivery>(action) ||
             std::holds_alternative<core::ForgetDelivery>(action)) {
    receivers_changed_ = true;
  } else if (std::holds_alternative<core::StoreSilence>(action) ||
             std::holds_alternative<core::ForgetSilence>(action)) {
    silences_changed_ = true;
  }
}

void Live::on(const io::HistoryEntry& entry) {
  note(entry.sequence, dump_line(history_json(entry)));
}

void Live::on(const JournalEntry& entry) {
  // With a journal on disk, its numbers are the ones clients come back with.
  if (!history_.any() && events_.any()) note(entry.sequence, dump_line(history_json(entry)));
}

void Live::on(const PoolChanges& changes) {
  failover_changed_ = failover_changed_ || changes.failover;
  pools_.insert(changes.pools.begin(), changes.pools.end());
  pools_.insert(changes.gone.begin(), changes.gone.end());
}

void Live::note(std::uint64_t sequence, std::string line) {
  events_.add("history", sequence, line);
  recent_.emplace_back(sequence, std::move(line));
  if (recent_.size() > most_recent) recent_.pop_front();
}

void Live::tell() {
  if (events_.any()) {
    tell_services();
    tell_alerts();
    tell_pools();
    events_.flush();
  }
  changed_.clear();
  gone_.clear();
  incidents_.clear();
  engine_changed_ = receivers_changed_ = silences_changed_ = failover_changed_ = false;
  pools_.clear();
}

void Live::tell_services() {
  const std::uint64_t id = sequence();
  const Moment moment{source_.now(), source_.unix_ms()};
  for (const core::ServiceKey& key : gone_)
    events_.add("gone", id, dump_line({{"full_name", key.to_string()}}));
  // A service's `incident` is a part of it.
  for (const auto& [name, incident] : incidents_) {
    const auto mark = [this](const core::Subject& subject) {
      if (subject.kind != core::SubjectKind::service || !source_.find) return;
      const auto found =
          source_.find(core::ServiceKey{subject.group, subject.name, subject.replica}.to_string());
      if (!found.empty()) changed_.try_emplace(found.front().key, found.front().id);
    };
    mark(incident.root);
    // The members of a large one change by themselves, each at its time.
    if (incident.members.size() <= most_recent)
      for (const auto& member : incident.members) mark(member.subject);
  }
  for (const auto& [key, service] : changed_) {
    const auto view = source_.service(service);
    if (view) events_.add("service", id, dump_line(summary_json(*view, links(key), moment)));
  }
  if (engine_changed_) {
    const ProcessView process = source_.process();
    if (process.has_engine)
      events_.add("engine", id, dump_line(engine_json(process, process.services)));
  }
}

void Live::tell_alerts() {
  const std::uint64_t id = sequence();
  const core::Labels common = alerts_.labels ? alerts_.labels() : core::Labels{};
  for (const auto& [name, incident] : incidents_)
    events_.add("incident", id, dump_line(incident_json(incident, common)));
  if (receivers_changed_ && alerts_.any()) {
    for (const auto& view : alerts_.receivers())
      events_.add("alert", id, dump_line(receiver_json(view, alerts_)));
  }
  if (silences_changed_ && alerts_.any())
    events_.add("silences", id, dump_line(silences_json(alerts_.silences())));
}

void Live::tell_pools() {
  const std::uint64_t id = sequence();
  const FailoverState& state = state_of(failover_);
  if (failover_changed_) events_.add("failover", id, dump_line(failover_json(state)));
  for (const std::string& name : pools_) {
    const auto pool = std::ranges::find(state.pools, name, &protocol::ReportedPool::name);
    if (pool != state.pools.end())
      events_.add("pool", id, dump_line(pool_json(*pool)));
    else
      events_.add("gone", id, dump_line({{"full_name", "pool:" + name}}));
  }
}

std::uint64_t Live::sequence() const {
  if (history_.any()) return history_.last_sequence();
  return source_.journal == nullptr ? 0 : source_.journal->sequence();
}

std::optional<io::JournalStats> Live::stats() const {
  return history_.any() ? std::optional(history_.stats()) : std::nullopt;
}

std::string Live::incident_of(const core::ServiceKey& key) const {
  if (!alerts_.any()) return {};
  return alerts_.incident_of(core::subject_of(key));
}

ServiceLinks Live::links(const core::ServiceKey& key) {
  if (!needs_known_ && source_.needs) {
    needs_.clear();
    for (const core::ServiceNeeds& one : source_.needs()) {
      if (one.needs.empty()) continue;
      auto& names = needs_[one.key];
      for (const core::ServiceKey& need : one.needs) names.push_back(need.to_string());
    }
    needs_known_ = true;
  }
  const auto found = needs_.find(key);
  return {incident_of(key), found == needs_.end() ? std::vector<std::string>{} : found->second};
}

/// Put together from the text of its parts: as one tree, that of a large fleet would be the most
/// memory this process ever needs.
std::string Live::snapshot() {
  const Moment moment{source_.now(), source_.unix_ms()};
  const ProcessView process = source_.process();
  needs_known_ = false;
  std::string text = "{\"time\":\"" + observe::rfc3339(moment.unix_ms) +
                     "\",\"sequence\":" + std::to_string(sequence());
  const auto services = source_.services();
  text += ",\"status\":" + dump_line(status_json(process, services, listeners() + 1, stats()));
  text += ",\"services\":[";
  for (const core::ServiceView& view : services) {
    if (!text.ends_with('[')) text += ',';
    text += dump_line(summary_json(view, links(view.key), moment));
  }
  text += "],\"incidents\":[";
  const core::Labels common = alerts_.labels ? alerts_.labels() : core::Labels{};
  if (alerts_.any()) {
    for (const core::Incident& incident : alerts_.incidents()) {
      if (incident.ended) continue;
      if (!text.ends_with('[')) text += ',';
      text += dump_line(incident_json(incident, common));
    }
  }
  text += "],\"receivers\":" + dump_line(receivers_json(alerts_));
  text += ",\"silences\":" +
          (alerts_.any() ? dump_line(silences_json(alerts_.silences())["silences"]) : "[]");
  text += ",\"engines\":[";
  if (process.has_engine) text += dump_line(engine_json(process, services.size()));
  const FailoverState& failover = state_of(failover_);
  text += "],\"failover\":" + dump_line(failover_json(failover));
  text += ",\"pools\":" + dump_line(pools_json(failover)) + "}";
  return text;
}

std::string Live::missed_in_memory(std::uint64_t after) const {
  std::string text;
  if (source_.journal == nullptr) return text;
  for (const JournalEntry& entry : source_.journal->newest(most_missed)) {
    if (entry.sequence > after)
      text += event_text("history", entry.sequence, dump_line(history_json(entry)));
  }
  return text;
}

void Live::begin(io::HttpStream stream, std::string missed) {
  tell();  // what belongs to the time before is none of the new one's business
  if (failover_.any()) failover_.on_interest();
  auto first = std::make_shared<std::string>(event_text("snapshot", sequence(), snapshot()));
  *first += missed;
  events_.attach(std::move(stream), std::move(first));
}

HttpResponse Live::events(const HttpRequest& request) {
  std::string given{request.field("Last-Event-ID")};
  if (given.empty()) given = request.parameter("after").value_or("");
  const auto after = parse_number(given);
  if (!given.empty() && !after)
    return io::http_problem(400, "Last-Event-ID and after are numbers that events had as id");
  if (!after) {
    return io::http_events([this](io::HttpStream stream) { begin(std::move(stream), {}); });
  }
  if (!history_.any()) {
    return io::http_events([this, after](io::HttpStream stream) {
      begin(std::move(stream), missed_in_memory(*after));
    });
  }
  return io::http_later([this, after](io::HttpReply reply) {
    history_.history(
        {.limit = most_missed}, [this, after, reply = std::move(reply)](const auto& answer) {
          std::string missed;
          std::uint64_t last = *after;
          const auto add = [&](std::uint64_t sequence, const std::string& line) {
            if (sequence <= last) return;
            last = sequence;
            missed += event_text("history", sequence, line);
          };
          if (answer) {
            for (const io::HistoryEntry& entry : *answer)
              add(entry.sequence, dump_line(history_json(entry)));
          }
          // They came while the journal was asked.
          for (const auto& [sequence, line] : recent_) add(sequence, line);
          reply(io::http_events([this, missed = std::move(missed)](io::HttpStream stream) {
            begin(std::move(stream), missed);
          }));
        });
  });
}

}  // namespace sentinel::web
