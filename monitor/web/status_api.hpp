#pragma once

// Serves the public status page to a crowd. What a request costs does not grow with their number:
// the page is made once a second, and the journal is asked once a minute and whenever an incident
// begins or ends, by all requests together.

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/http_server.hpp"
#include "web/sources.hpp"
#include "web/status_page.hpp"

namespace sentinel::web {

class StatusApi {
 public:
  static constexpr std::string_view path = "/api/v1/status-page";
  /// A page is sent for so long.
  static constexpr core::Duration page_age = std::chrono::seconds{1};
  /// What the journal said is not asked again for so long.
  static constexpr core::Duration past_age = std::chrono::seconds{60};
  /// Older than that it is not shown.
  static constexpr core::Duration oldest_past = std::chrono::minutes{10};
  /// So long a request waits for the journal when there is nothing yet to be shown.
  static constexpr core::Duration patience = std::chrono::seconds{4};
  /// A journal that has not answered by then is asked anew.
  static constexpr core::Duration longest_look = std::chrono::minutes{2};
  static constexpr auto incident_age = std::chrono::days{14};
  static constexpr std::size_t most_incidents = 100;  // that are shown
  static constexpr std::size_t most_subjects = 2000;  // whose past is asked for
  static constexpr std::size_t most_waiting = 512;

  /// All outlive it; they may change.
  StatusApi(const ApiSource& source, const AlertsBackend& alerts, const HistoryBackend& history)
      : source_{source}, alerts_{alerts}, history_{history} {}
  StatusApi(const StatusApi&) = delete;
  StatusApi& operator=(const StatusApi&) = delete;

  void configure(StatusPageSettings settings);
  /// Otherwise there is no page.
  bool configured() const { return settings_.any(); }
  io::HttpResponse page(const io::HttpRequest& request);

 private:
  struct Look;
  using LookPtr = std::shared_ptr<Look>;
  struct Waiter {
    io::HttpRequest request;
    io::HttpReply reply;
  };

  void look_if_due();
  void ask_incidents(const LookPtr& look, std::string before);
  void take_incidents(const LookPtr& look, const io::IncidentPage& page);
  void begin_timelines(const LookPtr& look);
  void ask_timelines(const LookPtr& look);
  void finish(const LookPtr& look);
  bool is_current(const LookPtr& look) const { return look_ == look; }
  void answer_waiting();
  /// May be shown.
  bool has_past() const;
  std::string live_incidents() const;
  void take_live_incidents();
  std::vector<PublicIncident> shown_incidents() const;
  io::HttpResponse answer(const io::HttpRequest& request);
  void make_page();
  core::WallTime wall_now() const;

  const ApiSource& source_;
  const AlertsBackend& alerts_;
  const HistoryBackend& history_;
  StatusPageSettings settings_;
  StatusLines lines_{std::vector<StatusLine>{}};

  LookPtr look_;  // under way
  std::vector<Waiter> waiting_;
  std::vector<LinePast> past_;                  // by line
  std::vector<PublicIncident> incidents_;       // in no order
  std::optional<core::Time> past_at_;           // when the past was asked for
  std::optional<core::Time> asked_at_;          // when anything was, answered or not
  std::string seen_incidents_;                  // that were open then
  std::vector<std::string> were_live_;          // when the page was made
  std::map<std::string, core::WallTime> ends_;  // seen, and not known to the journal yet
  unsigned end_asks_ = 0;                       // of the journal for these

  StatusPageText page_;
  std::optional<core::Time> page_at_;
};

}  // namespace sentinel::web
