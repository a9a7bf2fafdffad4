#include "web/status_api.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <span>
#include <utility>

#include "web/views.hpp"

namespace sentinel::web {

namespace {

using io::HttpReply;
using io::HttpRequest;
using io::HttpResponse;

constexpr std::size_t most_pages = 10;  // of incidents
constexpr unsigned most_end_asks =
    10;                              // until the journal knows an end; each a second or more apart
constexpr std::size_t at_once = 16;  // questions; the journal takes 64, from everybody

HttpResponse no_page() { return io::http_problem(404, "no status page is configured here"); }

}  // namespace

/// One time of asking the journal, in steps: incidents, then timelines.
struct StatusApi::Look {
  struct Subject {
    std::string name;
    std::vector<unsigned> lines;
  };
  core::Time began{};
  core::WallTime now{};
  bool timelines = false;  // otherwise incidents alone
  std::string seen;        // incidents that were open
  std::size_t pages = 0;
  std::vector<PublicIncident> incidents;
  bool incidents_known = false;
  std::vector<Subject> subjects;
  std::size_t asked = 0;
  std::size_t answered = 0;
  bool asking = false;
  bool failed = false;              // a timeline is missing
  std::vector<LineUptime> uptimes;  // by line
  std::vector<bool> asked_of;       // lines whose past is known
};

void StatusApi::configure(StatusPageSettings settings) {
  if (settings == settings_) return;
  settings_ = std::move(settings);
  lines_ = StatusLines{settings_.lines};
  // Places of lines mean something else now.
  look_.reset();
  past_.clear();
  incidents_.clear();
  ends_.clear();
  end_asks_ = 0;
  past_at_.reset();
  asked_at_.reset();
  page_at_.reset();
  answer_waiting();
}

HttpResponse StatusApi::page(const HttpRequest& request) {
  if (!configured()) return no_page();
  look_if_due();
  const bool worth_waiting = look_ && !has_past() && source_.now() - look_->began < patience;
  if (!worth_waiting) return answer(request);
  if (waiting_.size() >= most_waiting) return io::http_problem(503, "too many are waiting");
  HttpRequest kept;
  kept.fields.emplace_back("If-None-Match", request.field("If-None-Match"));
  return io::http_later([this, kept = std::move(kept)](HttpReply reply) mutable {
    if (look_)
      waiting_.push_back({std::move(kept), std::move(reply)});
    else
      reply(configured() ? answer(kept) : no_page());
  });
}

bool StatusApi::has_past() const { return past_at_ && source_.now() - *past_at_ < oldest_past; }

core::WallTime StatusApi::wall_now() const {
  return core::WallTime{std::chrono::milliseconds{source_.unix_ms()}};
}

std::string StatusApi::live_incidents() const {
  std::string seen;
  if (!alerts_.any()) return seen;
  for (const core::Incident& incident : alerts_.incidents())
    seen += incident.id + (incident.ended ? '-' : '+');
  return seen;
}

void StatusApi::look_if_due() {
  if (!history_.any()) return;
  const core::Time now = source_.now();
  if (look_) {
    if (now - look_->began < longest_look) return;
    look_.reset();
  }
  const bool due = !asked_at_ || now - *asked_at_ >= past_age;
  if (!due && page_at_ && now - *page_at_ < page_age) return;
  std::string seen = live_incidents();
  if (!due && seen == seen_incidents_ && ends_.empty()) return;
  if (!ends_.empty()) ++end_asks_;
  auto look = std::make_shared<Look>();
  look->began = now;
  look->now = wall_now();
  look->timelines = due;
  look->uptimes.resize(settings_.lines.size());
  look->asked_of.resize(settings_.lines.size());
  if (due) asked_at_ = now;
  seen_incidents_ = std::move(seen);
  look_ = look;
  ask_incidents(look, {});
}

void StatusApi::ask_incidents(const LookPtr& look, std::string before) {
  ++look->pages;
  io::IncidentQuery query;
  query.limit = io::IncidentQuery::max_limit;
  query.before = std::move(before);
  history_.incidents(std::move(query), [this, look](const auto& answer) {
    if (!is_current(look)) return;
    if (answer) return take_incidents(look, *answer);
    begin_timelines(look);
  });
}

void StatusApi::take_incidents(const LookPtr& look, const io::IncidentPage& page) {
  const core::WallTime oldest = look->now - incident_age;
  bool more = page.more && !page.incidents.empty() && look->pages < most_pages;
  for (const core::Incident& incident : page.incidents) {
    if (incident.began < oldest) more = false;
    if (auto shown = public_incident(incident, lines_))
      look->incidents.push_back(*std::move(shown));
  }
  if (more) return ask_incidents(look, page.incidents.back().id);
  look->incidents_known = true;
  begin_timelines(look);
}

void StatusApi::begin_timelines(const LookPtr& look) {
  if (!look->timelines) return finish(look);
  for (const core::ServiceView& view : source_.services()) {
    const auto& lines = lines_.of(view.key);
    if (lines.empty() || look->subjects.size() >= most_subjects) continue;
    look->subjects.push_back({"service:" + view.key.to_string(), lines});
  }
  ask_timelines(look);
}

void StatusApi::ask_timelines(const LookPtr& look) {
  if (look->asking) return;  // an answer came at once
  look->asking = true;
  while (is_current(look) && look->asked < look->subjects.size() &&
         look->asked - look->answered < at_once) {
    const Look::Subject& subject = look->subjects[look->asked++];
    io::TimelineQuery query{.subject = subject.name,
                            .from = LineUptime::begin_of(look->now),
                            .to = look->now,
                            .limit = io::TimelineQuery::max_limit};
    history_.timeline(std::move(query), [this, look, &subject](const auto& answer) {
      if (!is_current(look)) return;
      ++look->answered;
      look->failed = look->failed || !answer;
      for (const unsigned line : subject.lines) {
        if (!answer) break;
        look->uptimes[line].add(*answer, look->now);
        look->asked_of[line] = true;
      }
      ask_timelines(look);
    });
  }
  look->asking = false;
  if (is_current(look) && look->answered == look->subjects.size()) finish(look);
}

void StatusApi::finish(const LookPtr& look) {
  if (look->incidents_known) {
    incidents_ = std::move(look->incidents);
    std::erase_if(ends_, [this](const auto& end) {
      const auto known = std::ranges::find(incidents_, end.first, &PublicIncident::id);
      return known == incidents_.end() || known->ended;
    });
  }
  if (end_asks_ >= most_end_asks)
    ends_.clear();  // it never will: others are to be waited for again
  if (ends_.empty()) end_asks_ = 0;
  // Rather an old past than half a new one.
  if (look->timelines && !(look->failed && has_past())) {
    past_.assign(settings_.lines.size(), {});
    for (std::size_t i = 0; i < past_.size(); ++i) {
      if (look->asked_of[i])
        past_[i] = {look->uptimes[i].share(look->now), look->uptimes[i].by_day(look->now)};
    }
    past_at_ = look->began;
  }
  look_.reset();
  page_at_.reset();
  answer_waiting();
}

void StatusApi::answer_waiting() {
  for (const Waiter& one : std::exchange(waiting_, {}))
    one.reply(configured() ? answer(one.request) : no_page());
}

void StatusApi::take_live_incidents() {
  if (!alerts_.any()) return;
  std::vector<std::string> live;
  for (const core::Incident& incident : alerts_.incidents()) {
    live.push_back(incident.id);
    const auto known = std::ranges::find(incidents_, incident.id, &PublicIncident::id);
    auto shown = public_incident(incident, lines_);
    if (!shown) {
      if (known != incidents_.end()) incidents_.erase(known);
    } else if (known != incidents_.end()) {
      *known = *std::move(shown);
    } else {
      incidents_.push_back(*std::move(shown));
    }
  }
  // It has ended since the journal was asked, and the journal will say when: until then it has
  // ended now.
  if (history_.any()) {
    for (PublicIncident& one : incidents_) {
      if (one.ended || std::ranges::contains(live, one.id)) continue;
      if (!ends_.contains(one.id) && !std::ranges::contains(were_live_, one.id)) continue;
      one.ended = ends_.try_emplace(one.id, wall_now()).first->second;
    }
  }
  std::erase_if(incidents_, [&live](const PublicIncident& one) {
    return !one.ended && !std::ranges::contains(live, one.id);
  });
  were_live_ = std::move(live);
}

std::vector<PublicIncident> StatusApi::shown_incidents() const {
  std::vector<PublicIncident> shown;
  const core::WallTime oldest = wall_now() - incident_age;
  std::ranges::copy_if(incidents_, std::back_inserter(shown), [oldest](const PublicIncident& one) {
    return !one.ended || one.began >= oldest;
  });
  std::ranges::sort(shown, [](const PublicIncident& a, const PublicIncident& b) {
    return a.began != b.began ? a.began > b.began : a.id > b.id;
  });
  if (shown.size() > most_incidents) shown.resize(most_incidents);
  return shown;
}

void StatusApi::make_page() {
  const core::Time now = source_.now();
  if (page_at_ && now - *page_at_ < page_age) return;
  std::vector<LineTally> tallies(settings_.lines.size());
  for (const core::ServiceView& view : source_.services())
    for (const unsigned line : lines_.of(view.key)) tallies[line].add(view);
  take_live_incidents();
  const auto incidents = shown_incidents();
  page_ =
      status_page_text(settings_, tallies,
                       has_past() ? std::span<const LinePast>{past_} : std::span<const LinePast>{},
                       incidents, {now, source_.unix_ms()});
  page_at_ = now;
}

HttpResponse StatusApi::answer(const HttpRequest& request) {
  make_page();
  return tagged_response(request, page_.body, page_.seed, "public, max-age=10");
}

}  // namespace sentinel::web
