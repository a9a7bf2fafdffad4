#include "web/status_page.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/window.hpp"
#include "web/incident_views.hpp"

namespace sentinel::web {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t most_found = 50'000;  // services that are remembered
constexpr std::int64_t day_ms = 86'400'000;
constexpr double share_steps = 100'000;  // 0.001 %

std::int64_t ms(core::WallTime t) { return t.time_since_epoch().count(); }

Json share_json(const std::optional<double>& share) { return share ? Json(*share) : Json(nullptr); }

Json incident_json(const PublicIncident& incident, const StatusPageSettings& settings) {
  Json names = Json::array();
  for (const unsigned line : incident.lines) names.push_back(settings.lines[line].name);
  return {{"services", std::move(names)},
          {"began", wall_text(incident.began)},
          {"ended", incident.ended ? Json(wall_text(*incident.ended)) : Json(nullptr)}};
}

}  // namespace

std::string_view to_string(PublicState state) {
  switch (state) {
    case PublicState::up: return "up";
    case PublicState::unknown: return "unknown";
    case PublicState::maintenance: return "maintenance";
    case PublicState::degraded: return "degraded";
    case PublicState::down: return "down";
  }
  return "unknown";
}

const std::vector<unsigned>& StatusLines::of(const core::ServiceKey& key) {
  // Names that came and went must not pile up.
  if (found_.size() >= most_found) found_.clear();
  const auto [at, fresh] = found_.try_emplace(key.to_string());
  if (fresh) {
    for (unsigned i = 0; i < lines_.size(); ++i)
      if (core::window_covers(lines_[i].services, key)) at->second.push_back(i);
  }
  return at->second;
}

void LineTally::Count::add(core::Time since) {
  ++services;
  first = std::min(first, since);
  last = std::max(last, since);
}

void LineTally::add(const core::ServiceView& view) {
  using enum core::State;
  const bool runs = !view.overlays.paused;
  if (view.overlays.maintenance)
    ++maintained_;
  else if (view.overlays.blind || view.state == unknown || view.state == starting)
    ++unknown_;
  else if (view.state == stopped)
    stopped_.add(view.since);
  else if (runs && view.state == healthy)
    up_.add(view.since);
  else if (runs && view.state == degraded)
    degraded_.add(view.since);
  else
    down_.add(view.since);
}

PublicState LineTally::state() const {
  if (degraded_.services > 0 || (up_.services > 0 && down_.services > 0))
    return PublicState::degraded;
  if (up_.services > 0) return PublicState::up;
  if (down_.services > 0) return PublicState::down;
  if (maintained_ > 0) return PublicState::maintenance;
  if (unknown_ > 0 || stopped_.services == 0) return PublicState::unknown;
  return PublicState::down;
}

std::optional<core::Time> LineTally::since() const {
  switch (state()) {
    // Each of them had its part in how it is now: the last one completed it.
    case PublicState::up: return up_.last;
    case PublicState::down: return down_.services > 0 ? down_.last : stopped_.last;
    case PublicState::degraded: return std::min(degraded_.first, down_.first);
    default: return std::nullopt;
  }
}

core::WallTime LineUptime::begin_of(core::WallTime now) {
  return std::chrono::floor<std::chrono::days>(now) - std::chrono::days{days - 1};
}

void LineUptime::add(const std::vector<io::StateInterval>& intervals, core::WallTime now) {
  const std::int64_t from = ms(begin_of(now));
  const std::int64_t to = ms(now);
  for (const io::StateInterval& interval : intervals) {
    const io::Standing standing = io::standing_of(interval.state);
    const Span span{std::max(ms(interval.begins), from),
                    std::min(interval.ends ? ms(*interval.ends) : to, to)};
    if (standing == io::Standing::other || span.begins >= span.ends) continue;
    known_.push_back(span);
    if (standing == io::Standing::up) up_.push_back(span);
  }
  unite(up_);
  unite(known_);
}

void LineUptime::unite(Spans& spans) {
  std::ranges::sort(spans, {}, &Span::begins);
  Spans united;
  for (const Span& span : spans) {
    if (!united.empty() && span.begins <= united.back().ends)
      united.back().ends = std::max(united.back().ends, span.ends);
    else
      united.push_back(span);
  }
  spans = std::move(united);
}

std::int64_t LineUptime::within(const Spans& spans, std::int64_t begins, std::int64_t ends) {
  std::int64_t sum = 0;
  for (auto at = std::ranges::upper_bound(spans, begins, {}, &Span::ends);
       at != spans.end() && at->begins < ends; ++at)
    sum += std::min(at->ends, ends) - std::max(at->begins, begins);
  return sum;
}

std::optional<double> LineUptime::share_of(std::int64_t begins, std::int64_t ends) const {
  const auto known = static_cast<double>(within(known_, begins, ends));
  if (known <= 0) return std::nullopt;
  const auto up = static_cast<double>(within(up_, begins, ends));
  return std::floor(up / known * share_steps) / share_steps;
}

std::vector<std::optional<double>> LineUptime::by_day(core::WallTime now) const {
  std::vector<std::optional<double>> shares;
  shares.reserve(days);
  for (std::int64_t begins = ms(begin_of(now)); shares.size() < days; begins += day_ms)
    shares.push_back(share_of(begins, begins + day_ms));
  return shares;
}

std::optional<double> LineUptime::share(core::WallTime now) const {
  return share_of(ms(begin_of(now)), ms(now));
}

std::optional<PublicIncident> public_incident(const core::Incident& incident, StatusLines& lines) {
  if (!incident.merged_into.empty()) return std::nullopt;
  PublicIncident shown;
  shown.id = incident.id;
  bool open = false;
  // What is not shown must not show in the times either.
  const auto take = [&](const core::Subject& subject, core::WallTime began,
                        std::optional<core::WallTime> ended) {
    if (subject.kind != core::SubjectKind::service) return;
    const auto& found = lines.of({subject.group, subject.name, subject.replica});
    if (found.empty()) return;
    shown.began = shown.lines.empty() ? began : std::min(shown.began, began);
    if (!ended)
      open = true;
    else
      shown.ended = std::max(shown.ended.value_or(*ended), *ended);
    shown.lines.insert(shown.lines.end(), found.begin(), found.end());
  };
  take(incident.root, incident.began, incident.ended);
  for (const core::IncidentMember& member : incident.members)
    take(member.subject, member.joined, member.recovered ? member.recovered : incident.ended);
  if (shown.lines.empty()) return std::nullopt;
  if (open) shown.ended.reset();
  std::ranges::sort(shown.lines);
  const auto [first, last] = std::ranges::unique(shown.lines);
  shown.lines.erase(first, last);
  return shown;
}

StatusPageText status_page_text(const StatusPageSettings& settings,
                                std::span<const LineTally> tallies, std::span<const LinePast> past,
                                std::span<const PublicIncident> incidents, const Moment& moment) {
  PublicState worst = PublicState::up;
  Json services = Json::array();
  std::string seed;
  for (std::size_t i = 0; i < settings.lines.size(); ++i) {
    const PublicState state = tallies[i].state();
    worst = std::max(worst, state);
    const auto since = tallies[i].since();
    // Made of two clocks, the text of it moves by a millisecond.
    if (since) seed += std::to_string(since->time_since_epoch().count());
    seed += ',';
    Json one;
    one["name"] = settings.lines[i].name;
    one["state"] = to_string(state);
    one["since"] = since ? Json(moment.wall(*since)) : Json(nullptr);
    one["availability"] = i < past.size() ? share_json(past[i].availability) : Json(nullptr);
    one["days"] = Json::array();
    if (i < past.size())
      for (const auto& day : past[i].days) one["days"].push_back(share_json(day));
    services.push_back(std::move(one));
  }
  Json lately = Json::array();
  for (const PublicIncident& incident : incidents)
    lately.push_back(incident_json(incident, settings));
  Json json;
  json["title"] = settings.title;
  json["time"] = moment.wall(moment.now);
  json["state"] = to_string(worst);
  json["services"] = std::move(services);
  json["incidents"] = std::move(lately);
  StatusPageText text{.body = dump(json), .seed = std::move(seed)};
  json.erase("time");
  for (Json& one : json["services"]) one.erase("since");
  text.seed += dump_line(json);
  return text;
}

}  // namespace sentinel::web
