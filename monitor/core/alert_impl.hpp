#pragma once

// Private to core/alert*.cpp and core/incident*.cpp.

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/alert_core.hpp"
#include "core/deadlines.hpp"
#include "core/rng.hpp"
#include "core/ulid.hpp"

namespace sentinel::core {

using AlertId = std::uint64_t;  // of nodes, episodes and groups; grows, never 0

/// A subject, as far as it is known.
struct AlertNode {
  AlertId id = 0;
  Subject subject;
  std::string title;
  std::set<AlertId> needs;
  std::set<AlertId> needed_by;
  bool failing = false;
  bool maintenance = false;
  bool flapping = false;
  bool unseen = false;  // restored, not heard of since
  bool named = false;   // a fact was about it; otherwise only somebody's need
  Time recovered = Time::min();
  AlertId episode = 0;  // open, and it takes part
  AlertId latest = 0;   // the episode it took part in last
};

struct AlertRoom;  // a receiver
struct AlertGroup;

/// An incident on its way to one receiver.
struct AlertTrack {
  AlertRoom* receiver = nullptr;
  AlertGroup* group = nullptr;
  std::string_view reported;  // why it was not told, when that was said
  bool limited = false;       // waits for the receiver's digest
};

/// An incident and what belongs to it.
struct AlertEpisode {
  AlertId id = 0;
  Incident incident;
  Labels labels;
  AlertId root = 0;
  std::set<AlertId> failing;               // of those who take part
  std::map<AlertId, std::size_t> members;  // place in incident.members, or npos
  Time began{};
  Time changed{};                     // what is to be told
  std::optional<WallTime> recovered;  // all work, the end is held
  std::string end_text;
  bool gone = false;
  bool restored = false;  // begun before the restart
  bool dirty = false;     // to be stored soon
  std::vector<AlertTrack> tracks;
  unsigned parcels = 0;                             // pending ones that tell of it
  std::vector<std::vector<std::string>> source_of;  // by inhibit rule: equal values; empty: not
  std::vector<std::vector<std::string>> target_of;
};

/// Incidents that are told to one receiver together.
struct AlertGroup {
  AlertId id = 0;
  AlertRoute route;
  std::size_t route_index = 0;
  AlertRoom* receiver = nullptr;
  Labels values;
  std::set<AlertId> episodes;
  Time due = never;
  Time repeat_at = never;
  std::optional<Time> last;  // message
};

/// A delivery on its way.
struct AlertParcel {
  enum class State : std::uint8_t { storing, waiting, sending, dead };
  Delivery delivery;
  AlertRoom* receiver = nullptr;
  State state = State::storing;
  bool refresh = false;  // of a stateful receiver: neither stored nor repeated
  Time due = never;      // storing, sending: given up waiting then; waiting: next attempt
  Time give_up = never;
  bool durable = false;
  Time changed{};
  Duration before{};  // of the latency: before the restart
};

/// A receiver.
struct AlertRoom {
  AlertReceiver config;
  std::size_t index = 0;
  std::map<std::uint64_t, AlertParcel*> parcels;  // pending
  std::unordered_map<std::string, std::set<std::uint64_t>> by_incident;
  unsigned in_flight = 0;
  unsigned refreshes = 0;  // pending
  unsigned failures = 0;   // in a row
  Time not_before{};       // no attempt
  std::deque<Time> made;   // messages, for the rate
  std::set<AlertId> held;  // episodes that wait for the digest
  Time digest_at = never;
  std::optional<Time> last_digest;
  std::uint64_t missed = 0;  // began and ended while too many were held
  std::map<std::string, std::pair<MessageItem, Time>> ended;  // to be refreshed until then
  std::string last_error;
  std::optional<WallTime> last_accepted;
};

class AlertCore::Impl {
 public:
  explicit Impl(AlertConfig config);

  void on(AlertEvent event, Moment now, AlertActions& out);
  std::optional<Time> next_deadline() const { return deadlines_.next(); }

  std::vector<Incident> open_incidents() const;
  std::vector<Incident> incidents() const;
  std::string incident_of(const Subject& subject) const;
  std::vector<ReceiverView> receivers() const;
  std::vector<Delivery> deliveries() const;
  std::vector<Silence> silences() const;
  AlertCounters counters() const { return counters_; }
  std::string silence_problem(const Silence& silence) const;

 private:
  enum class What : std::uint8_t {
    parcel,
    pump,  // of a receiver
    group,
    digest,   // of a receiver
    refresh,  // of a receiver
    end_hold,
    store,
    silences,
    settle,
    presence,
  };
  using Handle = std::uint64_t;
  static Handle handle_of(What what, std::uint64_t id) {
    return static_cast<std::uint64_t>(what) << 56U | id;
  }

  // alert_core.cpp
  void handle(const AlertTick&) {}
  void handle(AlertsConfigured& event);
  void serve_due();
  void serve(Handle handle);
  void configure();
  void notice(AlertNoticeKind kind, const AlertEpisode* episode, std::string text,
              std::string_view receiver = {}, std::string_view reason = {});

  // alert_restore.cpp
  void handle(AlertsRestored& event);
  void handle(const AlertsSynchronised&);
  void restore(Incident incident);
  void restore(Delivery delivery);
  void settle();
  void end_unseen();

  // incident_facts.cpp
  void handle(const SubjectFailed& event);
  void handle(const SubjectRecovered& event);
  void handle(const SubjectGone& event);
  void handle(const SubjectActed& event);
  void handle(const SubjectOverlays& event);
  void handle(const SubjectNeeds& event);
  void handle(EvidenceGathered& event);
  void works(AlertNode& node, const std::string& text, bool gone);
  void update(AlertEpisode& episode, AlertNode& node, const SubjectFailed& fact);
  void set_flapping(AlertNode& node, bool flapping);

  // incident_graph.cpp
  AlertNode* find(const Subject& subject);
  AlertNode* make(const Subject& subject);
  void need_pool(AlertNode& node);
  std::vector<AlertId> clear_needs(AlertNode& node);  // what it needed
  void forget_if_idle(std::vector<AlertId> candidates);
  void need(AlertNode& node, AlertNode& needed);
  AlertEpisode* cause_of(const AlertNode& node);
  AlertEpisode* same_host(const AlertNode& node);
  std::vector<AlertEpisode*> dependants_to_fold(const AlertNode& node, const AlertEpisode& cause);

  // incident.cpp
  AlertEpisode* open_of(const AlertNode& node);
  void place(AlertNode& node, const SubjectFailed& fact);
  AlertEpisode* open(AlertNode& node, const SubjectFailed& fact);
  void join(AlertEpisode& episode, AlertNode& node, const std::string& text, Severity severity);
  void fold(AlertEpisode& episode, AlertEpisode& into);
  void fold_dependants(const AlertNode& node);
  void check_end(AlertEpisode& episode);
  void end(AlertEpisode& episode);
  void close_if_done(AlertEpisode& episode);
  void close(AlertEpisode& episode);
  void add_line(AlertEpisode& episode, std::string text, std::string result = {},
                std::optional<WallTime> at = {});
  void raise(AlertEpisode& episode, Severity severity);
  void set_cause(AlertEpisode& episode, std::string cause);
  void store(AlertEpisode& episode);
  void store_soon(AlertEpisode& episode);

  // alert_routes.cpp
  void label(AlertEpisode& episode);
  void route(AlertEpisode& episode);
  AlertGroup& group_for(const AlertRoute& route, std::size_t index, AlertRoom& receiver,
                        const Labels& labels);
  void leave_group(AlertEpisode& episode, AlertTrack& track);
  void index_inhibition(AlertEpisode& episode);
  void unindex_inhibition(AlertEpisode& episode);
  std::string_view held(const AlertEpisode& episode) const;
  bool unsettled(const AlertEpisode& episode) const { return !settled_ && episode.restored; }
  bool inhibited(const AlertEpisode& episode) const;
  void handle(AddSilence& event);
  void handle(const EndSilence& event);
  void look_at_silences();
  void end_silence(std::map<std::string, Silence>::iterator silence);
  void arm_silences();

  // alert_groups.cpp
  static IncidentTold* told(AlertEpisode& episode, const AlertRoom& receiver);
  std::optional<MessageKind> due(AlertEpisode& episode, AlertTrack& track);
  void touch(AlertEpisode& episode);
  void touch_all();
  void schedule(AlertGroup& group);
  void group_due(AlertGroup& group);
  void flush(AlertGroup& group);
  void remind(AlertGroup& group);
  bool admits(AlertRoom& receiver);
  void limit(AlertRoom& receiver, AlertEpisode& episode, AlertTrack& track);
  void digest(AlertRoom& receiver);
  void refresh(AlertRoom& receiver);

  // alert_messages.cpp
  MessageItem item(const AlertEpisode& episode) const;
  void tell(AlertRoom& receiver, MessageKind kind, std::vector<AlertEpisode*> episodes,
            const Labels& values, const std::string& note);
  void tell_some(AlertRoom& receiver, MessageKind kind, std::span<AlertEpisode* const> episodes,
                 const Labels& values, const std::string& note);
  void tell_again(AlertRoom& receiver, MessageKind kind, std::vector<MessageItem> items);
  void handle(const TestReceiver& event);
  void withdraw(AlertRoom& receiver, const AlertEpisode& episode, bool stale);

  // alert_outbox.cpp
  void handle(const DeliveryStored& event);
  void handle(const Sent& event);
  void handle(const RetryDead& event);
  void handle(const DropDead& event);
  AlertParcel& post(Delivery delivery, AlertRoom& receiver, bool refresh);
  void store(AlertParcel& parcel);
  void ready(AlertParcel& parcel);
  void parcel_due(AlertParcel& parcel);
  void pump(AlertRoom& receiver);
  void answered(AlertParcel& parcel, const Sent& event);
  void bury(AlertParcel& parcel, std::string error);
  void adopt(AlertParcel& parcel);
  void place_orphans();
  void link(AlertParcel& parcel);
  void unlink(AlertParcel& parcel);
  void forget(AlertParcel& parcel);
  Duration backoff(unsigned attempts, Duration most);

  AlertConfig config_;
  std::map<Subject, std::unique_ptr<AlertNode>> by_subject_;
  std::unordered_map<AlertId, AlertNode*> nodes_;
  std::map<std::string, std::set<AlertId>> hosts_;  // servers by name
  std::map<AlertId, std::unique_ptr<AlertEpisode>> episodes_;
  std::unordered_map<std::string, AlertEpisode*> by_ulid_;
  std::size_t open_ = 0;
  using GroupKey = std::tuple<std::size_t, std::string, Labels>;
  std::map<GroupKey, std::unique_ptr<AlertGroup>> groups_;
  std::unordered_map<AlertId, AlertGroup*> group_by_id_;
  struct Inhibition {
    std::map<std::vector<std::string>, std::set<AlertId>> sources;
    std::map<std::vector<std::string>, std::set<AlertId>> targets;
  };
  std::vector<Inhibition> inhibitions_;
  std::map<std::string, std::unique_ptr<AlertRoom>> receivers_;
  std::map<std::size_t, AlertRoom*> receiver_by_index_;
  std::set<std::size_t> to_pump_;  // receivers
  std::size_t last_receiver_ = 0;
  std::map<std::uint64_t, std::unique_ptr<AlertParcel>> parcels_;  // pending and dead
  std::size_t dead_ = 0;
  std::map<std::string, Silence> silences_;
  Duration wall_offset_{};  // wall minus time, when silences were armed
  bool settled_ = true;     // what is maintained is known again after a restart
  AlertId last_id_ = 0;
  std::uint64_t next_delivery_ = 1;
  Deadlines<Handle> deadlines_;
  Rng rng_;
  UlidMaker ulids_;
  AlertCounters counters_;

  Time now_{};
  WallTime wall_{};
  AlertActions* out_ = nullptr;
};

/// A cause that people have to be told when an incident comes to it: healing gave up. Others only
/// say how it fails now.
constexpr bool worth_telling(std::string_view cause) { return cause == "quarantined"; }

/// At most so many bytes, cut between two characters.
std::string clipped(const std::string& text, std::size_t limit);

}  // namespace sentinel::core
