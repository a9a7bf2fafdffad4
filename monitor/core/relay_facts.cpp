#include "core/relay_facts.hpp"

#include <functional>
#include <utility>

namespace sentinel::core {

namespace {

/// As the monitor calls it; nullopt: not failover's to tell.
std::optional<Subject> ours(const Subject& subject) {
  switch (subject.kind) {
    case SubjectKind::server:
    case SubjectKind::pool: return subject;
    case SubjectKind::sentinel: return subject_of_self("failover-" + subject.name);
    case SubjectKind::service:
    case SubjectKind::engine: break;
  }
  return std::nullopt;
}

/// A line is known by its time and its text, and of the latter the hash will do.
std::pair<WallTime, std::size_t> mark_of(const IncidentLine& line) {
  return {line.at, std::hash<std::string>{}(line.text)};
}

Subject subject_of_silence() { return subject_of_self("failover"); }

}  // namespace

void RelayFacts::on(const Message& message, Time now, AlertEvents& out) {
  if (std::exchange(silent_, false))
    out.emplace_back(SubjectRecovered{subject_of_silence(), "failover is heard of again"});
  deadline_ = after(now, silence);
  if (message.kind == MessageKind::test) return;
  for (const MessageItem& item : message.items) on(item.incident, out);
}

void RelayFacts::on(const Incident& incident, AlertEvents& out) {
  const auto root = ours(incident.root);
  if (!root || incident.id.empty()) return;
  Known& known = incidents_[incident.id];
  if (known.ended) return;
  std::vector<std::pair<Subject, const IncidentMember*>> parts{{*root, nullptr}};
  for (const IncidentMember& member : incident.members) {
    if (auto subject = ours(member.subject); subject && subject != root)
      parts.emplace_back(*std::move(subject), &member);
  }
  if (incident.ended) {
    lines(incident, *root, known, out);
    known = {.ended = true, .lines = {}};
    for (const auto& [subject, member] : parts) {
      const auto latest = latest_.find(subject);
      if (latest != latest_.end() && latest->second > incident.id) continue;
      if (incident.ended_gone)
        out.emplace_back(SubjectGone{subject, incident.end_text});
      else
        out.emplace_back(SubjectRecovered{subject, incident.end_text});
      if (latest != latest_.end()) latest_.erase(latest);
    }
    forget_oldest();
    return;
  }
  for (const auto& [subject, member] : parts) {
    std::string& latest = latest_[subject];
    if (latest > incident.id) continue;
    latest = incident.id;
    if (member != nullptr && member->recovered) {
      out.emplace_back(SubjectRecovered{subject, member->title + " works again"});
      continue;
    }
    SubjectFailed fact;
    fact.subject = subject;
    fact.title = member != nullptr ? member->title : incident.title;
    if (subject.kind == SubjectKind::sentinel) fact.title = "failover: " + fact.title;
    fact.severity = incident.severity;
    fact.cause = incident.cause;
    fact.text = member != nullptr ? member->text : incident.text;
    fact.began = member != nullptr ? member->joined : incident.began;
    out.emplace_back(std::move(fact));
  }
  lines(incident, *root, known, out);
  forget_oldest();
}

/// What the incident says by itself is no line of its own.
void RelayFacts::lines(const Incident& incident, const Subject& root, Known& known,
                       AlertEvents& out) {
  const auto told = std::exchange(known.lines, {});
  for (const IncidentLine& line : incident.lines) {
    const auto mark = mark_of(line);
    const bool fresh = known.lines.insert(mark).second && !told.contains(mark);
    const bool said =
        line.text == incident.text || (incident.ended && line.text == incident.end_text);
    if (fresh && !said) out.emplace_back(SubjectActed{root, line.text, line.result, line.at});
  }
}

void RelayFacts::forget_oldest() {
  while (incidents_.size() > max_incidents) {
    const std::string oldest = incidents_.begin()->first;
    std::erase_if(latest_, [&](const auto& entry) { return entry.second == oldest; });
    incidents_.erase(incidents_.begin());
  }
}

void RelayFacts::on_tick(Time now, AlertEvents& out) {
  if (!deadline_ || now < *deadline_) return;
  deadline_.reset();
  silent_ = true;
  SubjectFailed fact;
  fact.subject = subject_of_silence();
  fact.title = "Sentinel failover";
  fact.severity = Severity::critical;
  fact.cause = "silent";
  fact.text = "failover has not been heard of for 2 minutes; its rules stay as they were";
  out.emplace_back(std::move(fact));
}

}  // namespace sentinel::core
